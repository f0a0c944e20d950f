"""Exercises for a user's program as files: one, or the whole ladder, with or without the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks import ladder
from nbrnn.checks.equations import Arrays, Exercise, compute
from nbrnn.checks.judging import Convention
from nbrnn.checks.ladder import RUNGS, Rung, of_codes
from nbrnn.checks.steps import Gradient, Steps
from nbrnn.checks.training_and_sampling import smooth_series, training_losses
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
) -> Arrays:
    """Return an exercise in the arrays of a file.

    Parameters W U V b c as a run with this config starts, but for biases that are not zero; x, y as
    indices that count from `first`, X, Y as the same one-hot; a random h0; windows of the text anywhere.
    In columns X is (K, T), in rows (T, K); of B > 1 windows (K, T, B), and (B, T, K). Unless `blind`
    also loss, P, H, the gradients and the parameters after one step. Raises CorpusError.
    """
    T, B = config.seq_length, config.batch
    if len(corpus) < T + 1:
        raise CorpusError(f"{corpus.name}: a window needs at least {T + 1} characters")
    network = Layout(config.hidden, len(corpus.alphabet), np.dtype(np.float64))
    start = network.named(network.initial(generator(config.seed, "start"), config.sigma, config.init))
    rng = generator(config.seed, "gradcheck")
    theta = {name: np.array(array) for name, array in start.items()}
    theta |= {name: rng.normal(0, 0.1, theta[name].shape) for name in "bc"}
    h0 = rng.uniform(-1, 1, (B, config.hidden))
    codes = np.stack([corpus.codes[s : s + T + 1] for s in rng.integers(0, len(corpus) - T, B)], axis=1)
    e = of_codes(theta, codes, h0)
    about = description(config, layout, corpus.name, fingerprint(theta))
    arrays = {**inputs(e, layout, first), NAME: about}
    if blind:
        return arrays
    after = Steps.of(config).run(theta, gradient_of(e, Convention(config.loss == "mean").factor(e)), 1)
    return {**arrays, **answers(e, config, layout), **laid_out(after, layout, "{}_after")}


def task(
    rung: Rung, config: RunConfig, m: int, T: int, B: int, layout: str = "column", first: int = 0
) -> tuple[Arrays, Arrays]:
    """Return what a program is given in an exercise of the ladder, and the right answers.

    A sample has no single right answer.
    """
    rng = np.random.default_rng([config.seed, list(RUNGS).index(rung.name)])
    if rung.task == "smooth":
        losses = 60 * np.exp(-np.arange(100) / 200) + rng.normal(size=100)
        return {"losses": losses}, {"smooth": smooth_series(losses, losses[0])}
    if rung.task == "sample":
        h0 = np.zeros((m, 1) if layout == "column" else (1, m))
        given = {"h0": h0, "x0": np.array(first), "n": np.array(ladder.SAMPLED)}
        return laid_out(ladder.network(rng, m, 4, sigma=1.0), layout) | given, {}
    K = next(n for n in range(7, 16) if n not in (m, T, B))  # so that shapes tell axes apart
    if rung.task == "gradients":
        e = ladder.exercise(rung.name, rng, m, K, T, B)
        return inputs(e, layout, first), answers(e, config, layout)
    theta, steps, n = ladder.network(rng, m, K), Steps.of(config), rung.updates
    if rung.task == "train":
        codes = rng.integers(0, K, 3 * T + 1)
        numbers = {"T": np.array(T), "first": np.array(first), "updates": np.array(n)}
        losses = training_losses(theta, codes, T, n, steps, config.loss == "mean")
        return laid_out(theta, layout) | {"codes": codes + first, **numbers}, {"losses": losses}
    g = ladder.gradients(rng, theta, size=100.0 if rung.name == "clipped_update" else 1.0)
    after = steps.run(theta, lambda theta, t: g, n)
    given = laid_out(theta, layout) | laid_out(g, layout, "grads_{}")
    return given, laid_out(after, layout, "{}_after")


def ladder_case(
    config: RunConfig, layout: str = "column", *, blind: bool = False, first: int = 0
) -> Arrays:
    """Return the exercises of the ladder as RUNG.NAME."""
    arrays: Arrays = {NAME: description(config, layout, "the ladder", "")}
    for rung in RUNGS.values():
        given, right = task(rung, config, config.hidden, config.seq_length, 3, layout, first)
        part = given if blind else {**given, **right}
        arrays |= {f"{rung.name}.{name}": array for name, array in part.items()}
    return arrays


# ---------------------------------------------------------------- arrays in a layout


def inputs(e: Exercise, layout: str, first: int) -> Arrays:
    """Return what a program is given; indices (B, T) from `first` on, and the same one-hot."""
    arrays = laid_out(e.theta, layout)
    for name, one_hot in (("x", e.X), ("y", e.Y)):
        codes = one_hot.argmax(-1).T.astype(np.int64) + first
        arrays |= {name: codes[0] if len(codes) == 1 else codes, name.upper(): along(one_hot, layout)}
    return arrays | {"h0": e.h0.T if layout == "column" else e.h0}


def gradient_of(e: Exercise, factor: float) -> Gradient:
    """Return the function that returns the gradient of an exercise for some parameters."""

    def gradient(theta: Arrays, t: int) -> Arrays:
        found = compute(Exercise(theta, e.X, e.Y, e.h0))
        return {name: found[f"d{name}"] * factor for name in NAMES}

    return gradient


def answers(e: Exercise, config: RunConfig, layout: str) -> Arrays:
    """Return what a right program computes."""
    right, factor = compute(e), Convention(config.loss == "mean").factor(e)
    P, H = (along(array, layout) for array in (right["P"], right["H"][1:]))
    gradients = {name: right[f"d{name}"] * factor for name in NAMES}
    return {"loss": right["loss"] * factor, "P": P, "H": H, **laid_out(gradients, layout, "grads_{}")}


def laid_out(theta: Mapping[str, Array], layout: str, name: str = "{}") -> Arrays:
    """Return parameters, or their gradients, as matrices in a layout, each under a name for files."""
    columns = {name.format(key): array.reshape(len(array), -1) for key, array in theta.items()}
    return {name: array if layout == "column" else array.T for name, array in columns.items()}


def along(array: Array, layout: str) -> Array:
    """Return a series (T, B, n) in a layout: (n, T, B) or (B, T, n), without B if that is 1."""
    series = array.transpose(2, 0, 1) if layout == "column" else array.transpose(1, 0, 2)
    return series.squeeze(2 if layout == "column" else 0) if array.shape[1] == 1 else series


# ---------------------------------------------------------------- files


def write(
    path: Path, corpus: Corpus | None, config: RunConfig, layout: str = "column", *, blind: bool = False
) -> None:
    """Write an exercise to a .npz or .mat file; the ladder where there is no corpus.

    Raises CheckError, CorpusError, WriteError.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".mat"):
        raise CheckError(f"{path}: an exercise is written as .npz or .mat")
    if path.exists():  # it may hold somebody's answers
        raise CheckError(f"{path} exists already, and may hold answers: give another name, or delete it")
    first = 1 if suffix == ".mat" else 0
    if corpus is None:
        arrays = ladder_case(config, layout, blind=blind, first=first)
    else:
        arrays = case(corpus, config, layout, blind=blind, first=first)
    if suffix == ".npz":
        write_npz(path, arrays)
        return
    structs: dict[str, Any] = {}  # MATLAB computes with doubles
    for name, array in arrays.items():
        rung, _, field = name.rpartition(".")
        value = array if name == NAME else array.astype(float)
        (structs.setdefault(rung, {}) if rung else structs)[field] = value
    write_mat(path, structs)


