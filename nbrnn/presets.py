"""Presets: the settings of well-known experiments, and where they are described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbrnn.config import NONE, SETTINGS
from nbrnn.values import check_choice


@dataclass(frozen=True)
class Preset:
    """Settings that belong together; all others have their defaults."""

    settings: Mapping[str, Any]
    source: str
    note: str


# fmt: off
PRESETS = {
    "dd2424-2017": Preset(
        {"optimizer": "adagrad", "eta": 0.1, "epsilon": 1e-8, "loss": "sum", "init": "normal",
         "sigma": 0.1, "clip": 5.0},
        "KTH, course DD2424, assignment 4, editions up to 2024",
        "the defaults: AdaGrad, the sum of a window's losses, gradients clipped to 5",
    ),
    "dd2424-2025": Preset(
        {"optimizer": "adam", "eta": 0.001, "loss": "mean", "init": "scaled", "clip": NONE},
        "KTH, course DD2424, assignment 4, editions since April 2025",
        "Adam, the mean of a window's losses, scaled initialization, no clipping",
    ),
    "shakespeare-small": Preset(
        {"cell": "gru", "layers": 2, "hidden": 120, "seq_length": 50, "batch": 16, "optimizer": "adam",
         "eta": 0.008, "loss": "mean", "init": "scaled", "clip": NONE, "schedule": "linear",
         "validation": 0.1},
        "docs/cells.md",
        "a small network that writes recognizable Shakespeare after minutes of one core",
    ),
    "char-rnn": Preset(
        {"cell": "lstm", "layers": 2, "hidden": 128, "seq_length": 50, "batch": 50,
         "optimizer": "rmsprop", "eta": 0.002, "beta2": 0.95, "schedule": "linear", "sigma": 0.046,
         "validation": 0.05, "validate_every": 1000},
        "github.com/karpathy/char-rnn, train.lua",
        "the defaults of char-rnn, dropout 0 included; differences: a linear schedule instead of a "
        "decay by 0.97 an epoch from the tenth on; epsilon inside the root; states 0 at the start of an "
        "epoch; forget biases 0 instead of 1; normal initialization with the standard deviation of its "
        "uniform one",
    ),
    "good": Preset(
        {"cell": "gru", "layers": 2, "hidden": 208, "seq_length": 50, "batch": 16, "optimizer": "adam",
         "eta": 0.006, "loss": "mean", "init": "scaled", "clip": NONE, "clip_norm": 1.0,
         "dropout": 0.2, "schedule": "cosine", "validation": 0.1},
        "results/minutes",
        "a low loss on a text of about a million characters; --minutes N fits network and length to the "
        "text, the time and the machine",
    ),
}
# fmt: on


def with_preset(name: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a preset, replaced and completed by those that are given.

    A setting of the preset that belongs to another optimizer, initialization or order than is given is
    left out. Raises ConfigError for an unknown preset.
    """
    if name is None:
        return dict(given)
    check_choice("--preset", name, list(PRESETS))
    settings = PRESETS[name].settings
    kept = {setting: value for setting, value in settings.items() if applies(setting, settings, given)}
    return {**kept, **given}


def applies(setting: str, settings: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Return whether a setting of a preset applies beside those that are given, values or lists."""
    by = SETTINGS[setting].by
    if by not in given:
        return True
    preset_value, given_values = settings.get(by, SETTINGS[by].default), str(given[by]).split(",")
    if SETTINGS[by].choices:
        return preset_value in given_values
    return any(value not in ("0", "0.0") for value in given_values) == bool(preset_value > 0)
