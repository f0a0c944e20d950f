"""The gradient check of a run, of its network before training: against numerical differences."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct, structs

from nbrnn.analysis.run_records import Progress, ignore
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, Description
from nbrnn.errors import StoreError
from nbrnn.network.gradcheck import Difference, gradcheck, worst
from nbrnn.storage.checkpoint import layout_of
from nbrnn.storage.safe_files import read_json

TOLERANCE = 1e-6
SMALL, LARGE = 5, 100  # hidden units that are checked
MAX_LENGTH, MAX_WINDOWS = 25, 2
CHECKED_SETTINGS = ("cell", "layers", "seq_length", "batch", "loss", "init", "sigma", "seed")
MAX_WORK = 2.5e10  # multiplications a difference, which take half a minute of one core


class GradientCheck(Struct, frozen=True, kw_only=True):
    """The relative errors of the gradients at the start of a run, and the networks checked."""

    nbrnn: str
    corpus_sha256: str
    cell: str = "vanilla"
    layers: int = 1
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
    stored: Path,
    progress: Progress = ignore,
) -> GradientCheck | None:
    """Return the gradient check of a run, the stored one where it is of the same networks.

    A small network and the run's own are checked or, since the work grows with m^4, one that takes half
    a minute, over at most 25 characters and 2 windows. None without the text. Raises CorpusError if
    that is too short.
    """
    configs = configs_of(config, len(described.alphabet))
    wanted = GradientCheck(
        nbrnn=version("nbrnn"),
        corpus_sha256=described.sha256,
        hidden=[each.hidden for each in configs],
        **{name: getattr(configs[0], name) for name in CHECKED_SETTINGS},
    )
    with suppress(StoreError):
        check = read_json(stored, GradientCheck)
        if check.differences and structs.replace(check, differences=[]) == wanted:
            return check
    if corpus is None:
        return None
    differences = []
    for each in configs:
        observe = partial(progress, f"m = {each.hidden}: derivatives")
        differences += gradcheck(corpus, each, observe)
    return structs.replace(wanted, differences=differences)


def configs_of(config: RunConfig, K: int) -> list[RunConfig]:
    """Return the settings of the networks to check for a run over K characters."""
    T, B = min(config.seq_length, MAX_LENGTH), min(config.batch, MAX_WINDOWS)
    small, m = min(SMALL, config.hidden), min(LARGE, config.hidden)
    while m > small and T * B * layout_of(replace(config, hidden=m), K).multiply_adds ** 2 > MAX_WORK:
        m -= 1
    return [replace(config, hidden=size, seq_length=T, batch=B) for size in dict.fromkeys((small, m))]
