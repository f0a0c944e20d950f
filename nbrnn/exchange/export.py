"""The model of a run for other programs: NumPy, MATLAB, torch, ONNX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nbrnn.config import option_name
from nbrnn.corpus import code_points
from nbrnn.errors import ConfigError
from nbrnn.exchange.array_files import write_mat, write_npz
from nbrnn.exchange.model_card import model_card
from nbrnn.exchange.names import Orientation
from nbrnn.exchange.onnx_graph import write_onnx
from nbrnn.storage.atomic_files import write_atomically
from nbrnn.storage.checkpoint import Checkpoint, initial_state
from nbrnn.storage.checksummed_arrays import write_safetensors
from nbrnn.storage.model_file import write_model_file
from nbrnn.storage.run_folder import RUN_FILES, RunFolder
from nbrnn.typing import Array

WRITERS = {".npz": write_npz, ".mat": write_mat}
SUFFIXES = (*WRITERS, ".safetensors", ".onnx")


def export(model: Checkpoint, path: Path, layout: Orientation | None = None) -> None:
    """Write a model in the format that the file's suffix names.

    `layout` is for .npz and .mat: `column`, the default, has column vectors and the equations' shapes,
    `row` the transpose of everything. Raises ConfigError, WriteError.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{path}: give a file that ends in {', '.join(SUFFIXES)}")
    config = model.config
    if (config.cell, config.layers) != ("vanilla", 1):
        raise ConfigError(
            f"only a vanilla network with one layer can be exported (this is --cell {config.cell} "
            f"--layers {config.layers})"
        )
    if path.name in RUN_FILES and RunFolder(path.parent).is_run():
        raise ConfigError(f"{path} is a file of a run: give another name")
    if suffix in WRITERS:
        WRITERS[suffix](path, course_arrays(model, layout or "column"))
        return
    if layout is not None:
        raise ConfigError(f"{option_name('layout')} has no effect on {suffix}: leave it out")
    h0, x0 = state_to_continue_from(model)
    metadata = {"alphabet": model.alphabet, "h0": json.dumps(h0.tolist()), "x0": x0}
    if suffix == ".onnx":
        write_onnx(path, model.theta, metadata)
    else:
        write_atomically(path, lambda file: write_safetensors(file, torch_arrays(model), metadata))


def share(folder: RunFolder, path: Path, licence: str | None = None) -> None:
    """Write the best model of a run as one file, with a card. Raises StoreError, WriteError."""
    write_model_file(folder, path, model_card(folder, path.stem, licence))


def course_arrays(model: Checkpoint, layout: Orientation) -> dict[str, Array]:
    """Return W, U, V, b, c, the state h0 and the character x0 (one-hot) to continue from, the alphabet.

    In column layout W (m,m), U (m,K), V (K,m), b and h0 (m,1), c and x0 (K,1); in row layout their
    transposes. alphabet (1,K), code points, is a row in both, as MATLAB's texts are.
    """
    h0, first = state_to_continue_from(model)
    x0 = np.array([character == first for character in model.alphabet], h0.dtype)
    columns = {name: a.reshape(len(a), -1) for name, a in {**model.theta, "h0": h0, "x0": x0}.items()}
    arrays = {name: array.T for name, array in columns.items()} if layout == "row" else columns
    return {**arrays, "alphabet": code_points(model.alphabet)[np.newaxis]}


def state_to_continue_from(model: Checkpoint) -> tuple[Array, str]:
    """Return the state (m,) and the character that the model continues from, as `sample` does."""
    if model.h_prev is None:
        return initial_state(model, "zero").ravel(), model.first_character
    return initial_state(model, "kept").ravel(), model.next_character or model.first_character


def torch_arrays(model: Checkpoint) -> dict[str, Array]:
    """Return the state_dict of a module with rnn = nn.RNN(K, m) and linear = nn.Linear(m, K)."""
    theta = model.theta
    return {
        "rnn.weight_ih_l0": theta["U"],
        "rnn.weight_hh_l0": theta["W"],
        "rnn.bias_ih_l0": theta["b"],
        "rnn.bias_hh_l0": np.zeros_like(theta["b"]),  # torch adds two
        "linear.weight": theta["V"],
        "linear.bias": theta["c"],
    }
