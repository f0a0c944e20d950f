"""Many runs at once: the same bits as alone, whatever happens to them."""

import json
import os
import sys
import time
from types import SimpleNamespace

import child_processes
import pytest
from harness import LISTS, Events, begin_sweep, sweep_bits

from nbrnn.config import RunConfig
from nbrnn.errors import LockedError, StoreError
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.planning import plan
from nbrnn.sweeps.sweep import sweep


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """Return the folder of a sweep whose runs were done one by one, without a sweep."""
    folder = SweepFolder(tmp_path_factory.mktemp("alone"))
    for job in plan(grid(LISTS), corpus, folder):
        run(job.config, corpus, job.folder)
    return folder.path


LOKY = pytest.param({"jobs": 2, "backend": "loky"}, marks=pytest.mark.slow)


@pytest.mark.parametrize("options", [{"jobs": 1}, {"jobs": 3}, LOKY])
def test_jobs_and_backends_change_nothing(corpus, tmp_path, monkeypatch, alone, options):
    events, typed = Events(), ["nbrnn", "sweep", "a text.txt"]
    monkeypatch.setattr(sys, "argv", typed)
    lists = {**LISTS, "seed": "1,0"} if options["jobs"] == 3 else LISTS
    outcome = sweep(grid(lists), corpus, SweepFolder(tmp_path / "s"), observer=events, **options)
    assert outcome.count("finished") == 4
    assert set(events.ends.values()) == {"finished"}
    assert sorted(events.starts) == sorted((job.run_id, 0) for job in outcome.jobs)
    assert {run_id for run_id, _ in events.reports} == set(events.ends)
    assert sweep_bits(tmp_path / "s") == sweep_bits(alone)
    for folder in SweepFolder(tmp_path / "s").runs():
        assert (folder / "loss.png").read_bytes() == (
            alone / "runs" / folder.path.name / "loss.png"
        ).read_bytes()
        assert json.loads((folder / "env.json").read_text())["command"] == typed


@pytest.mark.usefixtures("without_pictures")
def test_what_is_done_is_not_done_again_and_other_lists_add(corpus, tmp_path):
    folder, events = SweepFolder(tmp_path), Events()
    sweep(grid(LISTS), corpus, folder)
    files = [path for path in tmp_path.rglob("runs/*/*") if path.is_file() and path.name != ".lock"]
    before = {path: path.stat().st_mtime_ns for path in files}
    outcome = sweep(grid(LISTS), corpus, folder, observer=events)
    assert (outcome.done_before, events.starts) == (4, [])
    outcome = sweep(grid({**LISTS, "sigma": "0.1,0.3"}), corpus, folder, observer=events)
    assert (outcome.done_before, len(events.starts)) == (2, 2)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    requests = folder.read_requests()
    assert [request.settings["sigma"] for request in requests] == [[0.01, 0.1], [0.1, 0.3]]
    assert {run_id for request in requests for run_id in request.runs} == {
        found.path.name for found in folder.runs()
    }
    assert requests[0].corpus.sha256 == corpus.sha256
    outcome = sweep(grid(LISTS), corpus, folder, observer=events, force=True)
    assert (outcome.done_before, len(events.starts)) == (0, 6)


