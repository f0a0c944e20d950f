"""How is the model of a run written for other programs: NumPy, MATLAB, torch, ONNX?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nbrnn.config import option_name
from nbrnn.corpus import code_points
from nbrnn.errors import ConfigError
from nbrnn.exchange.array_files import write_mat, write_npz
from nbrnn.exchange.names import Orientation
from nbrnn.exchange.onnx_graph import write_onnx
from nbrnn.storage.atomic_files import write_atomically
from nbrnn.storage.checkpoint import Checkpoint, initial_state
from nbrnn.storage.checksummed_arrays import write_safetensors
from nbrnn.typing import Array


def export(model: Checkpoint, path: Path, layout: Orientation | None = None) -> None:
    """Write a model in the format that the file's name ends in.

    `layout` is for .npz and .mat: `column`, the default, has column vectors and the equations' shapes,
    `row` the transpose of everything. Raises ConfigError, WriteError.
    """
    suffix = path.suffix.lower()
    if suffix in BY_COURSE:
        BY_COURSE[suffix](path, course_arrays(model, layout or "column"))
    elif suffix not in BY_TOOL:
        raise ConfigError(f"{path}: give a file that ends in {', '.join((*BY_COURSE, *BY_TOOL))}")
    elif layout is not None:
        raise ConfigError(f"{option_name('layout')} has no effect on {suffix}: leave it out")
    else:
        BY_TOOL[suffix](path, model)


def course_arrays(model: Checkpoint, layout: Orientation) -> dict[str, Array]:
    """Return W, U, V, b, c, where to go on from, h0 and x0 (one-hot), and the alphabet's code points.

    In column layout W (m,m), U (m,K), V (K,m), b and h0 (m,1), c and x0 (K,1); in row layout their
    transposes. alphabet (1,K) is a row in both, as MATLAB's texts are.
    """
    h0, first = start_of(model)
    x0 = np.array([[character == first] for character in model.alphabet], h0.dtype)
    columns = {**model.theta, "h0": h0, "x0": x0}
    arrays = {
        name: array if array.ndim == 2 else array[:, np.newaxis] for name, array in columns.items()
    }
    if layout == "row":
        arrays = {name: array.T for name, array in arrays.items()}
    return {**arrays, "alphabet": code_points(model.alphabet)[np.newaxis]}


def start_of(model: Checkpoint) -> tuple[Array, str]:
    """Return the state (m,) and the character that the model goes on from, as `sample` does."""
    if model.h_prev is None:
        return initial_state(model, "zero"), model.first_character
    return initial_state(model, "kept"), model.next_character or model.first_character


def metadata_of(model: Checkpoint) -> dict[str, str]:
    """Return as texts what belongs to the weights: alphabet, h0 as a JSON list, x0 as a character."""
    h0, first = start_of(model)
    return {"alphabet": model.alphabet, "h0": json.dumps(h0.tolist()), "x0": first}


def torch_arrays(model: Checkpoint) -> dict[str, Array]:
    """Return the state_dict of a module with rnn = nn.RNN(K, m) and linear = nn.Linear(m, K)."""
    theta = model.theta
    return {
        "rnn.weight_ih_l0": theta["U"],
        "rnn.weight_hh_l0": theta["W"],
        "rnn.bias_ih_l0": theta["b"],
        "rnn.bias_hh_l0": np.zeros_like(theta["b"]),  # torch has two, whose sum counts
        "linear.weight": theta["V"],
        "linear.bias": theta["c"],
    }


def for_torch(path: Path, model: Checkpoint) -> None:
    """Write what torch loads with safetensors. Raises WriteError."""
    arrays, metadata = torch_arrays(model), metadata_of(model)
    write_atomically(path, lambda file: write_safetensors(file, arrays, metadata))


def for_onnx(path: Path, model: Checkpoint) -> None:
    """Write an ONNX graph. Raises ConfigError without the package, WriteError."""
    write_onnx(path, model.theta, metadata_of(model))


BY_COURSE = {".npz": write_npz, ".mat": write_mat}
BY_TOOL: dict[str, Callable[[Path, Checkpoint], None]] = {".safetensors": for_torch, ".onnx": for_onnx}
