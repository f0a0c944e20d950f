"""`nbrnn train --minutes`: the same command resumes, the printed one repeats, errors are one line."""

import json
import re
import shlex

import pytest
from harness import bits, one_line_error

from nbrnn.runs import settings_for_minutes as module

# What other tests compile, too.
SMALL = ["--cell", "vanilla", "--layers", "1", "--clip-norm", "none", "--dropout", "0", "--hidden", "8"]


@pytest.fixture
def slow_machine(monkeypatch):
    """Let an update take 10 ms, and the reading of a character none: measured once a run."""
    measured = []

    def update(*_):
        measured.append(1)
        return 0.01

    monkeypatch.setattr(module, "update_seconds", update)
    monkeypatch.setattr(module, "reading_seconds", lambda *_: 1e-9)
    return measured


@pytest.mark.usefixtures("without_pictures")
def test_the_same_command_resumes_and_the_printed_one_repeats(nbrnn, text_file, tmp_path, slow_machine):
    typed = ["train", text_file, "--minutes", "0.1", *SMALL]
    done = nbrnn(*typed)
    (folder,) = (tmp_path / "results").iterdir()
    for line in ("network: ", "length: ", "learning rate "):
        assert line in done.stderr
    summary = json.loads((folder / "summary.json").read_text())
    for loss in ("validation_best", "validation_unigram", "validation_bigram"):
        assert f"{summary[loss]:.4f}" in done.stdout
    assert (folder / "best.txt").read_text()[:20] in done.stdout

    again = nbrnn(*typed)
    assert "already finished" in again.stderr
    assert len(slow_machine) == 2  # the first trial and the network chosen, the first time only

    (printed,) = re.findall("the same run again: nbrnn (.*)", done.stderr)
    assert json.loads((folder / "env.json").read_text())["command"] == ["nbrnn", *shlex.split(printed)]
    nbrnn(*shlex.split(printed)[:-1], tmp_path / "repeated", "-q")
    assert bits(tmp_path / "repeated") == bits(folder)

    _, other, compare = re.findall("^  nbrnn (.*)", done.stdout, re.MULTILINE)
    assert "--seed 1" in other  # more minutes would change nothing
    nbrnn(*shlex.split(other), "-q")
    nbrnn(*shlex.split(compare))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--minutes 0", "--minutes must be above 0"),
        ("--minutes nan", "--minutes must be finite"),
        ("--minutes 1 --epochs 3", "--minutes sets the length of the run: leave out --epochs"),
        ("--minutes 1 --resume run", "leave it or --resume out"),
        ("--minutes 1 --init-from run", "leave it or --init-from out"),
        ("--minutes 1 --preset char-rnn", "--preset char-rnn both choose settings"),
        ("--minutes 1 --chunks 5", "--chunks has no effect with --order sequential"),
        ("--minutes 1 --batch 101", "4,500 characters are too few for --seq-length 50 and --batch 101"),
    ],
)
def test_what_contradicts_minutes_is_one_line(nbrnn, text_file, tmp_path, options, said):
    assert said in one_line_error(nbrnn("train", text_file, *options.split(), code=2))
    assert not (tmp_path / "results").exists()
