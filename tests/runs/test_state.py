"""The state of a model: kept with it, gone on from, and how it does without."""

import dataclasses
import math
from collections import Counter

import imitated
import naive
import numpy as np
import pytest
from harness import made_up_text
from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import StoreError
from nbrnn.network.layout import generator
from nbrnn.runs.evaluation import mean_loss
from nbrnn.runs.run import run
from nbrnn.runs.sampling import sample
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary

pytestmark = pytest.mark.usefixtures("without_pictures")

CONFIG = RunConfig(updates=450, hidden=5, dtype="float64", sample_every=0)


@pytest.fixture(scope="module")
def corpus():
    return Corpus.from_text(made_up_text(5000), "made-up")


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "run"
    run(CONFIG, corpus, path, draw=False)
    return RunFolder(path)


def naive_model(corpus, updates):
    """Return parameters and state after so many updates of the naive program."""
    theta = imitated.start(CONFIG, len(corpus.alphabet))
    return theta, naive.train(theta, corpus.codes, updates)[-1]


@pytest.mark.slow
def test_both_checkpoints_hold_the_state_of_their_model(corpus, folder):
    for kind in ("best", "last"):
        model = folder.read_checkpoint(kind)
        theta, h = naive_model(corpus, model.update)
        assert np.abs(model.theta["W"] - theta["W"]).max() < 1e-9
        assert np.abs(model.h_prev - h).max() < 1e-9
        position = model.update % 199 * 25
        assert model.next_character == corpus.alphabet[corpus.codes[position]]


def test_a_sample_goes_on_from_the_kept_state(corpus, folder):
    model = folder.read_checkpoint("best")
    written = {}
    for state, h, first in (
        ("kept", model.h_prev, model.next_character),
        ("zero", np.zeros(5), model.first_character),
    ):
        uniforms = generator(3, "text").random(60)
        codes = naive.sample(model.theta, corpus.alphabet.index(first), h, uniforms)
        written[state] = "".join(corpus.alphabet[code] for code in codes)
        assert sample(model, 60, seed=3, state=state) == written[state]
    assert sample(model, 60, seed=3) == written["kept"] != written["zero"]
    old = dataclasses.replace(model, states={}, next_character=None)
    assert sample(old, 60, seed=3) == written["zero"]
    with pytest.raises(StoreError, match="--state zero"):
        sample(old, 60, state="kept")


def test_a_score_is_from_zero_or_from_the_kept_state(corpus, folder):
    model, codes = folder.read_checkpoint("best"), corpus.codes[:300]
    for state, h in (("zero", np.zeros(5)), ("kept", model.h_prev)):
        loss, _, _ = naive.forward(model.theta, codes[:-1], codes[1:], h)
        assert mean_loss(model, codes, state=state) == pytest.approx(loss / 299, rel=1e-12)


def test_a_finished_run_says_how_its_models_do_from_zero(corpus, folder):
    summary = folder.read_summary()
    assert summary.score_characters == 4999  # all: 10,000 are no more than enough
    for kind, score in (("best", summary.score_best), ("last", summary.score_final)):
        theta = folder.read_checkpoint(kind).theta
        loss, _, _ = naive.forward(theta, corpus.codes[:-1], corpus.codes[1:], np.zeros(5))
        assert score == pytest.approx(loss / 4999, rel=1e-10)
    text = made_up_text(5000)
    shares = Counter(text)
    unigram = -sum(math.log(shares[c] / 5000) for c in text[1:]) / 4999
    assert summary.score_unigram == pytest.approx(unigram, rel=1e-12)


def test_a_model_that_is_lost_from_zero_is_known_by_its_losses():
    found = Summary(status="finished", nats_per_character_best=1.9, score_best=10.9, score_unigram=2.9)
    assert found.is_lost_from_zero
    assert not structs.replace(found, score_best=2.8).is_lost_from_zero
    assert not structs.replace(found, nats_per_character_best=3.0).is_lost_from_zero  # it never learned
    assert not Summary(status="finished").is_lost_from_zero


# ---------------------------------------------------------------- the last update may be the best


def test_the_last_update_is_a_candidate_for_the_best(corpus, tmp_path):
    summary = run(dataclasses.replace(CONFIG, updates=150), corpus, tmp_path, draw=False)
    folder = RunFolder(tmp_path)
    assert summary.best_update == 150
    assert (
        summary.smooth_loss_best == summary.smooth_loss_final < folder.read_metrics().smooth_loss.min()
    )
    last, best = folder.read_checkpoint("last"), folder.read_checkpoint("best")
    assert all(np.array_equal(best.theta[name], last.theta[name]) for name in best.theta)
    before_end = naive_model(corpus, 100)
    assert np.abs(last.best_before_end["W"] - before_end[0]["W"]).max() < 1e-9
    assert np.abs(last.best_before_end["h_prev"] - before_end[1]).max() < 1e-9
