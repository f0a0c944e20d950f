"""A checkpoint: one moment of a run, with checks of what a file says of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from nbrnn.config import SCHEMA, RunConfig, canonical_json
from nbrnn.errors import ConfigError, StoreError
from nbrnn.network.layout import Layout
from nbrnn.storage.checksummed_arrays import ArrayTypes, read_arrays
from nbrnn.storage.safe_files import DECODING_ERRORS, RESTORE
from nbrnn.storage.schemas import Count
from nbrnn.typing import Array

Kind = Literal["last", "best"]
State = Literal["kept", "zero"]  # that a model is started from

FORMAT = f"nbrnn {SCHEMA}"
BEFORE_END = "best"  # the prefix of the arrays in `best_before_end`


class HeldOutLosses(Struct, frozen=True, kw_only=True):
    """The evaluations on held-out text so far, in nats per character."""

    best: float | None = None
    last: float | None = None
    update: Count = 0  # of the last evaluation
    since_best: Count = 0  # evaluations that were no better

    @property
    def best_or_infinite(self) -> float:
        """The lowest loss so far."""
        return math.inf if self.best is None else self.best

    def with_loss(self, loss: float, update: int) -> HeldOutLosses:
        """Return the same with one more evaluation."""
        if loss < self.best_or_infinite:
            return HeldOutLosses(best=loss, last=loss, update=update)
        since = self.since_best + 1
        return HeldOutLosses(best=self.best, last=loss, update=update, since_best=since)


class TrainingState(Struct, frozen=True, kw_only=True):
    """What a run needs to resume, besides its arrays."""

    best_smooth_loss: float | None
    best_update: Count
    epoch_loss_sum: float  # of the current epoch
    epoch_mean_loss: list[float]
    rng: Mapping[str, Any]  # the state of the samples' PCG64
    metrics_sha256: str | None = None  # of metrics.csv up to this moment; the first version has none
    samples_sha256: str | None = None
    validation_sha256: str | None = None  # where text is held out
    validation: HeldOutLosses | None = None

    def matches(self, hashes: Mapping[str, str]) -> bool:
        """Return whether logs with these hashes are its own; the first version kept no hashes."""
        own = {name: getattr(self, name) for name in HASHES}
        known = {name: sha256 for name, sha256 in own.items() if sha256 is not None}
        return known in ({}, hashes)


HASHES = tuple(name for name in TrainingState.__struct_fields__ if name.endswith("_sha256"))
TEXTS = ("corpus_sha256", "alphabet", "first_character", "next_character", "separator")
PLAIN_TEXTS = ("format", *TEXTS, *HASHES)  # in metadata, not JSON


@dataclass
class Checkpoint:
    """One moment of a run. Arrays are shaped as in the equations; NaN and infinity are refused.

    states are those that the model was in, (m,), for B > 1 (B, m), and next_character is the one that it
    would have read next; the first version kept neither with a best model. A `last` checkpoint has all
    that a run needs to resume: the `memory` of the optimizer, by buffer and parameter, the `state`, and,
    where the model at the end of a run is the best one, `best_before_end`: a longer run needs that.
    Where it learns from documents, `separator` stands between them, and h = 0 before it is read.
    """

    config: RunConfig
    corpus_sha256: str
    alphabet: str
    first_character: str
    update: int
    epoch: int
    position: int
    smooth_loss: float | None
    theta: dict[str, Array]
    next_character: str | None = None
    memory: dict[str, dict[str, Array]] = field(default_factory=dict)
    states: dict[str, Array] = field(default_factory=dict)
    state: TrainingState | None = None
    best_before_end: dict[str, Array] = field(default_factory=dict)
    separator: str | None = None

    @property
    def end(self) -> int | None:
        """The code of the separator of the documents that it was trained on, if they were."""
        return None if self.separator is None else self.alphabet.index(self.separator)

    @property
    def layout(self) -> Layout:
        """The layout of its parameters in a kernel's buffer."""
        return layout_of(self.config, len(self.alphabet))

    @property
    def h_prev(self) -> Array | None:
        """The state h of the first layer, if it was kept."""
        return next(iter(self.states.values()), None)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays under their names in the file."""
        arrays = dict(self.theta)
        for group, members in sorted({**self.memory, BEFORE_END: self.best_before_end}.items()):
            arrays.update({f"{group}.{name}": array for name, array in members.items()})
        return arrays | self.states

    def metadata(self) -> dict[str, str]:
        """Return everything else as texts, mostly JSON."""
        numbers = ("update", "epoch", "position", "smooth_loss")
        values = {
            "format": FORMAT,
            "config": self.config.to_dict(),
            **{name: getattr(self, name) for name in (*TEXTS, *numbers)},
            **(msgspec.to_builtins(self.state) if self.state else {}),
        }
        return {
            name: value if name in PLAIN_TEXTS else canonical_json(value)
            for name, value in values.items()
            if value is not None or name not in PLAIN_TEXTS
        }


def layout_of(config: RunConfig, K: int) -> Layout:
    """Return the layout of the network with these settings for K characters."""
    return Layout(config.hidden, K, np.dtype(config.dtype), config.cell, config.layers)


class Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The metadata of a checkpoint, without the state."""

    format: str
    corpus_sha256: str
    alphabet: str
    first_character: str
    next_character: str | None = None
    separator: str | None = None
    config: dict[str, Any]
    update: Count
    epoch: Count
    position: Count
    smooth_loss: float | None


