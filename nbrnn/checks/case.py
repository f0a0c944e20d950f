"""An exercise for a user's program: parameters, characters and a state, with or without the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks.optimizer_steps import stepped
from nbrnn.checks.problem import Problem
from nbrnn.checks.tolerances import right_arrays
from nbrnn.config import RunConfig, canonical_json
from nbrnn.corpus import Corpus
from nbrnn.errors import CheckError, ConfigError, CorpusError
from nbrnn.exchange.array_files import write_mat, write_npz
from nbrnn.network.layout import NAMES, Layout, generator
from nbrnn.typing import Array

NAME = "case"  # of the text that describes the exercise
FORMAT = "nbrnn case 1"
# The settings that a check must know.
SETTINGS = ("optimizer", "eta", "beta1", "beta2", "epsilon", "clip", "loss")


def case(
    corpus: Corpus, config: RunConfig, layout: str = "column", *, blind: bool = False, first: int = 0
) -> dict[str, Array]:
    """Return an exercise in the arrays of a file.

    Parameters W U V b c as a run with this config starts, but for biases that are not zero; x, y as
    indices that count from `first`, X, Y as the same one-hot; a random h0; windows of the text anywhere.
    In columns X is (K, T), in rows (T, K); of B > 1 windows (K, T, B), and (B, T, K). Unless `blind`
    also loss, P, H, the gradients and the parameters after one step. Raises CorpusError.
    """
    T, B = config.seq_length, config.batch
    if len(corpus) < T + 1:
        raise CorpusError(f"{corpus.name}: a window needs at least {T + 1} characters")
    m, K = config.hidden, len(corpus.alphabet)
    network = Layout(m, K, np.dtype(np.float64))
    start = network.named(network.initial(generator(config.seed, "start"), config.sigma, config.init))
    rng = generator(config.seed, "gradcheck")
    theta = {name: np.array(array) for name, array in start.items()}
    theta |= {name: rng.normal(0, 0.1, theta[name].shape) for name in "bc"}
    h0 = rng.uniform(-1, 1, (B, m))
    codes = np.stack([corpus.codes[s : s + T + 1] for s in rng.integers(0, len(corpus) - T, B)], axis=1)
    eye = np.eye(K)
    problem = Problem(theta, eye[codes[:-1]], eye[codes[1:]], h0, config.loss == "mean")
    indices = codes.T.astype(np.int64) + first  # torch takes no shorter ones
    arrays = laid_out(theta, layout)
    arrays |= {"x": indices[:, :-1].squeeze(), "y": indices[:, 1:].squeeze()}
    arrays |= {"X": along(problem.X, layout), "Y": along(problem.Y, layout)}
    arrays["h0"] = h0.T if layout == "column" else h0
    description = {
        "format": FORMAT,
        "corpus": corpus.name,
        "seed": config.seed,
        "layout": layout,
        "settings": {name: getattr(config, name) for name in SETTINGS},
        "sha256": fingerprint(theta),
    }
    arrays[NAME] = np.array(canonical_json(description))
    return arrays if blind else {**arrays, **answers(problem, config, layout)}


def answers(problem: Problem, config: RunConfig, layout: str) -> dict[str, Array]:
    """Return what a right program computes."""
    right = right_arrays(problem)
    gradients = {name: right[name] for name in NAMES}
    after = stepped(problem.theta, lambda theta: gradients, config)
    return {
        "loss": right["loss"],
        "P": along(right["P"], layout),
        "H": along(right["H"][1:], layout),
        **{f"grads_{name}": array for name, array in laid_out(gradients, layout).items()},
        **{f"{name}_after": array for name, array in laid_out(after, layout).items()},
    }


def laid_out(theta: Mapping[str, Array], layout: str) -> dict[str, Array]:
    """Return parameters, or their gradients, as matrices in a layout."""
    as_columns = {name: array.reshape(len(array), -1) for name, array in theta.items()}
    return {name: array if layout == "column" else array.T for name, array in as_columns.items()}


def along(array: Array, layout: str) -> Array:
    """Return a series (T, B, n) in a layout."""
    series = array.transpose(2, 0, 1) if layout == "column" else array.transpose(1, 0, 2)
    if array.shape[1] > 1:
        return series
    return series[:, :, 0] if layout == "column" else series[0]


def fingerprint(theta: Mapping[str, Array]) -> str:
    """Return a hash of parameters, the same for those in float32."""
    sha256 = hashlib.sha256()
    for name in NAMES:
        sha256.update(np.ascontiguousarray(theta[name], np.float32).tobytes())
    return sha256.hexdigest()


def write(
    path: Path, corpus: Corpus, config: RunConfig, layout: str = "column", *, blind: bool = False
) -> None:
    """Write an exercise to a .npz or .mat file. Raises CheckError, CorpusError, WriteError."""
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".mat"):
        raise CheckError(f"{path}: an exercise is written as .npz or .mat")
    if path.exists():  # it may hold somebody's answers
        raise CheckError(f"{path} exists already: give another name, or delete it")
    arrays = case(corpus, config, layout, blind=blind, first=1 if suffix == ".mat" else 0)
    if suffix == ".npz":
        write_npz(path, arrays)
    else:  # MATLAB computes with doubles
        doubles = {name: array.astype(float) for name, array in arrays.items() if name != NAME}
        write_mat(path, {**doubles, NAME: arrays[NAME]})


def describe(text: str) -> dict[str, Any]:
    """Return the description in an exercise: its settings, and where it is from. Raises CheckError."""
    try:
        description = json.loads(text)
        if description["format"] != FORMAT:
            raise CheckError("the exercise was written by another version of nbrnn")
        given = description["settings"].items()
        settings = {name: value for name, value in given if value is not None}
        RunConfig(**settings)
        return {**description, "settings": settings, "sha256": str(description["sha256"])}
    except (ValueError, LookupError, TypeError, AttributeError, ConfigError, RecursionError):
        raise CheckError(f"{NAME} is not an exercise of nbrnn: leave it out") from None
