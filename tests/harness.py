"""What test files share: made-up texts, the bits of a folder, events, processes and their deadline."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from nbrnn.storage.schemas import SweepRequest
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.sweep import SweepObserver

DEADLINE = 240  # seconds for any event: only what hangs takes so long, also on a busy machine

DATA = Path(__file__).parent / "data" / "0.1"  # folders that the first version made
TEXT = DATA / "moor.txt"  # on which
WORDS = "the old house on the moor stood alone; Jane said: “No more!” – and (so) it was, in 1847."
SERIES = ("last.safetensors", "best.safetensors", "metrics.csv", "samples.jsonl")
# The lists of a small sweep of four runs.
LISTS = {
    "updates": "300", "hidden": "20", "sample_every": "150", "sample_length": "30",
    "sigma": "0.01,0.1", "seed": "0:1",
}  # fmt: skip


def made_up_text(length, seed=0):
    """Return words in a random order: some structure to learn, always the same."""
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS.split(), length))[:length]


def copy_old(name, to):
    """Copy an old run or sweep, whose text lay on another machine, with the text where it is here."""
    shutil.copytree(DATA / name, to)
    for path in to.rglob("*.json"):
        path.write_text(path.read_text().replace("/home/anna/moor.txt", str(TEXT)))
    return to


def csv_rows(path):
    """Return the rows of a table in CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def bits(folder, files=SERIES):
    """Return the hash of each of these files of a run."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}


def sweep_bits(folder):
    """Return the hashes of the files of all runs of a sweep."""
    return {run.path.name: bits(run, (*SERIES, "best.txt")) for run in SweepFolder(folder).runs()}


def begin_sweep(folder, corpus):
    """Make a folder one of a sweep, of which nothing was asked yet."""
    request = SweepRequest(
        corpus=corpus.describe(),
        settings={},
        seeds=[],
        random=None,
        sweep_seed=None,
        runs=[],
        command=[],
    )
    folder.add_request(request)


@contextmanager
def no_pictures():
    """Let runs draw no picture of their loss, which takes as long as thousands of updates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbrnn.runs.run.draw_loss", lambda folder: None)
        patch.setattr("nbrnn.sweeps.sweep.draw_loss", lambda folder: None)
        yield


@contextmanager
def no_figures():
    """Let reports have no figures, which take longer than all else of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbrnn.report.sweep_report.figures", lambda results: ())
        patch.setattr("nbrnn.report.run_report.figures", lambda facts: ())
        yield


class Events(SweepObserver):
    """Notes what happens in a sweep."""

    def __init__(self):
        self.starts, self.ends, self.reports = [], {}, []

    def started(self, job, update, updates):
        self.starts.append((job.run_id, update))

    def progressed(self, job, report):
        self.reports.append((job.run_id, report.update))

    def ended(self, job, summary):
        self.ends[job.run_id] = summary.status


def import_interop(package):
    """Import what only `tox -e interop` installs; without it, skip the test."""
    return pytest.importorskip(package, reason=f"needs {package}: tox -e interop")


def wait_until(condition):
    """Wait until a condition holds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def is_under_way(folder):
    """Whether a run has kept a checkpoint beyond its start."""
    with suppress(FileNotFoundError):
        return json.loads((folder / "summary.json").read_bytes())["updates"] > 0
    return False


def all_end(processes):
    """Whether processes end without being asked to."""
    return psutil.wait_procs(processes, timeout=DEADLINE)[1] == []


# ---------------------------------------------------------------- the program


@dataclass(frozen=True)
class Done:
    """A call of the program that has ended, here or in a process of its own."""

    returncode: int
    stdout: str
    stderr: str


def one_line_error(done):
    """Return the only line on stderr, which is nbrnn's error; nothing is on stdout."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("nbrnn: ")
    assert done.stdout == ""
    return line


def command(*arguments):
    """Return the command that starts the program as a process of its own."""
    return [sys.executable, "-m", "nbrnn", *map(str, arguments)]


def run_program(*arguments, code=0, limit=None, **options):
    """Run the program as a process of its own, under a limit as bash's `ulimit` takes it."""
    words = command(*arguments)
    if limit:  # by a shell: a function between fork and exec does not go with threads
        # without bytecode: a limit on the size of files would cut it short, for all later tests
        no_bytecode = "export PYTHONDONTWRITEBYTECODE=1"
        words = ["bash", "-c", f'{no_bytecode}; ulimit {limit} && exec "$@"', "bash", *words]
    options = {"capture_output": True, "text": True, "timeout": DEADLINE, **options}
    done = subprocess.run(words, check=False, **options)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


# ---------------------------------------------------------------- forked processes


@dataclass
class Child:
    """A process forked from the warm one, with a pipe through which it tells how far it is."""

    process: object
    pipe: object
    told: list = field(default_factory=list)

    def hear(self):
        """Return the next thing that the child tells."""
        assert self.pipe.poll(DEADLINE), "the child says nothing"
        self.told.append(self.pipe.recv())
        return self.told[-1]

    def wait(self):
        """Return the exit code, negative for a signal, when the child has ended."""
        with suppress(EOFError, ConnectionResetError):
            while True:
                self.hear()
        self.process.join(DEADLINE)
        assert self.process.exitcode is not None, "the child does not end"
        return self.process.exitcode

    def kill(self):
        """Kill the child at whatever it is doing."""
        self.process.kill()
        return self.wait()
