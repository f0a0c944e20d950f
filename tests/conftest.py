"""What several tests use: a small text, the program as a process, a run in a folder."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nbrnn.corpus import Corpus

sys.path.append(str(Path(__file__).parent.parent))  # bench/ is not installed; nbrnn/ is found before

WORDS = "the old house on the moor stood alone; Jane said: “No more!” – and (so) it was, in 1847."


def made_up_text(length, seed=0):
    """Return words in a random order: some structure to learn, always the same."""
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS.split(), length))[:length]


@pytest.fixture(scope="session")
def text():
    return made_up_text(5000)


@pytest.fixture(scope="session")
def corpus(text):
    return Corpus.from_text(text, "made-up")


@pytest.fixture(scope="session")
def text_file(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "made-up.txt"
    path.write_text(text)
    return path


@pytest.fixture
def nbrnn(tmp_path):
    """Return a function that runs the program in an own folder."""

    def call(*arguments, code=0, **options):
        done = subprocess.run(
            [sys.executable, "-m", "nbrnn", *map(str, arguments)],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            **options,
        )
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture(scope="session")
def run_folder(text_file, tmp_path_factory):
    """Return the folder of a finished run of 1000 updates."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    command = [sys.executable, "-m", "nbrnn", "train", text_file, "--out", folder]
    options = ["--updates", "1000", "--hidden", "20", "--sample-every", "400", "--quiet"]
    subprocess.run([*map(str, command), *options], check=True, env=os.environ)
    return folder


def one_line_error(done):
    """Return the only line on stderr, which is nbrnn's error; nothing is on stdout."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("nbrnn: ")
    assert done.stdout == ""
    return line
