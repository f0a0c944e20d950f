"""What is one moment of a run, and is what a file says of one right?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nbrnn.config import SCHEMA, RunConfig, canonical_json
from nbrnn.errors import ConfigError, StoreError
from nbrnn.network.params import NAMES, Array, shapes
from nbrnn.runs.files import NONSENSE, ArrayTypes, read_sealed

Kind = Literal["last", "best"]


@dataclass
class Checkpoint:
    """One moment of a run. Arrays are shaped as in the equations; NaN and infinity are refused.

    `last` checkpoints have everything a run needs to go on; `best` ones have no `adagrad`,
    `h_prev` and `progress`.
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
    adagrad: dict[str, Array] = field(default_factory=dict)
    h_prev: Array | None = None
    progress: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays under their names in the file."""
        arrays = dict(self.theta)
        arrays.update({f"adagrad.{name}": array for name, array in self.adagrad.items()})
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
            **self.progress,
        }
        return {
            "format": FORMAT,
            "corpus_sha256": self.corpus_sha256,
            "alphabet": self.alphabet,
            "first_character": self.first_character,
            **{name: canonical_json(value) for name, value in values.items()},
        }


FORMAT = f"nbrnn {SCHEMA}"
TEXTS = ("corpus_sha256", "alphabet", "first_character")
# What `progress` holds: the best smooth loss so far and its update, the sum of the losses in the
# current epoch, the mean loss of each epoch done, and the state of the generator of samples.
PROGRESS = ("best_smooth_loss", "best_update", "epoch_loss_sum", "epoch_mean_loss", "rng")


def expected_arrays(metadata: Mapping[str, str], kind: Kind) -> ArrayTypes:
    """Return the arrays that a checkpoint must hold by its own settings."""
    config = RunConfig.from_dict(json.loads(metadata["config"]))
    dtype = "F" + config.dtype.removeprefix("float")
    theta = shapes(config.hidden, len(metadata["alphabet"]))
    expected = dict(theta)
    if kind == "last":
        expected |= {f"adagrad.{name}": shape for name, shape in theta.items()}
        expected["h_prev"] = (config.hidden,)
    return {name: (dtype, shape) for name, shape in expected.items()}


def read_checkpoint(path: Path, kind: Kind) -> Checkpoint:
    """Return the checkpoint in a file. Raises StoreError if anything about it is not right."""
    arrays, metadata = read_sealed(path, lambda metadata: expected_arrays(metadata, kind))
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StoreError(f"{path} holds numbers that are not finite")
    try:
        if metadata.pop("format") != FORMAT:
            raise StoreError(f"{path} was written by another version of nbrnn")
        sha256, alphabet, first = (metadata.pop(name) for name in TEXTS)
        values = {name: json.loads(text) for name, text in metadata.items()}
        checkpoint = Checkpoint(
            config=RunConfig.from_dict(values.pop("config")),
            theta={name: arrays[name] for name in NAMES},
            adagrad={name: arrays[f"adagrad.{name}"] for name in NAMES} if kind == "last" else {},
            h_prev=arrays.get("h_prev"),
            progress={name: values.pop(name) for name in PROGRESS} if kind == "last" else {},
            corpus_sha256=sha256,
            alphabet=alphabet,
            first_character=first,
            **values,
        )
        check_metadata(checkpoint)
        return checkpoint
    except (ConfigError, *NONSENSE):
        raise StoreError(f"{path} is damaged or not a file of nbrnn") from None


def check_metadata(checkpoint: Checkpoint) -> None:
    """Raise ValueError or TypeError unless everything beside the arrays is what it should be."""
    whole = [checkpoint.update, checkpoint.epoch, checkpoint.position]
    losses = [checkpoint.smooth_loss]
    if checkpoint.progress:
        best, best_update, loss_sum, means, rng = (checkpoint.progress[name] for name in PROGRESS)
        whole.append(best_update)
        losses += [best, loss_sum, *means]
        np.random.PCG64().state = rng
    alphabet = checkpoint.alphabet
    if not (
        all(type(number) is int and number >= 0 for number in whole)
        and all(loss is None or type(loss) is float for loss in losses)
        and alphabet == "".join(sorted(set(alphabet)))
        and len(checkpoint.first_character) == 1
        and checkpoint.first_character in alphabet
    ):
        raise ValueError