def decode_metadata(metadata: Mapping[str, str], kind: Kind) -> tuple[Metadata, TrainingState | None]:
    """Return metadata as typed values. Raises what is in DECODING_ERRORS."""
    values = {
        name: text if name in PLAIN_TEXTS else msgspec.json.decode(text)
        for name, text in metadata.items()
    }
    state = None
    if kind == "last":
        fields = set(TrainingState.__struct_fields__) & set(values)
        state = msgspec.convert({name: values.pop(name) for name in fields}, TrainingState)
        np.random.Generator(np.random.PCG64()).bit_generator.state = state.rng  # refuses what is none
    return msgspec.convert(values, Metadata), state


def expected_arrays(metadata: Mapping[str, str], names: Iterable[str], kind: Kind) -> ArrayTypes:
    """Return the arrays that a checkpoint must hold by its own settings.

    The names of the arrays say which buffers the optimizer's memory has, and which others are there.
    """
    names = set(names)
    config = RunConfig.from_dict(msgspec.json.decode(metadata["config"]))
    dtype = "F" + config.dtype.removeprefix("float")
    layout = layout_of(config, len(metadata["alphabet"]))
    windows = () if config.batch == 1 else (config.batch,)
    states = dict.fromkeys(layout.state_names, (*windows, config.hidden))
    expected = dict(layout.shapes)
    for group in groups_of(names, layout) if kind == "last" else ():
        kept = any(f"{group}.{name}" in names for name in states)
        members = layout.shapes | (states if kept else {})
        expected |= {f"{group}.{name}": shape for name, shape in members.items()}
    if kind == "last" or not names.isdisjoint(states):
        expected |= states
    return {name: (dtype, shape) for name, shape in expected.items()}


def groups_of(names: Iterable[str], layout: Layout) -> list[str]:
    """Return the groups of arrays that are called GROUP.PARAMETER."""
    first = next(iter(layout.shapes))
    return sorted(name.removesuffix(f".{first}") for name in names if name.endswith(f".{first}"))


def read_checkpoint(path: Path, kind: Kind) -> Checkpoint:
    """Return the checkpoint in a file. Raises StoreError if anything about it is wrong."""
    arrays, metadata = read_arrays(path, lambda metadata, names: expected_arrays(metadata, names, kind))
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StoreError(f"{path} has NaN or infinite numbers")
    if metadata.get("format") != FORMAT:
        raise StoreError(f"{path} was written by a newer version of nbrnn: use that one")
    try:
        values, state = decode_metadata(metadata, kind)
        check_characters(
            values.alphabet, values.first_character, values.next_character, values.separator
        )
        config = RunConfig.from_dict(values.config)
    except (ConfigError, *DECODING_ERRORS):
        raise StoreError(f"{path} is damaged, or not a file of nbrnn: {RESTORE}") from None
    layout = layout_of(config, len(values.alphabet))
    groups = {
        group: {
            name.removeprefix(f"{group}."): arrays[name]
            for name in arrays
            if name.startswith(f"{group}.")
        }
        for group in groups_of(arrays, layout)
    }
    best_before_end = groups.pop(BEFORE_END, {})
    fields = msgspec.structs.asdict(values)
    del fields["format"], fields["config"]
    return Checkpoint(
        **fields,
        config=config,
        theta={name: arrays[name] for name in layout.shapes},
        memory=groups,
        states={name: arrays[name] for name in layout.state_names if name in arrays},
        state=state,
        best_before_end=best_before_end,
    )


def check_characters(alphabet: str, *characters: str | None) -> None:
    """Raise ValueError unless an alphabet is sorted and distinct, and contains these characters."""
    is_sorted = alphabet == "".join(sorted(set(alphabet)))
    if not (is_sorted and all(c is None or (len(c) == 1 and c in alphabet) for c in characters)):
        raise ValueError


def initial_state(model: Checkpoint, state: State) -> Array:
    """Return the states (layers, states of a cell, 1, m) to start a model from.

    For B > 1 those of the first window. Raises StoreError if none is stored with the model.
    """
    layout = model.layout
    if state == "zero":
        return np.zeros((layout.layers, len(layout.kind.states), 1, layout.m), layout.dtype)
    if not model.states:
        raise StoreError("no state was stored with this model: --state zero starts it from h = 0")
    return layout.pack_states(model.states)[:, :, :1]
