"""The Python interface: what a notebook or a script calls as `nbrnn.run` and `nbrnn.sweep`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbrnn.config import RunConfig
from nbrnn.corpus import DEFAULT, Corpus, Sources, load
from nbrnn.errors import ConfigError
from nbrnn.naming import RESULTS, folder_path, run_id
from nbrnn.progress_bars import RunDisplay, SweepDisplay, describe_failures
from nbrnn.runs.initial_weights import NETWORK, weights_sha256
from nbrnn.runs.model import Model
from nbrnn.runs.observer import Observer, Observers
from nbrnn.runs.run import run as train
from nbrnn.runs.training_warnings import run_warning, text_warnings
from nbrnn.signals import DeferredInterrupt
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid_of
from nbrnn.sweeps.successive_halving import halving_of
from nbrnn.sweeps.sweep import Backend
from nbrnn.sweeps.sweep import sweep as train_all
from nbrnn.values import shortened

if TYPE_CHECKING:
    import pandas as pd

Text = Corpus | Sources  # a corpus, its name, or the paths of text files or folders
DEFAULTS = RunConfig()


def run(
    config: RunConfig = DEFAULTS,
    corpus: Text = DEFAULT,
    folder: Path | str | None = None,
    *,
    init_from: Path | str | None = None,
    observer: Observer | None = None,
    snapshot_every: int = 0,
    track: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> Model:
    """Train a network on a text, as `nbrnn train` does, and return the best model.

    Everything is kept in `folder`, by default results/RUN_ID. A finished run is not repeated, an
    interrupted one resumes; `force` starts again. `init_from` is the folder of a run whose best model
    the weights start from: settings of the network that have their defaults are taken from it, others
    must be its own. `observer` is called while it trains. `snapshot_every` updates the weights
    are kept in `snapshots/`; `track` writes dynamics.csv. A run that diverges is a warning. Raises what
    `nbrnn.runs.run.run` does.
    """
    if not isinstance(config, RunConfig):
        raise ConfigError(f"config must be a RunConfig (got {shortened(config)}): RunConfig(hidden=50)")
    text, initial = corpus_of(corpus), None
    if init_from is not None:
        initial = Model(init_from).checkpoint
        left_out = [name for name in NETWORK if getattr(config, name) == getattr(DEFAULTS, name)]
        network = {name: getattr(initial.config, name) for name in left_out}
        config = replace(config, **network, init_from=weights_sha256(initial))
    path = folder_path(RESULTS / run_id(config, text.name, text.sha256) if folder is None else folder)
    notes = (f"warning: {warning}" for warning in text_warnings(config, text))
    display = RunDisplay(str(path), config, text, quiet, notes=notes)
    with DeferredInterrupt() as interrupt, display:
        observers = Observers(display) if observer is None else Observers(display, observer)
        options: dict[str, Any] = {"observer": observers, "stop": interrupt.waiting, "force": force}
        options |= {"snapshot_every": snapshot_every, "track": track}
        summary = train(config, text, path, initial=initial, **options)
    if summary.status == "diverged":
        hint = f"try a smaller eta (it was {config.eta:g})"
        warnings.warn(f"diverged: {summary.reason}; {hint}", stacklevel=2)
    if warning := run_warning(RunFolder(path)):
        warnings.warn(warning, stacklevel=2)
    return Model(path)


def sweep(
    settings: Mapping[str, Any] | None = None,
    corpus: Text = DEFAULT,
    folder: Path | str | None = None,
    *,
    seeds: Iterable[int] = range(5),
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
    """Train with all combinations of settings and seeds; return one row per run, as `read_runs` does.

    `settings` has one value or several for each field of RunConfig: {"sigma": [0.01, 0.1], "hidden":
    50}. `random` draws that many configurations, by `sweep_seed`. `folder` is results/NAME by default.
    With `halving` 2 the better half of the configurations continues after a part of the updates,
    `halving_from` or more, and so on; the others get the status `dropped`. Runs that did not finish
    are a warning. Raises what `nbrnn.sweeps.sweep.sweep` does.
    """
    from nbrnn.analysis.result_tables import runs_frame

    grid, text = grid_of(settings or {}, seeds, random, sweep_seed), corpus_of(corpus)
    where = SweepFolder(folder_path(RESULTS / grid.name(text.name) if folder is None else folder))
    display = SweepDisplay(str(where), text, quiet)
    with DeferredInterrupt() as interrupt, display:
        outcome = train_all(
            grid,
            text,
            where,
            backend=backend,
            jobs=jobs,
            scheduler=scheduler,
            observer=display,
            stop=interrupt.waiting,
            force=force,
            max_failures=max_failures,
            halving=halving_of(halving, halving_from),
        )
    if outcome.failures():
        warnings.warn(describe_failures(outcome), stacklevel=2)
    started = [job for job in outcome.jobs if job.run_id in outcome.summaries]
    return runs_frame([RunFolder(job.folder) for job in started])


def corpus_of(text: Text) -> Corpus:
    """Return the corpus that a user means. Raises CorpusError."""
    return text if isinstance(text, Corpus) else load(text)
