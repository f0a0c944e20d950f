"""Held-out text: never trained on, read once from h = 0, and what says which model is the best."""

import dataclasses
import itertools
import math
from collections import Counter

import naive
import numpy as np
import pytest
from harness import bits, made_up_text
from imitated import imitate

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_pictures")

CONFIG = RunConfig(
    updates=200, hidden=5, seq_length=10, dtype="float64", sample_every=50, sample_length=20,
    validation=0.25, validate_every=30,
)  # fmt: skip
TEXT = made_up_text(803)
KEPT = 803 - 200  # characters that are trained on
KINDS = {
    "sequential": {},
    "random": {"order": "random", "batch": 3},
    "chunks": {"order": "chunks", "chunks": 10, "loss": "mean"},
}


@pytest.fixture(scope="module")
def text():
    return Corpus.from_text(TEXT, "made-up")


@pytest.fixture(scope="module", params=KINDS)
def done(request, text, tmp_path_factory):
    """Return the config, the folder and the summary of a run."""
    config = dataclasses.replace(CONFIG, **KINDS[request.param])
    folder = RunFolder(tmp_path_factory.mktemp("held-out") / "run")
    return config, folder, run(config, text, folder.path, draw=False)


def held_out_loss(config, text, updates):
    """Return the loss of the naive program's model after so many updates."""
    return naive.loss_per_character(imitate(config, text, updates).theta, text.codes[KEPT:])


