"""Names of runs, sweeps and configurations, for folders, tables and pictures."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nbrnn.config import SCHEMA, SETTINGS, RunConfig, canonical_json, option_name
from nbrnn.errors import ConfigError
from nbrnn.escaping import one_line
from nbrnn.values import shortened

RESULTS = Path("results")  # where runs and sweeps are kept by default
PER_WINDOW, PER_CHARACTER = "nats per window", "nats per character"
REPLICATES = ("seed", "fold")  # the settings in which the runs of a configuration differ
MAX_CORPUS = 40  # characters of the corpus's name in a folder's


def run_id(config: RunConfig, corpus_name: str, corpus_sha256: str) -> str:
    """Return a readable stem and a hash of all that changes the result."""
    identity = {"config": config.identity(), "corpus": corpus_sha256, "schema": SCHEMA}
    length = f"{config.epochs}epochs" if config.updates is None else f"{config.updates}updates"
    default = default_config()
    parts = [
        folder_part(corpus_name),
        config.cell if config.cell != default.cell else "",
        f"L{config.layers}" if config.layers != default.layers else "",
        f"m{config.hidden}",
        f"B{config.batch}" if config.batch != default.batch else "",
        config.optimizer if config.optimizer != default.optimizer else "",
        f"eta{config.eta:g}",
        config.init if config.sigma is None else f"sigma{config.sigma:g}",
        length,
        f"fold{config.fold}" if config.fold else "",
        f"seed{config.seed}",
        short_hash(identity),
    ]
    return "-".join(filter(None, parts))


@cache
def default_config() -> RunConfig:
    """Return the config with all defaults."""
    return RunConfig()


def train_command(config: RunConfig, text: Sequence[str]) -> list[str]:
    """Return the words of the command that trains with these settings, RUN where it names one.

    `text` are the words that name the text.
    """
    words = ["nbrnn", "train", *text]
    values = config.to_dict()
    for name, setting in SETTINGS.items():
        if values[name] != setting.default_in(values):
            words += [option_name(name), "RUN" if setting.pattern else str(values[name])]
    return words


def folder_part(corpus_name: str) -> str:
    """Return the name of a corpus as part of a folder's name."""
    return "".join(c if c.isalnum() else "_" for c in corpus_name)[:MAX_CORPUS]


def short_hash(value: Any) -> str:
    """Return eight hexadecimal digits of the sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:8]


def unit_of(*configs: RunConfig) -> str:
    """Return the unit in which the losses of runs compare; of one run, that of its files."""
    comparable = {(config.loss, config.seq_length) for config in configs}
    return PER_WINDOW if len(comparable) == 1 and configs[0].loss == "sum" else PER_CHARACTER


def title(config: RunConfig, corpus_name: str) -> str:
    """Return the title of the picture of a run."""
    default = default_config()
    parts = [
        config.cell if config.cell != default.cell else "",
        f"{config.layers} layers" if config.layers > 1 else "",
        f"m = {config.hidden}",
        f"T = {config.seq_length}",
        f"B = {config.batch}" if config.batch > 1 else "",
        config.optimizer if config.optimizer != default.optimizer else "",
        f"eta = {config.eta:g}",
        config.init if config.sigma is None else f"sigma = {config.sigma:g}",
        f"seed {config.seed}",
    ]
    return f"{one_line(corpus_name)}: {', '.join(filter(None, parts))}"


def varying(configs: Iterable[RunConfig]) -> list[str]:
    """Return the settings, other than seed and fold, in which runs differ.

    A setting that only follows from another one is left out: the default learning rate of an optimizer.
    """
    all_values = [vars(config) for config in configs]
    return [
        name
        for name, setting in SETTINGS.items()
        if name not in REPLICATES
        and len({values[name] for values in all_values}) > 1
        and any(values[name] != setting.default_in(values) for values in all_values)
    ]


def namer(configs: Iterable[RunConfig]) -> Callable[..., str]:
    """Return a function that names each of these runs by the settings in which they differ."""
    configs = list(configs)
    names = varying(configs)
    texts = {name: short_texts({getattr(c, name) for c in configs}) for name in names}

    def name_of(config: RunConfig, with_seed: bool = False) -> str:
        values = ((name, getattr(config, name)) for name in names)
        parts = [f"{name} {texts[name][value]}" for name, value in values if value is not None]
        return ", ".join([*parts, replicate_name(config)] if with_seed else parts)

    return name_of


def replicate_name(config: RunConfig) -> str:
    """Return which run of its configuration this is."""
    return f"seed {config.seed}" + (f", fold {config.fold}" if config.fold else "")


def configuration_names(configs: Sequence[RunConfig], corpora: Sequence[tuple[str, str]]) -> list[str]:
    """Return the name of each run's configuration: the settings, and the text, in which they differ.

    corpora: the name and the sha256 of the text of each run.
    """
    name_of = namer(configs)
    name_of_text = {sha256: name for name, sha256 in reversed(corpora)}  # a text may have several
    texts_of_name = Counter(name_of_text.values())
    names = []
    for config, (_, sha256) in zip(configs, corpora, strict=True):
        parts, text = [name_of(config)], name_of_text[sha256]
        if len(name_of_text) > 1:
            parts.insert(0, f"{text} {sha256[:6]}" if texts_of_name[text] > 1 else text)
        start = f"init {config.init}" if config.sigma is None else f"sigma {config.sigma:g}"
        alone = f"hidden {config.hidden}, eta {config.eta:g}, {start}"
        names.append(", ".join(filter(None, parts)) or alone)
    return names


def short_texts(values: Iterable[Any]) -> dict[Any, str]:
    """Return a text for each value, with the fewest digits, at least three, that keep them distinct."""
    values = set(values)
    for digits in range(3, 18):
        texts = {v: f"{v:.{digits}g}" if isinstance(v, float) else str(v) for v in values}
        if len(set(texts.values())) == len(values):
            break
    return texts


def span(lengths: Collection[int]) -> str:
    """Return the shortest and the longest of these numbers of updates, or the one that there is."""
    return "-".join(f"{length:,}" for length in sorted({min(lengths), max(lengths)}))


def folder_path(folder: Path | str) -> Path:
    """Return the path that a user gives. Raises ConfigError if it is none."""
    if not isinstance(folder, str | os.PathLike) or "\0" in str(folder):
        raise ConfigError(f"a folder must be a path (got {shortened(folder)})")
    return Path(folder)
