"""Exercises for a user's program as files: one, or the whole ladder, with or without the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks import ladder
from nbrnn.checks.attempts import Convention
from nbrnn.checks.equations import Arrays, Exercise, compute
from nbrnn.checks.ladder import Rung
from nbrnn.checks.sequences import training_losses
from nbrnn.checks.updates import Steps, smooth_series
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
    m, K = config.hidden, len(corpus.alphabet)
    network = Layout(m, K, np.dtype(np.float64))
    start = network.named(network.initial(generator(config.seed, "start"), config.sigma, config.init))
    rng = generator(config.seed, "gradcheck")
    theta = {name: np.array(array) for name, array in start.items()}
    theta |= {name: rng.normal(0, 0.1, theta[name].shape) for name in "bc"}
    h0 = rng.uniform(-1, 1, (B, m))
    codes = np.stack([corpus.codes[s : s + T + 1] for s in rng.integers(0, len(corpus) - T, B)], axis=1)
    e = ladder.of_codes(theta, codes, h0)
    arrays = inputs(e, layout, first)
    arrays[NAME] = description(config, layout, corpus.name, fingerprint(theta))
    return arrays if blind else {**arrays, **answers(e, config, layout)}


def tasks(
    seed: int, m: int, T: int, B: int, layout: str = "column", first: int = 0
) -> Iterator[tuple[Rung, Arrays, Exercise]]:
    """Yield each rung of the ladder with the arrays that a program is given, in some layout."""
    K = ladder.other_than(7, m, T, B)
    for number, rung in enumerate(ladder.RUNGS):
        rng = np.random.default_rng([seed, number])
        if rung.task == "gradients":
            e = ladder.exercise(rung.name, rng, m, K, T, B)
            yield rung, inputs(e, layout, first), e
            continue
        sampled = {"sigma": 1.0} if rung.task == "sample" else {}
        theta = ladder.network(rng, m, 4 if sampled else K, **sampled)
        given = laid_out(theta, layout)
        if rung.task == "step":
            size = 100.0 if rung.name == "clipped_update" else 1.0
            g = laid_out(ladder.gradients(rng, theta, size), layout)
            given |= {f"grads_{name}": array for name, array in g.items()}
        elif rung.task == "train":
            codes = rng.integers(0, K, 3 * T + 1) + first
            given |= {"codes": codes, "T": np.array(T), "first": np.array(first), "updates": np.array(6)}
        elif rung.task == "smooth":
            given = {"losses": 60 * np.exp(-np.arange(100) / 200) + rng.normal(size=100)}
        else:
            h0 = np.zeros((m, 1) if layout == "column" else (1, m))
            given |= {"h0": h0, "x0": np.array(first), "n": np.array(ladder.SAMPLED)}
        yield rung, given, Exercise(theta, *[np.empty(0)] * 3)


def ladder_case(
    config: RunConfig, layout: str = "column", *, blind: bool = False, first: int = 0
) -> Arrays:
    """Return the exercises of the ladder as RUNG.NAME; a sample has no single right answer."""
    arrays: Arrays = {NAME: description(config, layout, "the ladder", "")}
    steps, mean = Steps.of(config), config.loss == "mean"
    for rung, given, e in tasks(config.seed, config.hidden, config.seq_length, 3, layout, first):
        right: Arrays = {}
        if rung.task == "gradients":
            right = answers(e, config, layout, 0)
        elif rung.task == "step":  # which works on each number alone, in any layout
            theta, g = ({k: given[f"{kind}{k}"] for k in NAMES} for kind in ("", "grads_"))
            after = steps.run(theta, partial(given_gradient, g), rung.updates)
            right = {f"{name}_after": array for name, array in after.items()}
        elif rung.task == "train":
            losses = training_losses(e.theta, given["codes"] - first, config.seq_length, 6, steps, mean)
            right = {"losses": losses}
        elif rung.task == "smooth":
            right = {"smooth": smooth_series(given["losses"], given["losses"][0])}
        part = given if blind else {**given, **right}
        arrays |= {f"{rung.name}.{name}": array for name, array in part.items()}
    return arrays


def given_gradient(g: Arrays, theta: Arrays, t: int) -> Arrays:
    """Return the same gradient at each step."""
    return g


def inputs(e: Exercise, layout: str, first: int) -> Arrays:
    """Return what a program is given; indices (B, T) from `first` on, and the same one-hot."""
    indices = {
        name: array.argmax(-1).T.astype(np.int64) + first for name, array in (("x", e.X), ("y", e.Y))
    }
    return {
        **laid_out(e.theta, layout),
        **{name: codes[0] if len(codes) == 1 else codes for name, codes in indices.items()},
        "X": along(e.X, layout),
        "Y": along(e.Y, layout),
        "h0": e.h0.T if layout == "column" else e.h0,
    }


def description(config: RunConfig, layout: str, source: str, sha256: str) -> Array:
    """Return the text that describes exercises."""
    settings = {name: getattr(config, name) for name in SETTINGS}
    about = {"format": FORMAT, "corpus": source, "seed": config.seed, "layout": layout}
    return np.array(canonical_json({**about, "settings": settings, "sha256": sha256}))


def answers(e: Exercise, config: RunConfig, layout: str, n: int = 1) -> Arrays:
    """Return what a right program computes, and the parameters after n steps."""
    factor = Convention(config.loss == "mean").factor(e)

    def gradient(theta: Arrays, t: int) -> Arrays:
        found = compute(Exercise(theta, e.X, e.Y, e.h0))
        return {name: found[f"d{name}"] * factor for name in NAMES}

    right, gradients = compute(e), gradient(e.theta, 1)
    found = {
        "loss": right["loss"] * factor,
        "P": along(right["P"], layout),
        "H": along(right["H"][1:], layout),
        **{f"grads_{name}": array for name, array in laid_out(gradients, layout).items()},
    }
    if n:
        after = Steps.of(config).run(e.theta, gradient, n)
        found |= {f"{name}_after": array for name, array in laid_out(after, layout).items()}
    return found


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


def write(
    path: Path,
    corpus: Corpus | None,
    config: RunConfig,
    layout: str = "column",
    *,
    blind: bool = False,
) -> None:
    """Write an exercise to a .npz or .mat file; the ladder where there is no corpus.

    Raises CheckError, CorpusError, WriteError.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".mat"):
        raise CheckError(f"{path}: an exercise is written as .npz or .mat")
    if path.exists():  # it may hold somebody's answers
        raise CheckError(f"{path} exists already: give another name, or delete it")
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
    names = {rung.name for rung in ladder.RUNGS}
    parts: dict[str, Arrays] = {}
    for name, array in arrays.items():
        rung, _, rest = name.replace("/", ".").partition(".")
        is_of_rung = rung in names and rest != ""
        parts.setdefault(rung if is_of_rung else "", {})[rest if is_of_rung else name] = array
    if len(parts) > 1 and parts.get("", {}).keys() <= {NAME}:
        parts.pop("", None)
    order = ["", *(rung.name for rung in ladder.RUNGS)]
    return {name: parts[name] for name in order if name in parts}


def described(arrays: Mapping[str, Array]) -> dict[str, Any] | None:
    """Return the description of an exercise: its settings, and where it is from. Raises CheckError."""
    if NAME not in arrays:
        return None
    try:
        about = json.loads(str(arrays[NAME]))
        if about["format"] != FORMAT:
            raise CheckError("the exercise was written by another version of nbrnn")
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
