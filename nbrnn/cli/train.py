"""What does the user type to train?"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nbrnn.cli.console import complain, print_wrapped, shown, surviving_closed_stdout
from nbrnn.cli.options import (
    RESULTS,
    CorpusName,
    Json,
    Quiet,
    config_options,
    existing_run,
    load,
)
from nbrnn.cli.signals import Signals
from nbrnn.config import RunConfig, option_name
from nbrnn.errors import ConfigError, StoreError
from nbrnn.naming import run_id
from nbrnn.visible import visible

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.runs.records import Summary
    from nbrnn.runs.store import RunFolder


@config_options
def train(
    settings: dict[str, Any],
    corpus: CorpusName = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder  [default: results/RUN_ID]")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Start anew where a run is already.")] = False,
    encoding: Annotated[str | None, typer.Option(help="Of the text file  [default: utf-8]")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a text and keep everything about it in a folder.

    The same command again goes on with a run that was interrupted, and leaves a finished one as it
    is. With --resume FOLDER --epochs N a run is made longer.
    """
    with Signals() as signals:
        if resume is None:
            config, text = RunConfig(**settings), load(corpus, encoding)
            path = out or RESULTS / run_id(config, text.name, text.sha256)
        elif out is not None or force:
            raise ConfigError("--resume names the folder already: leave out --out and --force")
        else:
            path = existing_run(resume).path
            config, text = of_run(path, settings, corpus, encoding)

        from nbrnn.cli.watch import Watcher
        from nbrnn.runs.run import run
        from nbrnn.runs.store import RunFolder

        folder, updates_per_epoch = RunFolder(path), text.updates_per_epoch(config.seq_length)
        with Watcher(str(folder), updates_per_epoch, config.seq_length, quiet, signals.defer) as watcher:
            summary = run(config, text, path, observer=watcher, stop=signals.waiting, force=force)
    with surviving_closed_stdout():
        print_result(folder, summary, as_json, quiet)
    if summary.status == "interrupted":
        given_again = " -" if text.source == "-" else ""
        goes_on = f"nbrnn train{given_again} --resume {folder} goes on"
        raise signals.error(f"interrupted after update {summary.updates:,}; {goes_on}")
    if summary.status == "diverged":
        complain(f"diverged: {summary.reason}")
        raise typer.Exit(1)


def of_run(
    path: Path, settings: dict[str, Any], corpus: str | None, encoding: str | None
) -> tuple[RunConfig, Corpus]:
    """Return config and corpus of an existing run, with the length that `settings` may give."""
    from nbrnn.runs.store import RunFolder

    config, described = RunFolder(path).read_config()
    length = {name: settings[name] for name in ("epochs", "updates") if name in settings}
    for name, value in settings.items():
        if name not in length and value != getattr(config, name):
            raise ConfigError(
                f"{option_name(name)} is {getattr(config, name)} in {path}: only its length can change"
            )
    if length:
        config = replace(config, **{"epochs": None, "updates": None, **length})
    encoding = encoding or described.encoding
    if corpus is None:
        corpus = described.source
        if corpus == "-":
            raise StoreError(f"the text of {path} came from standard input: give it again, with -")
    return config, load(corpus, encoding)


def print_result(folder: RunFolder, summary: Summary, as_json: bool, quiet: bool) -> None:
    """Print what came out of a training."""
    if as_json:
        print(json.dumps({"folder": str(folder), **summary.to_dict()}, indent=2))
    elif not quiet:
        print_wrapped(f"{folder}: {summary.status}, {summary.updates:,} updates")
        for line in loss_lines(summary):
            print(line)
        if sys.stdout.isatty() and folder.has_text():
            print(f"what the best model writes:\n\n{visible(folder.read_text())}")


def loss_lines(summary: Summary) -> list[str]:
    """Return the figures of a run as lines for a terminal."""
    lines = []
    for which, update in (("best", summary.best_update), ("final", summary.updates)):
        loss, nats, bits, perplexity = (
            getattr(summary, f"{measure}_{which}")
            for measure in ("smooth_loss", "nats_per_character", "bits_per_character", "perplexity")
        )
        if loss is not None:
            in_units = f"{shown(nats)} nats, {shown(bits)} bits, perplexity {shown(perplexity)}"
            lines += [
                f"smooth loss, {which}: {shown(loss)} nats per window, at update {shown(update)}",
                f"  per character: {in_units}",
            ]
    if summary.updates_per_second:
        lines.append(
            f"training time: {summary.seconds:.1f} s, {summary.updates_per_second:,.0f} updates/s"
        )
    return lines
