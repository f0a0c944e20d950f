"""Check values that users give, and write them in messages."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from nbrnn.errors import ConfigError

MAX_SHOWN = 60  # characters of a value in a message


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise ConfigError, with the nearest choice, unless a value is one of these words."""
    if not isinstance(value, str) or value not in choices:
        wrong = f"(got {shortened(value)}){nearest(value, choices)}"
        raise ConfigError(f"{name} must be {one_of(choices)} {wrong}")


def one_of(choices: Sequence[str]) -> str:
    """Return a list of choices in words."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def nearest(value: Any, choices: Iterable[str]) -> str:
    """Return the end of a message that names the choice which a user may have meant, if there is one."""
    from difflib import get_close_matches

    near = get_close_matches(value.lower(), choices, 1) if isinstance(value, str) else []
    return f"; did you mean {near[0]}?" if near else ""


def check_range(
    name: str,
    value: Any,
    least: float,
    most: float = math.inf,
    *,
    exclusive: bool = False,
    whole: bool = False,
) -> None:
    """Raise ConfigError unless a value is a finite number with least <= value <= most.

    With `exclusive` least < value; with `whole` it must be a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"{name} must be {kind} (got {shortened(value)})")
    number: Any = value
    if not abs(number) < math.inf:
        limit = "finite"
    elif number < least or (exclusive and number == least):
        limit = f"{'above' if exclusive else 'at least'} {least}"
    elif number > most:
        limit = f"at most {most}"
    else:
        return
    raise ConfigError(f"{name} must be {limit} (got {number})")


def shortened(value: Any) -> str:
    """Return any value as it is written in Python, in one short line."""
    text = " ".join(reprlib.repr(value).split())
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def loss_in_progress(loss: float) -> str:
    """Return a loss with enough digits to see it fall."""
    return f"{loss:.{2 if loss >= 10 else 3}f}"
