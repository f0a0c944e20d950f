"""What an experiment is, whether it is valid, and what its id is."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from nbrnn.errors import ConfigError

SCHEMA = 1  # of the files of a run; part of a run's id
DEFAULT_EPOCHS = 7

# The largest and smallest positive normal numbers of float32, in which a run computes by default.
FLOAT32_MAX = 3.4028234e38
FLOAT32_TINY = 1.1754944e-38


def setting(
    default: Any, help: str, least: float = -math.inf, most: float = math.inf, *, above: bool = False
) -> Any:
    """Return a dataclass field with its help text and its range; `above`: least is not included."""
    limits = {"help": help, "least": least, "most": most, "above": above}
    return field(default=default, metadata=limits)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings that change the result of a run, apart from the corpus.

    Either `epochs` or `updates` says how long it trains; with neither it is 7 epochs.
    Raises ConfigError for a value outside its range.
    """

    epochs: int | None = setting(None, "Passes through the text.", 1, 10**9)
    updates: int | None = setting(None, "Updates, instead of epochs; 0 writes the start.", 0, 10**15)
    hidden: int = setting(100, "Hidden units m.", 1, 10_000)
    seq_length: int = setting(25, "Characters T in a window.", 1, 10_000)
    eta: float = setting(0.1, "Learning rate.", 0, FLOAT32_MAX, above=True)
    sigma: float = setting(0.1, "Standard deviation of the initial W, U, V.", 0, 1e6)
    epsilon: float = setting(1e-8, "Inside AdaGrad's root.", FLOAT32_TINY, FLOAT32_MAX)
    clip: float = setting(5.0, "Gradients are clipped to [-clip, clip].", 0, FLOAT32_MAX, above=True)
    seed: int = setting(0, "Seed of all randomness.", 0, 2**63 - 1)
    dtype: Literal["float32", "float64"] = setting("float32", "Precision of the arithmetic.")
    sample_every: int = setting(10_000, "Updates between samples; 0: none.", 0, 10**15)
    sample_length: int = setting(200, "Characters in a sample.", 1, 10_000)

    def __post_init__(self) -> None:
        if self.epochs is not None and self.updates is not None:
            raise ConfigError("give either --epochs or --updates, not both")
        if self.epochs is None and self.updates is None:
            object.__setattr__(self, "epochs", DEFAULT_EPOCHS)
        for item in fields(self):
            value = getattr(self, item.name)
            name = option_name(item.name)
            if item.name == "dtype":
                if value not in ("float32", "float64"):
                    raise ConfigError(f"{name} must be float32 or float64, not {value}")
            elif value is not None:
                if item.type == "float" and type(value) is int:
                    check_range(name, value, -FLOAT32_MAX, FLOAT32_MAX)
                    value = float(value)
                    object.__setattr__(self, item.name, value)
                if type(value) is not (float if item.type == "float" else int):
                    raise ConfigError(f"{name} must be a number, not {value!r}")
                check_range(name, value, **{k: v for k, v in item.metadata.items() if k != "help"})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the config that `to_dict` made. Raises ConfigError for unknown or missing names."""
        names = {item.name for item in fields(cls)}
        if set(values) != names:
            wrong = ", ".join(sorted(set(values) ^ names))
            raise ConfigError(f"not the settings of a run: {wrong} is unknown or missing")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return asdict(self)

    def length(self, updates_per_epoch: int) -> int:
        """Return the number of updates of the whole run."""
        return self.updates if self.updates is not None else (self.epochs or 0) * updates_per_epoch

    def same_but_length(self, other: RunConfig) -> bool:
        """Whether one run is the other's beginning."""
        return replace(self, epochs=None, updates=0) == replace(other, epochs=None, updates=0)

    def run_id(self, corpus_name: str, corpus_sha256: str) -> str:
        """Return a readable stem and a hash of everything that changes the result."""
        identity = {"config": self.to_dict(), "corpus": corpus_sha256, "schema": SCHEMA}
        digest = hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:8]
        length = f"{self.epochs}epochs" if self.updates is None else f"{self.updates}updates"
        name = "".join(c if c.isalnum() else "_" for c in corpus_name)[:40]
        stem = f"{name}-m{self.hidden}-eta{self.eta:g}-sigma{self.sigma:g}-{length}-seed{self.seed}"
        return f"{stem}-{digest}"


def option_name(field_name: str) -> str:
    """Return the command line's name for a setting."""
    return "--" + field_name.replace("_", "-")


def check_range(
    name: str, value: float, least: float, most: float = math.inf, above: bool = False
) -> None:
    """Raise ConfigError unless least <= value <= most (`above`: least < value). NaN never is."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} must be finite, not {value}")
    if value < least or (above and value == least):
        raise ConfigError(f"{name} must be {'above' if above else 'at least'} {least}, not {value}")
    if value > most:
        raise ConfigError(f"{name} must be at most {most}, not {value}")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, ASCII only, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
