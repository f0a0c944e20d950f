"""Warnings: each rule on a series made for it, and on a real run."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from harness import made_up_text

import nbrnn
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, load
from nbrnn.runs.training_warnings import (
    edge_warning,
    repeated_share,
    rise_warning,
    run_warning,
    stagnation_warning,
    text_warnings,
)
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.run_logs import Metrics, Validation
from nbrnn.storage.schemas import Summary

pytestmark = pytest.mark.usefixtures("without_pictures")

RANDOM = "".join(np.random.default_rng(0).choice(list("abcdefgh "), 30_000))


def validation(losses, every=100):
    numbers = np.arange(1, len(losses) + 1)
    return Validation(numbers * every, numbers // 10, np.array(losses))


def metrics(losses):
    numbers = np.arange(len(losses)) * 100
    return Metrics(numbers, numbers, np.array(losses), np.array(losses))


def test_a_validation_loss_that_rises():
    falls = list(np.linspace(4, 2, 10))
    rises = list(np.linspace(2.1, 2.5, 30))
    summary = Summary(status="finished", updates=4000)
    message = stagnation_warning(summary, validation(falls + rises))
    assert message == (
        "the validation loss was lowest at update 1,000 of 4,000 (2.0000; at the end 2.5000 nats per "
        "character): --patience 5 would have ended it at update 1,500"
    )
    bump = [
        4,
        3,
        *[3.5] * 5,
        *np.linspace(2.9, 2, 5),
        *np.linspace(2.1, 2.5, 28),
    ]  # 5 would end too soon
    assert "--patience 10 would have ended it at update 2,200" in stagnation_warning(
        summary, validation(bump)
    )
    for fine in (np.linspace(4, 2, 40), falls + rises[:4], [*np.linspace(4, 2, 30), *rises[:10]], []):
        updates = 100 * len(fine)
        assert stagnation_warning(Summary(status="finished", updates=updates), validation(fine)) == ""


def test_a_loss_above_uniform_guessing():
    config = RunConfig(eta=3.0)
    per_window = 25 * math.log(60)
    message = edge_warning(config, 60, metrics([per_window - 1] * 20 + [1.5 * per_window] * 30))
    assert message == (
        "the loss is 6.14 nats per character, above the 4.09 of uniform guessing: the learning rate is "
        "too large; try --eta 0.1"
    )  # the default, or else a tenth
    assert edge_warning(RunConfig(), 60, metrics([3 * per_window] * 4)).endswith("try --eta 0.01")
    assert edge_warning(config, 60, metrics([1.5 * per_window] * 24 + [per_window - 1] * 26)) == ""
    assert edge_warning(config, 60, metrics([1.5 * per_window] * 19)) == ""  # too short a run
    assert "is 12.3 nats per character" in edge_warning(config, 60, metrics([3 * per_window] * 4))
    mean = RunConfig(eta=3.0, loss="mean")
    assert edge_warning(mean, 60, metrics([1.1 * math.log(60)] * 30))


def test_a_smooth_loss_that_rises():
    fields = {"status": "finished", "updates": 2000, "nats_per_character_best": 2.0}
    late = Summary(**fields, best_update=800, nats_per_character_final=2.1)
    assert rise_warning(late) == (
        "the smooth loss was lowest at update 800 of 2,000 (2.0000; at the end 2.1000 nats per "
        "character): try a smaller --eta, or --schedule linear"
    )
    assert rise_warning(Summary(**fields, best_update=1200, nats_per_character_final=2.1)) == ""
    assert rise_warning(Summary(**fields, best_update=800, nats_per_character_final=2.01)) == ""
    short = Summary(**{**fields, "updates": 1900}, best_update=800, nats_per_character_final=2.1)
    assert rise_warning(short) == ""


def test_a_text_too_small_for_the_network():
    text = Corpus.from_text(RANDOM[:2000], "small")
    assert list(text_warnings(RunConfig(hidden=50, dropout=0.3), text)) == []
    (message,) = text_warnings(RunConfig(hidden=50), text)
    parameters = 50 * 50 + 2 * 50 * 9 + 50 + 9
    assert message.startswith(f"the network has {parameters:,} parameters, more than the 2,000 char")
    assert "--validation 0.1 to see" in message
    (held_out,) = text_warnings(RunConfig(hidden=50, validation=0.5), text)
    assert "the 1,000 characters" in held_out
    assert "--validation" not in held_out
    assert list(text_warnings(RunConfig(hidden=10), text)) == []


def test_repeated_passages_are_counted():
    def share(text):
        return repeated_share(Corpus.from_text(text, "t").codes)

    assert share(RANDOM) == 0
    assert share(RANDOM + RANDOM) == pytest.approx(0.5, abs=0.02)
    assert share(RANDOM + RANDOM[5000:8000]) == pytest.approx(3000 / 33_000, abs=0.02)
    assert share("abc" * 10) == 0  # too short to say
    twice = Corpus.from_text(RANDOM + RANDOM[:10_000], "t")
    (message,) = text_warnings(RunConfig(), twice)
    assert "of the text repeats earlier passages of 64 characters" in message


@pytest.mark.parametrize("name", ["shakespeare", "brontes", "federalist"])
def test_known_texts_have_no_warning(name):
    assert list(text_warnings(RunConfig(), load(name))) == []


def test_a_real_run_that_learns_by_heart(nbrnn, tmp_path):
    (tmp_path / "small.txt").write_text(made_up_text(1500))
    train = ["train", "small.txt", "--hidden", "60", "--epochs", "150", "--sample-every", "0"]
    train += ["--validation", "0.3", "--validate-every", "100", "--out", "run"]
    first, *_, last = [line for line in nbrnn(*train).stderr.splitlines() if "warning" in line]
    assert first.startswith("warning: the network has 7,411 parameters, more than the 1,050 characters")
    assert last.startswith("nbrnn: warning: the validation loss was lowest at update ")
    assert last in nbrnn("show", "run").stderr
    assert nbrnn(*train, "-q").stderr == ""


def test_a_real_run_beyond_the_edge_warns(tmp_path):
    text = Corpus.from_text(made_up_text(20_000), "made-up")
    config = RunConfig(updates=3000, hidden=20, eta=10.0, sample_every=0)
    with pytest.warns(UserWarning, match="the learning rate is too large"):
        nbrnn.run(config, text, tmp_path / "edge", quiet=True)
    assert "above the 3.43 of uniform guessing" in run_warning(RunFolder(tmp_path / "edge"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbrnn.run(replace(config, eta=0.1), text, tmp_path / "fine", quiet=True)
    assert run_warning(RunFolder(tmp_path / "fine")) == ""
