"""Is the gradient right with which a run was trained?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct, structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, Description
from nbrnn.errors import StoreError
from nbrnn.network.gradcheck import Difference, gradcheck, worst
from nbrnn.reports.reading import Progress
from nbrnn.storage.atomic_files import read_json

TOLERANCE = 1e-6
SMALL, LARGE = 5, 100  # hidden units that are checked
LONGEST, MOST_WINDOWS = 25, 2
OF_CONFIG = ("seq_length", "batch", "loss", "init", "sigma", "seed")
MOST_WORK = 2.5e10  # multiplications of one difference each, which take half a minute of one core


class GradientCheck(Struct, frozen=True, kw_only=True):
    """How far the gradients at the start of a run are from numerical ones, and of which networks."""

    nbrnn: str
    corpus_sha256: str
    hidden: list[int]
    seq_length: int
    batch: int
    loss: str
    init: str
    sigma: float | None
    seed: int
    differences: list[Difference] = []

    @property
    def largest(self) -> float:
        """The largest relative error of any weight; NaN, which no tolerance allows, if one is."""
        return worst(self.differences)


def gradient_check(
    config: RunConfig,
    described: Description,
    corpus: Corpus | None,
    kept: Path,
    progress: Progress | None,
) -> GradientCheck | None:
    """Return the check for a run: the one that an older report kept in a file, if it is of the same.

    Of a small network and of the run's own or, since the work grows with m^4, one as large as is soon
    done; for the same reason of at most 25 characters and 2 windows. None where that needs a text which
    is not at hand. Raises CorpusError for one that is too short.
    """
    configs = configs_of(config, len(described.alphabet))
    wanted = GradientCheck(
        nbrnn=version("nbrnn"),
        corpus_sha256=described.sha256,
        hidden=[each.hidden for each in configs],
        **{name: getattr(configs[0], name) for name in OF_CONFIG},
    )
    with suppress(StoreError):
        found = read_json(kept, GradientCheck)
        if found.differences and structs.replace(found, differences=[]) == wanted:
            return found
    if corpus is None:
        return None
    differences = []
    for each in configs:
        tell = partial(progress, f"m = {each.hidden}: derivatives") if progress else ignore
        differences += gradcheck(corpus, each, tell)
    return structs.replace(wanted, differences=differences)


def configs_of(config: RunConfig, K: int) -> list[RunConfig]:
    """Return the settings of the networks that are checked for a run over K characters."""
    T, B = min(config.seq_length, LONGEST), min(config.batch, MOST_WINDOWS)
    small, m = min(SMALL, config.hidden), min(LARGE, config.hidden)
    while m > small and T * B * (m * m + 2 * m * K) ** 2 > MOST_WORK:
        m -= 1
    return [replace(config, hidden=size, seq_length=T, batch=B) for size in dict.fromkeys((small, m))]


def ignore(done: int, total: int) -> None:
    """Tell nobody how far the check is."""
