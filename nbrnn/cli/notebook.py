"""What does a person at a notebook, or in a script, call and see?"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbrnn.cli.completion import RESULTS
from nbrnn.cli.progress_bars import SweepWatcher, Watcher
from nbrnn.cli.signals import Interrupt
from nbrnn.cli.sweeps import did_not_finish
from nbrnn.config import RunConfig
from nbrnn.corpus import DEFAULT, Corpus, load
from nbrnn.naming import run_id
from nbrnn.runs.model import Model
from nbrnn.runs.run import run as train
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid_of
from nbrnn.sweeps.successive_halving import halving_of
from nbrnn.sweeps.sweep import Backend
from nbrnn.sweeps.sweep import sweep as train_all

if TYPE_CHECKING:
    import pandas as pd

Text = Corpus | str | os.PathLike[str]  # a corpus, its name, or the path of a text file


def run(
    config: RunConfig | None = None,
    corpus: Text = DEFAULT,
    folder: Path | str | None = None,
    *,
    force: bool = False,
    quiet: bool = False,
) -> Model:
    """Train a network on a text, and return the best model; as `nbrnn train` does.

    It is kept in `folder`, without one in results/RUN_ID. What is finished there is not done again,
    what was interrupted goes on; `force` starts anew. If it diverges, a warning says so. Raises what
    `nbrnn.runs.run.run` does.
    """
    config, text = config or RunConfig(), corpus_of(corpus)
    path = Path(folder) if folder is not None else RESULTS / run_id(config, text.name, text.sha256)
    watcher = Watcher(str(path), config, text, quiet)
    with Interrupt() as interrupt, watcher:
        summary = train(config, text, path, observer=watcher, stop=interrupt.waiting, force=force)
    if summary.status == "diverged":
        warnings.warn(f"diverged: {summary.reason}", stacklevel=2)
    return Model(path)


def sweep(
    settings: Mapping[str, Any] | None = None,
    corpus: Text = DEFAULT,
    folder: Path | str | None = None,
    *,
    seeds: Iterable[int] = range(4),
    random: int | None = None,
    sweep_seed: int = 0,
    jobs: int = -1,
    backend: Backend | None = None,
    scheduler: str | None = None,
    max_failures: int | None = None,
    halving: int | None = None,
    halving_from: float | None = None,
    force: bool = False,
    quiet: bool = False,
) -> pd.DataFrame:
    """Train with all combinations of settings and seeds; return a row for each run, as `read_runs`.

    `settings` has one value or several for each field of RunConfig, as {"sigma": [0.01, 0.1],
    "hidden": 50}; `random` draws so many configurations, by `sweep_seed`. `folder` is results/NAME
    without one. With `halving` 2 the better half of the configurations goes on after a part of their
    length, `halving_from` or more, and so on; the others get the status `dropped`. Runs that did not
    finish are warned of. Raises what `nbrnn.sweeps.sweep.sweep` does.
    """
    from nbrnn.reports.tables import frame_of

    wanted, text = grid_of(settings or {}, seeds, random, sweep_seed), corpus_of(corpus)
    where = SweepFolder(folder if folder is not None else RESULTS / wanted.name(text.name))
    watcher = SweepWatcher(str(where), text, quiet)
    with Interrupt() as interrupt, watcher:
        outcome = train_all(
            wanted,
            text,
            where,
            backend=backend,
            jobs=jobs,
            scheduler=scheduler,
            observer=watcher,
            stop=interrupt.waiting,
            force=force,
            max_failures=max_failures,
            halving=halving_of(halving, halving_from),
        )
    if outcome.failures():
        warnings.warn(did_not_finish(outcome), stacklevel=2)
    begun = [job for job in outcome.jobs if job.run_id in outcome.summaries]
    return frame_of([RunFolder(job.folder) for job in begun])


def corpus_of(text: Text) -> Corpus:
    """Return the corpus that a user means. Raises CorpusError."""
    return text if isinstance(text, Corpus) else load(os.fspath(text))