@pytest.mark.usefixtures("without_pictures")
def test_a_run_that_diverges_or_raises_harms_no_other(corpus, tmp_path):
    folder, lists = SweepFolder(tmp_path), {**LISTS, "eta": "0.1,1e30", "seed": "0:2"}
    begin_sweep(folder, corpus)
    jobs = plan(grid(lists), corpus, folder)
    sound = [job for job in jobs if job.config.eta == 0.1]
    run(sound[0].config, corpus, sound[0].folder, stop=lambda: True)
    checkpoint = sound[0].folder / "last.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(b"nonsense")  # damaged
    sound[1].folder.parent.mkdir(parents=True, exist_ok=True)
    sound[1].folder.write_text("a file, where a folder should be")
    sound[2].folder.mkdir()
    (sound[2].folder / "letter.txt").write_text("somebody else's")
    outcome = sweep(grid(lists), corpus, folder)
    assert (outcome.count("finished"), outcome.count("diverged"), outcome.count("failed")) == (3, 6, 3)
    reasons = outcome.failures()
    assert len(reasons) == 9
    for job, reason in zip(sound[:3], ("damaged", "is a file", "other files"), strict=True):
        assert reason in reasons[job.run_id]
    assert RunFolder(sound[0].folder).read_summary().status == "failed"
    assert os.listdir(sound[2].folder) == ["letter.txt"]
    checkpoint.write_bytes(whole)
    sound[1].folder.unlink()
    (sound[2].folder / "letter.txt").unlink()
    events = Events()
    outcome = sweep(grid(lists), corpus, folder, observer=events)
    assert (outcome.count("finished"), outcome.count("diverged")) == (6, 6)
    assert {run_id for run_id, _ in events.starts} == {job.run_id for job in sound[:3]}


def test_a_defect_in_a_run_is_recorded_with_its_traceback(corpus, tmp_path, monkeypatch):
    def defective(*arguments, **options):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("nbrnn.sweeps.job.run", defective)
    outcome = sweep(grid(LISTS), corpus, SweepFolder(tmp_path), jobs=2)
    assert outcome.count("failed") == 4
    summary = SweepFolder(tmp_path).runs()[0].read_summary()
    assert summary.reason == "ZeroDivisionError: of all things"
    assert "in defective" in summary.traceback


@pytest.mark.usefixtures("without_pictures")
def test_too_many_failures_end_it(corpus, tmp_path):
    lists = {**LISTS, "eta": "1e30,0.1", "seed": "0:9"}
    outcome = sweep(grid(lists), corpus, SweepFolder(tmp_path), jobs=1, max_failures=3)
    assert outcome.count("diverged") == 3
    assert len(outcome.summaries) < 10
    outcome = sweep(grid(lists), corpus, SweepFolder(tmp_path), jobs=1, max_failures=3)
    assert outcome.count("diverged") == 6  # three more


def test_a_folder_with_something_else_is_refused(corpus, tmp_path):
    (tmp_path / "letter.txt").write_text("")
    with pytest.raises(StoreError, match="other files"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path))
    run(RunConfig(updates=1, hidden=2), corpus, tmp_path / "run")
    with pytest.raises(StoreError, match="other files"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "run"))
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sweep.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "s"))


@pytest.mark.slow
def test_two_sweeps_in_one_folder(corpus, text_file, tmp_path, fork):
    lists = {**LISTS, "updates": "10000000"}
    child = fork(child_processes.sweep_until_step, str(text_file), tmp_path / "s", lists, "threading", 0)
    child.hear()
    with pytest.raises(LockedError, match="another process"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "s"))
    child.kill()
    assert sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "s")).count("finished") == 4


@pytest.mark.slow
def test_a_run_that_another_process_still_holds_is_waited_for(corpus, tmp_path, monkeypatch, fork):
    folder = SweepFolder(tmp_path / "s")
    folder.path.mkdir()
    begin_sweep(folder, corpus)
    job = plan(grid(LISTS), corpus, folder)[0]
    holder = fork(child_processes.hold, job.folder)
    holder.hear()

    def wait(seconds):  # as only a run does that finds its folder held
        holder.pipe.send("let go")
        assert holder.wait() == 0

    monkeypatch.setattr("nbrnn.sweeps.job.time", SimpleNamespace(monotonic=time.monotonic, sleep=wait))
    assert sweep(grid(LISTS), corpus, folder, jobs=1).count("finished") == 4
    assert holder.process.exitcode == 0
    monkeypatch.undo()
    monkeypatch.setattr("nbrnn.sweeps.job.LOCK_SECONDS", 0.1)
    with RunFolder(job.folder).locked():
        outcome = sweep(grid(LISTS), corpus, folder, force=True)
    assert (outcome.count("finished"), outcome.count("failed")) == (3, 1)
    assert RunFolder(job.folder).read_summary().status == "finished"  # not ours to say otherwise
