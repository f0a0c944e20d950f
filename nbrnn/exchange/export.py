"""The model of a run for other programs: NumPy, MATLAB, torch, ONNX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nbrnn.config import option_name
from nbrnn.corpus import code_points
from nbrnn.errors import ConfigError
from nbrnn.exchange.array_files import write_mat, write_npz
from nbrnn.exchange.array_roles import Orientation
from nbrnn.exchange.model_card import model_card
from nbrnn.exchange.onnx_graph import TorchLayer, write_onnx
from nbrnn.storage.checkpoint import Checkpoint, initial_state
from nbrnn.storage.checksummed_arrays import write_safetensors
from nbrnn.storage.model_archive import write_model_file
from nbrnn.storage.run_folder import RUN_FILES, RunFolder
from nbrnn.storage.safe_files import write_atomically
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
        raise ConfigError(f"{path} must end in {', '.join(SUFFIXES)} or .nbrnn")
    if path.name in RUN_FILES and RunFolder(path.parent).is_run():
        raise ConfigError(
            f"{path} is a file of the run, which the export would replace: give another name"
        )
    if suffix in WRITERS:
        WRITERS[suffix](path, course_arrays(model, layout or "column"))
        return
    if layout is not None:
        raise ConfigError(f"{option_name('layout')} has no effect on {suffix}: leave it out")
    states, x0 = state_to_continue_from(model)
    values = {
        name: json.dumps(np.squeeze(state, 0).tolist() if len(state) == 1 else state.tolist())
        for name, state in states.items()
    }
    metadata = {"alphabet": model.alphabet, **values, "x0": x0}
    if suffix == ".onnx":
        kind, theta = model.layout.kind.torch, model.theta
        write_onnx(path, kind, torch_layers(model), theta["V"], theta["c"], metadata)
    else:
        write_atomically(path, lambda file: write_safetensors(file, torch_arrays(model), metadata))


def share(folder: RunFolder, path: Path, licence: str | None = None) -> None:
    """Write the best model of a run as one file, with a card. Raises StoreError, WriteError."""
    write_model_file(folder, path, model_card(folder, path.stem, licence))


def course_arrays(model: Checkpoint, layout: Orientation) -> dict[str, Array]:
    """Return the parameters, the state h0 and the character x0 (one-hot) to continue from, the alphabet.

    In column layout W (m,m), U (m,K), V (K,m), b (m,1), c and x0 (K,1), h0 (m,L); in row layout their
    transposes. Gates are stacked along the axis of the states; with gates or several layers the
    parameters are W1, U1, b1, W2 and so on, for a GRU also d1, and an LSTM has c0 beside h0. alphabet
    (1,K), code points, is a row in both, as MATLAB's texts are.
    """
    states, first = state_to_continue_from(model)
    dtype = model.layout.dtype
    x0 = np.array([character == first for character in model.alphabet], dtype)
    theta = {name.replace(".", ""): array for name, array in model.theta.items()}
    columns = {name: array.reshape(len(array), -1) for name, array in {**theta, "x0": x0}.items()}
    columns |= {name: state.T for name, state in states.items()}
    arrays = {name: array.T for name, array in columns.items()} if layout == "row" else columns
    return {**arrays, "alphabet": code_points(model.alphabet)[np.newaxis]}


def state_to_continue_from(model: Checkpoint) -> tuple[dict[str, Array], str]:
    """Return the states h0, for an LSTM also c0, (L,m), and the character to continue from."""
    is_kept = model.h_prev is not None
    states = initial_state(model, "kept" if is_kept else "zero")[:, :, 0]
    names = [f"{letter}0" for letter in model.layout.kind.states]
    character = model.next_character if is_kept else None
    return dict(zip(names, states.swapaxes(0, 1), strict=True)), character or model.first_character


def torch_layers(model: Checkpoint) -> list[TorchLayer]:
    """Return the weights and biases of each layer; the second bias is 0 but for the d of a GRU."""
    layout, layers = model.layout, []
    for number in range(layout.layers):
        U, W, b = (model.theta[layout.in_file(name, number)] for name in "UWb")
        second = np.zeros_like(b)
        d = model.theta.get(layout.in_file("d", number))
        if d is not None:
            second[-layout.m :] = d
        layers.append(TorchLayer(U, W, b, second))
    return layers


def torch_arrays(model: Checkpoint) -> dict[str, Array]:
    """Return the state_dict of a module with rnn = nn.RNN(K, m, L), or its like, and linear."""
    arrays = {
        f"rnn.{name}_l{number}": array
        for number, layer in enumerate(torch_layers(model))
        for name, array in layer._asdict().items()
    }
    return arrays | {"linear.weight": model.theta["V"], "linear.bias": model.theta["c"]}
