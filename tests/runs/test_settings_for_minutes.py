"""Settings for a text and a time: they fit the time, and follow from little that can be checked."""

import pytest
from harness import made_up_text

from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, CorpusError
from nbrnn.runs import settings_for_minutes as module
from nbrnn.runs.settings_for_minutes import choose, is_limited_by_text
from nbrnn.storage.checkpoint import layout_of


@pytest.fixture
def machine(monkeypatch):
    """Let a machine take so many seconds for a multiply-add of training; reading takes a third."""

    def set_speed(seconds):
        def per_character(config, corpus):
            return seconds * layout_of(config, len(corpus.alphabet)).multiply_adds

        def update(config, corpus, limit=None):
            return config.seq_length * config.batch * per_character(config, corpus)

        monkeypatch.setattr(module, "update_seconds", update)
        monkeypatch.setattr(module, "reading_seconds", lambda *run: per_character(*run) / 3)
        return per_character

    return set_speed


@pytest.fixture(scope="module")
def long_text():
    return Corpus.from_text(made_up_text(300_000), "long")


@pytest.mark.parametrize("minutes", [0.5, 2, 20])
@pytest.mark.parametrize("speed", [1e-11, 1e-10, 1e-9])
def test_training_and_evaluations_fit_the_time(machine, long_text, minutes, speed):
    per_character = machine(speed)
    config = choose(long_text, minutes, {}).config
    trained = config.updates * config.seq_length * config.batch
    read = config.updates // config.validate_every * config.validation * len(long_text)
    seconds = (trained + read / 3) * per_character(config, long_text)
    assert seconds <= 60 * minutes
    epochs = config.updates / config.updates_per_epoch(len(long_text))
    assert seconds > 0.7 * 60 * minutes or epochs == pytest.approx(module.MAX_EPOCHS, rel=0.1)


def test_more_time_buys_a_larger_network_and_more_epochs_until_the_text_is_filled(machine, long_text):
    machine(1e-9)
    configs = [choose(long_text, minutes, {}).config for minutes in (0.5, 2, 8, 32, 1024, 4096)]
    sizes, lengths = [c.hidden for c in configs], [c.updates for c in configs]
    assert sizes == sorted(sizes)
    assert lengths == sorted(lengths)
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[-2] == sizes[-1]
    limited = [is_limited_by_text(config, long_text, {}) for config in configs]
    assert limited == [False] * 4 + [True] * 2
    etas, dropouts = [c.eta for c in configs], [c.dropout for c in configs]
    assert etas == sorted(etas, reverse=True)
    assert dropouts == sorted(dropouts)


@pytest.mark.parametrize(("characters", "batch"), [(20_000, 4), (60_000, 8), (100_000, 16)])
def test_a_short_text_is_read_in_fewer_windows_at_once(machine, characters, batch):
    machine(1e-10)
    text = Corpus.from_text(made_up_text(characters), "short")
    config = choose(text, 1, {}).config
    assert config.batch == batch
    assert batch == 4 or config.updates_per_epoch(characters) >= module.UPDATES_PER_EPOCH


def test_what_is_given_is_kept_and_the_rest_follows(machine, long_text):
    machine(1e-10)
    given = {"hidden": 40, "batch": 8, "dropout": 0.0, "seed": 3, "validation": 0.2, "warmup": 50}
    config = choose(long_text, 1, given).config
    assert {name: getattr(config, name) for name in given} == given
    assert config.eta == pytest.approx(module.RATE / 40, rel=0.05)
    assert choose(long_text, 1, {"optimizer": "sgd"}).config.eta == 0.01  # the default of sgd


def test_the_reasons_name_what_was_chosen(machine, long_text):
    machine(1e-10)
    config, lines = choose(long_text, 1, {})
    assert f"{config.hidden} units" in lines[0]
    assert f"{config.updates:,} updates" in lines[1]
    assert f"{config.eta:g}" in lines[2]


def test_no_measurement_before_all_is_right(monkeypatch, corpus):
    monkeypatch.setattr(module, "update_seconds", None)
    with pytest.raises(ConfigError, match="--minutes must be above 0"):
        choose(corpus, 0, {})
    with pytest.raises(ConfigError, match="leave out --epochs"):
        choose(corpus, 1, {"epochs": 2})
    with pytest.raises(CorpusError, match="1,500 characters are too few"):
        choose(Corpus.from_text(made_up_text(1500), "short"), 1, {})
    with pytest.raises(CorpusError, match="too few for --seq-length"):
        choose(corpus, 1, {"seq_length": 5000})
