"""Call a program's own functions with the exercises of the ladder: their answers are those of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from traceback import extract_tb
from typing import Any

import numpy as np

from nbrnn.checks.case import task
from nbrnn.checks.equations import Arrays
from nbrnn.checks.judging import attempts_of, choose
from nbrnn.checks.ladder import RUNGS, Rung
from nbrnn.checks.report import PARTS, Finding, Report
from nbrnn.checks.user_arrays import flat_arrays
from nbrnn.config import RunConfig
from nbrnn.errors import CheckError
from nbrnn.exchange.array_roles import sort_arrays
from nbrnn.network.layout import NAMES

Function = Callable[..., Any]
CONFIG, M, T, B = RunConfig(), 5, 8, 3  # of the exercises


@dataclass(frozen=True)
class Form:
    """How a program takes arrays: columns or rows, one-hot or indices, vectors with 1 axis or 2."""

    layout: str = "column"
    one_hot: bool = True
    flat: bool = False

    def vector(self, array: Any) -> Any:
        """Return a copy of a vector."""
        return array.flatten() if self.flat and 1 in array.shape else array.copy()

    def theta(self, given: Arrays, prefix: str = "") -> Arrays:
        """Return copies of the parameters, or of gradients."""
        return {k: self.vector(a) if k in "bc" else a.copy() for k in NAMES for a in [given[prefix + k]]}


FORMS = [Form(a, b, c) for a in ("column", "row") for b in (True, False) for c in (False, True)]


def call_all(by_task: Mapping[str, Function]) -> tuple[Arrays, Report]:
    """Call the functions of a program, by their tasks, with all exercises. Raises CheckError.

    Return inputs and answers as a file has them, and a report of what raised an exception.
    """
    arrays: Arrays = {}
    report = Report()
    form = guess_form(by_task["gradients"]) if "gradients" in by_task else FORMS[0]
    for rung in (rung for rung in RUNGS.values() if rung.task in by_task):
        given, _ = task(rung, CONFIG, M, T, B, form.layout)
        try:
            answer = CALLS[rung.task](by_task[rung.task], given, form, rung)
            reason = "" if rung.name != "windows" else reason_not_batched({**given, **answer})
        except CheckError:
            raise
        except Exception as error:  # the program may raise anything
            reason = f"raised {described(error, 80)}"
        if not reason:
            arrays |= {f"{rung.name}.{name}": array for name, array in {**given, **answer}.items()}
        elif rung.name == "windows":  # which a program need not take
            words = f"your function may take one window only: it {reason}"
            report.not_checked.append(f"{PARTS['windows']} (B > 1): {words}")
            report.covered.add("windows")
        else:
            sentence = f"In '{rung.title}' the function {reason}"
            report.findings.append(Finding("raised", sentence, (), rung=rung.name))
    if "train.smooth" in arrays:
        arrays["smooth.smooth"] = arrays.pop("train.smooth")
        arrays["smooth.losses"] = arrays["train.losses"]
    return arrays, report


def call_gradients(function: Function, given: Arrays, form: Form, rung: Rung) -> Arrays:
    """Return what a function makes of a window."""
    x, y = (given[name if form.one_hot else name.lower()].copy() for name in "XY")
    return named(function(form.theta(given), x, y, form.vector(given["h0"])), given)


def call_step(function: Function, given: Arrays, form: Form, rung: Rung) -> Arrays:
    """Return the parameters after steps along the same gradients."""
    theta = form.theta(given)
    result = function(theta, [form.theta(given, "grads_") for _ in range(rung.updates)])
    after = sort_arrays(flat_arrays(theta if result is None else result)).of("parameter")
    if set(after) < set(NAMES):
        raise CheckError("step must return W, U, V, b and c after the steps, in a dictionary")
    return {f"{name}_after": after[name].array for name in NAMES}


def call_train(function: Function, given: Arrays, form: Form, rung: Rung) -> Arrays:
    """Return the losses of a training, and its smooth losses if the function returns them."""
    result = function(form.theta(given), given["codes"].copy(), T, rung.updates)
    if isinstance(result, tuple):
        result = dict(zip(("losses", "smooth"), result, strict=False))
    found = flat_arrays(result if isinstance(result, Mapping) else {"losses": result})
    if np.size(found.get("losses", ())) != rung.updates:
        raise CheckError("train must return the loss of each update, or (losses, smooth)")
    return found


def call_sample(function: Function, given: Arrays, form: Form, rung: Rung) -> Arrays:
    """Return what a function samples."""
    sample = function(form.theta(given), form.vector(given["h0"]), 0, int(given["n"]))
    return flat_arrays({"sample": sample})


CALLS = {"gradients": call_gradients, "step": call_step, "train": call_train, "sample": call_sample}


def guess_form(function: Function) -> Form:
    """Return the form in which the function runs, and its answers fit best. Raises CheckError."""
    rung, best, error = RUNGS["many_steps"], None, ""
    for form in FORMS:
        given, _ = task(rung, CONFIG, M, T, B, form.layout)
        try:
            answer = call_gradients(function, given, form, rung)
        except CheckError:
            raise
        except Exception as raised:
            error = error or described(raised, 200)
            continue
        points = fit(rung, {**given, **answer})
        if best is None or points > best[0]:
            best = points, form
    if best is None:
        raise CheckError(
            "the function raised for columns and rows, one-hot and indices; with theta, X (K, T), "
            f"Y (K, T), h0 (m, 1): {error}"
        )
    return best[1]


def described(error: Exception, characters: int) -> str:
    """Return an exception in words, with the line that raised it."""
    frame = extract_tb(error.__traceback__)[-1]
    where = f"line {frame.lineno} of {Path(frame.filename).name}"
    message = shorten(str(error), characters, placeholder=" ...")
    return f"{type(error).__name__}: {message} ({where})"


def fit(rung: Rung, arrays: Arrays) -> tuple[int, int]:
    """Return how many answers to an exercise have the right shape, and how many are right."""
    (attempt,) = choose([attempts_of(rung.name, sort_arrays(arrays))]).attempts
    judged = attempt.judged.values()
    return sum(each.has_shape for each in judged), sum(each.is_right is True for each in judged)


def reason_not_batched(arrays: Arrays) -> str:
    """Return why the answers to several windows are not judged, empty if any of them is right."""
    shaped, right = fit(RUNGS["windows"], arrays)
    return "" if right else f"returned {'nothing right' if shaped else 'arrays of other shapes'}"


def named(result: Any, given: Arrays) -> Arrays:
    """Return what a function returned, by name: from a mapping, or by the shapes."""
    if isinstance(result, Mapping):
        return flat_arrays(result)
    if result is None:
        raise CheckError("the function returned nothing: it must return (loss, grads), or a dictionary")
    K, m = given["c"].size, given["b"].size
    steps = given["X"].size // K
    shapes = [(f"d{name}", given[name].shape) for name in NAMES] + [("h_last", (m,))]
    shapes += [(name, way) for name, n in (("P", K), ("H", m)) for way in ((n, steps), (steps, n))]
    found: dict[str, Any] = {}
    for item in result if isinstance(result, tuple | list) else [result]:
        if isinstance(item, Mapping):
            found["grads"] = item
        elif "loss" not in found and np.size(item) == 1:
            found["loss"] = item
        else:
            # Axes of length 1 do not count.
            size = [n for n in np.shape(item) if n != 1]
            names = [n for n, shape in shapes if n not in found and [k for k in shape if k != 1] == size]
            found |= dict.fromkeys(names[:1], item)
    return flat_arrays(found)
