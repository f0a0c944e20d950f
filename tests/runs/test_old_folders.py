"""Folders of earlier versions keep their ids, go on, are sampled, scored, shown and reported."""

import dataclasses
import json
import shutil

import naive
import numpy as np
import pytest
from harness import DATA, TEXT, csv_rows

from nbrnn.analysis.result_tables import read_results
from nbrnn.config import SETTINGS, RunConfig
from nbrnn.corpus import load
from nbrnn.naming import run_id
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import sweep

pytestmark = pytest.mark.usefixtures("without_pictures", "without_figures")

IDS = {
    "run": "moor-m5-eta0.1-sigma0.1-400updates-seed3-0e61e2d8",
    "resumed": "moor-m5-eta0.1-sigma0.1-2epochs-seed0-5a95a9cc",
    "interrupted": "moor-m5-eta0.1-sigma0.1-700updates-seed0-995e4fd1",
}


@pytest.fixture(scope="module")
def moor():
    return load(str(TEXT))


@pytest.fixture
def folders(tmp_path):
    """Return a copy of all old folders, in which one may write."""
    return shutil.copytree(DATA, tmp_path / "old")


@pytest.mark.parametrize("name", IDS)
def test_ids_stay(name):
    config, corpus = RunFolder(DATA / name).read_config()
    assert run_id(config, corpus.name, corpus.sha256) == IDS[name]


def test_ids_of_a_sweep_stay():
    folders = SweepFolder(DATA / "sweep").runs()
    assert len(folders) == 5
    for folder in folders:
        config, corpus = folder.read_config()
        assert run_id(config, corpus.name, corpus.sha256) == folder.path.name


def test_a_setting_that_came_later_counts_where_it_differs_from_its_default(monkeypatch):
    later = dataclasses.replace(SETTINGS["clip"], added="9.9")
    monkeypatch.setitem(SETTINGS, "clip", later)
    assert "clip" not in RunConfig().identity()
    assert RunConfig(clip=4).identity()["clip"] == 4
    before = RunConfig().to_dict()
    del before["clip"]
    assert RunConfig.from_dict(before) == RunConfig()


def test_an_interrupted_run_goes_on_as_the_naive_program_does(folders, moor):
    folder = RunFolder(folders / "interrupted")
    last = folder.read_checkpoint("last")
    assert last.update == 250
    theta, memory = ({name: a.astype(float) for name, a in group.items()}
                     for group in (last.theta, last.memory["adagrad"]))  # fmt: skip
    before, smooth = (folder / "metrics.csv").read_text(), last.smooth_loss
    optimizer, h = naive.AdaGrad(theta), last.h_prev.astype(float)[np.newaxis]
    optimizer.memory["adagrad"] = memory
    plan = [[(n % 499 * 10, n % 499 == 0)] for n in range(250, 700)]
    for loss in naive.follow(theta, moor.codes, 10, plan, optimizer, [0.1] * 450, h=h)[0]:
        smooth = 0.999 * smooth + 0.001 * loss
    summary = run(last.config, moor, folder.path)
    assert (summary.status, summary.updates) == ("finished", 700)
    assert summary.smooth_loss_final == pytest.approx(smooth, rel=1e-4)
    assert (folder / "metrics.csv").read_text().startswith(before)
    assert [sample.update for sample in folder.read_samples()] == list(range(0, 701, 100))


@pytest.mark.parametrize(("name", "length"), [("run", {"updates": 900}), ("resumed", {"epochs": 3})])
def test_a_finished_run_is_made_longer(folders, moor, tmp_path, name, length):
    config, _ = RunFolder(folders / name).read_config()
    longer = dataclasses.replace(config, **{"epochs": None, "updates": None, **length})
    summary = run(longer, moor, folders / name)
    scratch = run(longer, moor, tmp_path / "scratch")
    # on another processor than theirs the last digits differ
    assert summary.smooth_loss_final == pytest.approx(scratch.smooth_loss_final, rel=1e-4)
    assert summary.updates == scratch.updates
    sessions = json.loads((folders / name / "env.json").read_text())
    assert sessions["nbrnn"] == "0.1.0"
    assert len(sessions["resumed"]) == (2 if name == "resumed" else 1)


