"""The comparison of a program's answers and gradients with what is right, in one reading of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nbrnn.checks import finite_differences
from nbrnn.checks.answers import (
    Answer,
    forward_answers,
    parameter_answers,
    where_answer_differs,
    where_array_differs,
)
from nbrnn.checks.faults import (
    BACKWARD_FAULTS,
    LOSS_FAULTS,
    OUTPUT_FAULTS,
    STATE_FAULTS,
    Fault,
    name_of,
    sentence_of,
)
from nbrnn.checks.forward_search import UNEXPLAINED, Forward, ForwardSearch
from nbrnn.checks.gradient_search import OF_OUTPUT, Backward, GradientSearch
from nbrnn.checks.problem import Reading
from nbrnn.checks.reference import forward
from nbrnn.checks.report import Finding, Report, Row
from nbrnn.checks.scalings import Scaling
from nbrnn.checks.tolerances import Tolerance, error, norm, right_arrays, tolerances
from nbrnn.config import RunConfig
from nbrnn.errors import CheckError
from nbrnn.exchange.names import SortedArrays
from nbrnn.network.layout import NAMES
from nbrnn.typing import Array

WHAT = {
    "H": "states",
    "h_last": "last state",
    "O": "logits",
    "P": "probabilities",
    "loss": "loss",
}
OF_ALL = {*STATE_FAULTS, *OUTPUT_FAULTS, *OF_OUTPUT}  # they show in the gradients of V and c, too
STAGES = ({*STATE_FAULTS, "another h_0"}, {*OUTPUT_FAULTS}, {*LOSS_FAULTS}, {*BACKWARD_FAULTS})
STAGE_OF_ANSWER = {"H": 0, "h_last": 0, "O": 1, "P": 1, "loss": 2}
COARSE = "right, by coarse differences"
FOLLOWS = "follows from what it is computed from"


def stage_of(fault: Fault) -> int:
    """Return by which stage of the computation a mistake shows."""
    return next((n for n, faults in enumerate(STAGES) if fault in faults), len(STAGES) - 1)


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
    blame: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))

    @property
    def cost(self) -> float:
        """How bad this reading makes the program."""
        return sum(UNEXPLAINED if finding.cause is None else 1.0 for finding in self.findings)

    def report(self) -> Report:
        """Return the report of this reading."""
        rows = tuple(row.numbered(self.findings) for row in self.rows)
        return Report(rows, tuple(self.findings), tuple(self.notes))

    # ------------------------------------------------------------ answers and gradients

    def examine(self, found: SortedArrays) -> None:
        """Compare everything but steps and series."""
        problem = self.reading.problem
        if problem is None:
            return
        self.tolerance, self.right = tolerances(problem), right_arrays(problem)
        if not np.isfinite(self.right["loss"]):
            raise CheckError("the parameters are so large that the loss is not finite")
        answers = forward_answers(found, self.reading)
        gradients = parameter_answers(found.of("gradient"), self.reading)
        self.forward = ForwardSearch(problem, answers, self.tolerance).best()
        self.backward = self.explain_gradients(gradients, answers)
        self.find_causes(answers, gradients)
        self.rows += [self.row(key, answer, WHAT[key]) for key, answer in answers.items()]
        self.rows += [self.row_of_gradient(name, answer) for name, answer in gradients.items()]
        for name, answer in parameter_answers(found.of("numerical"), self.reading).items():
            self.rows.append(self.row_of_differences(name, answer))

    def explain_gradients(
        self, gradients: Mapping[str, Answer], answers: Mapping[str, Answer]
    ) -> Backward:
        """Return what explains the gradients, after the mistakes of the forward pass, or without some.

        A loss may be of the wrong targets while its gradient is that of the right ones, and states may
        be saved wrongly from which the gradients are not computed.
        """
        problem, base = self.reading.problem, self.forward
        assert problem is not None and base is not None
        search = GradientSearch(problem, base, gradients, self.tolerance, answers, self.limit)
        best = search.best()
        others = tuple(fault for fault in base.faults if fault not in LOSS_FAULTS)
        if best.cost and (others != base.faults or base.unexplained):
            without = replace(base, faults=others, at=forward(problem, others))
            found = replace(search, base=without, limit=best.cost).best()
            best = found if found.cost < best.cost else best
        return best

    def find_causes(self, answers: Mapping[str, Answer], gradients: Mapping[str, Answer]) -> None:
        """Add what is wrong, the most basic first."""
        base, back = self.forward, self.backward
        assert base is not None and back is not None
        for fault in sorted(base.faults, key=stage_of):
            shown = [key for key in answers if STAGE_OF_ANSWER[key] >= stage_of(fault)]
            self.find_fault(fault, [*shown, *gradients])
        for key in base.unexplained:
            cause = self.taken_for_probabilities(answers[key]) if key == "P" else None
            if cause is not None:
                self.find_fault(cause, [key], it=answers[key].name)
            else:
                within = self.tolerance[key].single
                where = where_answer_differs(key, answers[key], base.expected[key], within)
                self.find(None, where, [key])
        faults: set[Fault] = set(back.faults)
        if "W transposed" in {*base.faults, *faults}:  # then either way of going back follows from it
            faults.discard("W for its transpose")
        for fault in sorted(faults, key=lambda fault: (stage_of(fault), str(fault))):
            self.find_fault(fault, [name for name in gradients if fault in OF_ALL or name in "WUb"])
        for fault, names in back.shared(lambda own: own.assembly).items():
            self.find_fault(fault, names, it=named(names, gradients))
        self.find_scalings(answers, gradients)
        for name in back.unexplained:
            self.find_unexplained(name, gradients[name])

    def taken_for_probabilities(self, answer: Answer) -> str | None:
        """Return what else than probabilities an array is."""
        others = {"logits for P": self.right["O"], "log P for P": np.log(self.right["P"])}
        within = self.tolerance["P"].single
        return next((name for name, array in others.items() if answer.error(array) <= within), None)

    def find_fault(self, fault: Fault, arrays: Iterable[str], **words: str) -> None:
        """Add a known mistake, and the arrays that show it."""
        self.find(name_of(fault), sentence_of(fault, **words), arrays)

    def find(self, cause: str | None, sentence: str, arrays: Iterable[str]) -> None:
        """Add one thing that is wrong; without a cause it may follow from what was found before."""
        finding = Finding(cause, sentence, tuple(arrays), cause is None and bool(self.findings))
        self.findings.append(finding)
        for key in finding.arrays:
            self.blame[key].append(finding)

    def find_first(self, finding: Finding) -> None:
        """Add what all other findings may follow from."""
        for old in self.findings:
            self.substitute(old, replace(old, follows=old.cause is None))
        self.findings.insert(0, finding)

    def substitute(self, old: Finding, new: Finding) -> None:
        """Put one finding in the place of another."""

        def substituted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
            return tuple(new if finding is old else finding for finding in findings)

        self.findings = list(substituted(self.findings))
        self.rows = [replace(row, findings=substituted(row.findings)) for row in self.rows]

    def find_scalings(self, answers: Mapping[str, Answer], gradients: Mapping[str, Answer]) -> None:
        """Add factors, signs and clipping, those of the loss among them."""
        assert self.forward is not None and self.backward is not None
        of_loss = list(self.forward.scalings)
        for scaling, names in self.backward.shared(lambda own: own.scalings).items():
            keys, what = list(names), named(names, gradients)
            if scaling.kind == "clipped" and scaling.number == self.config.clip:
                self.notes.append(f"{what}: clipped to [-{scaling.number:g}, {scaling.number:g}]")
                continue
            if scaling in of_loss:
                of_loss.remove(scaling)
                keys, what = ["loss", *keys], f"{answers['loss'].name}, {what}"
            self.find_scaling(scaling, keys, what, gradients)
        for scaling in of_loss:
            self.find_scaling(scaling, ["loss"], answers["loss"].name, gradients)

    def find_scaling(
        self, scaling: Scaling, keys: list[str], what: str, gradients: Mapping[str, Answer]
    ) -> None:
        """Add a factor, or clipping; some factors come of clipping by the norm of all gradients."""
        if scaling.kind == "multiple" and scaling.number < 1:
            size = norm(np.array([norm(answer.array) for answer in gradients.values()]))
            whole = float(f"{size:.4g}")
            if len(gradients) == len(NAMES) and abs(size / whole - 1) < 1e-5:
                scaling, what = Scaling("norm", whole), f"{what}, together"
        self.find(scaling.cause, scaling.sentence(what, self.config.clip), keys)

    def find_unexplained(self, name: str, answer: Answer) -> None:
        """Add a gradient without a cause, or note that it is one of coarse numerical differences."""
        assert self.backward is not None and self.reading.problem is not None
        expected, (found,) = self.backward.expected[name], answer.ways
        note = finite_differences.explain(self.reading.problem, name, found, self.right[name])
        if note is not None:
            self.notes.append(f"{answer.name}: {note}")
        elif found.shape != expected.shape:
            self.find_shape(name, answer, [name])
        else:
            where = where_array_differs(found, expected, self.tolerance[name].single)
            self.find(None, f"{answer.name} differs, {where}", [name])

    def find_shape(self, name: str, answer: Answer, arrays: Iterable[str]) -> None:
        """Add an array that has not the shape of its parameter."""
        shape = self.reading.theta[name].shape
        self.find(None, f"{answer.name} has the shape {answer.array.shape}, {name} has {shape}", arrays)

    # ------------------------------------------------------------ rows

    def row_of_gradient(self, name: str, answer: Answer) -> Row:
        """Return the row of a gradient."""
        assert self.backward is not None
        row, own = self.row(name, answer, f"gradient of {name}"), self.backward.own[name]
        if self.blame[name]:
            return row
        if own is None:
            return replace(row, verdict=COARSE, is_right=True)
        if own.parts == (Scaling("clipped", self.config.clip),):  # type: ignore[arg-type]
            return replace(row, verdict=f"right, clipped to {self.config.clip:g}", is_right=True)
        return row

    def row_of_differences(self, name: str, answer: Answer) -> Row:
        """Return the row of a gradient that the program made by numerical differences."""
        problem = self.reading.problem
        assert problem is not None
        row = self.row(name, answer, f"numerical gradient of {name}", by_numbers=True)
        if row.is_right:
            return row
        note = finite_differences.explain(problem, name, answer.ways[0], self.right[name])
        if note is None and row.norm is not None and row.norm < 1e-4:
            note = "numerical differences"
        if note is not None:
            self.notes.append(f"{answer.name}: {note}")
            return replace(row, verdict=COARSE, is_right=True)
        sentence = f"{answer.name} is neither the gradient nor near it by numerical differences"
        self.find(None, sentence, [name])
        return replace(row, verdict="wrong:", findings=(self.findings[-1],))

    def row(self, key: str, answer: Answer, what: str, by_numbers: bool = False) -> Row:
        """Return a row with its errors and its verdict, which `by_numbers` no finding changes."""
        pair = None if answer.is_transposed else answer.nearest(self.right[key])
        largest, off = (None, None) if pair is None else errors(*pair)
        row = Row(answer.name, what, answer.array.shape, largest, off, "right")
        blame, tolerance = () if by_numbers else tuple(self.blame[key]), self.tolerance[key]
        if off is not None and off <= tolerance.double:
            return row
        if off is not None and off <= tolerance.single and not blame:
            return replace(row, verdict="right, in float32")
        return replace(row, verdict=self.wrong(key, blame), is_right=False, findings=blame)

    def wrong(self, key: str, blame: Iterable[Finding]) -> str:
        """Return whether an array is wrong by its own fault, or follows from what others have."""
        own = self.backward and self.backward.own.get(key)
        if (
            any(finding.arrays[0] == key or finding.cause is None for finding in blame)
            or (own and own.parts)
            or (key == "loss" and self.forward and self.forward.scalings)
        ):
            return "wrong:"
        return "follows from" if blame else FOLLOWS


def named(names: Iterable[str], gradients: Mapping[str, Answer]) -> str:
    """Return gradients as the program names them."""
    return ", ".join(gradients[name].name for name in names)


def errors(found: Array, right: Array) -> tuple[float | None, float | None]:
    """Return the largest difference and the norm of all, as shares; None where they are not finite."""
    largest = float(np.abs(found - right).max() / max(float(np.abs(right).max()), 1e-300))
    both = largest, error(found, right)
    return tuple(number if np.isfinite(number) else None for number in both)  # type: ignore[return-value]
