"""RunConfig: the settings of an experiment, their defaults and ranges."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from nbrnn.errors import ConfigError
from nbrnn.text_parts import FOLDS, TextParts, size, text_parts, windows
from nbrnn.values import check_choice, check_range, nearest, shortened

SCHEMA = 1  # of the files of a run; part of a run's id
DEFAULT_EPOCHS = 7

Cell = Literal["vanilla", "gru", "lstm"]
Precision = Literal["float32", "float64"]
Optimizer = Literal["adagrad", "rmsprop", "adam", "sgd"]
Loss = Literal["sum", "mean"]
Initialization = Literal["normal", "scaled", "orthogonal"]
Schedule = Literal["constant", "linear", "cosine"]
Order = Literal["sequential", "random", "chunks"]
NONE = "none"  # the value of a number that is not used

# The largest and smallest positive normal numbers of float32, in which a run computes by default.
FLOAT32_MAX = 3.4028234e38
FLOAT32_TINY = 1.1754944e-38
MAX_HELD_OUT = 0.9  # fraction of the text
MAX_DECAY = 0.999999  # float32 cannot hold what is nearer to 1


@dataclass(frozen=True)
class Setting:
    """One setting of an experiment: everything about it but its name, which is its field's.

    Args:
        kind: int, float or str.
        default: Its default or, if `by` is given, a mapping from the values of that setting to defaults.
        least, most: Its range, which includes both; without `least` itself if `exclusive`.
        choices: The words that it may be.
        pattern: A regular expression for all of a text that is not one of several words.
        or_none: Whether it may also be the word "none".
        by: The setting that decides the default. Where that one's value is not in the mapping, this one
            has no effect. For a number the mapping is by whether it is above 0.
        added: The version that brought it; the settings of the first version are part of every run id.

    """

    kind: type
    default: Any
    help: str
    least: float = -math.inf
    most: float = math.inf
    exclusive: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    or_none: bool = False
    by: str = ""
    added: str = ""

    def has_effect(self, values: Mapping[str, Any]) -> bool:
        """Return whether it changes anything beside these settings."""
        return not self.by or self.default_key(values) in self.default

    def is_off(self, value: Any) -> bool:
        """Return whether a value turns something off that is off by default."""
        return value == 0 and isinstance(self.default, Mapping) and not any(self.default.values())

    def default_in(self, values: Mapping[str, Any]) -> Any:
        """Return its default beside these settings, None where it has no effect."""
        return self.default.get(self.default_key(values)) if self.by else self.default

    def default_key(self, values: Mapping[str, Any]) -> Any:
        """Return the key of its default in the mapping of defaults."""
        value = values[self.by]
        return value if isinstance(value, str) else value > 0

    def is_none(self, text: str) -> bool:
        """Return whether a text says that the number is not used."""
        return self.or_none and text.strip().lower() == NONE

    def parsed(self, text: str) -> Any:
        """Return the value in a text. Raises ValueError if it is not of this kind."""
        return NONE if self.is_none(text) else self.kind(text)

    def checked(self, name: str, value: Any) -> Any:
        """Return a value of this setting as a plain Python one. Raises ConfigError."""
        option = option_name(name)
        if self.choices:
            check_choice(option, value, self.choices)
        elif self.pattern:
            if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
                raise ConfigError(f"{option} must match {self.pattern} (got {shortened(value)})")
        elif self.or_none and (value is None or isinstance(value, str)):
            if value not in (None, NONE):
                raise ConfigError(f"{option} must be a number or {NONE} (got {shortened(value)})")
            return NONE
        else:
            whole = self.kind is int
            check_range(option, value, self.least, self.most, exclusive=self.exclusive, whole=whole)
        return self.kind(value)


def setting(
    kind: type, default: Any, help: str, least: float = -math.inf, most: float = math.inf, **rest: Any
) -> Any:
    """Return the dataclass field of a setting; the arguments are those of `Setting`."""
    described = Setting(kind, default, help, least, most, **rest)
    return field(default=None if described.by else default, metadata={"": described})


def choice(kind: Any, help: str, **rest: Any) -> Any:
    """Return the dataclass field of a setting that is one of several words, by default the first."""
    choices = get_args(kind)
    return setting(str, choices[0], help, choices=choices, **rest)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings that change the result of a run, apart from the corpus.

    The length is either `epochs` or `updates`, by default 7 epochs. A setting without effect beside the
    others is None. Raises ConfigError if one is given nevertheless, or a value is out of its range.
    """

    # fmt: off
    epochs: int | None = setting(int, None, "Passes through the training text.", 1, 10**9)
    updates: int | None = setting(
        int, None, "Updates, instead of epochs (0: only write the initial weights).", 0, 10**15)
    cell: Cell = choice(Cell, "Recurrent cell of each layer.", added="0.7")
    layers: int = setting(int, 1, "Layers; each reads the states of the one below.", 1, 10, added="0.7")
    hidden: int = setting(int, 100, "Hidden units m in each layer.", 1, 10_000)
    seq_length: int = setting(int, 25, "Characters T in a window.", 1, 10_000)
    batch: int = setting(int, 1, "Windows B in a batch.", 1, 10_000, added="0.3")
    order: Order = choice(
        Order, "Order of the windows: in B streams, random, or in shuffled chunks.", added="0.3")
    chunks: int | None = setting(
        int, {"chunks": 100}, "Chunks L that the text is cut into.", 1, 10**7, by="order", added="0.3")
    optimizer: Optimizer = choice(Optimizer, "Optimizer.", added="0.3")
    eta: float = setting(
        float, {"adagrad": 0.1, "rmsprop": 0.001, "adam": 0.001, "sgd": 0.01}, "Learning rate.",
        0, FLOAT32_MAX, exclusive=True, by="optimizer")
    init: Initialization = choice(
        Initialization, "Initialization of W, U, V: scaled to their sizes or W orthogonal.", added="0.3")
    sigma: float | None = setting(
        float, {"normal": 0.1, "orthogonal": 0.1}, "Standard deviation of the initial W, U, V.",
        0, 1e6, by="init")
    epsilon: float | None = setting(
        float, dict.fromkeys(("adagrad", "rmsprop", "adam"), 1e-8),
        "Term inside the root of AdaGrad and RMSProp, outside that of Adam.",
        FLOAT32_TINY, FLOAT32_MAX, by="optimizer")
    adagrad_start: float | None = setting(
        float, {"adagrad": 0.0}, "Initial value of AdaGrad's sums; epsilon is added to it.",
        0, FLOAT32_MAX, by="optimizer", added="0.7")
    beta1: float | None = setting(
        float, {"adam": 0.9}, "Decay of the mean gradient.", 0, MAX_DECAY, by="optimizer", added="0.3")
    beta2: float | None = setting(
        float, {"rmsprop": 0.9, "adam": 0.999}, "Decay of the mean squared gradient.",
        0, MAX_DECAY, by="optimizer", added="0.3")
    clip: float | str = setting(
        float, 5.0, "Clip each element of the gradient to [-clip, clip], or none.",
        0, FLOAT32_MAX, exclusive=True, or_none=True)
    clip_norm: float | str = setting(
        float, NONE, "Scale the whole gradient down to this norm, before --clip, or none.",
        0, FLOAT32_MAX, exclusive=True, or_none=True, added="0.7")
    dropout: float = setting(
        float, 0.0, "Probability of hiding a unit from the layer above or the readout, in training.",
        0, 0.9, added="0.7")
    loss: Loss = choice(Loss, "Loss of a window: sum or mean over its characters.", added="0.3")
    schedule: Schedule = choice(
        Schedule, "Schedule of the learning rate: linear and cosine fall to 0.", added="0.3")
    warmup: int = setting(
        int, 0, "Updates in which the learning rate rises to eta.", 0, 10**15, added="0.3")
    validation: float = setting(
        float, 0.0, "Fraction of the text to hold out, from its end or before the test part.",
        0, MAX_HELD_OUT, added="0.3")
    test: float = setting(
        float, 0.0, "Fraction of the text, after the validation part, to test the trained model on.",
        0, MAX_HELD_OUT, added="0.7")
    fold: int = setting(
        int, 0, "Tenths of the text by which the held-out parts move on, past its end to its beginning.",
        0, FOLDS - 1, added="0.7")
    validate_every: int | None = setting(
        int, {True: 0}, "Updates between validation losses (0: an epoch).", 0, 10**15, by="validation",
        added="0.3")
    patience: int | None = setting(
        int, {True: 0}, "Stop after this many evaluations without improvement (0: never).",
        0, 10**9, by="validation", added="0.3")
    init_from: str | None = setting(
        str, None, "Run whose best model the weights start from.",
        pattern="[0-9a-f]{64}", added="0.7")
    seed: int = setting(int, 0, "Seed of the random numbers.", 0, 2**63 - 1)
    dtype: Precision = choice(Precision, "Precision of the arithmetic.")
    sample_every: int = setting(int, 10_000, "Updates between samples (0: none).", 0, 10**15)
    sample_length: int = setting(int, 200, "Characters in a sample.", 1, 10_000)
    # fmt: on

    def __post_init__(self) -> None:
        if self.epochs is not None and self.updates is not None:
            raise ConfigError("give either --epochs or --updates, not both")
        if self.epochs is None and self.updates is None:
            object.__setattr__(self, "epochs", DEFAULT_EPOCHS)
        for name, described in SETTINGS.items():
            value, is_optional = getattr(self, name), bool(described.by) or described.default is None
            if value is None and is_optional:
                value = described.default_in(vars(self))
            elif not described.has_effect(vars(self)):
                if not described.is_off(value):
                    by, option = option_name(described.by), option_name(name)
                    if not SETTINGS[described.by].choices:
                        raise ConfigError(f"{option} has no effect without {by}: give both, or neither")
                    value_of_by = getattr(self, described.by)
                    default = " (the default)" if value_of_by == SETTINGS[described.by].default else ""
                    other = f"{by} {value_of_by}{default}"
                    raise ConfigError(f"{option} has no effect with {other}: leave it out")
                value = None
            is_left_out = value is None and is_optional
            object.__setattr__(self, name, None if is_left_out else described.checked(name, value))
        if (held_out := self.validation + self.test) > MAX_HELD_OUT:
            most = f"at most {MAX_HELD_OUT} together (got {held_out:g})"
            raise ConfigError(f"--validation and --test must be {most}")
        if self.fold and not (self.validation or self.test):
            raise ConfigError("--fold has no effect without --validation or --test: leave it out")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the config in a file; a setting that it lacks has its default. Raises ConfigError."""
        if not isinstance(values, Mapping):
            raise ConfigError(f"settings must be a mapping (got {shortened(values)})")
        check_names(values)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return dict(vars(self))

    def identity(self) -> dict[str, Any]:
        """Return the settings that a run's id is made from.

        A setting that was added later is among them only where it differs from its default, so that
        older runs keep their ids. A setting without effect never is.
        """
        values = self.to_dict()
        return {
            name: values[name]
            for name, described in SETTINGS.items()
            if described.has_effect(values)
            and not (described.added and values[name] == described.default_in(values))
        }

    def parts(self, characters: int) -> TextParts:
        """Return where the training, validation and test parts of a text lie."""
        return text_parts(characters, self.validation, self.test, self.fold)

    def trained_on(self, characters: int) -> int:
        """Return the number of characters to train on; the rest of the text is held out."""
        return size(self.parts(characters).training)

    def updates_per_epoch(self, characters: int) -> int:
        """Return the number of whole batches of windows in the training text."""
        return windows(self.parts(characters).training, self.seq_length) // self.batch

    def updates_per_look(self, characters: int) -> int:
        """Return the number of updates between two validation losses, by default an epoch."""
        return self.validate_every or self.updates_per_epoch(characters)

    def length(self, characters: int) -> int:
        """Return the number of updates of the whole run, on a text of this many characters."""
        if self.updates is not None:
            return self.updates
        return (self.epochs or 0) * self.updates_per_epoch(characters)

    @property
    def replicate(self) -> tuple[int, ...]:
        """What the streams of random numbers depend on, besides the seed: the fold, unless it is 0.

        Seeds are nested in folds, so that the means of folds are independent.
        """
        return (self.fold,) if self.fold else ()

    @property
    def configuration(self) -> RunConfig:
        """What the runs of a configuration share: all settings but the seed and the fold."""
        return replace(self, seed=0, fold=0)

    @property
    def characters_in_loss(self) -> int:
        """The number of characters whose losses the loss of a window adds up."""
        return self.seq_length if self.loss == "sum" else 1

    def same_but_length(self, other: RunConfig) -> bool:
        """Return whether one run is the other's beginning: a schedule depends on where it ends."""
        return self == other if self.schedule != "constant" else self.same_apart_from_length(other)

    def same_apart_from_length(self, other: RunConfig) -> bool:
        """Return whether the two differ in their length at most."""
        return replace(self, epochs=None, updates=0) == replace(other, epochs=None, updates=0)


SETTINGS: dict[str, Setting] = {item.name: item.metadata[""] for item in fields(RunConfig)}


def check_names(names: Iterable[object]) -> None:
    """Raise ConfigError for a name that no setting has."""
    for name in names:
        if name not in SETTINGS:
            hint = nearest(name, SETTINGS) or "; nbrnn train --help lists them as options"
            raise ConfigError(f"no such setting: {shortened(name)}{hint}")


def option_name(field_name: str) -> str:
    """Return the command-line option of a setting."""
    return "--" + field_name.replace("_", "-")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, ASCII only, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
