"""How does a sweep with successive halving see its runs, which are shorter than it asked for?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import DROPPED, Summary, SweepRequest


class Wanted(NamedTuple):
    """The length that a run is to have in the end, and whether it was dropped before."""

    epochs: int | None
    updates: int | None
    dropped: bool

    def seen(self, config: RunConfig, summary: Summary, characters: int) -> tuple[RunConfig, Summary]:
        """Return the settings that were asked for, and the summary, of a run that is shorter.

        To itself a run is finished when its round is. To the sweep it is then dropped, or interrupted
        until all runs of the round are there.
        """
        whole = replace(config, epochs=self.epochs, updates=self.updates)
        if config.length(characters) >= whole.length(characters):
            return config, summary
        if summary.status == "finished":
            summary = structs.replace(summary, status=DROPPED if self.dropped else "interrupted")
        return whole, summary


def summary_seen(folder: RunFolder, wanted: Wanted | None) -> Summary:
    """Return the summary of a run as its sweep sees it. Raises StoreError."""
    summary = folder.read_summary()
    if wanted is not None:
        config, corpus = folder.read_config()
        _, summary = wanted.seen(config, summary, corpus.characters)
    return summary


def wanted_of(requests: Iterable[SweepRequest]) -> dict[str, Wanted]:
    """Return what is wanted of each run, by its id, that successive halving may have made shorter.

    The last request that names a run counts: one without halving wants all of them whole.
    """
    wanted: dict[str, Wanted] = {}
    for request in requests:
        if request.halving is None:
            again = wanted.keys() & request.runs
            wanted |= {run_id: wanted[run_id]._replace(dropped=False) for run_id in again}
            continue
        dropped = {run_id for one in request.halving.rounds for run_id in one.dropped_runs}
        epochs, updates = ((request.settings.get(name) or [None])[0] for name in ("epochs", "updates"))
        wanted |= {run_id: Wanted(epochs, updates, run_id in dropped) for run_id in request.runs}
    return wanted
