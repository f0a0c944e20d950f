"""What is one moment of a run, and is what a file says of one right?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from nbrnn.config import SCHEMA, RunConfig, canonical_json
from nbrnn.errors import ConfigError, StoreError
from nbrnn.network.params import NAMES, Array, shapes
from nbrnn.runs.files import NONSENSE
from nbrnn.runs.records import Count
from nbrnn.runs.sealed import ArrayTypes, read_sealed

Kind = Literal["last", "best"]

FORMAT = f"nbrnn {SCHEMA}"
TEXTS = ("format", "corpus_sha256", "alphabet", "first_character")  # metadata that are no JSON


class TrainingState(Struct, frozen=True, kw_only=True):
    """What a run needs to go on, besides its arrays."""

    best_smooth_loss: float | None
    best_update: Count
    epoch_loss_sum: float  # of the epoch that was begun
    epoch_mean_loss: list[float]
    rng: Mapping[str, Any]  # the state of the samples' PCG64


@dataclass
class Checkpoint:
    """One moment of a run. Arrays are shaped as in the equations; NaN and infinity are refused.

    `last` checkpoints have everything a run needs to go on; `best` ones have no `memory` (of the
    optimizer, by buffer and parameter), `h_prev` and `state`.
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
    memory: dict[str, dict[str, Array]] = field(default_factory=dict)
    h_prev: Array | None = None
    state: TrainingState | None = None

    def arrays(self) -> dict[str, Array]:
        """Return all arrays under their names in the file."""
        arrays = dict(self.theta)
        for buffer, of_buffer in self.memory.items():
            arrays.update({f"{buffer}.{name}": array for name, array in of_buffer.items()})
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
            **(msgspec.structs.asdict(self.state) if self.state else {}),
        }
        return {
            "format": FORMAT,
            "corpus_sha256": self.corpus_sha256,
            "alphabet": self.alphabet,
            "first_character": self.first_character,
            **{name: canonical_json(value) for name, value in values.items()},
        }


class Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The metadata of a checkpoint, but for the state."""

    format: str
    corpus_sha256: str
    alphabet: str
    first_character: str
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
        of_state = {name: values.pop(name) for name in TrainingState.__struct_fields__}
        state = msgspec.convert(of_state, TrainingState)
        np.random.Generator(np.random.PCG64()).bit_generator.state = state.rng  # refuses what is none
    return msgspec.convert(values, Metadata), state


def expected_arrays(metadata: Mapping[str, str], names: Iterable[str], kind: Kind) -> ArrayTypes:
    """Return the arrays that a checkpoint must hold by its own settings.

    Which buffers the optimizer's memory has is told by the names of the arrays.
    """
    config = RunConfig.from_dict(msgspec.json.decode(metadata["config"]))
    dtype = "F" + config.dtype.removeprefix("float")
    theta = shapes(config.hidden, len(metadata["alphabet"]))
    expected = dict(theta)
    if kind == "last":
        for buffer in buffers_of(names):
            expected |= {f"{buffer}.{name}": shape for name, shape in theta.items()}
        expected["h_prev"] = (config.hidden,)
    return {name: (dtype, shape) for name, shape in expected.items()}


def buffers_of(names: Iterable[str]) -> list[str]:
    """Return the buffers of the optimizer's memory, whose arrays are called BUFFER.PARAMETER."""
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
        check_characters(found.alphabet, found.first_character)
        config = RunConfig.from_dict(found.config)
    except (ConfigError, *NONSENSE):
        raise StoreError(f"{path} is damaged or not a file of nbrnn") from None
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
        memory={
            buffer: {name: arrays[f"{buffer}.{name}"] for name in NAMES} for buffer in buffers_of(arrays)
        },
        h_prev=arrays.get("h_prev"),
        state=state,
    )


def check_characters(alphabet: str, first_character: str) -> None:
    """Raise ValueError unless an alphabet is sorted and distinct, and the character one of its."""
    sound = alphabet == "".join(sorted(set(alphabet)))
    if not (sound and len(first_character) == 1 and first_character in alphabet):
        raise ValueError
