"""What is right and wrong in the answers of a program, in one reading of its arrays?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nbrnn.checks import causes, differences, forwards, places
from nbrnn.checks.answers import Answer, forward_answers, parameter_answers
from nbrnn.checks.forwards import UNEXPLAINED, Forward
from nbrnn.checks.gradients import Backward, Search
from nbrnn.checks.matching import Tolerance, error, everything, norm, tolerances
from nbrnn.checks.multiples import Scaling
from nbrnn.checks.problem import Reading
from nbrnn.checks.reference import LOSS_FAULTS, OUTPUT_FAULTS, STATE_FAULTS, Fault, forward
from nbrnn.checks.report import Finding, Row
from nbrnn.config import RunConfig
from nbrnn.errors import CheckError
from nbrnn.exchange.names import SortedArrays
from nbrnn.network.layout import NAMES
from nbrnn.typing import Array

WHAT = {
    "H": "states",
    "h_last": "last state",
    "O": "what goes into softmax",
    "P": "probabilities",
    "loss": "loss",
}
OF_ALL = {*LOSS_FAULTS, *OUTPUT_FAULTS, *STATE_FAULTS, "only the last loss", "softmax' missing"}
OF_ALL |= {"softmax' applied twice"}  # mistakes that show in the gradients of V and c, too
SHOWN_BY: dict[Fault, int] = {
    fault: place
    for place, faults in enumerate((STATE_FAULTS, OUTPUT_FAULTS, LOSS_FAULTS))
    for fault in faults
}
STAGE = {"H": 0, "h_last": 0, "O": 1, "P": 1, "loss": 2}


@dataclass
class Examination:
    """The rows, findings and notes of a reading, filled in the order of the computation."""

    reading: Reading
    config: RunConfig
    limit: float = np.inf  # the cost of another reading: one that costs more need not be known in full
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tolerance: dict[str, Tolerance] = field(default_factory=dict)
    right: dict[str, Array] = field(default_factory=dict)
    forward: Forward | None = None
    backward: Backward | None = None

    @property
    def cost(self) -> float:
        """How bad this reading makes the program."""
        return sum(UNEXPLAINED if finding.cause is None else 1.0 for finding in self.findings)

    # ------------------------------------------------------------ answers and gradients

    def examine(self, found: SortedArrays) -> None:
        """Look at everything but steps and series."""
        if self.reading.problem is None:
            return
        problem = self.reading.problem
        self.tolerance, self.right = tolerances(problem), everything(problem)
        if not np.isfinite(self.right["loss"]):
            raise CheckError("the parameters are so large that the loss is no finite number")
        answers = forward_answers(found, self.reading)
        layout, (m, K) = self.reading.layout, self.reading.theta["U"].shape
        of_gradients = parameter_answers(found.of("gradient"), layout, m, K)
        self.forward = forwards.explain(problem, answers, self.tolerance)
        self.backward = self.explained(of_gradients, answers)
        numbers = self.find_causes(answers, of_gradients)
        for key, answer in answers.items():
            self.rows.append(self.row_of_answer(key, answer, numbers))
        for name, answer in of_gradients.items():
            self.rows.append(self.row_of_gradient(name, answer, numbers))
        for name, answer in parameter_answers(found.of("numerical"), layout, m, K).items():
            self.rows.append(self.row_of_differences(name, answer))

    def explained(self, of_gradients: Mapping[str, Answer], answers: Mapping[str, Answer]) -> Backward:
        """Return what explains the gradients, after the mistakes of the forward pass, or without some.

        A loss may be of the wrong targets while its gradient is that of the right ones, and states may
        be saved wrongly from which the gradients are not computed.
        """
        problem, base = self.reading.problem, self.forward
        assert problem is not None and base is not None
        known = frozenset(answers)
        best = Search(problem, base, of_gradients, self.tolerance, known, self.limit).best()
        others = tuple(fault for fault in base.faults if fault not in LOSS_FAULTS)
        if best.cost and (others != base.faults or base.unexplained):
            without = replace(base, faults=others, at=forward(problem, others))
            found = Search(problem, without, of_gradients, self.tolerance, known, best.cost).best()
            best = found if found.cost < best.cost else best
        return best

    def find_causes(
        self, answers: Mapping[str, Answer], of_gradients: Mapping[str, Answer]
    ) -> dict[str, list[int]]:
        """Note what is wrong, the most basic first; return the numbers of each array's findings."""
        base, back = self.forward, self.backward
        assert base is not None and back is not None
        numbers: dict[str, list[int]] = {}
        for fault in sorted(base.faults, key=lambda fault: SHOWN_BY.get(fault, 0)):
            seen = [key for key in answers if STAGE[key] >= SHOWN_BY.get(fault, 0)]
            self.find(fault, causes.of_fault(fault), [*seen, *of_gradients], numbers)
        for key in base.unexplained:
            follows = bool(self.findings)
            cause = self.taken_for_probabilities(answers[key]) if key == "P" else None
            if cause is not None:
                self.find(cause, causes.of_fault(cause, it=answers[key].name), [key], numbers)
            else:
                self.find(None, self.where_answer(key, answers[key], base), [key], numbers, follows)
        faults: set[Fault] = set(back.faults)
        if "W transposed" in {*base.faults, *faults}:  # then either way of going back follows from it
            faults.discard("W for its transpose")
        for fault in sorted(faults, key=lambda fault: (SHOWN_BY.get(fault, 3), str(fault))):
            seen = [name for name in of_gradients if fault in OF_ALL or name in "WUb"]
            self.find(fault, causes.of_fault(fault), seen, numbers)
        for assembly, names in self.shared("assembly").items():
            it = self.called(names, of_gradients)
            self.find(str(assembly), causes.of_fault(str(assembly), it=it), names, numbers)
        self.find_scalings(answers, of_gradients, numbers)
        for name in back.unexplained:
            self.find_unexplained(name, of_gradients[name], numbers)
        return numbers

    def taken_for_probabilities(self, answer: Answer) -> str | None:
        """Return what else than probabilities an array is."""
        others = {"logits for P": self.right["O"], "log P for P": np.log(self.right["P"])}
        within = self.tolerance["P"].single
        return next((name for name, array in others.items() if answer.error(array) <= within), None)

    def find(
        self,
        cause: Fault | None,
        sentence: str,
        arrays: Iterable[str],
        numbers: dict[str, list[int]],
        follows: bool = False,
    ) -> None:
        """Note one thing that is wrong, and in which arrays it shows."""
        name = cause[0] if isinstance(cause, tuple) else cause
        keys = list(arrays)
        self.findings.append(Finding(name, sentence, tuple(keys), follows))
        for key in keys:
            numbers.setdefault(key, []).append(len(self.findings))

    def find_first(self, finding: Finding) -> None:
        """Note what all other findings may follow from."""
        self.findings = [finding, *(replace(each, follows=each.cause is None) for each in self.findings)]
        self.rows = [
            row if row.is_right else replace(row, verdict=renumbered(row.verdict)) for row in self.rows
        ]

    def shared(self, part: str) -> dict[str | Scaling, list[str]]:
        """Return the mistakes in the sums of single gradients, each with the gradients that have it."""
        assert self.backward is not None
        found: dict[str | Scaling, list[str]] = {}
        for name, own in self.backward.own.items():
            for value in getattr(own, part) if own else ():
                found.setdefault(value, []).append(name)
        return found

    def called(self, names: Iterable[str], of_gradients: Mapping[str, Answer]) -> str:
        """Return gradients as the program calls them."""
        return ", ".join(of_gradients[name].name for name in names)

    def find_scalings(
        self,
        answers: Mapping[str, Answer],
        of_gradients: Mapping[str, Answer],
        numbers: dict[str, list[int]],
    ) -> None:
        """Note factors, signs and clipping, those of the loss among them."""
        assert self.forward is not None
        of_loss = list(self.forward.scalings)
        for scaling, names in self.shared("scalings").items():
            assert isinstance(scaling, Scaling)
            keys, what = list(names), self.called(names, of_gradients)
            if scaling.kind == "clipped" and scaling.number == self.config.clip:
                self.notes.append(f"{what}: clipped to [-{scaling.number:g}, {scaling.number:g}]")
                continue
            if scaling in of_loss:
                of_loss.remove(scaling)
                keys, what = ["loss", *keys], f"{answers['loss'].name}, {what}"
            self.find_scaling(scaling, keys, what, of_gradients, numbers)
        for scaling in of_loss:
            self.find_scaling(scaling, ["loss"], answers["loss"].name, of_gradients, numbers)

    def find_scaling(
        self,
        scaling: Scaling,
        keys: list[str],
        what: str,
        of_gradients: Mapping[str, Answer],
        numbers: dict[str, list[int]],
    ) -> None:
        """Note a factor, or clipping; some factors come of clipping by the norm of all gradients."""
        if scaling.kind == "multiple" and scaling.number < 1:
            size = norm(np.array([norm(answer.array) for answer in of_gradients.values()]))
            whole = float(f"{size:.4g}")
            if len(of_gradients) == len(NAMES) and abs(size / whole - 1) < 1e-5:
                scaling, what = Scaling("norm", whole), f"{what}, together"
        kinds = {"clipped": "clipped by value", "norm": "clipped by norm"}
        cause = f"factor {scaling.reason}" if scaling.reason else kinds.get(scaling.kind, scaling.kind)
        self.find(cause, causes.of_scaling(scaling, what, self.config.clip), keys, numbers)

    def find_unexplained(self, name: str, answer: Answer, numbers: dict[str, list[int]]) -> None:
        """Note a gradient without a cause, or that it is one of coarse numerical differences."""
        assert self.backward is not None and self.reading.problem is not None
        expected, (found,) = self.backward.expected[name], answer.ways
        said = differences.explain(self.reading.problem, name, found, self.right[name])
        if said is not None:
            self.notes.append(f"{answer.name}: {said}")
            numbers[name] = []
            return
        if found.shape != expected.shape:
            shape = self.reading.theta[name].shape
            sentence = f"{answer.name} has the shape {answer.array.shape}, {name} has {shape}"
        else:
            said = places.where_in(found, expected, self.tolerance[name].single)
            sentence = f"{answer.name} differs, {said}"
        self.find(None, sentence, [name], numbers, bool(self.findings))

    def where_answer(self, key: str, answer: Answer, base: Forward) -> str:
        """Return in words where an answer without a cause begins to differ."""
        return places.of_answer(key, answer, base.expected[key], self.tolerance[key].single)

    # ------------------------------------------------------------ rows

    def row_of_answer(self, key: str, answer: Answer, numbers: Mapping[str, list[int]]) -> Row:
        """Return the row of an answer of the forward pass."""
        return self.row(key, answer, WHAT[key], self.right[key], numbers)

    def row_of_gradient(self, name: str, answer: Answer, numbers: Mapping[str, list[int]]) -> Row:
        """Return the row of a gradient."""
        what = f"gradient of {name}"
        own = self.backward and self.backward.own[name]
        row = self.row(name, answer, what, self.right[name], numbers)
        if own and own.parts == (Scaling("clipped", self.config.clip),) and not numbers.get(name):  # type: ignore[arg-type]
            return replace(row, verdict=f"right, clipped to {self.config.clip:g}")
        if own is None and not numbers.get(name):
            return replace(row, verdict="right, by coarse differences")
        return row

    def row_of_differences(self, name: str, answer: Answer) -> Row:
        """Return the row of a gradient that the program made by numerical differences."""
        assert self.reading.problem is not None
        row = self.row(name, answer, f"numerical gradient of {name}", self.right[name], {})
        if row.is_right:
            return row
        found = answer.ways[0]
        said = differences.explain(self.reading.problem, name, found, self.right[name])
        if said is None and row.norm is not None and row.norm < 1e-4:
            said = "numerical differences"
        if said is not None:
            self.notes.append(f"{answer.name}: {said}")
            return replace(row, verdict="right, by coarse differences")
        sentence = f"{answer.name} is neither the gradient nor near it by numerical differences"
        self.findings.append(Finding(None, sentence, (name,), bool(self.findings)))
        return replace(row, verdict=f"wrong: {len(self.findings)}")

    def row(
        self, key: str, answer: Answer, what: str, right: Array, numbers: Mapping[str, list[int]]
    ) -> Row:
        """Return a row with its errors and its verdict."""
        pair = None if answer.turned else answer.nearest(right)
        tolerance = self.tolerance[key]
        if pair is None:
            largest = off = None
            is_right = False
        else:
            found, beside = pair
            off = error(found, beside)
            largest = float(np.abs(found - beside).max() / max(float(np.abs(beside).max()), 1e-300))
            is_right = key not in numbers or off <= tolerance.double
        if is_right and off is not None:
            precision = "right" if off <= tolerance.double else "right, in float32"
            verdict = precision if off <= tolerance.single or key not in numbers else "wrong"
            if key not in numbers and off > tolerance.single:
                verdict = "differs"
        else:
            verdict = self.blamed(key, numbers)
        return Row(answer.name, what, answer.array.shape, finite(largest), finite(off), verdict)

    def blamed(self, key: str, numbers: Mapping[str, list[int]]) -> str:
        """Return by which findings an array is wrong, or that it only follows from them."""
        its = numbers.get(key, [])
        said = ", ".join(map(str, its))
        first = any(self.findings[number - 1].arrays[0] == key for number in its)
        own = any(self.findings[number - 1].cause is None for number in its)
        alone = self.backward and self.backward.own.get(key)
        if (
            first
            or own
            or (alone and alone.parts)
            or (key == "loss" and self.forward and self.forward.scalings)
        ):
            return f"wrong: {said}"
        return f"follows from {said}" if its else "follows from what it is computed of"


def renumbered(verdict: str) -> str:
    """Return a verdict whose findings have moved by one."""
    return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), verdict)


def finite(number: float | None) -> float | None:
    """Return a number, None if it is not finite."""
    return number if number is not None and np.isfinite(number) else None
