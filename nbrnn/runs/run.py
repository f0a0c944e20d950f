"""`run`: the one function behind `train`, `sweep` and the benchmarks."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nbrnn.config import RunConfig, option_name
from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError, StoreError
from nbrnn.naming import train_command
from nbrnn.runs.finalize import draw_loss, write_text
from nbrnn.runs.initial_weights import check_weights
from nbrnn.runs.observer import Observer
from nbrnn.runs.run_loop import CHECKPOINT_SECONDS, RunLoop
from nbrnn.runs.window_order import document_windows
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import SUMMARY, RunFolder
from nbrnn.storage.safe_files import RESTORE
from nbrnn.storage.schemas import DONE, Summary
from nbrnn.text_parts import Part, size, windows
from nbrnn.values import check_range

MAX_EPOCHS = 100_000  # their mean losses stand in the header of every checkpoint


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
    initial: Checkpoint | None = None,
    snapshot_every: int = 0,
    track: bool = False,
) -> Summary:
    """Train, from the start or from the last checkpoint in the folder; return the summary.

    A folder with the same run finished is left as it is.

    `stop` is called between chunks of updates; True ends the run, with a checkpoint, as `interrupted`.
    `force` starts anew. `draw` makes the picture of the loss, which takes as long as some thousand
    updates. `command` is what the user typed, for env.json; by default this process's own.
    `checkpoint_seconds` lie between two checkpoints, `chunk` updates in a chunk: neither changes a
    result. `initial` is the model of config.init_from, which a run needs only when it starts.
    `snapshot_every` updates the weights are kept in `snapshots/` (0: never). `track` writes
    dynamics.csv; a run that was tracked before it was interrupted is tracked on.

    Raises StoreError if the folder holds something else, LockedError if another process is at work in
    it, WriteError if it cannot be written, CorpusError for too short a text.
    """
    run_folder = RunFolder(folder)
    check_range("--snapshot-every", snapshot_every, 0, 10**15, whole=True)
    check_length(config, corpus)
    run_folder.check_owner()
    with run_folder.locked():
        if run_folder.is_run() and not force:
            check_same(run_folder, config, corpus)
        elif run_folder.is_run():
            run_folder.read_config()  # raises StoreError, rather than delete what is not ours
        run_folder.clear_unfinished()
        from_checkpoint = run_folder.has_checkpoint() and not force
        summary = done_summary(run_folder, config) if from_checkpoint else None
        if summary is None:
            command = sys.argv if command is None else command
            observer = observer or Observer()
            if from_checkpoint:
                refuse_shorter(run_folder, config.length(len(corpus)))
            else:
                check_weights(initial, config)
            track = track or (from_checkpoint and run_folder.has_dynamics())
            options = observer, stop, command, checkpoint_seconds, chunk, initial, snapshot_every, track
            summary = RunLoop(config, corpus, run_folder, *options).run(from_checkpoint)
        if summary.status != "interrupted":
            write_text(run_folder)
            if draw:
                draw_loss(run_folder)
        return summary


def check_same(folder: RunFolder, config: RunConfig, corpus: Corpus) -> None:
    """Raise StoreError unless the folder holds this run, or its beginning."""
    refuse_imported(folder)
    there, corpus_there = folder.read_config()
    if corpus_there.sha256 != corpus.sha256:
        is_same = corpus.source and corpus_there.source == corpus.source
        kind = "an earlier version of this text" if is_same else "another text"
        raise StoreError(
            f"{folder} holds a run on {kind} ({corpus_there.name}): "
            "give another --out, or --force to replace it"
        )
    if not there.same_but_length(config):
        if there.same_apart_from_length(config):
            end = f"epoch {there.epochs}" if there.epochs else f"update {there.updates}"
            again = shlex.join([*train_command(config, corpus.words), "--out", "NEW"])
            raise StoreError(
                f"cannot extend {folder}: its {there.schedule} schedule ends at {end}; to train longer, "
                f"start again, with --init-from {folder} from its weights: {again}"
            )
        ours, theirs = config.to_dict(), there.to_dict()
        different = ", ".join(
            f"{option_name(name)} {theirs[name]}"
            for name in ours
            if ours[name] != theirs[name] is not None and name not in ("epochs", "updates", "init_from")
        )
        different = different or "other initial weights"
        raise StoreError(
            f"{folder} holds another run, with {different}: give another --out, or --force to replace it"
        )


def refuse_imported(folder: RunFolder) -> None:
    """Raise StoreError if the folder holds weights that were trained elsewhere."""
    if folder.has(SUMMARY) and folder.read_summary().status == "imported":
        raise StoreError(
            f"{folder} holds imported weights, which cannot be trained further; to start a new run from "
            f"them: nbrnn train TEXT --init-from {folder}"
        )


def refuse_shorter(folder: RunFolder, updates: int) -> None:
    """Raise StoreError if a run has done more updates than these."""
    done = max(folder.read_model("last").update, folder.read_model("best").update)
    if done > updates:
        raise StoreError(
            f"{folder} has done {done:,} updates already, more than the {updates:,} asked for: "
            "give a larger number, or another folder"
        )


def copy_run(source: RunFolder, target: RunFolder, config: RunConfig) -> bool:
    """Copy a run into a new folder, to be extended there to the length in `config`.

    Returns False, and changes nothing, where there is a run already. Raises StoreError, also where the
    run is longer than that, LockedError, WriteError.
    """
    _, corpus = source.read_config()
    refuse_shorter(source, config.length(corpus.characters))
    if source.path.resolve() == target.path.resolve():
        raise StoreError(
            f"the copy that --from makes would be {target} itself: give another folder with --out, or "
            f"continue the run: nbrnn train --resume {target}"
        )
    target.check_owner()
    with target.locked():
        if target.is_run():
            return False
        target.write_contents(source.contents())
        return True


def check_length(config: RunConfig, corpus: Corpus) -> None:
    """Raise CorpusError for a text that is too short for these settings, and for too many epochs."""
    parts = config.parts(len(corpus))
    characters = size(parts.training)
    if config.updates_per_epoch(len(corpus)) == 0:
        batch, smaller = "", "--seq-length"
        if config.batch > 1:
            batch, smaller = f" and --batch {config.batch}", "--batch or --seq-length"
        raise CorpusError(
            f"{corpus.name}: {characters:,} characters are too few for --seq-length "
            f"{config.seq_length}{batch}: at least {config.seq_length * config.batch + 1:,} are needed; "
            f"give a longer text or a smaller {smaller}"
        )
    for name in ("validation", "test"):
        if getattr(config, name) and not corpus.stretches(getattr(parts, name)):
            what = f"--{name} {getattr(config, name)}"
            least = "fewer than two characters" if corpus.end is None else "no whole document"
            raise CorpusError(f"{corpus.name}: {what} holds out {least}: give a larger fraction")
    if config.chunks is not None and config.chunks > (
        count := windows(parts.training, config.seq_length)
    ):
        raise CorpusError(
            f"{corpus.name}: --chunks {config.chunks} exceeds the text's {count:,} windows"
        )
    if corpus.end is not None:
        check_documents(config, corpus, parts.training)
    updates = config.length(len(corpus))
    if config.warmup > updates > 0:
        raise CorpusError(
            f"{corpus.name}: --warmup {config.warmup} exceeds the run's {updates:,} updates"
        )
    most = MAX_EPOCHS * config.updates_per_epoch(len(corpus))
    if updates > most:
        given, limit = f"--updates {updates:,}", f"{most:,} ({MAX_EPOCHS:,} epochs)"
        if config.epochs is not None:
            given, limit = f"--epochs {config.epochs:,}", f"{MAX_EPOCHS:,}"
        raise CorpusError(f"{corpus.name}: {given} exceeds the limit of {limit}")


def check_documents(config: RunConfig, corpus: Corpus, training: Part) -> None:
    """Raise CorpusError for documents that are too few for these settings, or an order of a text."""
    if config.order == "chunks":
        raise CorpusError("--order chunks would cut documents in two: give --order sequential or random")
    documents = corpus.stretches(training)
    if not documents:
        raise CorpusError(
            f"{corpus.name}: no whole document is left to train on: hold out less of the text"
        )
    windows = int(document_windows(config, documents, corpus.end)[1].sum())
    if windows < config.batch:
        raise CorpusError(
            f"{corpus.name}: --batch {config.batch} exceeds the {windows:,} windows of its documents"
        )


def done_summary(folder: RunFolder, config: RunConfig, *, longer_too: bool = False) -> Summary | None:
    """Return the summary of a run that is done, or None.

    `longer_too`: also of one that was extended beyond `config`. Raises StoreError if its checkpoints are
    damaged, or not those that the summary describes.
    """
    there, corpus = folder.read_config()
    summary = folder.read_summary()
    characters = corpus.characters
    is_longer = there.same_but_length(config) and there.length(characters) >= config.length(characters)
    if summary.status not in DONE or not (there == config or (longer_too and is_longer)):
        return None
    last, best = folder.read_model("last"), folder.read_model("best")
    if last.config != there or not is_of_checkpoints(summary, last, best):
        raise StoreError(f"{folder}: summary.json does not describe its checkpoints: {RESTORE}")
    if summary.status == "finished" and not folder.has_logs_of(last):
        raise StoreError(f"{folder}: its metrics or samples belong to another run: {RESTORE}")
    return summary


def is_of_checkpoints(summary: Summary, last: Checkpoint, best: Checkpoint) -> bool:
    """Return whether a summary describes these checkpoints."""
    described = summary.best_update, summary.smooth_loss_best
    if summary.updates and (best.update, best.smooth_loss) != described:
        return False
    if summary.status == "diverged":  # what is not finite is not kept
        return last.update <= summary.updates
    return (last.update, last.smooth_loss) == (summary.updates, summary.smooth_loss_final)
