"""What does the network write: while it learns, and in the end?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbrnn.reports.reading import Progress
from nbrnn.runs.sampling import sample
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.schemas import Sample

EVERY, LAST = 10_000, 100_000  # updates between the samples that the assignment asks for, and the end
MOST = LAST // EVERY + 1
LONG = 10_000  # characters of each text in which copies are looked for
PLAIN = "temperature 1"
TEMPERATURES: dict[str, dict[str, Any]] = {
    f"temperature {value:g}": {"temperature": value} for value in (0.3, 0.7, 1.2)
}
NUCLEI: dict[str, dict[str, Any]] = {
    f"nucleus {value:g}": {"top_p": value} for value in (0.5, 0.8, 0.95)
}


def evolution(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples before training and every 10,000 updates, to 100,000.

    A run too short for two of these gives as many, evenly spaced.
    """
    wanted = [each for each in samples if each.update % EVERY == 0 and each.update <= LAST]
    if len(wanted) > 1 or not samples:
        return wanted
    places = np.linspace(0, len(samples) - 1, min(MOST, len(samples)))
    return [samples[place] for place in np.round(places).astype(int)]


def long_texts(model: Checkpoint, progress: Progress | None) -> dict[str, str]:
    """Return what a model writes plainly, by low and high temperatures, by small and large nuclei."""
    settings = {PLAIN: {}, **TEMPERATURES, **NUCLEI}
    texts = {}
    for number, (name, options) in enumerate(settings.items(), 1):
        texts[name] = sample(model, LONG, **options)
        if progress is not None:
            progress("texts written", number, len(settings))
    return texts
