"""Call a program's own functions with the exercises of the ladder: their answers are those of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbrnn.checks.arrays import flat_arrays
from nbrnn.checks.attempts import attempts_of, choose
from nbrnn.checks.case import tasks
from nbrnn.checks.equations import Arrays
from nbrnn.checks.inputs import readings
from nbrnn.checks.ladder import Rung
from nbrnn.checks.report import Finding
from nbrnn.config import RunConfig
from nbrnn.errors import CheckError
from nbrnn.exchange.names import sort_arrays
from nbrnn.network.layout import NAMES

M, T, B = 5, 8, 3  # sizes of the exercises


@dataclass(frozen=True)
class Form:
    """How a program takes arrays: columns or rows, one-hot or indices, vectors with 1 axis or 2."""

    layout: str = "column"
    one_hot: bool = True
    flat: bool = False

    def theta(self, given: Arrays) -> Arrays:
        """Return copies of the parameters."""
        return {k: given[k].flatten() if k in "bc" and self.flat else given[k].copy() for k in NAMES}

    def window(self, given: Arrays) -> list[Any]:
        """Return copies of x, y and h0."""
        x, y, h0 = (
            given[name].copy() for name in (["X", "Y", "h0"] if self.one_hot else ["x", "y", "h0"])
        )
        return [x, y, h0.flatten() if self.flat and 1 in h0.shape else h0]


FORMS = [Form(a, b, c) for a in ("column", "row") for b in (True, False) for c in (False, True)]


@dataclass
class Functions:
    """The functions of a program, which answer the ladder as a file of arrays does."""

    loss_and_gradients: Callable[..., Any] | None
    step: Callable[..., Any] | None
    train: Callable[..., Any] | None
    synthesize: Callable[..., Any] | None
    raised: list[Finding] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    form: Form = FORMS[0]

    def answers(self) -> Arrays:
        """Call the functions with all exercises; return inputs and answers. Raises CheckError."""
        arrays: Arrays = {}
        if self.loss_and_gradients is not None:
            self.form = self.guess_form()
        for rung, given, _ in tasks(0, M, T, B, self.form.layout):
            try:
                answer = self.answer(rung, given, self.form)
            except CheckError:
                raise
            except Exception as error:  # the program may raise anything
                words = f"the function raised {type(error).__name__}: {str(error)[:80]}"
                if rung.name == "windows":
                    self.not_checked.append(f"several windows at once: {words}")
                else:
                    self.raised.append(
                        Finding("raised", f"In '{rung.title}' {words}", (), rung=rung.name)
                    )
                continue
            if rung.name == "windows" and answer and not fit(rung, {**given, **answer})[1]:
                self.not_checked.append(
                    "several windows at once, of which the function got nothing right"
                )
            elif answer:
                arrays |= {f"{rung.name}.{name}": array for name, array in {**given, **answer}.items()}
                smooth = arrays.pop("train.smooth", None)
                if smooth is not None:
                    arrays |= {"smooth.losses": answer["losses"], "smooth.smooth": smooth}
        return arrays

    def answer(self, rung: Rung, given: Arrays, form: Form) -> Arrays:
        """Return what the program makes of an exercise, nothing if it has no function for it."""
        if rung.task == "gradients" and self.loss_and_gradients is not None:
            return named(self.loss_and_gradients(form.theta(given), *form.window(given)), given)
        if rung.task == "step" and self.step is not None:
            theta, g = form.theta(given), form.theta({name: given[f"grads_{name}"] for name in NAMES})
            result = self.step(theta, [{k: a.copy() for k, a in g.items()} for _ in range(rung.updates)])
            after = sort_arrays(flat_arrays(theta if result is None else result)).of("parameter")
            if set(after) < set(NAMES):
                raise CheckError("step must return W, U, V, b and c after the steps, in a dictionary")
            return {f"{name}_after": after[name].array for name in NAMES}
        if rung.task == "train" and self.train is not None:
            result = self.train(form.theta(given), given["codes"].copy(), T, int(given["updates"]))
            if isinstance(result, tuple):
                result = dict(zip(("losses", "smooth"), result, strict=False))
            found = flat_arrays(result if isinstance(result, Mapping) else {"losses": result})
            if np.size(found.get("losses", ())) != given["updates"]:
                raise CheckError("train must return the loss of each update, or (losses, smooth)")
            return found
        if rung.task == "sample" and self.synthesize is not None:
            h0 = given["h0"].flatten() if form.flat else given["h0"].copy()
            return flat_arrays({"sample": self.synthesize(form.theta(given), h0, 0, int(given["n"]))})
        return {}

    def guess_form(self) -> Form:
        """Return the form in which the function runs, and its answers fit best. Raises CheckError."""
        best, error = None, ""
        for form in FORMS:
            rung, given = next(
                (r, g) for r, g, _ in tasks(0, M, T, B, form.layout) if r.name == "many_steps"
            )
            try:
                answer = self.answer(rung, given, form)
            except CheckError:
                raise
            except Exception as raised:
                error = error or f"{type(raised).__name__}: {str(raised)[:200]}"
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


def fit(rung: Rung, arrays: Arrays) -> tuple[int, int]:
    """Return how many answers to an exercise have the right shape, and how many are right."""
    found = sort_arrays(arrays)
    judged = (
        choose([attempts_of(rung.name, found, readings(found))], RunConfig(), None).judged[0].values()
    )
    return sum(each.has_shape for each in judged), sum(each.is_right is True for each in judged)


def named(result: Any, given: Arrays) -> Arrays:
    """Return what a function returned, by name: from a mapping, or by the shapes."""
    if isinstance(result, Mapping):
        return flat_arrays(result)
    if result is None:
        raise CheckError("the function must return a loss and gradients: (loss, grads), or a dictionary")
    found: dict[str, Any] = {}
    for item in result if isinstance(result, tuple | list) else [result]:
        if isinstance(item, Mapping):
            found["grads"] = item
        elif "loss" not in found and np.size(item) == 1:
            found["loss"] = item
        elif name := next((n for n in names_by_shape(np.shape(item), given) if n not in found), None):
            found[name] = item
    return flat_arrays(found)


def names_by_shape(shape: tuple[int, ...], given: Arrays) -> Iterator[str]:
    """Yield what an array of this shape may be: a gradient, probabilities, states or the last state."""
    sizes = [n for n in shape if n != 1]
    yield from (f"d{name}" for name in NAMES if sizes == [n for n in given[name].shape if n != 1])
    steps, m = given["X"].size // given["c"].size, given["b"].size
    shapes = {"P": (steps, given["c"].size), "H": (steps, m), "h_last": (m,)}
    yield from (
        name for name, wanted in shapes.items() if sorted(sizes) == sorted(n for n in wanted if n != 1)
    )
