"""One experiment: the same bits however it is run, interrupted or extended."""

import json
import os
from dataclasses import replace

import imitated
import naive
import numpy as np
import pytest
from harness import bits, made_up_text

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import StoreError
from nbrnn.network.layout import generator
from nbrnn.runs.observer import Observer
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_pictures")

SMALL = {"hidden": 20, "sample_every": 150, "sample_length": 30}


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    """Return the folder of a run of three epochs and a bit."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run(RunConfig(updates=730, **SMALL), corpus, folder)
    return folder


class Curious(Observer):
    """Wants to see a sample after each chunk."""

    def __init__(self):
        self.texts = []

    def wants_sample(self):
        return True

    def sampled(self, sample):
        self.texts.append(sample.text)


def test_samples_that_only_an_observer_sees_change_nothing(corpus, tmp_path, undisturbed):
    curious = Curious()
    run(RunConfig(updates=730, **SMALL), corpus, tmp_path / "run", chunk=50, observer=curious)
    assert len(set(curious.texts)) > 15
    assert bits(tmp_path / "run") == bits(undisturbed)


def test_samples_and_an_observer_change_nothing_of_the_training(corpus, tmp_path, undisturbed):
    silent = RunConfig(updates=730, **{**SMALL, "sample_every": 0})
    run(silent, corpus, tmp_path / "run", observer=Observer())
    theirs, ours = RunFolder(undisturbed), RunFolder(tmp_path / "run")
    assert bits(ours.path, ["metrics.csv"]) == bits(undisturbed, ["metrics.csv"])
    for kind in ("last", "best"):
        a, b = theirs.read_checkpoint(kind), ours.read_checkpoint(kind)
        assert all(np.array_equal(a.arrays()[name], b.arrays()[name]) for name in a.arrays())
    assert ours.read_samples() == []


def test_the_files_say_what_happened(corpus, undisturbed):
    folder = RunFolder(undisturbed)
    summary = folder.read_summary()
    upe = RunConfig().updates_per_epoch(len(corpus))
    assert upe == 199
    assert summary.status == "finished"
    assert summary.updates == 730
    assert len(summary.epoch_mean_loss) == 3
    metrics = folder.read_metrics()
    assert metrics.update.tolist() == [1, 100, 200, 300, 400, 500, 600, 700]
    assert metrics.epoch.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    candidates = [
        *zip(metrics.smooth_loss, metrics.update, strict=True),
        (summary.smooth_loss_final, 730),
    ]
    assert (summary.smooth_loss_best, summary.best_update) == min(candidates)
    nats = summary.smooth_loss_final / 25
    assert summary.nats_per_character_final == nats
    assert summary.bits_per_character_final == pytest.approx(nats / np.log(2))
    assert summary.perplexity_final == pytest.approx(np.exp(nats))
    samples = folder.read_samples()
    assert [s.update for s in samples] == [0, 150, 300, 450, 600]
    assert [s.epoch for s in samples] == [0, 0, 1, 2, 3]
    assert {len(s.text) for s in samples} == {30}
    last = folder.read_checkpoint("last")
    assert (last.update, last.epoch, last.position) == (730, 3, (730 - 3 * 199) * 25)
    assert last.smooth_loss == summary.smooth_loss_final
    config, described = folder.read_config()
    assert config == RunConfig(updates=730, **SMALL)
    assert described.characters == 5000
    assert described.sha256 == corpus.sha256
    env = json.loads((undisturbed / "env.json").read_text())
    assert {"nbrnn", "python", "numpy", "numba", "llvm", "cpu", "command", "started"} <= set(env)


def test_epoch_means_and_samples_are_those_of_the_naive_program(tmp_path):
    short = Corpus.from_text(made_up_text(600), "short")  # 23 updates an epoch
    config = RunConfig(epochs=3, hidden=5, dtype="float64", sample_every=10, sample_length=40)
    summary = run(config, short, tmp_path / "run")
    rng = generator(0, "samples")
    for row in RunFolder(tmp_path / "run").read_samples():
        theta, window = imitated.start(config, len(short.alphabet)), row.update % 23
        h = naive.train(theta, short.codes, row.update)[-1]
        h = h if window else np.zeros(5)
        codes = naive.sample(theta, short.codes[window * 25], h, rng.random(40))
        assert row.text == "".join(short.alphabet[code] for code in codes), row.update
    theta = imitated.start(config, len(short.alphabet))
    _, losses, smooths, _ = naive.train(theta, short.codes, 69)
    assert summary.epoch_mean_loss == pytest.approx(np.mean(np.reshape(losses, (3, 23)), axis=1))
    assert summary.smooth_loss_final == pytest.approx(smooths[-1])


def test_a_finished_run_is_left_as_it_is(corpus, undisturbed):
    before = {name: os.stat(undisturbed / name).st_mtime_ns for name in os.listdir(undisturbed)}
    summary = run(RunConfig(updates=730, **SMALL), corpus, undisturbed)
    assert summary == RunFolder(undisturbed).read_summary()
    after = {name: os.stat(undisturbed / name).st_mtime_ns for name in os.listdir(undisturbed)}
    assert {name for name in before if before[name] != after[name]} <= {".lock"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_that_diverges_says_so_and_keeps_a_finite_checkpoint(corpus, tmp_path, dtype):
    config = RunConfig(eta=1e30, updates=300, dtype=dtype, **SMALL)
    summary = run(config, corpus, tmp_path / "run")
    assert summary.status == "diverged"
    assert summary.diverged_at == summary.updates + 1 < 300
    assert str(summary.diverged_at) in summary.reason
    last = RunFolder(tmp_path / "run").read_checkpoint("last")  # which refuses what is not finite
    assert last.update == summary.updates
    assert run(config, corpus, tmp_path / "run") == summary


def test_a_folder_with_something_else_is_refused(corpus, tmp_path, undisturbed):
    with pytest.raises(StoreError, match="hidden 20"):
        run(RunConfig(updates=730, **{**SMALL, "hidden": 21}), corpus, undisturbed)
    with pytest.raises(StoreError, match="another text"):
        run(RunConfig(updates=730, **SMALL), Corpus.from_text("ab" * 100, "other"), undisturbed)
    with pytest.raises(StoreError, match="more than"):
        run(RunConfig(updates=700, **SMALL), corpus, undisturbed)
    (tmp_path / "letter.txt").write_text("")
    with pytest.raises(StoreError, match="other files"):
        run(RunConfig(updates=1), corpus, tmp_path)


def test_checkpoints_of_different_moments_are_noticed(corpus, tmp_path):
    for updates in (100, 400):
        run(RunConfig(updates=updates, **SMALL), corpus, tmp_path / str(updates))
    old, new = tmp_path / "100", tmp_path / "400"
    (new / "best.safetensors").write_bytes((old / "best.safetensors").read_bytes())
    with pytest.raises(StoreError, match="do not belong together"):
        run(RunConfig(updates=500, **SMALL), corpus, new)


def test_a_checkpoint_of_another_optimizer_is_noticed(corpus, tmp_path):
    config = RunConfig(updates=100, **SMALL)
    run(config, corpus, tmp_path)
    folder = RunFolder(tmp_path)
    folder.write_checkpoint("last", replace(folder.read_checkpoint("last"), memory={}))
    with pytest.raises(StoreError, match="another optimizer"):
        run(RunConfig(updates=200, **SMALL), corpus, tmp_path)
