"""What does the user type to train?"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nbrnn.cli.completion import RESULTS, folders
from nbrnn.cli.console import complain, print_wrapped, shown, surviving_closed_stdout
from nbrnn.cli.options import (
    CorpusName,
    Encoding,
    Json,
    PresetName,
    Quiet,
    config_options,
    existing_run,
    load,
)
from nbrnn.cli.signals import Signals
from nbrnn.cli.suggestions import CORPORA
from nbrnn.config import RunConfig, option_name
from nbrnn.errors import ConfigError, StoreError
from nbrnn.escaping import visible
from nbrnn.naming import run_id, unit_of
from nbrnn.presets import with_preset

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.storage.run_folder import RunFolder
    from nbrnn.storage.schemas import Summary


@config_options
def train(
    settings: dict[str, Any],
    corpus: CorpusName = None,
    preset: PresetName = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder  [default: results/RUN_ID]")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder.", autocompletion=folders)
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Go on from this run, in a new folder.", autocompletion=folders),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Start anew where a run is already.")] = False,
    encoding: Encoding = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a text, and keep everything in a folder.

    The same command again goes on with a run that was interrupted, and leaves a finished one as it
    is. With --resume FOLDER --epochs N a run is made longer, with --from a copy of it is.
    """
    if resume is not None and (out is not None or force):
        raise ConfigError("--resume names the folder already: leave out --out and --force")
    if source is not None and (resume is not None or force):
        raise ConfigError("--from begins a new folder: leave out --resume and --force")
    with Signals() as signals:
        before = resume or source
        there = None if before is None else existing_run(before)
        settings = with_preset(preset, settings)
        if there is None:
            config, text = RunConfig(**settings), load(corpus, encoding)
        else:
            config, text = of_run(there, settings, corpus, encoding)

        from nbrnn.cli.progress_bars import Watcher
        from nbrnn.runs.run import copy_run, run
        from nbrnn.storage.run_folder import RunFolder

        new = RunFolder(out or RESULTS / run_id(config, text.name, text.sha256))
        folder = there if there and resume else new
        is_copy = there is not None and folder is new and copy_run(there, new, config)
        if source is None and not force and not {"epochs", "updates"} & set(settings):
            config = with_length_of(folder, config)
        with Watcher(str(folder), config, text, quiet, signals.defer) as watcher:
            try:
                summary = run(
                    config, text, folder.path, observer=watcher, stop=signals.waiting, force=force
                )
            except StoreError:
                if is_copy:  # of a run that was damaged, or went on meanwhile
                    folder.clear()
                raise
    with surviving_closed_stdout():
        print_result(folder, summary, as_json, quiet)
    if not watcher.has_started:
        watcher.say(done_before(folder, text, summary))
    if summary.is_lost_from_zero and not quiet:
        complain(lost_from_zero(summary))
    if summary.status == "interrupted":
        goes_on = f"{resuming(folder, text)} goes on"
        raise signals.error(f"interrupted after update {summary.updates:,}; {goes_on}")
    if summary.status == "diverged":
        complain(f"diverged: {summary.reason}")
        raise typer.Exit(1)


def resuming(folder: RunFolder, text: Corpus) -> str:
    """Return the command that goes on with a run."""
    return f"nbrnn train {'- ' if text.source == '-' else ''}--resume {shlex.quote(str(folder))}"


def done_before(folder: RunFolder, text: Corpus, summary: Summary) -> str:
    """Return in words that there was nothing to do, and how there would be."""
    what = "had diverged" if summary.status == "diverged" else "was finished"
    config, _ = folder.read_config()
    goes_on = summary.status == "finished" and not summary.reason and config.schedule == "constant"
    longer = f"{resuming(folder, text)} --epochs N makes it longer, " if goes_on else ""
    return f"{folder} {what} before and is left as it is: {longer}--force does it again."


