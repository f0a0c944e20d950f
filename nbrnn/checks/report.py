"""The answer of a check: what is right, what is wrong, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing that is wrong: the cause's name, None if none is known, and a sentence.

    `arrays` are those that show it; `follows`: it may come of the findings before it.
    """

    cause: str | None
    sentence: str
    arrays: tuple[str, ...]
    follows: bool = False


@dataclass(frozen=True)
class Row:
    """One array beside what it should be.

    largest: the largest difference, as a share of the largest number there should be. norm: the norm of
    the difference as a share of the norm. Both are None where there is nothing to compare with, as for
    a wrong shape. `findings` are those that make it wrong, or that it follows from.
    """

    name: str
    what: str
    shape: tuple[int, ...]
    largest: float | None
    norm: float | None
    verdict: str
    is_right: bool = True
    findings: tuple[Finding, ...] = ()

    def numbered(self, findings: Sequence[Finding]) -> Row:
        """Return the row with a verdict that names its findings by their numbers among these."""
        if self.is_right or not self.findings:
            return self
        numbers = ", ".join(str(findings.index(finding) + 1) for finding in self.findings)
        return replace(self, verdict=f"{self.verdict} {numbers}")


@dataclass(frozen=True)
class Report:
    """The answer of a check."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()  # how the arrays were understood

    @property
    def is_right(self) -> bool:
        """Nothing is wrong."""
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
        arrays = counted(len(self.rows), "array")
        if self.is_right:
            return f"right: {arrays} {'agrees' if len(self.rows) == 1 else 'agree'}"
        wrong = sum(not row.is_right for row in self.rows)
        order = ", the most basic first" if len(self.findings) > 1 else ""
        return f"WRONG: {counted(len(self.findings), 'fault')}{order}, seen in {wrong} of {arrays}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        plain = {"right": self.is_right, **asdict(self)}
        for row in plain["rows"]:
            del row["is_right"], row["findings"]
        return plain

    def __repr__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [f"{row.name:{width}}  {row.what}: {row.verdict}" for row in self.rows]
        return "\n".join([*lines, self.verdict(), *self.sentences()])


def counted(number: int, word: str) -> str:
    """Return a number with its noun."""
    return f"{number} {word}{'s' * (number != 1)}"
