"""How long a sweep will take, and how large it will be."""

import numpy as np
import pytest

from nbrnn.config import RunConfig
from nbrnn.runs.run import run
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps import cost_estimate as estimating
from nbrnn.sweeps.cost_estimate import Trial, estimate, trials_of
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.planning import plan


@pytest.fixture
def jobs(corpus, tmp_path):
    """Return a function that plans the runs of a sweep."""
    return lambda **lists: plan(grid({"seed": "0", **lists}), corpus, SweepFolder(tmp_path))


@pytest.fixture
def microseconds(monkeypatch):
    """Let an update take as many microseconds as there are hidden units; return which are timed."""
    timed = []

    def trial_of(config, corpus):
        timed.append(config.hidden)
        return Trial(config.hidden * 1e-6, copies=3)

    monkeypatch.setattr(estimating, "trial_of", trial_of)
    monkeypatch.setattr(estimating, "RUN_SECONDS", 0)
    return timed


def test_a_trial_trains_and_counts_the_arrays_of_the_checkpoints(corpus, jobs, monkeypatch):
    monkeypatch.setattr(estimating, "TRIAL_SECONDS", 0.001)
    (job,) = jobs(hidden="10", updates="100", eta="1e30")
    trial = estimating.trial_of(job.config, corpus)
    assert trial.seconds > 0
    assert trial.copies == 4  # the model three times, and AdaGrad's memory


def test_the_runs_share_the_cores_but_none_is_shorter_for_it(corpus, jobs, microseconds):
    four = jobs(hidden="10", updates="1000000", seed="0:3")
    assert estimate(four, corpus, 1).seconds == pytest.approx(40)
    assert estimate(four, corpus, 2).seconds == pytest.approx(20)
    one = jobs(hidden="10", epochs="1,1000")
    updates = 1000 * RunConfig().updates_per_epoch(len(corpus))
    assert estimate(one, corpus, 2).seconds == pytest.approx(updates * 1e-5)
    assert estimate(one, corpus, 64).slots == 2
    assert set(microseconds) == {10}


def test_held_out_text_takes_the_time_that_it_takes_to_read_it(corpus, jobs, monkeypatch):
    def reading_takes(seconds):
        monkeypatch.setattr(estimating, "trial_of", lambda *_: Trial(0, copies=3, reading=seconds))
        return estimate(held_out, corpus, 1).seconds

    monkeypatch.setattr(estimating, "RUN_SECONDS", 0)
    held_out = jobs(hidden="10", updates="100", validation="0.1", validate_every="25")
    assert reading_takes(1) == 4 * int(0.1 * len(corpus))
    held_out = jobs(hidden="10", epochs="3", validation="0.2")
    assert reading_takes(1) == 3 * int(0.2 * len(corpus))
    held_out = jobs(hidden="10", epochs="3")
    assert reading_takes(1) == 0


def test_a_trial_reads_only_where_text_is_held_out(corpus, jobs, monkeypatch):
    monkeypatch.setattr(estimating, "TRIAL_SECONDS", 0.001)
    (job,) = jobs(hidden="10", updates="100", validation="0.1")
    assert estimating.trial_of(job.config, corpus).reading > 0
    (job,) = jobs(hidden="10", updates="100")
    assert estimating.trial_of(job.config, corpus).reading == 0


def test_runs_of_one_shape_share_a_trial_that_reads_if_one_of_them_holds_text_out(
    jobs, corpus, monkeypatch
):
    tried = []
    monkeypatch.setattr(estimating, "trial_of", lambda config, _: tried.append(config) or Trial(0, 3))
    for shares in ("0,0.1", "0.1,0"):
        trials_of([job.config for job in jobs(hidden="10", updates="100", validation=shares)], corpus)
    assert [config.validation for config in tried] == [0.1, 0.1]


def test_only_some_of_many_shapes_are_timed(corpus, jobs, microseconds):
    configs = [job.config for job in jobs(hidden="1:100", updates="1")]
    trials = trials_of(configs, corpus)
    assert len(trials) == 100
    assert len(microseconds) == estimating.MOST_SHAPES
    assert {1, 100} <= set(microseconds)
    for shape, trial in trials.items():
        if shape.hidden in microseconds:
            assert trial.seconds == pytest.approx(shape.hidden * 1e-6)
    in_order = [trials[shape].seconds for shape in sorted(trials)]
    assert np.corrcoef(in_order, np.arange(100))[0, 1] > 0.9


def test_the_size_is_that_of_the_folder(corpus, jobs, microseconds):
    for lists in (
        {"hidden": "5", "updates": "20000", "sample_every": "1000"},
        {"hidden": "100", "updates": "200", "dtype": "float64"},
    ):
        (job,) = jobs(**lists)
        run(job.config, corpus, job.folder)
        there = sum(path.stat().st_size for path in job.folder.iterdir())
        assert estimate([job], corpus, 1).bytes == pytest.approx(there, rel=0.25)


def test_what_cannot_be_trained_takes_no_time(corpus, jobs, microseconds):
    too_long = estimate(jobs(seq_length="10000"), corpus, 1)
    assert (too_long.runs, too_long.seconds, too_long.bytes) == (1, 0, 0)
    assert microseconds == []
