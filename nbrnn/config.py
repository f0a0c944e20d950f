"""What is an experiment, and is it valid?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

from nbrnn.errors import ConfigError

SCHEMA = 1  # of the files of a run; part of a run's id
DEFAULT_EPOCHS = 7

Precision = Literal["float32", "float64"]

# The largest and smallest positive normal numbers of float32, in which a run computes by default.
FLOAT32_MAX = 3.4028234e38
FLOAT32_TINY = 1.1754944e-38


@dataclass(frozen=True)
class Setting:
    """One option of an experiment: everything about it but its name, which is its field's.

    `least` and `most` are allowed, unless `exclusive` leaves out least itself. `added` is the version
    that brought the setting; those of the first version are part of every id.
    """

    kind: type
    default: Any
    help: str
    least: float = -math.inf
    most: float = math.inf
    exclusive: bool = False
    choices: tuple[str, ...] = ()
    added: str = ""

    def checked(self, name: str, value: Any) -> Any:
        """Return a value of this setting, a whole number as float where that is meant.

        Raises ConfigError, which calls the setting by its option.
        """
        option = option_name(name)
        if value is None and self.default is None:
            return None
        if self.choices:
            if value not in self.choices:
                raise ConfigError(f"{option} must be {' or '.join(self.choices)}, not {value}")
            return value
        if isinstance(value, bool) or not isinstance(value, Integral if self.kind is int else Real):
            raise ConfigError(f"{option} must be a number, not {value!r}")
        number: Any = value
        check_range(option, number, self.least, self.most, exclusive=self.exclusive)
        return self.kind(number)


def setting(
    kind: type, default: Any, help: str, least: float = -math.inf, most: float = math.inf, **rest: Any
) -> Any:
    """Return the field of a setting, with all that `Setting` says."""
    return field(default=default, metadata={"": Setting(kind, default, help, least, most, **rest)})


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings that change the result of a run, apart from the corpus.

    Either `epochs` or `updates` says how long it trains; with neither it is 7 epochs.
    Raises ConfigError for a value outside its range.
    """

    epochs: int | None = setting(int, None, "Passes through the text.", 1, 10**9)
    updates: int | None = setting(
        int, None, "Updates, instead of epochs; 0 writes the start.", 0, 10**15
    )
    hidden: int = setting(int, 100, "Hidden units m.", 1, 10_000)
    seq_length: int = setting(int, 25, "Characters T in a window.", 1, 10_000)
    eta: float = setting(float, 0.1, "Learning rate.", 0, FLOAT32_MAX, exclusive=True)
    sigma: float = setting(float, 0.1, "Standard deviation of the initial W, U, V.", 0, 1e6)
    epsilon: float = setting(float, 1e-8, "Inside AdaGrad's root.", FLOAT32_TINY, FLOAT32_MAX)
    clip: float = setting(
        float, 5.0, "Gradients are clipped to [-clip, clip].", 0, FLOAT32_MAX, exclusive=True
    )
    seed: int = setting(int, 0, "Seed of all randomness.", 0, 2**63 - 1)
    dtype: Precision = setting(
        str, "float32", "Precision of the arithmetic.", choices=get_args(Precision)
    )
    sample_every: int = setting(int, 10_000, "Updates between samples; 0: none.", 0, 10**15)
    sample_length: int = setting(int, 200, "Characters in a sample.", 1, 10_000)

    def __post_init__(self) -> None:
        if self.epochs is not None and self.updates is not None:
            raise ConfigError("give either --epochs or --updates, not both")
        if self.epochs is None and self.updates is None:
            object.__setattr__(self, "epochs", DEFAULT_EPOCHS)
        for name, its_setting in SETTINGS.items():
            object.__setattr__(self, name, its_setting.checked(name, getattr(self, name)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the config in a file: what it lacks has its default.

        Raises ConfigError for a name that is no setting's.
        """
        unknown = ", ".join(sorted(set(values) - set(SETTINGS)))
        if unknown:
            raise ConfigError(f"not the settings of a run: {unknown} is unknown")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """Return the settings that tell this experiment from others, by which its id is made.

        One that came later counts only where it differs from its default, so that older runs keep
        their ids.
        """
        values = self.to_dict()
        return {
            name: values[name]
            for name, its_setting in SETTINGS.items()
            if not its_setting.added or values[name] != its_setting.default
        }

    def length(self, updates_per_epoch: int) -> int:
        """Return the number of updates of the whole run."""
        return self.updates if self.updates is not None else (self.epochs or 0) * updates_per_epoch

    def same_but_length(self, other: RunConfig) -> bool:
        """Whether one run is the other's beginning."""
        return replace(self, epochs=None, updates=0) == replace(other, epochs=None, updates=0)


SETTINGS: dict[str, Setting] = {item.name: item.metadata[""] for item in fields(RunConfig)}


def option_name(field_name: str) -> str:
    """Return the command line's name for a setting."""
    return "--" + field_name.replace("_", "-")


def check_range(
    name: str, value: float, least: float, most: float = math.inf, *, exclusive: bool = False
) -> None:
    """Raise ConfigError unless least <= value <= most (`exclusive`: least < value). NaN never is."""
    if not abs(value) < math.inf:
        raise ConfigError(f"{name} must be finite, not {value}")
    if value < least or (exclusive and value == least):
        raise ConfigError(f"{name} must be {'above' if exclusive else 'at least'} {least}, not {value}")
    if value > most:
        raise ConfigError(f"{name} must be at most {most}, not {value}")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, ASCII only, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
