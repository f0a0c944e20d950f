"""The page of `nbrnn explain`: a text coloured by what a network makes of it, and what units follow."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from string import Template

import numpy as np

from nbrnn.analysis.unit_features import FEATURES, FeatureCorrelations, correlate_features
from nbrnn.corpus import encode
from nbrnn.errors import ConfigError, CorpusError
from nbrnn.report.document import Bullets, Table, resource
from nbrnn.report.html import page, render_blocks
from nbrnn.runs.evaluation import read, softmax
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.safe_files import write_bytes
from nbrnn.typing import Array

MAX_CHARACTERS = 10_000  # of the text
MAX_STATES = 4_000_000  # of all units at all characters, a byte each
CAPTION = (
    "The size of the correlation between each unit and a feature of the text, 0 to 1. A unit follows a "
    "feature where that is more than 95 % of shifts of the feature along the text reach with their best "
    "unit; the others are listed last. A button colours the text by its unit; a click on a head sorts."
)


def write_explanation(
    model: Checkpoint, name: str, text: str, path: Path, replacement: str | None = None
) -> FeatureCorrelations:
    """Write the page on a model, called `name`, and a text; return what its units follow.

    Only the beginning of a long text is shown. Characters outside the alphabet become `replacement`.
    Raises ConfigError for a file that is no .html, CorpusError, WriteError.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{path}: give a file that ends in .html")
    units = model.layout.layers * len(model.layout.kind.states) * model.layout.m
    shown = text[: min(MAX_CHARACTERS, MAX_STATES // units)]
    codes = encode(shown, model.alphabet, replacement)
    if len(set(shown)) < 2:
        raise CorpusError("a text to explain needs at least two different characters")
    reading = read(model, codes)
    states = reading.states.astype(float)
    states[:, 1:] = np.tanh(states[:, 1:])  # what is no h has no bounds
    rows = states.transpose(0, 1, 3, 2).reshape(units, -1)
    probability = softmax(reading.logits)[np.arange(codes.size - 1), codes[1:]]
    found = correlate_features(shown, rows)
    labels = unit_labels(model)
    part = f"the first {len(shown):,} of {len(text):,}" if len(shown) < len(text) else f"{len(text):,}"
    status = f"update {model.update:,} · {part} characters"
    body = Template(resource("explain.html")).substitute(
        head=render_blocks([Bullets(answer(found, labels), is_answer=True)]),
        table=render_blocks([unit_table(found, labels)]),
        data=json_of(shown, rows, probability, labels, len(model.alphabet)),
    )
    script = resource("page.js") + resource("explain.js")
    write_bytes(path, page(f"What the units of {name} follow", status, body, script).encode())
    return found


def unit_labels(model: Checkpoint) -> list[str]:
    """Return the name of each unit: its state, its number from 1, and its layer if there are several."""
    layout = model.layout
    return [
        f"{state} {unit + 1}" + (f", layer {layer + 1}" if layout.layers > 1 else "")
        for layer in range(layout.layers)
        for state in layout.kind.states
        for unit in range(layout.m)
    ]


def answer(found: FeatureCorrelations, labels: list[str]) -> list[str]:
    """Return a sentence for each feature: its closest unit, where there is more than chance."""
    sentences = []
    excess = found.excess
    for n in np.argsort(-excess.max(axis=1)):
        unit, feature = int(excess[n].argmax()), found.features[n]
        r, chance = found.correlations[n, unit], found.chance[n]
        if excess[n, unit] > 1:
            sentences.append(
                f"{feature.capitalize()}: followed most closely by unit {labels[unit]} "
                f"(correlation {r:.2f}, by chance up to {chance:.2f})."
            )
        else:
            sentences.append(f"{feature.capitalize()}: no unit follows more than by chance.")
    missing = [feature for feature in FEATURES if feature not in found.features]
    return [*sentences, f"Not in this text: {', '.join(missing)}."] if missing else sentences


def unit_table(found: FeatureCorrelations, labels: list[str]) -> Table:
    """Return the table of units, those that follow something most closely first."""
    excess, best = found.excess, found.excess.argmax(axis=0)
    sizes = np.abs(found.correlations)
    order = sorted(
        range(len(labels)),
        key=lambda unit: (excess[best[unit], unit] <= 1, -sizes[best[unit], unit]),
    )
    rows = []
    for unit in order:
        feature, r = best[unit], found.correlations[best[unit], unit]
        words = ("not " if r < 0 else "") + found.features[feature] if excess[feature, unit] > 1 else "-"
        rows.append([labels[unit], words, *(f"{size:.2f}" for size in sizes[:, unit])])
    columns = ["unit", "follows", *found.features]
    return Table("units", CAPTION, columns, rows, is_sortable=True, max_rows=len(rows))


def json_of(text: str, states: Array, probability: Array, labels: list[str], K: int) -> str:
    """Return all that the page's script needs, as JSON that no HTML parser takes for a tag.

    States (units, N) in [-1, 1] become bytes from 1 to 255; the first character has no probability.
    """
    value = {
        "text": text,
        "labels": labels,
        "states": base64.b64encode((128 + np.rint(127 * states)).astype(np.uint8).tobytes()).decode(),
        "probability": [None, *(float(f"{p:.4g}") for p in probability)],
        "maxLoss": float(np.log(K)),
    }
    return json.dumps(value).replace("<", "\\u003c").replace("&", "\\u0026").replace(">", "\\u003e")
