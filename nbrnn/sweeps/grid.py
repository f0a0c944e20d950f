"""The runs that lists of values describe."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from numbers import Integral
from typing import Any

from nbrnn.config import NONE, SETTINGS, RunConfig, check_names, option_name
from nbrnn.errors import ConfigError
from nbrnn.naming import folder_part, short_hash, short_texts
from nbrnn.values import check_range, shortened

MAX_VALUES = 10_000  # of one setting
MAX_RUNS = 100_000
MAX_NAME = 80  # characters of a sweep's name; a hash replaces the end of a longer one
# Lists that are not given; all other settings have RunConfig's defaults.
DEFAULT_LISTS = {"seed": "0:4", "epochs": "2"}


@dataclass(frozen=True)
class Grid:
    """The product of lists of values, or `draws` configurations drawn from it.

    Each is trained with all seeds on all folds.

    Raises ConfigError for values outside their range or without effect, and for too many runs.
    """

    axes: Mapping[str, Sequence[Any]]  # without seeds and folds
    seeds: Sequence[int]
    draws: int | None = None
    draw_seed: int = 0
    folds: Sequence[int] = (0,)

    def __post_init__(self) -> None:
        if "epochs" in self.axes and "updates" in self.axes:
            raise ConfigError("give either --epochs or --updates, not both")
        for name, values in {**self.axes, "seed": self.seeds, "fold": self.folds}.items():
            for value in values:
                SETTINGS[name].checked(name, value)
        for name, values in self.axes.items():  # a setting without effect in all configurations
            by = SETTINGS[name].by
            others = self.axes.get(by, [SETTINGS[by].default]) if by else []
            if by and not any(SETTINGS[name].has_effect({by: value}) for value in others):
                RunConfig(**{by: others[0], name: values[0]})  # raises
        if self.draws is not None:
            check_range("--random", self.draws, 1, MAX_RUNS, whole=True)
        check_range("--sweep-seed", self.draw_seed, 0, 2**63 - 1, whole=True)
        count = self.size if self.draws is None else min(self.draws, self.size)
        if count * len(self.seeds) * len(self.folds) > MAX_RUNS:
            folds = f" on {len(self.folds)} folds" if len(self.folds) > 1 else ""
            raise ConfigError(
                f"{count:,} configurations with {len(self.seeds)} seeds{folds} are more than "
                f"{MAX_RUNS:,} runs: --random N draws N configurations"
            )

    @property
    def size(self) -> int:
        """The number of configurations in the whole product."""
        return math.prod(len(values) for values in self.axes.values())

    def configurations(self) -> list[dict[str, Any]]:
        """Return the configurations, in the order of the lists; the last one changes fastest.

        Each comes once, without the settings that have no effect in it.
        """
        numbers: Iterable[int] = range(self.size)
        if self.draws is not None and self.draws < self.size:
            rng, drawn = random.Random(self.draw_seed), set[int]()
            kept: dict[tuple[Any, ...], Any] = {}
            while len(kept) < self.draws and len(drawn) < self.size:  # some may be the same
                drawn.add(number := rng.randrange(self.size))
                kept |= distinct([self.configuration(number)])
            numbers = sorted(drawn)
        return list(distinct(map(self.configuration, numbers)).values())

    def configuration(self, number: int) -> dict[str, Any]:
        """Return the configuration with this number in the whole product."""
        configuration = {}
        for name, values in reversed(list(self.axes.items())):
            number, index = divmod(number, len(values))
            configuration[name] = values[index]
        return configuration

    def experiments(self) -> list[RunConfig]:
        """Return one config for each run, all configurations of the first seed and fold first."""
        configurations = self.configurations()
        return [
            RunConfig(**configuration, fold=fold, seed=seed)
            for seed in self.seeds
            for fold in self.folds
            for configuration in configurations
        ]

    def describe(self) -> dict[str, Any]:
        """Return the request as plain values."""
        return {
            "settings": {name: list(values) for name, values in self.axes.items()},
            "seeds": list(self.seeds),
            "random": self.draws,
            "sweep_seed": None if self.draws is None else self.draw_seed,
            **({"folds": list(self.folds)} if list(self.folds) != [0] else {}),
        }

    def name(self, corpus_name: str) -> str:
        """Return a short name of corpus and lists, without seeds and folds: more add to the sweep."""
        parts = [folder_part(corpus_name)]
        for name, values in self.axes.items():
            texts = short_texts(values)
            parts.append(name + "_".join(texts[value] for value in values))
        if self.draws is not None:
            parts.append(f"random{self.draws}_{self.draw_seed}")
        name = "-".join(parts)
        if len(name) <= MAX_NAME:
            return name
        identity = {k: v for k, v in self.describe().items() if k not in ("seeds", "folds")}
        return f"{name[:60]}-{short_hash(identity)}"


def distinct(configurations: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return each configuration once, by its values, without the settings that have no effect in it."""
    defaults = {name: setting.default for name, setting in SETTINGS.items()}
    found = {}
    for configuration in configurations:
        values = defaults | dict(configuration)
        kept = {name: v for name, v in configuration.items() if SETTINGS[name].has_effect(values)}
        found[tuple(kept.items())] = kept
    return found


