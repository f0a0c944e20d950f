"""Which well-known experiments are there, what do they set, and where are they described?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbrnn.config import NONE, SETTINGS
from nbrnn.errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """Settings that belong together; all others have their defaults."""

    settings: Mapping[str, Any]
    source: str
    note: str


PRESETS = {
    "dd2424-2017": Preset(
        {
            "optimizer": "adagrad",
            "eta": 0.1,
            "epsilon": 1e-8,
            "loss": "sum",
            "init": "normal",
            "sigma": 0.1,
            "clip": 5.0,
        },
        "KTH, course DD2424, assignment 4, editions up to 2024",
        "the defaults: AdaGrad, the sum of a window's losses, gradients clipped to 5",
    ),
    "dd2424-2025": Preset(
        {"optimizer": "adam", "eta": 0.001, "loss": "mean", "init": "scaled", "clip": NONE},
        "KTH, course DD2424, assignment 4, editions since April 2025",
        "Adam, the mean of a window's losses, a scaled start, no clipping",
    ),
    "char-rnn": Preset(
        {
            "hidden": 128,
            "seq_length": 50,
            "batch": 50,
            "optimizer": "rmsprop",
            "eta": 0.002,
            "beta2": 0.95,
            "schedule": "linear",
            "sigma": 0.046,
            "validation": 0.05,
            "validate_every": 1000,
        },
        "github.com/karpathy/char-rnn, train.lua",
        "with one vanilla layer instead of two of LSTM, a learning rate that falls in a line instead of "
        "by 0.97 an epoch from the tenth on, epsilon inside the root, h = 0 at the start of an epoch, "
        "and a normal start with the deviation of its uniform one",
    ),
}


def with_preset(name: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a preset with those that are given beside it, which win.

    What a preset says for another optimizer, start or order than is given is left out. Raises
    ConfigError for a name that is no preset's.
    """
    if name is None:
        return dict(given)
    if name not in PRESETS:
        raise ConfigError(f"--preset must be {' or '.join(PRESETS)}, not {name}")
    settings = PRESETS[name].settings
    kept = {setting: value for setting, value in settings.items() if applies(setting, settings, given)}
    return {**kept, **given}


def applies(setting: str, settings: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether what a preset says of a setting is meant beside those that are given, values or lists."""
    by = SETTINGS[setting].by
    if by not in given:
        return True
    theirs, ours = settings.get(by, SETTINGS[by].default), str(given[by]).split(",")
    if SETTINGS[by].choices:
        return theirs in ours
    return any(one not in ("0", "0.0") for one in ours) == bool(theirs > 0)