def test_a_sweep_knows_what_it_has_done(folders, moor):
    lists = {"updates": "300", "hidden": "5", "seq_length": "10", "sample_every": "100"}
    lists |= {"sample_length": "40", "sigma": "0.01,0.1", "seed": "0:1"}
    folder = SweepFolder(folders / "sweep")
    before = folder.read_requests()
    outcome = sweep(grid(lists), moor, folder)
    # four runs done before: so their ids are as they were
    assert (outcome.done_before, outcome.count("finished")) == (4, 4)
    assert folder.read_requests()[:2] == before


def test_old_runs_are_reported_with_new_ones(nbrnn, folders, moor, tmp_path):
    run(RunConfig(updates=300, hidden=5, seq_length=10, sigma=0.3), moor, tmp_path / "new")
    results = read_results([folders / "sweep", folders / "run", folders / "resumed", tmp_path / "new"])
    assert results.unreadable == []
    assert sorted(results.runs["status"]) == ["diverged", *["finished"] * 7]
    nbrnn("report", folders / "sweep", "--quiet")
    rows = {row["run_id"]: row for row in csv_rows(folders / "sweep" / "report" / "runs.csv")}
    for path in (DATA / "sweep" / "runs").iterdir():
        summary = json.loads((path / "summary.json").read_text())
        assert float(rows[path.name]["smooth_loss_best"]) == summary["smooth_loss_best"]


def test_old_runs_are_shown_sampled_and_scored(nbrnn):
    shown = json.loads(nbrnn("show", DATA / "run", "--json").stdout)
    assert shown["summary"] == json.loads((DATA / "run" / "summary.json").read_text())
    sampled = nbrnn("sample", DATA / "run", "--length", "200").stdout
    assert (DATA / "run" / "best.txt").read_text().startswith(sampled.removesuffix("\n"))
    scored = json.loads(nbrnn("score", DATA / "run", TEXT, "--json").stdout)
    model = RunFolder(DATA / "run").read_checkpoint("best")
    theta = {name: array.astype(float) for name, array in model.theta.items()}
    codes = load(str(TEXT)).codes
    loss, _, _ = naive.forward(theta, codes[:-1], codes[1:], np.zeros(5))
    assert scored["model"]["nats_per_character"] == pytest.approx(loss / (codes.size - 1), rel=1e-5)


# ---------------------------------------------------------------- 0.5: held-out text, batches, halving

# What 0.5 found at the end of the run that is interrupted here, on one processor.
HELD_OUT_0_5 = [3.328863, 3.122084, 2.917016, 2.801365, 2.709036, 2.617457]


def test_a_run_of_0_5_resumes(moor, tmp_path):
    folder = RunFolder(shutil.copytree(DATA.parent / "0.5" / "interrupted", tmp_path / "run"))
    config, corpus = folder.read_config()
    assert run_id(config, corpus.name, corpus.sha256) == (
        "moor-m5-B2-adam-eta0.001-scaled-600updates-seed0-ec4576a2"
    )
    assert folder.read_checkpoint("last").update == 200
    before = (folder / "validation.csv").read_text()
    summary = run(config, moor, folder.path)
    assert (summary.status, summary.updates) == ("finished", 600)
    assert (folder / "validation.csv").read_text().startswith(before)
    assert folder.read_validation().loss == pytest.approx(HELD_OUT_0_5, rel=1e-3)


def test_a_halving_sweep_of_0_5_keeps_what_it_decided(moor, tmp_path, nbrnn):
    folder = SweepFolder(shutil.copytree(DATA.parent / "0.5" / "sweep", tmp_path / "sweep"))
    (request,) = folder.read_requests()
    lists = {name: ",".join(map(str, values)) for name, values in request.settings.items()}
    outcome = sweep(grid({**lists, "seed": "0:1"}), moor, folder, halving=request.halving)
    # four runs done before: so their ids are as they were
    assert (outcome.done_before, outcome.count("finished"), outcome.count("dropped")) == (4, 2, 2)
    nbrnn("report", folder.path, "--quiet")
    rows = {row["run_id"]: row for row in csv_rows(folder.path / "report" / "runs.csv")}
    for path in (folder.path / "runs").iterdir():
        summary = json.loads((path / "summary.json").read_text())
        assert float(rows[path.name]["validation_best"]) == summary["validation_best"]
