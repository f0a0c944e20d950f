"""What is one moment of a run, and is what a file says of one right?"""

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
from nbrnn.network.layout import NAMES, Layout, shapes
from nbrnn.storage.atomic_files import NONSENSE
from nbrnn.storage.checksummed_arrays import ArrayTypes, read_sealed
from nbrnn.storage.schemas import Count
from nbrnn.typing import Array

Kind = Literal["last", "best"]
State = Literal["kept", "zero"]  # that a model is started from

FORMAT = f"nbrnn {SCHEMA}"
LOOKED = "best"  # begins the names of the arrays in `looked`


class HeldOut(Struct, frozen=True, kw_only=True):
    """What the looks at the held-out loss have shown, in nats per character."""

    best: float | None = None
    last: float | None = None
    update: Count = 0  # of the last look
    since_best: Count = 0  # looks that were no better

    @property
    def best_or_infinite(self) -> float:
        """The lowest loss so far."""
        return math.inf if self.best is None else self.best

    def after(self, loss: float, update: int) -> HeldOut:
        """Return what another look adds."""
        if loss < self.best_or_infinite:
            return HeldOut(best=loss, last=loss, update=update)
        since = self.since_best + 1
        return HeldOut(best=self.best, last=loss, update=update, since_best=since)


class TrainingState(Struct, frozen=True, kw_only=True):
    """What a run needs to go on, besides its arrays."""

    best_smooth_loss: float | None
    best_update: Count
    epoch_loss_sum: float  # of the epoch that was begun
    epoch_mean_loss: list[float]
    rng: Mapping[str, Any]  # the state of the samples' PCG64
    metrics_sha256: str | None = None  # of metrics.csv up to this moment; the first version has none
    samples_sha256: str | None = None
    validation_sha256: str | None = None  # where text is held out
    validation: HeldOut | None = None

    def ends(self, hashes: Mapping[str, str]) -> bool:
        """Whether the files that grow, with these hashes, are those that it ends, as far as it knows."""
        own = {name: getattr(self, name) for name in HASHES}
        known = {name: sha256 for name, sha256 in own.items() if sha256 is not None}
        return known in ({}, hashes)


HASHES = tuple(name for name in TrainingState.__struct_fields__ if name.endswith("_sha256"))
# Metadata that are no JSON.
TEXTS = ("format", "corpus_sha256", "alphabet", "first_character", "next_character", *HASHES)


@dataclass
class Checkpoint:
    """One moment of a run. Arrays are shaped as in the equations; NaN and infinity are refused.

    h_prev (m,), of B > 1 windows (B, m), is the state that the model was in, and next_character the one
    that it would have read next; the first version keeps neither of a best model. `last` checkpoints
    have everything a run needs to go on: the `memory` of the optimizer, by buffer and parameter, the
    `state`, and, where the end of a run has a better model than all looks before it, the best of these
    as `looked`.
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
    h_prev: Array | None = None
    state: TrainingState | None = None
    looked: dict[str, Array] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """How its parameters lie in a kernel's buffer."""
        return Layout(self.config.hidden, len(self.alphabet), np.dtype(self.config.dtype))

    def arrays(self) -> dict[str, Array]:
        """Return all arrays under their names in the file."""
        arrays = dict(self.theta)
        for group, of_group in sorted({**self.memory, LOOKED: self.looked}.items()):
            arrays.update({f"{group}.{name}": array for name, array in of_group.items()})
        if self.h_prev is not None:
            arrays["h_prev"] = self.h_prev
        return arrays

    def metadata(self) -> dict[str, str]:
        """Return everything else: texts as they are, the rest as JSON."""
        values = {
            "config": self.config.to_dict(),
            "update": self.update,
            "epoch": self.epoch,
            "position": self.position,
            "smooth_loss": self.smooth_loss,
            **(msgspec.to_builtins(self.state) if self.state else {}),
        }
        texts = {
            "format": FORMAT,
            "corpus_sha256": self.corpus_sha256,
            "alphabet": self.alphabet,
            "first_character": self.first_character,
            "next_character": self.next_character,
            **{name: values.pop(name, None) for name in HASHES},
        }
        return {
            **{name: text for name, text in texts.items() if text is not None},
            **{name: canonical_json(value) for name, value in values.items()},
        }


class Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The metadata of a checkpoint, but for the state."""

    format: str
    corpus_sha256: str
    alphabet: str
    first_character: str
    next_character: str | None = None
    config: dict[str, Any]
    update: Count
    epoch: Count
    position: Count
    smooth_loss: float | None


def decode_metadata(metadata: Mapping[str, str], kind: Kind) -> tuple[Metadata, TrainingState | None]:
    """Return metadata as typed values. Raises what is in NONSENSE."""
    values = {
        name: text if name in TEXTS else msgspec.json.decode(text) for name, text in metadata.items()
    }
    state = None
    if kind == "last":
        fields = set(TrainingState.__struct_fields__) & set(values)
        of_state = {name: values.pop(name) for name in fields}
        state = msgspec.convert(of_state, TrainingState)
        np.random.Generator(np.random.PCG64()).bit_generator.state = state.rng  # refuses what is none
    return msgspec.convert(values, Metadata), state


def expected_arrays(metadata: Mapping[str, str], names: Iterable[str], kind: Kind) -> ArrayTypes:
    """Return the arrays that a checkpoint must hold by its own settings.

    Which buffers the optimizer's memory has, and what is optional, is told by the names of the arrays.
    """
    names = list(names)
    config = RunConfig.from_dict(msgspec.json.decode(metadata["config"]))
    dtype = "F" + config.dtype.removeprefix("float")
    theta = shapes(config.hidden, len(metadata["alphabet"]))
    of_each = () if config.batch == 1 else (config.batch,)
    state, expected = {"h_prev": (*of_each, config.hidden)}, dict(theta)
    for group in groups_of(names) if kind == "last" else ():
        of_group = {**theta, **(state if f"{group}.h_prev" in names else {})}
        expected |= {f"{group}.{name}": shape for name, shape in of_group.items()}
    if kind == "last" or "h_prev" in names:
        expected |= state
    return {name: (dtype, shape) for name, shape in expected.items()}


def groups_of(names: Iterable[str]) -> list[str]:
    """Return the groups of arrays that are called GROUP.PARAMETER."""
    return sorted({name.rpartition(".")[0] for name in names if "." in name})


def read_checkpoint(path: Path, kind: Kind) -> Checkpoint:
    """Return the checkpoint in a file. Raises StoreError if anything about it is not right."""
    arrays, metadata = read_sealed(path, lambda metadata, names: expected_arrays(metadata, names, kind))
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StoreError(f"{path} holds numbers that are not finite")
    if metadata.get("format") != FORMAT:
        raise StoreError(f"{path} was written by another version of nbrnn")
    try:
        found, state = decode_metadata(metadata, kind)
        check_characters(found.alphabet, found.first_character, found.next_character)
        config = RunConfig.from_dict(found.config)
    except (ConfigError, *NONSENSE):
        raise StoreError(f"{path} is damaged or not a file of nbrnn") from None
    groups = {
        group: {name.rpartition(".")[2]: arrays[name] for name in arrays if name.startswith(f"{group}.")}
        for group in groups_of(arrays)
    }
    looked = groups.pop(LOOKED, {})
    return Checkpoint(
        config=config,
        corpus_sha256=found.corpus_sha256,
        alphabet=found.alphabet,
        first_character=found.first_character,
        update=found.update,
        epoch=found.epoch,
        position=found.position,
        smooth_loss=found.smooth_loss,
        theta={name: arrays[name] for name in NAMES},
        next_character=found.next_character,
        memory=groups,
        h_prev=arrays.get("h_prev"),
        state=state,
        looked=looked,
    )


def check_characters(alphabet: str, *characters: str | None) -> None:
    """Raise ValueError unless an alphabet is sorted and distinct, and has each character there is."""
    sound = alphabet == "".join(sorted(set(alphabet)))
    if not (sound and all(c is None or (len(c) == 1 and c in alphabet) for c in characters)):
        raise ValueError


def initial_state(model: Checkpoint, state: State) -> Array:
    """Return the state (m,) to start a model from: of several the first window's.

    Raises StoreError if none was kept with it.
    """
    if state == "zero":
        return np.zeros_like(model.theta["b"])
    if model.h_prev is None:
        raise StoreError("no state was kept with this model: --state zero")
    first: Array = model.h_prev.reshape(-1, model.config.hidden)[0]
    return first
