"""What is done when an experiment is asked for?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError, StoreError
from nbrnn.runs.finalize import draw_loss, write_text
from nbrnn.runs.observer import Observer
from nbrnn.runs.run_loop import CHECKPOINT_SECONDS, Execution, refuse_shorter
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import SUMMARY, RunFolder
from nbrnn.storage.schemas import DONE, Summary

MOST_EPOCHS = 100_000  # their mean losses stand in the header of every checkpoint


def run(
    config: RunConfig,
    corpus: Corpus,
    folder: Path | str,
    *,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
    force: bool = False,
    draw: bool = True,
    command: Sequence[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    chunk: int | None = None,
) -> Summary:
    """Train, from the start or from where the folder's last checkpoint is; return the summary.

    A folder with the same run finished is left as it is. `stop` is asked between chunks of updates
    whether to end after a checkpoint, as `interrupted`; `force` starts anew; without `draw` there is
    no picture, which takes as long as some thousand updates; `command` is what the user typed, for
    env.json (this process's own, if none is given); `chunk` fixes the number of updates in a chunk,
    which changes no result. Raises StoreError if the folder holds something else,
    LockedError if another process is at work in it, WriteError if it cannot be written, CorpusError
    for too short a text.
    """
    where = RunFolder(folder)
    check_length(config, corpus)
    where.refuse_strangers()
    with where.locked():
        if where.is_run() and not force:
            check_same(where, config, corpus)
        elif where.is_run():
            where.read_config()  # raises StoreError, rather than delete what is not ours
        where.clear_unfinished()
        begun = where.has_checkpoint() and not force
        summary = done_summary(where, config) if begun else None
        if summary is None:
            typed = sys.argv if command is None else command
            execution = Execution(
                config, corpus, where, observer or Observer(), stop, typed, checkpoint_seconds, chunk
            )
            summary = execution.go(begun)
        if summary.status != "interrupted":
            write_text(where)
            if draw:
                draw_loss(where)
        return summary


def check_same(folder: RunFolder, config: RunConfig, corpus: Corpus) -> None:
    """Raise StoreError unless the folder holds this run, or its beginning."""
    refuse_imported(folder)
    there, corpus_there = folder.read_config()
    if corpus_there.sha256 != corpus.sha256:
        raise StoreError(
            f"{folder} holds a run on another text ({corpus_there.name}): give another --out, or --force"
        )
    if not there.same_but_length(config):
        if there.same_apart_from_length(config):
            end = f"epoch {there.epochs}" if there.epochs else f"update {there.updates}"
            raise StoreError(
                f"cannot extend {folder}: its {there.schedule} schedule ends at {end}; to train longer, "
                "start again with another --out"
            )
        ours, theirs = config.to_dict(), there.to_dict()
        different = ", ".join(
            f"{name} {theirs[name]}"
            for name in ours
            if ours[name] != theirs[name] is not None and name not in ("epochs", "updates")
        )
        raise StoreError(f"{folder} holds another run, with {different}: give another --out, or --force")


def refuse_imported(folder: RunFolder) -> None:
    """Raise StoreError if the folder holds weights that were trained elsewhere, which cannot go on."""
    if folder.has(SUMMARY) and folder.read_summary().status == "imported":
        raise StoreError(f"{folder} holds imported weights, which cannot be trained further")


def copy_run(source: RunFolder, target: RunFolder, config: RunConfig) -> bool:
    """Begin a new folder with all that a run has left, so that `config` goes on from there.

    Returns whether it has; nothing happens to a folder that has a run already. Raises StoreError, also
    where the run is further than that, LockedError, WriteError.
    """
    _, corpus = source.read_config()
    updates = config.length(corpus.characters)
    refuse_shorter(source, updates, source.read_checkpoint("last"), source.read_checkpoint("best"))
    if source.path.resolve() == target.path.resolve():
        raise StoreError(f"{target} is the run itself: give another folder, or --resume")
    target.refuse_strangers()
    with target.locked():
        if target.is_run():
            return False
        target.write_contents(source.contents())
        return True


def check_length(config: RunConfig, corpus: Corpus) -> None:
    """Raise CorpusError for a text that is too short for this experiment, and for too many epochs."""
    characters = config.trained_on(len(corpus))
    windows = (characters - 1) // config.seq_length
    if config.updates_per_epoch(len(corpus)) == 0:
        at_once = f" and --batch {config.batch}" if config.batch > 1 else ""
        raise CorpusError(
            f"{corpus.name}: {characters} characters are too few for --seq-length "
            f"{config.seq_length}{at_once}: at least {config.seq_length * config.batch + 1} are needed"
        )
    if config.validation and len(corpus) - characters < 2:
        raise CorpusError(
            f"{corpus.name}: --validation {config.validation} holds out fewer than two characters"
        )
    if config.chunks is not None and config.chunks > windows:
        raise CorpusError(f"{corpus.name}: --chunks {config.chunks} are more than its {windows} windows")
    updates = config.length(len(corpus))
    if config.warmup > updates > 0:
        raise CorpusError(
            f"{corpus.name}: --warmup {config.warmup} is more than the run's {updates} updates"
        )
    if updates / config.updates_per_epoch(len(corpus)) > MOST_EPOCHS:
        raise CorpusError(f"{corpus.name}: so many updates are more than {MOST_EPOCHS:,} epochs")


def done_summary(folder: RunFolder, config: RunConfig, *, longer_too: bool = False) -> Summary | None:
    """Return the summary of a run that need not be done again, or None.

    It counts only with the checkpoints that it speaks of; `longer_too`: also that of a run which went
    on beyond this one. Raises StoreError if its checkpoints are damaged or others.
    """
    there, corpus = folder.read_config()
    summary = folder.read_summary()
    characters = corpus.characters
    is_longer = there.same_but_length(config) and there.length(characters) >= config.length(characters)
    if summary.status not in DONE or not (there == config or (longer_too and is_longer)):
        return None
    last, best = folder.read_model("last"), folder.read_model("best")
    if last.config != there or not is_of_checkpoints(summary, last, best):
        raise StoreError(f"{folder}: its summary is not of its checkpoints (--force starts anew)")
    if summary.status == "finished" and not folder.has_series_of(last):
        raise StoreError(f"{folder}: its metrics or samples are of another run (--force starts anew)")
    return summary


def is_of_checkpoints(summary: Summary, last: Checkpoint, best: Checkpoint) -> bool:
    """Whether a summary speaks of these two."""
    of_best = best.update, best.smooth_loss
    if summary.updates and of_best != (summary.best_update, summary.smooth_loss_best):
        return False
    if summary.status == "diverged":  # what is not finite is not kept
        return last.update <= summary.updates
    return (last.update, last.smooth_loss) == (summary.updates, summary.smooth_loss_final)