def with_length_of(folder: RunFolder, config: RunConfig) -> RunConfig:
    """Return the config with the length of the same run that is in a folder, if it is there."""
    if folder.is_run():
        there, _ = folder.read_config()
        if there.same_but_length(config):
            return there
    return config


def lost_from_zero(summary: Summary) -> str:
    """Return a warning of a best model that is worse than counting characters, from h = 0 on."""
    return (
        f"warning: from h = 0 the best model loses {shown(summary.score_best)} nats per character, a "
        f"unigram model only {shown(summary.score_unigram)}: see docs/tutorials/students.md"
    )


def of_run(
    run: RunFolder, settings: dict[str, Any], corpus: str | None, encoding: str | None
) -> tuple[RunConfig, Corpus]:
    """Return config and corpus of an existing run, with the length that `settings` may give."""
    from nbrnn.runs.run import refuse_imported

    refuse_imported(run)
    config, described = run.read_config()
    length = {name: settings[name] for name in ("epochs", "updates") if name in settings}
    for name, value in settings.items():
        there = getattr(config, name)
        if name not in length and value != there:
            shown_there = "without effect" if there is None else there
            raise ConfigError(
                f"{option_name(name)} is {shown_there} in {run}: only its length can change"
            )
    if length:
        config = replace(config, **{"epochs": None, "updates": None, **length})
    encoding = encoding or described.encoding
    if corpus is None:
        corpus = described.source
        if corpus == "-":
            raise StoreError(f"the text of {run} came from standard input: give it again, with -")
        if corpus not in CORPORA and not os.path.exists(corpus):
            raise StoreError(
                f"{corpus} is no longer there: if it has moved, nbrnn train NEWPATH --resume {run}"
            )
    return config, load(corpus, encoding)


def print_result(folder: RunFolder, summary: Summary, as_json: bool, quiet: bool) -> None:
    """Print what came out of a training."""
    if as_json:
        print(json.dumps({"folder": str(folder), **summary.to_dict()}, indent=2))
    elif not quiet:
        if sys.stdout.isatty() and folder.has_text():
            print(f"what the best model writes:\n\n{visible(folder.read_text())}\n")
        print_wrapped(f"{folder}: {summary.status}, {summary.updates:,} updates")
        if summary.status == "finished" and summary.reason:
            print_wrapped(summary.reason)
        for line in loss_lines(summary, unit_of(folder.read_config()[0])):
            print(line)


def loss_lines(summary: Summary, unit: str) -> list[str]:
    """Return the figures of a run, whose losses are in this unit, as lines for a terminal."""
    lines = []
    for which, update in (("best", summary.best_update), ("final", summary.updates)):
        loss, nats, bits, perplexity = (
            getattr(summary, f"{measure}_{which}")
            for measure in ("smooth_loss", "nats_per_character", "bits_per_character", "perplexity")
        )
        if loss is not None:
            in_units = f"{shown(nats)} nats, {shown(bits)} bits, perplexity {shown(perplexity)}"
            lines += [
                f"smooth loss, {which}: {shown(loss)} {unit}, at update {shown(update)}",
                f"  per character: {in_units}",
            ]
    if summary.validation_final is not None:
        best, last = shown(summary.validation_best), shown(summary.validation_final)
        lines.append(f"held-out loss of the best model: {best} nats per character, of the last {last}")
    if summary.validation_unigram is not None:
        unigram, bigram = shown(summary.validation_unigram), shown(summary.validation_bigram)
        lines.append(f"  of a unigram model {unigram}, of a bigram model {bigram}")
    if summary.score_best is not None:
        best, last, unigram = map(
            shown, (summary.score_best, summary.score_final, summary.score_unigram)
        )
        lines += [
            f"score of the best model, read from h = 0: {best} nats per character",
            f"  of the last model {last}, of a unigram model {unigram}",
        ]
    if summary.updates_per_second:
        lines.append(
            f"training time: {summary.seconds:.1f} s, {summary.updates_per_second:,.0f} updates/s"
        )
    return lines
