"""The report of a check: what is right, what is wrong, where, and what was not checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from nbrnn.checks.tolerances import largest
from nbrnn.typing import Array
from nbrnn.values import plural

# The parts of a program, in the order in which those are named that nothing was given of.
PARTS = {
    "loss": "the loss",
    "gradients": "the gradients",
    "windows": "several windows at once",
    "steps": "the optimizer's steps",
    "states": "the state carried over from window to window, and reset at an epoch's start",
    "smooth": "the smooth loss",
    "sampling": "sampling",
}


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing that is wrong.

    `cause` is the name of a known mistake, None unless it explains every number. `arrays` are those
    that show it; `follows`: it may come of the findings before it. `rung` is that which fails first.
    """

    cause: str | None
    sentence: str
    arrays: tuple[str, ...]
    follows: bool = False
    rung: str = ""


@dataclass(frozen=True)
class Row:
    """One array beside what it should be.

    largest: the largest difference as a share of the largest right number; norm: that of the norms.
    Both are None where there is nothing to compare with. `is_right` is None where it was not judged.
    """

    name: str
    what: str
    shape: tuple[int, ...]
    largest: float | None
    norm: float | None
    verdict: str
    is_right: bool | None = True
    rung: str = ""

    @classmethod
    def of(
        cls, name: str, what: str, found: Array, right: Array, is_right: bool | None, verdict: str = ""
    ) -> Row:
        """Return the row of an array that may have another shape than the right one."""
        shares: list[float | None] = [None, None]
        if found.shape == right.shape:
            pairs = [(size(found - right), size(right)) for size in (largest, np.linalg.norm)]
            shares = [float(off / max(n, 1e-300)) if np.isfinite(off) else None for off, n in pairs]
        verdict = verdict or ("right" if is_right else "wrong")
        return cls(name, what, found.shape, shares[0], shares[1], verdict, is_right)


@dataclass
class Report:
    """The report of a check."""

    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # how the arrays were understood
    not_checked: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)  # of rungs, in their order
    covered: set[str] = field(default_factory=set)  # the PARTS of which something is said

    @property
    def is_right(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    @property
    def causes(self) -> list[str | None]:
        """The names of the causes, the most basic first."""
        return [finding.cause for finding in self.findings]

    @property
    def judged(self) -> list[Row]:
        """The rows of which it is known whether they are right."""
        return [row for row in self.rows if row.is_right is not None]

    @property
    def points(self) -> dict[str, int]:
        """1 for each rung that is right and 0 for each that is not; what was not judged has none."""
        points: dict[str, int] = {}
        for row in self.judged:
            name = row.rung or row.name
            points[name] = int(bool(row.is_right) and points.get(name, 1) == 1)
        raised = [each.rung for each in self.findings if each.rung and each.rung not in points]
        return points | dict.fromkeys(raised, 0)

    def add(self, other: Report, rung: str = "", follows: bool = False) -> None:
        """Take in the report of another part, all of one rung if that is given.

        `follows`: what is wrong there may come of the findings so far.
        """
        self.rows += [replace(row, rung=rung or row.rung) for row in other.rows]
        self.findings += [
            replace(each, rung=rung or each.rung, follows=follows or each.follows)
            for each in other.findings
        ]
        self.notes += other.notes
        self.not_checked += other.not_checked
        self.covered |= other.covered

    def sentences(self) -> list[str]:
        """Return what is wrong, numbered, the most basic first."""
        return [
            f"{number}. {finding.sentence}{' (may follow from the above)' if finding.follows else ''}"
            for number, finding in enumerate(self.findings, 1)
        ]

    def verdict(self) -> str:
        """Return the answer in a sentence."""
        judged = self.judged
        rungs = {row.rung for row in judged if row.rung}
        of_rungs = f" of {plural(len(rungs), 'exercise')}" if rungs else ""
        what = plural(len(judged), "array") + of_rungs
        if self.is_right:
            return f"right: {what} {'agrees' if len(judged) == 1 else 'agree'}"
        return f"WRONG: {sum(not row.is_right for row in judged)} of {what}"

    def caveat(self) -> str:
        """Return what was not checked, in a sentence."""
        return "Not checked: " + ("; ".join(self.not_checked) or "nothing that nbrnn knows of")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        rows = [{k: v for k, v in asdict(row).items() if k != "is_right"} for row in self.rows]
        return {
            "right": self.is_right,
            "verdict": self.verdict(),
            "points": self.points,
            "rows": rows,
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "not_checked": list(self.not_checked),
        }

    def lines(self) -> list[str]:
        """Return a line for each rung, or for each array of a single exercise."""
        if not self.titles:
            width = max((len(row.name) for row in self.rows), default=0)
            return [f"{row.name:{width}}  {row.what}: {row.verdict}" for row in self.rows]
        words, lines = {1: "right", 0: "WRONG", None: "not checked"}, []
        for name, title in self.titles.items():
            wrong = [row.name for row in self.rows if row.rung == name and row.is_right is False]
            verdict = words[self.points.get(name)]
            lines.append(f"{title:32}  {verdict}{': ' * bool(wrong)}{', '.join(wrong)}")
        return lines

    def __repr__(self) -> str:
        return "\n".join([*self.lines(), self.verdict(), *self.sentences(), *self.notes, self.caveat()])


def where(key: str, found: Array, right: Array, tolerance: float) -> str:
    """Return in words where an array differs, and by how much."""
    if found.ndim == 0:
        return apart(found, right)
    off = np.nan_to_num(np.abs(found - right), nan=np.inf, posinf=np.inf)
    wrong = off > tolerance
    if found.ndim == 3:
        steps = np.flatnonzero(wrong.any((1, 2)))
        t = int(steps[0]) if steps.size else int(np.argmax(off.max((1, 2))))
        b, n = np.unravel_index(int(np.argmax(off[t])), off.shape[1:])
        which = f" of window {b + 1}" if found.shape[1] > 1 else ""
        only = " alone" if steps.size == 1 and len(found) > 1 else ""
        unit = "character" if key[-1] in "OP" else "unit"
        numbers = apart(found[t, b, n], right[t, b, n])
        return f"first at step {t + (key != 'H')}{only}{which}: {unit} {n + 1} is {numbers}"
    place = np.unravel_index(int(np.argmax(off)), off.shape)
    numbers = apart(found[place], right[place])
    most = f"most at ({', '.join(str(int(i) + 1) for i in place)}): {numbers}"
    for axis, word in ((1, "row"), (0, "column")) if found.ndim == 2 else ():
        lines = np.flatnonzero(wrong.any(axis)) + 1
        if 0 < lines.size <= max(1, wrong.shape[1 - axis] // 4):
            listed = ", ".join(map(str, lines[:5])) + ", ..." * (lines.size > 5)
            return f"only in {word}{'s' * (lines.size > 1)} {listed}; {most}"
    return most


def apart(found: Array | float, right: Array | float) -> str:
    """Return in words that one number stands for another, with the digits in which they differ."""
    for digits in range(6, 18):
        a, b = f"{float(found):.{digits}g}", f"{float(right):.{digits}g}"
        if a != b:
            break
    return f"{a} instead of {b}"
