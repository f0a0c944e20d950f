"""What is an experiment, and is it valid?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

from nbrnn.errors import ConfigError

SCHEMA = 1  # of the files of a run; part of a run's id
DEFAULT_EPOCHS = 7

Precision = Literal["float32", "float64"]
Optimizer = Literal["adagrad", "rmsprop", "adam", "sgd"]
Loss = Literal["sum", "mean"]
Start = Literal["normal", "scaled", "orthogonal"]
Schedule = Literal["constant", "linear", "cosine"]
Order = Literal["sequential", "random", "chunks"]
NONE = "none"  # a value: that something is not done

# The largest and smallest positive normal numbers of float32, in which a run computes by default.
FLOAT32_MAX = 3.4028234e38
FLOAT32_TINY = 1.1754944e-38
MOST_DECAY = 0.999999  # of an optimizer's memory; what is nearer to 1 float32 cannot hold


@dataclass(frozen=True)
class Setting:
    """One option of an experiment: everything about it but its name, which is its field's.

    `least` and `most` are allowed, unless `exclusive` leaves out least itself; `or_none`: so is the word
    "none". `by` names the setting by whose value the default goes: it is then a mapping, and without
    effect where that value is not in it. Of a number `by` asks whether it is above 0. `added` is the
    version that brought the setting; those of the first version are part of every id.
    """

    kind: type
    default: Any
    help: str
    least: float = -math.inf
    most: float = math.inf
    exclusive: bool = False
    choices: tuple[str, ...] = ()
    or_none: bool = False
    by: str = ""
    added: str = ""

    def has_effect(self, values: Mapping[str, Any]) -> bool:
        """Whether it changes anything beside these settings."""
        return not self.by or self.place(values) in self.default

    def default_in(self, values: Mapping[str, Any]) -> Any:
        """Return its default beside these settings, None where it has no effect."""
        return self.default.get(self.place(values)) if self.by else self.default

    def place(self, values: Mapping[str, Any]) -> Any:
        """Return where in its defaults to look."""
        value = values[self.by]
        return value if isinstance(value, str) else value > 0

    def parsed(self, text: str) -> Any:
        """Return the value that a text stands for. Raises ValueError if it is none of this kind."""
        return text if self.or_none and text == NONE else self.kind(text)

    def checked(self, name: str, value: Any) -> Any:
        """Return a value of this setting, a whole number as float where that is meant.

        Raises ConfigError, which calls the setting by its option.
        """
        option = option_name(name)
        if self.choices:
            if value not in self.choices:
                raise ConfigError(f"{option} must be {' or '.join(self.choices)}, not {value}")
            return value
        if self.or_none and value == NONE:
            return value
        if isinstance(value, bool) or not isinstance(value, Integral if self.kind is int else Real):
            raise ConfigError(f"{option} must be a number{' or none' * self.or_none}, not {value!r}")
        number: Any = value
        check_range(option, number, self.least, self.most, exclusive=self.exclusive)
        return self.kind(number)


def setting(
    kind: type, default: Any, help: str, least: float = -math.inf, most: float = math.inf, **rest: Any
) -> Any:
    """Return the field of a setting, with all that `Setting` says."""
    its_setting = Setting(kind, default, help, least, most, **rest)
    return field(default=None if its_setting.by else default, metadata={"": its_setting})


def choice(kind: Any, help: str, **rest: Any) -> Any:
    """Return the field of a setting that is one of several words, the first by default."""
    choices = get_args(kind)
    return setting(str, choices[0], help, choices=choices, **rest)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings that change the result of a run, apart from the corpus.

    Either `epochs` or `updates` says how long it trains; with neither it is 7 epochs. A setting without
    effect beside the others is None. Raises ConfigError for one that is given nevertheless, and for a
    value outside its range.
    """

    epochs: int | None = setting(int, None, "Passes through the text.", 1, 10**9)
    updates: int | None = setting(
        int, None, "Updates, instead of epochs; 0 writes the start.", 0, 10**15
    )
    hidden: int = setting(int, 100, "Hidden units m.", 1, 10_000)
    seq_length: int = setting(int, 25, "Characters T in a window.", 1, 10_000)
    batch: int = setting(int, 1, "Windows B at once.", 1, 10_000, added="0.3")
    order: Order = choice(
        Order, "How the text is read: in B streams, windows anywhere, shuffled chunks.", added="0.3"
    )
    chunks: int | None = setting(
        int, {"chunks": 100}, "Pieces L of the text.", 1, 10**7, by="order", added="0.3"
    )
    optimizer: Optimizer = choice(Optimizer, "How weights follow their gradient.", added="0.3")
    eta: float = setting(
        float,
        {"adagrad": 0.1, "rmsprop": 0.001, "adam": 0.001, "sgd": 0.01},
        "Learning rate.",
        0,
        FLOAT32_MAX,
        exclusive=True,
        by="optimizer",
    )
    init: Start = choice(Start, "Initial W, U, V: scaled to their sizes, or W orthogonal.", added="0.3")
    sigma: float | None = setting(
        float,
        {"normal": 0.1, "orthogonal": 0.1},
        "Standard deviation of the initial W, U, V.",
        0,
        1e6,
        by="init",
    )
    epsilon: float | None = setting(
        float,
        dict.fromkeys(("adagrad", "rmsprop", "adam"), 1e-8),
        "Inside the root of AdaGrad and RMSProp, outside that of Adam.",
        FLOAT32_TINY,
        FLOAT32_MAX,
        by="optimizer",
    )
    beta1: float | None = setting(
        float, {"adam": 0.9}, "Decay of the mean gradient.", 0, MOST_DECAY, by="optimizer", added="0.3"
    )
    beta2: float | None = setting(
        float,
        {"rmsprop": 0.9, "adam": 0.999},
        "Decay of the mean squared gradient.",
        0,
        MOST_DECAY,
        by="optimizer",
        added="0.3",
    )
    clip: float | str = setting(
        float,
        5.0,
        "Gradients are clipped to [-clip, clip], or not: none.",
        0,
        FLOAT32_MAX,
        exclusive=True,
        or_none=True,
    )
    loss: Loss = choice(Loss, "Of a window: its characters' sum, or mean.", added="0.3")
    schedule: Schedule = choice(
        Schedule, "Of the learning rate: linear and cosine fall to 0.", added="0.3"
    )
    warmup: int = setting(
        int, 0, "Updates in which the learning rate rises to eta.", 0, 10**15, added="0.3"
    )
    validation: float = setting(
        float, 0.0, "Share of the text, its end, that is held out.", 0, 0.9, added="0.3"
    )
    validate_every: int | None = setting(
        int,
        {True: 0},
        "Updates between held-out losses; 0: an epoch.",
        0,
        10**15,
        by="validation",
        added="0.3",
    )
    patience: int | None = setting(
        int,
        {True: 0},
        "Held-out losses without a better one that end a run; 0: never.",
        0,
        10**9,
        by="validation",
        added="0.3",
    )
    seed: int = setting(int, 0, "Seed of all randomness.", 0, 2**63 - 1)
    dtype: Precision = choice(Precision, "Precision of the arithmetic.")
    sample_every: int = setting(int, 10_000, "Updates between samples; 0: none.", 0, 10**15)
    sample_length: int = setting(int, 200, "Characters in a sample.", 1, 10_000)

    def __post_init__(self) -> None:
        if self.epochs is not None and self.updates is not None:
            raise ConfigError("give either --epochs or --updates, not both")
        if self.epochs is None and self.updates is None:
            object.__setattr__(self, "epochs", DEFAULT_EPOCHS)
        for name, its_setting in SETTINGS.items():
            value = getattr(self, name)
            if value is None:
                value = its_setting.default_in(vars(self))
            elif not its_setting.has_effect(vars(self)):
                other = f"{option_name(its_setting.by)} {getattr(self, its_setting.by)}"
                raise ConfigError(f"{option_name(name)} has no effect with {other}: leave it out")
            if value is not None:
                object.__setattr__(self, name, its_setting.checked(name, value))

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
        return dict(vars(self))

    def identity(self) -> dict[str, Any]:
        """Return the settings that tell this experiment from others, by which its id is made.

        One that came later counts only where it differs from its default, so that older runs keep
        their ids, and one without effect never does.
        """
        values = self.to_dict()
        return {
            name: values[name]
            for name, its_setting in SETTINGS.items()
            if its_setting.has_effect(values)
            and not (its_setting.added and values[name] == its_setting.default_in(values))
        }

    def trained_on(self, characters: int) -> int:
        """Return how many of a text's characters are trained on, before those that are held out."""
        return characters - int(self.validation * characters)

    def updates_per_epoch(self, characters: int) -> int:
        """Return how many batches of windows, each with a successor, fit into what is trained on."""
        return (self.trained_on(characters) - 1) // (self.seq_length * self.batch)

    def updates_per_look(self, characters: int) -> int:
        """Return the number of updates between two looks at the held-out loss: by default an epoch."""
        return self.validate_every or self.updates_per_epoch(characters)

    def length(self, characters: int) -> int:
        """Return the number of updates of the whole run, on a text of so many characters."""
        if self.updates is not None:
            return self.updates
        return (self.epochs or 0) * self.updates_per_epoch(characters)

    @property
    def characters_in_loss(self) -> int:
        """How many characters' losses a window's loss is the sum of."""
        return self.seq_length if self.loss == "sum" else 1

    def same_but_length(self, other: RunConfig) -> bool:
        """Whether one run is the other's beginning, whose learning rate must not know its end."""
        return self == other if self.schedule != "constant" else self.same_apart_from_length(other)

    def same_apart_from_length(self, other: RunConfig) -> bool:
        """Whether the two differ in their length at most."""
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
