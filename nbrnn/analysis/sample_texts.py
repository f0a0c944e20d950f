"""Samples drawn during training, and texts that the best model generates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbrnn.analysis.run_records import Progress
from nbrnn.runs.sampling import sample
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.schemas import Sample

EVERY, LAST = 10_000, 100_000  # updates between the samples that the assignment asks for, and the end
MAX_SAMPLES = LAST // EVERY + 1
LENGTH = 10_000  # characters of each generated text
PLAIN = "temperature 1"
TEMPERATURES: dict[str, dict[str, Any]] = {
    f"temperature {value:g}": {"temperature": value} for value in (0.3, 0.7, 1.2)
}
NUCLEUS: dict[str, dict[str, Any]] = {
    f"nucleus {value:g}": {"top_p": value} for value in (0.5, 0.8, 0.95)
}


def select_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples before training and every 10,000 updates, to 100,000.

    A run too short for two of these gives as many, evenly spaced.
    """
    selected = [each for each in samples if each.update % EVERY == 0 and each.update <= LAST]
    if len(selected) > 1 or not samples:
        return selected
    places = np.linspace(0, len(samples) - 1, min(MAX_SAMPLES, len(samples)))
    return [samples[place] for place in np.round(places).astype(int)]


def long_texts(model: Checkpoint, progress: Progress) -> dict[str, str]:
    """Return what a model generates plainly, by temperatures, and by nucleus (top-p) sampling."""
    settings = {PLAIN: {}, **TEMPERATURES, **NUCLEUS}
    texts = {}
    for number, (name, options) in enumerate(settings.items(), 1):
        texts[name] = sample(model, LENGTH, **options)
        progress("texts generated", number, len(settings))
    return texts
