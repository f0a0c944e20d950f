"""What is an experiment called?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from nbrnn.config import RunConfig

FIELDS = {item.name: item for item in fields(RunConfig)}


def varying(configs: Iterable[RunConfig]) -> list[str]:
    """Return the settings, other than the seed, in which experiments differ."""
    configs = list(configs)
    return [name for name in FIELDS if name != "seed" and len({getattr(c, name) for c in configs}) > 1]


def namer(configs: Iterable[RunConfig]) -> Callable[..., str]:
    """Return what gives each of these experiments a name: the settings in which they differ."""
    configs = list(configs)
    names = varying(configs)
    texts = {name: short_texts({getattr(c, name) for c in configs}) for name in names}

    def name_of(config: RunConfig, with_seed: bool = False) -> str:
        values = ((name, getattr(config, name)) for name in names)
        parts = [f"{name} {texts[name][value]}" for name, value in values if value is not None]
        return ", ".join([*parts, f"seed {config.seed}"] if with_seed else parts)

    return name_of


def short_texts(values: Iterable[Any]) -> dict[Any, str]:
    """Return a text for each value, with as few digits as tell them apart, but at least three."""
    values = set(values)
    for digits in range(3, 18):
        texts = {v: f"{v:.{digits}g}" if isinstance(v, float) else str(v) for v in values}
        if len(set(texts.values())) == len(values):
            break
    return texts
