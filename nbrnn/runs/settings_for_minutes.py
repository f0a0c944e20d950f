"""Which settings suit a text and a time? `nbrnn train TEXT --minutes 10`.

Cell, layers, optimizer and so on are those of the preset `good`. The rest follows from

    N   characters to learn from
    C   characters that can be learnt from in the time, by a network of one multiply-add a character

    network      P, as large as C / P >= min(40 P, 15 N) allows, but at most that of 5.3 N^0.3 units
    length       D = min(C / P, 15 N)      characters, in E = D / N epochs
    batch        16, 8 or 4 windows        the most with at least 100 updates in an epoch
    eta          1.2 / m                   with m units in each layer
    dropout      0.1 log2(E / 2)           from 0.05 to 0.5

P are the multiply-adds of a network for a character. In a short time a smaller network learns more; in a
long one more units or epochs would only overfit. The 15, 5.3, 1.2, the batch and the dropout are from
trials on texts of 20 and 100 kB (results/minutes); the 40 is an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, CorpusError
from nbrnn.presets import PRESETS, with_preset
from nbrnn.runs.finalize import MAX_SCORED
from nbrnn.runs.run import check_length
from nbrnn.runs.timing import reading_seconds, update_seconds
from nbrnn.storage.checkpoint import layout_of
from nbrnn.text_parts import size
from nbrnn.values import check_range, plural

GOOD = "good"  # the preset
# of its settings, those that follow from text and time
CHOSEN = ("hidden", "batch", "eta", "dropout", "validation")
CHARACTERS = 40  # that a network is to learn from at least, for each of its multiply-adds
UNITS, POWER = 5.3, 0.3  # hidden units in each layer: 5.3 N^0.3
MAX_EPOCHS = 15
BATCHES, UPDATES_PER_EPOCH = (16, 8, 4), 100  # windows at once, and updates for which they are enough
RATE = 1.2  # learning rate, times the units in a layer
MIN_DROPOUT, MAX_DROPOUT = 0.05, 0.5
MIN_UNITS, MAX_UNITS, STEP = 32, 512, 16  # of hidden units in a layer
WARMUP = 1 / 20  # share of the updates
MAX_WARMUP = 200
HELD_OUT = 120_000  # characters at most: a tenth of the text, where it is not longer
EVALUATED = 0.1  # share of the time for validation losses
MIN_EVALUATIONS, MAX_EVALUATIONS = 4, 25
MIN_CHARACTERS = 2_000
MIN_UPDATES = 20
MAX_MINUTES = 10_000
SECONDS_BESIDE = 2.0  # for files, the picture and a sample
TRIAL_UNITS, TRIAL_SECONDS = 96, 0.3  # of the first measurement
FINAL_SECONDS = 0.7  # of the measurement of the network that was chosen


class Choice(NamedTuple):
    """The settings of a run, and three lines on what was chosen and why."""

    config: RunConfig
    reasons: tuple[str, str, str]


def choose(corpus: Corpus, minutes: float, given: Mapping[str, Any]) -> Choice:
    """Return settings with which a run takes these minutes on this machine; some may be given.

    Networks are trained for about a second, after their kernels are compiled.
    Raises ConfigError for settings that contradict them, CorpusError for too short a text.
    """
    check_minutes(minutes, given)
    if len(corpus) < MIN_CHARACTERS:
        raise CorpusError(
            f"{corpus.name}: {len(corpus):,} characters are too few to choose settings by: at least "
            f"{MIN_CHARACTERS:,} are needed; without --minutes a network can be trained on fewer"
        )
    seconds = 60 * minutes
    share = min(float(PRESETS[GOOD].settings["validation"]), HELD_OUT / len(corpus))
    base = {**with_preset(GOOD, given), "epochs": MAX_EPOCHS}
    base["validation"] = given.get("validation", float(f"{share:.2g}"))
    trial = RunConfig(**{**base, "hidden": given.get("hidden", TRIAL_UNITS)})
    if "batch" not in given:
        trial = with_batch(trial, len(corpus))
    check_length(trial, corpus)
    work = multiply_adds(trial, corpus) * trial.batch * trial.seq_length
    trial_seconds = TRIAL_SECONDS * min(1.0, minutes)
    affordable = seconds / (update_seconds(trial, corpus, trial_seconds) / work)
    hidden = given.get("hidden", units(trial, corpus, affordable))
    sized = replace(trial, hidden=hidden)
    update = update_seconds(sized, corpus, FINAL_SECONDS * min(1.0, minutes))
    reading = reading_seconds(sized, corpus) if sized.validation or sized.test else 0.0
    config = with_length(sized, corpus, seconds, update, reading, given)
    return Choice(config, reasons(config, corpus, minutes, update, given))


def is_chosen(config: RunConfig, given: Mapping[str, Any]) -> bool:
    """Return whether a config may have been chosen beside these settings."""
    fixed = {name: v for name, v in PRESETS[GOOD].settings.items() if name not in CHOSEN}
    return all(getattr(config, name) == value for name, value in {**fixed, **given}.items())


def check_minutes(minutes: float, given: Mapping[str, Any]) -> None:
    """Raise ConfigError for minutes that are none, or beside a length."""
    check_range("--minutes", minutes, 0, MAX_MINUTES, exclusive=True)
    for name in ("epochs", "updates"):
        if name in given:
            raise ConfigError(f"--minutes sets the length of the run: leave out --{name}")


def multiply_adds(config: RunConfig, corpus: Corpus) -> int:
    """Return the multiply-adds of a network for a character."""
    return layout_of(config, len(corpus.alphabet)).multiply_adds


def units(config: RunConfig, corpus: Corpus, affordable: float) -> int:
    """Return the hidden units in each layer for a text and the multiply-adds that the time affords."""
    characters, hidden = config.trained_on(len(corpus)), MIN_UNITS
    while hidden + STEP <= units_of_text(characters):
        P = multiply_adds(replace(config, hidden=hidden + STEP), corpus)
        if affordable / P < min(CHARACTERS * P, MAX_EPOCHS * characters):
            break
        hidden += STEP
    return hidden


def units_of_text(characters: int) -> float:
    """Return the hidden units in each layer above which a network would overfit so many characters."""
    return min(MAX_UNITS, UNITS * math.pow(characters, POWER))


def with_batch(config: RunConfig, characters: int) -> RunConfig:
    """Return the config with the most windows at once that leave enough updates in an epoch."""
    configs = [replace(config, batch=batch) for batch in BATCHES]
    enough = (c for c in configs if c.updates_per_epoch(characters) >= UPDATES_PER_EPOCH)
    return next(enough, configs[-1])


def with_length(
    config: RunConfig,
    corpus: Corpus,
    seconds: float,
    update: float,
    reading: float,
    given: Mapping[str, Any],
) -> RunConfig:
    """Return the config with its length and what follows from that.

    `update` and `reading` are the seconds of an update and of a character of held-out text.
    """
    held_out = reading * size(config.parts(len(corpus)).validation)
    evaluations = MAX_EVALUATIONS
    if held_out:
        affordable = int(EVALUATED * seconds / held_out)
        evaluations = min(MAX_EVALUATIONS, max(MIN_EVALUATIONS, affordable))
    scored = min(MAX_SCORED, len(corpus)) + 2 * size(config.parts(len(corpus)).test)
    beside = evaluations * held_out + scored * reading + SECONDS_BESIDE
    per_epoch = config.updates_per_epoch(len(corpus))
    updates = min((seconds - beside) / update, MAX_EPOCHS * per_epoch)
    every = max(1, int(max(MIN_UPDATES, updates) / evaluations))
    values: dict[str, Any] = {"updates": every * evaluations, "epochs": None}
    values["warmup"] = min(MAX_WARMUP, int(WARMUP * values["updates"]))
    if config.validation:
        values["validate_every"] = every
    epochs = values["updates"] / per_epoch
    dropout = min(MAX_DROPOUT, max(MIN_DROPOUT, 0.1 * math.log2(max(1.0, epochs / 2))))
    values["dropout"] = round(20 * dropout) / 20
    if config.optimizer == PRESETS[GOOD].settings["optimizer"]:
        values["eta"] = float(f"{RATE / config.hidden:.2g}")
    return replace(config, **{name: v for name, v in values.items() if name not in given})


def is_limited_by_text(config: RunConfig, corpus: Corpus, given: Mapping[str, Any]) -> bool:
    """Return whether more minutes would choose the same network and length beside given settings."""
    is_largest = "hidden" in given or has_text_size(config, config.trained_on(len(corpus)))
    return is_largest and has_all_epochs(config, len(corpus))


def has_text_size(config: RunConfig, characters: int) -> bool:
    """Return whether a larger network would overfit so many characters."""
    return config.hidden + STEP > units_of_text(characters)


def has_all_epochs(config: RunConfig, characters: int) -> bool:
    """Return whether more epochs of a text of so many characters would overfit it."""
    return config.length(characters) > (MAX_EPOCHS - 1) * config.updates_per_epoch(characters)


def reasons(
    config: RunConfig, corpus: Corpus, minutes: float, update: float, given: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Return in three lines what was chosen and why; an update takes so many seconds."""
    layout, characters = layout_of(config, len(corpus.alphabet)), config.trained_on(len(corpus))
    time = f"{minutes:g} minute{'s' * (minutes != 1)}"
    if "hidden" in given:
        why = "as given"
    elif has_text_size(config, characters):
        why = f"a larger one would overfit {characters:,} characters"
    else:
        why = f"a larger one would need more than {time}"
    length, per_epoch = config.length(len(corpus)), config.updates_per_epoch(len(corpus))
    until = f"what {time} allow{'s' * (minutes == 1)}"
    if has_all_epochs(config, len(corpus)):
        until = "more would overfit"
    duration = timedelta(seconds=round(length * update))
    held_out = size(config.parts(len(corpus)).validation)
    layers = f"{plural(config.layers, 'layer')} of {config.hidden} units"
    return (
        f"network: {config.cell}, {layers}, {layout.size:,} parameters: {why}",
        f"length: {length:,} updates of {plural(config.batch, 'window')}, {length / per_epoch:.3g} "
        f"epochs, about {duration} (h:mm:ss): {until}",
        f"learning rate {config.eta:g} after a warm-up of {config.warmup:,} updates, falling to 0, and "
        f"dropout {config.dropout:g}, by size and length; {held_out:,} characters are held out to "
        "choose the best model by",
    )