@pytest.mark.slow
def test_its_loss_is_that_of_the_naive_program_read_once_from_zero(text, done):
    config, folder, summary = done
    looks = folder.read_validation()
    assert looks.update.tolist() == [30, 60, 90, 120, 150, 180]
    epoch = config.updates_per_epoch(803)
    assert looks.epoch.tolist() == [update // epoch for update in looks.update]
    for update, loss in zip(looks.update, looks.loss, strict=True):
        assert loss == pytest.approx(held_out_loss(config, text, int(update)), rel=1e-9)
    assert summary.validation_final == pytest.approx(held_out_loss(config, text, 200), rel=1e-9)
    assert summary.validation_characters == 199


def test_the_best_model_is_the_one_with_the_lowest_held_out_loss(text, done):
    config, folder, summary = done
    looks = folder.read_validation()
    found = [*zip(looks.loss, looks.update, strict=True), (summary.validation_final, 200)]
    assert (summary.validation_best, summary.best_update) == min(found)
    best = folder.read_checkpoint("best")
    assert best.update == summary.best_update
    loss = naive.loss_per_character(best.theta, text.codes[KEPT:])
    assert loss == pytest.approx(summary.validation_best, rel=1e-12)
    expected = imitate(config, text, best.update)
    assert np.abs(best.h_prev - expected.h).max() < 1e-9
    assert best.smooth_loss == summary.smooth_loss_best == pytest.approx(expected.smooths[-1])


def test_it_is_never_trained_on(done, tmp_path):
    config, folder, summary = done
    # the same characters, but for the last ones, in another order
    other = Corpus.from_text(TEXT[:KEPT] + TEXT[KEPT:][::-1], "other end")
    theirs = run(config, other, tmp_path)
    assert theirs.validation_best != summary.validation_best
    ours, last = folder.read_checkpoint("last"), RunFolder(tmp_path).read_checkpoint("last")
    for name, array in {**ours.theta, "h_prev": ours.h_prev}.items():
        assert np.array_equal({**last.theta, "h_prev": last.h_prev}[name], array)
    assert bits(tmp_path, ["metrics.csv", "samples.jsonl"]) == bits(
        folder.path, ["metrics.csv", "samples.jsonl"]
    )
    assert np.array_equal(folder.read_ngrams()["pairs"], RunFolder(tmp_path).read_ngrams()["pairs"])


def test_what_counts_is_counted_in_the_text_that_is_trained_on(text, done):
    _, folder, summary = done
    counts, trained_on, held_out = folder.read_ngrams(), TEXT[:KEPT], TEXT[KEPT:]
    characters, pairs = Counter(trained_on), Counter(itertools.pairwise(trained_on))
    named = {character: int(n) for character, n in zip(text.alphabet, counts["characters"], strict=True)}
    assert named == {character: characters[character] for character in text.alphabet}
    assert {
        (text.alphabet[a], text.alphabet[b]): n
        for (a, b), n in zip(counts["pairs"], counts["pair_counts"], strict=True)
    } == pairs
    unigram = -sum(math.log(characters[c] / KEPT) for c in held_out[1:]) / 199
    assert summary.validation_unigram == pytest.approx(unigram)
    K, before = len(text.alphabet), Counter(trained_on[:-1])
    bigram = [-math.log((pairs[a, b] + 1) / (before[a] + K)) for a, b in itertools.pairwise(held_out)]
    assert summary.validation_bigram == pytest.approx(sum(bigram) / 199)
    # also that with which the models' scores on the text's beginning are compared
    unigram = -sum(math.log(characters[c] / KEPT) for c in trained_on[1:]) / (KEPT - 1)
    assert (summary.score_characters, summary.score_unigram) == (KEPT - 1, pytest.approx(unigram))


def test_a_character_that_only_the_held_out_text_has(tmp_path):
    text = Corpus.from_text(TEXT[:KEPT] + "Ω" + TEXT[KEPT:], "with an omega")
    summary = run(dataclasses.replace(CONFIG, updates=20), text, tmp_path)
    counts = RunFolder(tmp_path).read_ngrams()["characters"]
    trained_on = text.codes[: text.codes.size - text.codes.size // 4]
    K, counted = len(text.alphabet), Counter(trained_on.tolist())
    assert counts.tolist() == [counted[code] for code in range(K)]
    assert counted[text.alphabet.index("Ω")] == 0
    held_out = text.codes[trained_on.size :].tolist()
    shares = [(counted[code] + 1) / (trained_on.size + K) for code in held_out[1:]]
    assert summary.validation_unigram == pytest.approx(-np.mean(np.log(shares)))
    assert math.isfinite(summary.validation_bigram)
    assert run(dataclasses.replace(CONFIG, updates=40), text, tmp_path).status == "finished"


def test_by_default_it_is_read_after_each_epoch(text, tmp_path):
    config = dataclasses.replace(CONFIG, validate_every=0, batch=3)  # 20 updates an epoch
    run(config, text, tmp_path)
    looks = RunFolder(tmp_path).read_validation()
    assert looks.update.tolist() == [*range(20, 201, 20)]
    assert looks.epoch.tolist() == [*range(1, 11)]


# ---------------------------------------------------------------- patience


def since_best(losses):
    """Return after each loss how many there have been since the lowest so far."""
    return [len(losses[: n + 1]) - 1 - int(np.argmin(losses[: n + 1])) for n in range(len(losses))]


def test_patience_ends_a_run(text, tmp_path):
    # a large step makes it lose
    config = dataclasses.replace(CONFIG, updates=1000, validate_every=10, eta=0.5)
    run(config, text, tmp_path / "all")
    losses = RunFolder(tmp_path / "all").read_validation().loss.tolist()
    for patience in (1, 3):
        summary = run(dataclasses.replace(config, patience=patience), text, tmp_path / str(patience))
        looks = 1 + since_best(losses).index(patience)
        assert looks < 100
        assert (summary.status, summary.updates) == ("finished", 10 * looks)
        assert summary.reason == f"ended early after {patience} validation losses without a better one"
        found = RunFolder(tmp_path / str(patience)).read_validation().loss.tolist()
        assert found == losses[:looks]
        assert summary.best_update == 10 * (1 + int(np.argmin(found)))
        assert summary.validation_best == min(found)
        assert summary.validation_final == found[-1]
        best = RunFolder(tmp_path / str(patience)).read_checkpoint("best")
        expected = imitate(config, text, summary.best_update)
        assert np.abs(best.theta["W"] - expected.theta["W"]).max() < 1e-9
        assert np.abs(best.h_prev - expected.h).max() < 1e-9


def test_a_run_that_ended_early_is_done_and_no_longer_with_more_updates(text, tmp_path):
    config = dataclasses.replace(CONFIG, updates=1000, validate_every=10, eta=0.5, patience=2)
    summary = run(config, text, tmp_path)
    assert summary.updates < 1000
    files = ("last.safetensors", "metrics.csv", "validation.csv")
    before = bits(tmp_path, files)
    assert run(config, text, tmp_path) == summary
    assert bits(tmp_path, files) == before
    longer = run(dataclasses.replace(config, updates=2000), text, tmp_path)
    assert (longer.updates, longer.reason) == (summary.updates, summary.reason)
    assert bits(tmp_path, files[1:]) == {name: before[name] for name in files[1:]}


@pytest.mark.parametrize(
    "settings",
    [
        {"eta": 1e30},  # its first validation loss is a number without meaning
        {"eta": 3.3e38, "clip": 0.9, "dtype": "float32"},  # finite weights, whose logits are not
        {"eta": 1e30, "validate_every": 50},
    ],
    ids=str,
)
def test_a_run_that_diverges_diverges_again(text, tmp_path, settings):
    own = {"optimizer": "sgd", "epsilon": None, "clip": "none", "validate_every": 1, **settings}
    config = dataclasses.replace(CONFIG, **own)
    summary = run(config, text, tmp_path)
    assert summary.status == "diverged"
    folder = RunFolder(tmp_path)
    assert folder.read_validation().update.size == 0
    last, best = folder.read_checkpoint("last"), folder.read_checkpoint("best")
    assert max(last.update, best.update) <= summary.updates
    assert summary.validation_best == last.state.validation.best
    assert run(config, text, tmp_path) == summary
    longer = run(dataclasses.replace(config, updates=400), text, tmp_path)
    assert (longer.status, longer.diverged_at) == ("diverged", summary.diverged_at)


# ---------------------------------------------------------------- validation and test parts


def loss_on(theta, pieces):
    """Return the naive program's mean loss on pieces of text, each read from h = 0."""
    losses = [(len(codes) - 1) * naive.loss_per_character(theta, codes) for codes in pieces]
    return sum(losses) / sum(len(codes) - 1 for codes in pieces)


@pytest.mark.parametrize("fold", [0, 1, 5, 9])
def test_the_test_part_is_read_at_the_end_by_the_best_and_the_last_model(text, tmp_path, fold):
    config = dataclasses.replace(CONFIG, test=0.15, fold=fold)
    summary = run(config, text, tmp_path)
    rotated = np.roll(np.arange(803), -(803 * fold // 10))
    ends = np.split(rotated, [803 - 200 - 120, 803 - 120])
    training, validation, test = (
        [text.codes[piece] for piece in np.split(part, np.flatnonzero(np.diff(part) < 0) + 1)]
        for part in ends
    )
    models = [RunFolder(tmp_path).read_checkpoint(kind).theta for kind in ("best", "last")]
    for name, part in (("validation", validation), ("test", test)):
        expected = [loss_on(theta, part) for theta in models]
        found = [getattr(summary, f"{name}_{which}") for which in ("best", "final")]
        assert found == pytest.approx(expected, rel=1e-9)
        assert getattr(summary, f"{name}_characters") == sum(map(len, part)) - len(part)
        characters = Counter(np.concatenate(training).tolist())
        losses = [-math.log(characters[c] / 483) for codes in part for c in codes[1:].tolist()]
        assert getattr(summary, f"{name}_unigram") == pytest.approx(np.mean(losses))
    pairs = Counter(pair for codes in training for pair in itertools.pairwise(codes.tolist()))
    counts = RunFolder(tmp_path).read_ngrams()
    assert dict(zip(map(tuple, counts["pairs"].tolist()), counts["pair_counts"], strict=True)) == pairs


def test_nothing_but_its_own_loss_depends_on_the_test_part(text, tmp_path):
    config = dataclasses.replace(CONFIG, test=0.15, patience=3)
    other = Corpus.from_text(TEXT[:-120] + TEXT[-120:][::-1], "other end")
    ours, theirs = run(config, text, tmp_path / "a"), run(config, other, tmp_path / "b")
    assert ours.test_best != theirs.test_best
    differ = {name for name, value in ours.to_dict().items() if value != theirs.to_dict()[name]}
    measured = {"test_best", "test_final", "test_unigram", "test_bigram"}
    assert differ <= measured | {"seconds", "updates_per_second"}


def test_folds_draw_numbers_of_their_own(text, tmp_path):
    runs = [dataclasses.replace(CONFIG, test=0.1, fold=fold, updates=0) for fold in (0, 1)]
    for config in runs:
        run(config, text, tmp_path / str(config.fold))
    one, other = (RunFolder(tmp_path / fold).read_checkpoint("last").theta["W"] for fold in "01")
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.9


def test_the_lowest_smooth_loss_is_told_beside_that_of_the_best_model(done):
    _, folder, summary = done
    smooth = folder.read_metrics().smooth_loss
    assert summary.smooth_loss_lowest == min(*smooth, summary.smooth_loss_final)
    assert summary.smooth_loss_lowest <= summary.smooth_loss_best
