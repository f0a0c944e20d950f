"""`nbrnn show` on folders with many runs, and what a shell completes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import one_line_error

from nbrnn.analysis.folder_listing import entry
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary

pytestmark = pytest.mark.usefixtures("without_pictures", "without_figures")

FAST = ["--hidden", "5", "--updates", "200"]


@pytest.fixture
def results(nbrnn, text_file, tmp_path):
    """Return a folder with a sweep of four runs, two of them diverged, and an older and a newer run."""
    for name, seed in (("old", 1), ("new", 2)):
        nbrnn("train", text_file, *FAST, "--seed", seed, "--out", f"results/{name}", "-q")
    sweep = ["sweep", text_file, *FAST, "--eta", "0.1,1e30", "--seeds", "0:1", "--name", "s", "-q"]
    nbrnn(*sweep, code=1)
    folder = tmp_path / "results"
    runs = sorted((folder / "s" / "runs").iterdir())
    for age, path in enumerate([folder / "new", *runs, folder / "s", folder / "old"]):
        os.utime(path, (10**9 - age, 10**9 - age))
    return folder


def test_runs_and_sweeps_are_listed_newest_first(nbrnn, results):
    rows = json.loads(nbrnn("show", "--json").stdout)
    assert [(row["folder"], row["kind"]) for row in rows] == [
        ("results/new", "run"), ("results/s", "sweep"), ("results/old", "run"),
    ]  # fmt: skip
    for row in (rows[0], rows[2]):
        summary = RunFolder(row["folder"]).read_summary().to_dict()
        assert {name: row[name] for name in summary if name in row}.items() <= summary.items()
    summaries = [RunFolder(path).read_summary() for path in (results / "s" / "runs").iterdir()]
    finished = [s.smooth_loss_best for s in summaries if s.status == "finished"]
    assert rows[1]["smooth_loss_best"] == min(finished)
    assert (rows[1]["runs"], rows[1]["finished"], rows[1]["status"]) == (4, 2, "2/4 finished")
    assert rows[0]["changed"] == "2001-09-09T01:46:40+00:00"
    first, *lines = nbrnn("show").stdout.splitlines()
    assert first == "results: 4 of 6 runs finished"
    assert [line.split()[-1] for line in lines[2:5]] == ["new", "s", "old"]
    assert f"{rows[0]['smooth_loss_best'] / 25:.3f}" in lines[2]


def test_losses_in_the_list_are_per_character_whatever_they_are_trained_by(nbrnn, text_file):
    for name, settings in (("sum", ()), ("mean", ("--loss", "mean", "--validation", "0.1"))):
        nbrnn("train", text_file, *FAST, *settings, "--out", f"results/{name}", "-q")
    lines = nbrnn("show").stdout.splitlines()
    assert all(2 < float(line.split()[1]) < 4 for line in lines[3:5])
    assert lines[-1].startswith("loss: smooth loss of the best model in nats per character")


def test_the_best_run_of_a_sweep_is_chosen_by_its_held_out_loss():
    def summary(held_out, smooth):
        losses = {"validation_best": held_out, "smooth_loss_best": smooth}
        return Summary(status="finished", bits_per_character_best=smooth, **losses)

    summaries = [summary(2.0, 1.0), summary(1.5, 1.2), summary(3.0, 0.9)]
    assert entry(Path("s"), "sweep", "", summaries, 3, 0.0).smooth_loss_best == 1.2


def test_a_sweep_is_listed_by_its_runs(nbrnn, results):
    rows = json.loads(nbrnn("show", "s", "--json").stdout)
    assert sorted(row["status"] for row in rows) == ["diverged", "diverged", "finished", "finished"]
    assert [row["folder"] for row in rows] == [
        str(path) for path in sorted(results.relative_to(results.parent).glob("s/runs/*"))
    ]
    printed = nbrnn("show", "s").stdout
    assert printed.startswith("results/s/runs: 2 of 4 runs finished\n")
    assert all(os.path.basename(row["folder"]) in printed for row in rows)
    assert nbrnn("show", "results").stdout == nbrnn("show").stdout


def test_a_damaged_run_is_listed_as_such(nbrnn, results):
    (results / "old" / "summary.json").write_text("[]")
    assert "damaged" in nbrnn("show").stdout
    (results / "s" / "sweep.json").write_text("[]")
    assert "2/4 finished" in nbrnn("show").stdout


def test_where_there_is_nothing(nbrnn, tmp_path):
    assert "nbrnn train makes the first run" in one_line_error(nbrnn("show", code=2))
    (tmp_path / "results").mkdir()
    assert "no run or sweep in" in one_line_error(nbrnn("show", code=2))


# ---------------------------------------------------------------- completion

COMPLETED = """
import io, json, os, sys
from nbrnn.cli.main import app

told = []
for words in json.load(sys.stdin):
    os.environ["COMP_WORDS"] = " ".join(["nbrnn", *words])
    os.environ["COMP_CWORD"] = str(len(words))
    sys.stdout = io.TextIOWrapper(io.BytesIO())
    try:
        app(prog_name="nbrnn")
    except SystemExit:
        sys.stdout.flush()
        told.append(sys.stdout.buffer.getvalue().decode().split())
imported = sorted({"numpy", "msgspec", "rich"} & set(sys.modules))
print(json.dumps([told, imported]), file=sys.__stdout__, flush=True)
"""


def completed(folder, *lines):
    """Return what a shell is told for the last word of each line; nothing slow is imported for it."""
    done = subprocess.run(
        [sys.executable, "-c", COMPLETED],
        input=json.dumps(lines),
        cwd=folder,
        env={**os.environ, "_NBRNN_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    told, slow = json.loads(done.stdout)
    assert slow == []
    assert done.stderr == ""
    return told


@pytest.mark.slow
def test_texts_runs_and_folders_are_completed(tmp_path):
    for name in ("results/tour", "results/brontes-s/runs", "books/more"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("book.txt", "books/a.txt", "books/a.png", "results/note.txt", ".hidden"):
        (tmp_path / name).touch()
    expected = {
        ("train", "b"): ["brontes", "book.txt", "books/"],
        ("sweep", "books/"): ["books/a.txt", "books/more/"],
        ("score", "tour", "f"): ["federalist"],
        ("sample", "t"): ["tour"],
        ("show", "b"): ["brontes-s", "books/"],
        ("compare", "results/"): ["results/brontes-s/", "results/tour/"],
        ("train", "--resume", "to"): ["tour"],
        ("train", "nowhere/"): [],
    }
    assert completed(tmp_path, *expected) == list(expected.values())
