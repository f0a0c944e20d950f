"""Sweeps that are killed, whole or one of their processes: the same bits, and nothing left behind."""

import functools
import importlib
import random
import signal

import child_processes
import psutil
import pytest
import workers
from harness import LISTS, Events, all_end, sweep_bits

from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps import loky_backend
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.planning import plan
from nbrnn.sweeps.sweep import sweep

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


def test_ten_kills_at_random_moments_change_nothing(corpus, text_file, tmp_path, fork):
    rng, folder, ended, kills = random.Random(0), tmp_path / "killed", set(), 0
    lists = {**LISTS, "updates": "600", "seed": "0:3"}
    while kills < 10 or not ended:  # some run is to be done before the last kill
        kills += 1
        step = rng.randrange(20, 120)  # of writing, by one thread; the other one is anywhere
        child = fork(child_processes.sweep_until_step, str(text_file), folder, lists, "threading", step)
        assert child.wait() == -signal.SIGKILL
        started = {run_id for what, run_id in child.told if what == "started"}
        assert not started & ended
        ended |= {run_id for what, run_id in child.told if what == "ended"}
    outcome = sweep(grid(lists), corpus, SweepFolder(folder))
    assert outcome.count("finished") == 8
    assert outcome.done_before >= len(ended) > 0
    sweep(grid(lists), corpus, SweepFolder(tmp_path / "undisturbed"))
    assert sweep_bits(folder) == sweep_bits(tmp_path / "undisturbed")
    assert not list(folder.rglob("*.tmp"))


def test_no_process_outlives_a_killed_sweep(text_file, tmp_path, fork):
    lists = {**LISTS, "updates": "10000000"}
    child = fork(child_processes.sweep_until_step, str(text_file), tmp_path / "s", lists, "loky", 0)
    assert [child.hear()[0] for _ in range(2)] == ["started"] * 2
    workers = psutil.Process(child.process.pid).children(recursive=True)
    assert len(workers) >= 2
    child.kill()
    assert all_end(workers)
    statuses = [folder.read_summary().status for folder in SweepFolder(tmp_path / "s").runs()]
    assert statuses == ["interrupted", "interrupted"]  # they even had the time for a checkpoint


def test_processes_are_those_of_loky_whatever_is_imported_last(corpus):
    import joblib.externals.loky.backend.context

    importlib.reload(joblib.externals.loky.backend.context)
    worker = loky_backend.WorkerProcess(corpus)
    worker.kill()
    assert type(worker.process).__module__ == "loky.backend.process"


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """Return a function after which a run of a sweep kills its process, so many times."""
    marks = tmp_path / "marks"
    marks.mkdir()

    def call(run_id, times):
        dying = functools.partial(workers.dying_here, marks, run_id, times)
        monkeypatch.setattr(loky_backend, "run_jobs", dying)
        return marks

    return call


def test_a_killed_process_costs_nothing_but_time(corpus, tmp_path, deadly):
    events, folder = Events(), SweepFolder(tmp_path / "s")
    marks = deadly(plan(grid(LISTS), corpus, folder)[0].run_id, times=1)
    outcome = sweep(grid(LISTS), corpus, folder, observer=events, backend="loky", jobs=2)
    assert outcome.count("finished") == 4
    assert len(list(marks.iterdir())) == 1
    assert (len(events.starts), len({run_id for run_id, _ in events.starts})) == (5, 4)
    assert len(events.ends) == 4
    assert sweep(grid(LISTS), corpus, folder).done_before == 4
    sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "undisturbed"))
    assert sweep_bits(folder.path) == sweep_bits(tmp_path / "undisturbed")


def test_a_run_that_kills_its_process_twice_is_marked(corpus, tmp_path, deadly):
    events, folder = Events(), SweepFolder(tmp_path / "s")
    victim = plan(grid(LISTS), corpus, folder)[1].run_id
    marks = deadly(victim, times=2)
    outcome = sweep(grid(LISTS), corpus, folder, observer=events, backend="loky", jobs=1)
    assert (outcome.count("finished"), outcome.count("failed")) == (3, 1)
    assert len(list(marks.iterdir())) == 2
    ((run_id, reason),) = outcome.failures().items()
    assert run_id == victim
    assert "died 2 times" in reason
    assert [started for started, _ in events.starts].count(run_id) == 2
    assert folder.run(run_id).read_summary().status == "failed"
    outcome = sweep(grid(LISTS), corpus, folder, jobs=1)
    assert outcome.count("finished") == 4
