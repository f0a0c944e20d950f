"""The time and disk space that a sweep needs."""

import numpy as np
import pytest

from nbrnn.config import RunConfig
from nbrnn.runs.run import run
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps import cost_estimate
from nbrnn.sweeps.cost_estimate import estimate
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.planning import plan


@pytest.fixture
def jobs(corpus, tmp_path):
    """Return a function that plans the runs of a sweep."""
    return lambda **lists: plan(grid({"seed": "0", **lists}), corpus, SweepFolder(tmp_path))


@pytest.fixture
def timed(monkeypatch):
    """Let an update take as many microseconds as there are hidden units; return which are timed."""
    timed = []

    def seconds(config, corpus):
        timed.append(config.hidden)
        return config.hidden * 1e-6

    monkeypatch.setattr(cost_estimate, "update_seconds", seconds)
    monkeypatch.setattr(cost_estimate, "RUN_SECONDS", 0)
    return timed


def test_runs_share_the_cores_but_none_is_shorter_for_it(corpus, jobs, timed):
    assert estimate([], corpus, 2) == (0, 0)
    four = jobs(hidden="10", updates="1000000", seed="0:3")
    assert estimate(four, corpus, 1)[0] == pytest.approx(40)
    assert estimate(four, corpus, 2)[0] == pytest.approx(20)
    two = jobs(hidden="10", epochs="1,1000")
    updates = 1000 * RunConfig().updates_per_epoch(len(corpus))
    assert estimate(two, corpus, 2)[0] == pytest.approx(updates * 1e-5)
    assert set(timed) == {10}


def test_held_out_text_takes_time_with_each_evaluation(corpus, jobs, timed, monkeypatch):
    monkeypatch.setattr(cost_estimate, "READING", 1)
    seconds = {
        every: estimate(jobs(updates="100", validation="0.1", validate_every=every), corpus, 1)[0]
        for every in ("25", "50", "1000")
    }
    reading = int(0.1 * len(corpus)) / 25  # windows
    expected = {"25": 100 + 4 * reading, "50": 100 + 2 * reading, "1000": 100}
    assert seconds == pytest.approx({every: n * 1e-4 for every, n in expected.items()})


def test_only_some_of_many_networks_are_timed(corpus, jobs, timed):
    seconds = [estimate([job], corpus, 1)[0] for job in jobs(hidden="1:100", updates="1000")]
    timed.clear()
    whole = estimate(jobs(hidden="1:100", updates="1000"), corpus, 1)[0]
    assert len(timed) == cost_estimate.MAX_TRIALS
    assert {1, 100} <= set(timed)
    assert whole == pytest.approx(np.sum(seconds), rel=0.02)


def test_the_size_is_that_of_the_folder(corpus, jobs, timed):
    for lists in (
        {"hidden": "5", "updates": "20000", "sample_every": "1000"},
        {"hidden": "100", "updates": "200", "dtype": "float64", "optimizer": "adam"},
    ):
        (job,) = jobs(**lists)
        run(job.config, corpus, job.folder)
        size = sum(path.stat().st_size for path in job.folder.iterdir())
        assert estimate([job], corpus, 1)[1] == pytest.approx(size, rel=0.25)