def by_rung(arrays: Mapping[str, Array]) -> dict[str, Arrays]:
    """Return the arrays of each rung of a ladder; those of a single exercise under an empty name."""
    parts: dict[str, Arrays] = {name: {} for name in ("", *RUNGS)}
    for name, array in arrays.items():
        rung, _, rest = name.replace("/", ".").partition(".")
        if rung in RUNGS and rest:
            parts[rung][rest] = array
        else:
            parts[""][name] = array
    if parts[""].keys() <= {NAME} and any(parts[rung] for rung in RUNGS):
        del parts[""]
    return {name: part for name, part in parts.items() if part}


def description(config: RunConfig, layout: str, source: str, sha256: str) -> Array:
    """Return the text that describes exercises."""
    settings = {name: getattr(config, name) for name in SETTINGS}
    about = {"format": FORMAT, "corpus": source, "seed": config.seed, "layout": layout}
    return np.array(canonical_json({**about, "settings": settings, "sha256": sha256}))


def described(arrays: Mapping[str, Array]) -> dict[str, Any] | None:
    """Return the description of an exercise: its settings, and where it is from. Raises CheckError."""
    if NAME not in arrays:
        return None
    try:
        about = json.loads(str(arrays[NAME]))
        if about["format"] != FORMAT:
            raise CheckError("the exercise was written by another version of nbrnn: use that one")
        given = about["settings"].items()
        settings = {name: value for name, value in given if value is not None}
        RunConfig(**settings)
        return {**about, "settings": settings, "sha256": str(about["sha256"])}
    except (ValueError, LookupError, TypeError, AttributeError, ConfigError, RecursionError):
        raise CheckError(f"{NAME} is not an exercise of nbrnn: leave it out") from None


def fingerprint(theta: Mapping[str, Array]) -> str:
    """Return a hash of parameters, the same for those in float32."""
    sha256 = hashlib.sha256()
    for name in NAMES:
        sha256.update(np.ascontiguousarray(theta[name], np.float32).tobytes())
    return sha256.hexdigest()
