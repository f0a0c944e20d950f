"""What do hidden units follow in a text: its lines, quotes, brackets, spaces, sentences?"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nbrnn.typing import Array

QUOTES = {"“": "”", "„": "“", "«": "»"}  # a straight quote opens and closes
BRACKETS = {"(": ")", "[": "]", "{": "}"}
START, END = "\"'(\\[\u2018\u201c\u201e", "\"')\\]\u2019\u201d"  # what may stand around a sentence
SENTENCE_START = re.compile(rf"(?:^|[.!?][{END}]*\s+|\n\s*\n)[\s{START}]*\w")
CHANCE = 0.95  # quantile of the largest correlation by chance
MIN_SHIFT = 0.1  # of the text


def position_in_line(text: str) -> Array:
    """Return how many characters after the last line end each character is."""
    places = np.arange(len(text))
    ends = np.array([character == "\n" for character in text])
    last = np.maximum.accumulate(np.where(ends, places, -1))
    result: Array = (places - last).astype(float)
    return result


def inside(text: str, pairs: dict[str, str], both: str = "") -> Array:
    """Return 1 at characters between an opening and its closing one, 0 elsewhere.

    `both` opens and closes. A blank line closes all.
    """
    closing: list[str] = []
    result, line_ends = np.zeros(len(text)), 0
    for n, character in enumerate(text):
        line_ends = line_ends + (character == "\n") if character.isspace() else 0
        if closing and character == closing[-1]:
            closing.pop()
        elif character in pairs or character == both:
            closing.append(pairs.get(character, both))
        elif line_ends > 1:
            closing.clear()
        result[n] = bool(closing)
    return result


def sentence_starts(text: str) -> Array:
    """Return 1 at the first letter of each sentence, 0 elsewhere."""
    result = np.zeros(len(text))
    result[[match.end() - 1 for match in SENTENCE_START.finditer(text)]] = 1
    return result


FEATURES: dict[str, Callable[[str], Array]] = {
    "position in line": position_in_line,
    "quotes": lambda text: inside(text, QUOTES, '"'),
    "brackets": lambda text: inside(text, BRACKETS),
    "spaces": lambda text: np.array([float(character.isspace()) for character in text]),
    "sentence starts": sentence_starts,
}


class FeatureCorrelations(NamedTuple):
    """How closely units follow the features that a text has."""

    features: list[str]
    correlations: Array  # (features, units); 0 where a unit is constant
    chance: Array  # (features,): what the largest of all units reaches by chance

    @property
    def excess(self) -> Array:
        """The size of each correlation by that of chance, (features, units)."""
        result: Array = np.abs(self.correlations) / np.maximum(self.chance, 1e-9)[:, None]
        return np.where(self.correlations == 0, 0, result)


def correlate_features(text: str, states: Array) -> FeatureCorrelations:
    """Return the correlation of each unit with each feature of a text; states (units, N).

    Chance is what the feature reaches when it is shifted along the text, from its end to its beginning,
    which keeps its rhythm: the largest correlation of all units exceeds it at 5 % of all shifts. Shifts
    by less than a tenth of the text are left out.
    """
    rows = {name: feature(text) for name, feature in FEATURES.items()}
    features = {name: row for name, row in rows.items() if row.min() < row.max()}
    units, least = standardized(states), int(MIN_SHIFT * len(text))
    spectrum = np.fft.rfft(units)
    correlations, chance = [], []
    for feature in standardized(np.reshape(list(features.values()), (-1, len(text)))):
        products = np.fft.irfft(spectrum * np.fft.rfft(feature).conj(), len(text))
        correlations.append(products[:, 0])
        largest = np.abs(products[:, least : len(text) - least + 1]).max(axis=0)
        chance.append(float(np.quantile(largest, CHANCE)) if largest.size else 1.0)
    of_units = np.reshape(correlations, (-1, len(states)))
    return FeatureCorrelations(list(features), of_units, np.array(chance))


def standardized(rows: Array) -> Array:
    """Return rows with mean 0 and norm 1; constant ones become 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = norms <= 1e-6 * (1 + np.abs(rows).max(axis=1, keepdims=True))
    result: Array = np.where(flat, 0, centred / np.where(flat, 1, norms))
    return result