def grid(lists: Mapping[str, str], draws: int | None = None, draw_seed: int = 0) -> Grid:
    """Return the grid of comma lists, one for each setting that is given. Raises ConfigError."""
    given = {**DEFAULT_LISTS, **lists}
    if "updates" in lists and "epochs" not in lists:
        del given["epochs"]
    axes = {name: parse(name, given[name]) for name in SETTINGS if name in given}
    return Grid(axes, axes.pop("seed"), draws, draw_seed, axes.pop("fold", [0]))


def grid_of(
    settings: Mapping[str, Any], seeds: Iterable[int], draws: int | None = None, draw_seed: int = 0
) -> Grid:
    """Return the grid of one value or several for each setting that is given. Raises ConfigError."""
    if not isinstance(settings, Mapping):
        raise ConfigError(f"settings must be a dictionary (got {shortened(settings)})")
    check_names(settings)
    if "seed" in settings:
        raise ConfigError("seed is not a setting of a sweep: give seeds, for all configurations")
    if isinstance(seeds, Integral):
        raise ConfigError(f"seeds must be a list: range({seeds}) for {seeds} seeds, [{seeds}] for one")
    given = dict(settings)
    if not {"epochs", "updates"} & set(given):
        given["epochs"] = parse("epochs", DEFAULT_LISTS["epochs"])
    axes = {name: values_of(name, given[name]) for name in SETTINGS if name in given}
    return Grid(axes, values_of("seed", seeds), draws, draw_seed, axes.pop("fold", [0]))


def values_of(name: str, values: Any) -> list[Any]:
    """Return the different values of a setting, in order. Raises ConfigError."""
    if isinstance(values, Mapping):
        raise ConfigError(f"{name} takes a value or a list of values, not a dictionary")
    if hasattr(values, "tolist"):  # of NumPy or pandas, whose numbers are not Python's
        values = values.tolist()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        values = [values]
    some = islice(values, MAX_VALUES + 1)
    plain = [value.tolist() if hasattr(value, "tolist") else value for value in some]
    if not plain:
        raise ConfigError(f"{name}: the list is empty")
    if len(plain) > MAX_VALUES:
        raise ConfigError(f"{name} has more than {MAX_VALUES:,} values")
    return list(dict.fromkeys(SETTINGS[name].checked(name, value) for value in plain))


def parse(name: str, text: str) -> list[Any]:
    """Return the different values of a comma list, in order.

    Each part is a value; `log:a:b:n` or `lin:a:b:n`, n values from a to b; or, for whole numbers,
    `a:b`, both included. Raises ConfigError.
    """
    option = "--seeds" if name == "seed" else option_name(name)
    kind = SETTINGS[name].kind
    values: list[Any] = []
    for part in text.split(","):
        if kind is str:
            values.append(part.strip())
            continue
        if SETTINGS[name].is_none(part):
            values.append(NONE)
            continue
        try:
            values += numbers(part.strip(), whole=kind is int)
        except ConfigError as error:
            raise ConfigError(f"{option}: {error}") from None
        except (ValueError, OverflowError):
            if not part.strip():
                raise ConfigError(f"{option} has an empty value") from None
            takes = "whole numbers" if kind is int else "numbers"
            takes += f" or {NONE}" * SETTINGS[name].or_none
            lists = "log:a:b:n, lin:a:b:n" + ", a:b" * (kind is int)
            wrong = f"{takes} with commas between, or {lists} (got {shortened(part)})"
            raise ConfigError(f"{option} must be {wrong}") from None
        if len(values) > MAX_VALUES:
            raise ConfigError(f"{option} has more than {MAX_VALUES:,} values")
    return list(dict.fromkeys(values))


def numbers(part: str, whole: bool) -> list[Any]:
    """Return the numbers that one part of a comma list stands for. Raises ValueError, ConfigError."""
    kind, *ends = part.split(":")
    if kind in ("log", "lin"):
        start, end, number = ends
        low, high, count = float(start), float(end), int(number)
        if not math.isfinite(high - low):
            raise ValueError
        if not 1 <= count <= MAX_VALUES:
            raise ConfigError(
                f"{part} asks for {count:,} values: its last number must be from 1 to {MAX_VALUES:,}"
            )
        if kind == "log" and not min(low, high) > 0:
            raise ConfigError(f"{part} needs numbers above 0")
        import numpy as np  # not for --help

        space = np.geomspace(low, high, count) if kind == "log" else np.linspace(low, high, count)
        return [round(x) if whole else float(f"{x:.12g}") for x in space]  # 0.3, as it would be typed
    if ends and whole:
        (end,) = ends
        first, last = int(kind), int(end)
        if last < first:
            raise ConfigError(f"{part} has no values: write the smaller number first")
        if last >= first + MAX_VALUES:
            raise ConfigError(f"{part} has more than {MAX_VALUES:,} values")
        return list(range(first, last + 1))
    if ends:
        raise ValueError
    return [int(kind) if whole else float(kind)]
