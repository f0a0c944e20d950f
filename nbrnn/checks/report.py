"""What is right, what is wrong, and why: the answer of a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One array. largest: the largest difference, as a share of the largest number there should be.

    norm: the norm of the difference as a share of the norm. Both are None where there is nothing to
    compare with, as for a wrong shape.
    """

    name: str
    what: str
    shape: tuple[int, ...]
    largest: float | None
    norm: float | None
    verdict: str

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.verdict.startswith("right")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the cause's name, None if none is known, and a sentence.

    `arrays` are those in which it is seen; `follows`: it may come of the findings before it.
    """

    cause: str | None
    sentence: str
    arrays: tuple[str, ...]
    follows: bool = False


@dataclass(frozen=True)
class Report:
    """The answer of a check."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()  # how the arrays were understood

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def causes(self) -> list[str | None]:
        """The names of the causes, the most basic first."""
        return [finding.cause for finding in self.findings]

    def sentences(self) -> list[str]:
        """Return what is wrong, numbered, the most basic first."""
        return [
            f"{number}. {finding.sentence}{' (may follow from the above)' if finding.follows else ''}"
            for number, finding in enumerate(self.findings, 1)
        ]

    def verdict(self) -> str:
        """Return the answer in a sentence."""
        if self.is_right:
            return f"right: {counted(len(self.rows), 'array')} agree" + "s" * (len(self.rows) == 1)
        faults, wrong = len(self.findings), sum(not row.is_right for row in self.rows)
        order = ", the most basic first" if faults > 1 else ""
        seen = f"seen in {wrong} of {counted(len(self.rows), 'array')}"
        return f"WRONG: {counted(faults, 'fault')}{order}, {seen}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {"right": self.is_right, **asdict(self)}

    def __repr__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [f"{row.name:{width}}  {row.what}: {row.verdict}" for row in self.rows]
        return "\n".join([*lines, self.verdict(), *self.sentences()])


def counted(number: int, word: str) -> str:
    """Return a number with its noun."""
    return f"{number} {word}{'s' * (number != 1)}"
