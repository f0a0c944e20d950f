"""The command `train`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nbrnn.cli import options
from nbrnn.cli.completion import folders
from nbrnn.cli.console import formatted, print_error, print_json, print_wrapped, surviving_closed_stdout
from nbrnn.cli.run_losses import loss_lines
from nbrnn.cli.suggestions import CORPORA
from nbrnn.cli.train_minutes import Minutes, Plan, plan_run, print_outcome
from nbrnn.config import SETTINGS, RunConfig, option_name
from nbrnn.errors import ConfigError, StoreError
from nbrnn.escaping import visible
from nbrnn.naming import RESULTS, run_id
from nbrnn.presets import with_preset
from nbrnn.signals import Signals
from nbrnn.values import plural

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus, Description
    from nbrnn.storage.checkpoint import Checkpoint
    from nbrnn.storage.run_folder import RunFolder
    from nbrnn.storage.schemas import Summary


MAX_NAMED = 10  # characters of an alphabet in a message


@options.setting_options(*SETTINGS)
def train(
    settings: dict[str, Any],
    corpus: options.CorpusNames = None,
    preset: options.PresetName = None,
    minutes: Minutes = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.  [default: results/RUN_ID]")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume the run in this folder.", autocompletion=folders)
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Continue a copy of this run.", autocompletion=folders),
    ] = None,
    snapshot_every: Annotated[
        int, typer.Option(help="Updates between copies of the weights, in snapshots/ (0: none).")
    ] = 0,
    track: Annotated[
        bool, typer.Option("--track", help="Write norms, spectral radii and sharpness to dynamics.csv.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that is there.")] = False,
    encoding: options.Encoding = None,
    documents: options.Documents = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network on a text, and keep everything in a folder.

    --minutes N chooses network, settings and length by the text and the speed of this machine. The same
    command again resumes an interrupted run and leaves a finished one as it is. --resume FOLDER --epochs
    N makes a run longer; --from FOLDER does so with a copy. --init-from RUN starts a new run from its
    weights, on any text.
    """
    runs = {"--resume": resume, "--from": source, "--init-from": settings.get("init_from")}
    check_together(runs, out, force, documents)
    check_chosen(minutes, runs, preset)
    from nbrnn.storage.model_archive import ModelFile

    with Signals() as signals:
        path = resume or source
        old = None if path is None else options.existing_run(path)
        if isinstance(old, ModelFile):
            raise ConfigError(
                f"{path} holds only a model: start a new run from it with --init-from {path}"
            )
        plan, initial = None, None
        if minutes is not None:
            plan = plan_run(minutes, settings, options.load(corpus, encoding, documents), out, force)
            config, text, out = plan.config, plan.text, plan.folder.path
        else:
            if "init_from" in settings:
                settings, initial = with_weights_of(settings)
            settings = with_preset(preset, settings)
            if old is None:
                config, text = RunConfig(**settings), options.load(corpus, encoding, documents)
            else:
                option = f"--resume {old}" if resume else f"--from {old}"
                config, text = config_and_corpus_of(old, settings, corpus, encoding, option)

        from nbrnn.progress_bars import RunDisplay
        from nbrnn.runs.run import copy_run, run
        from nbrnn.storage.run_folder import RunFolder

        new = RunFolder(out or RESULTS / run_id(config, text.name, text.sha256))
        folder = old if old and resume else new
        is_copy = old is not None and folder is new and copy_run(old, new, config)
        if source is None and not force and not {"epochs", "updates"} & set(settings):
            config = with_length_of(folder, config)
        notes = chain([] if plan is None else plan.notes, notes_of(config, text, initial))
        with RunDisplay(str(folder), config, text, quiet, signals.defer, notes) as display:
            arguments: dict[str, Any] = {"observer": display, "stop": signals.waiting, "force": force}
            arguments |= {"initial": initial, "snapshot_every": snapshot_every, "track": track}
            arguments["command"] = plan and plan.command
            try:
                summary = run(config, text, folder.path, **arguments)
            except StoreError:
                if is_copy:  # of a run that was damaged, or changed meanwhile
                    folder.clear()
                raise
    with surviving_closed_stdout():
        print_result(folder, summary, as_json, quiet, plan)
    if not display.has_started:
        display.say(nothing_to_do(folder, text, summary))
    if not quiet:
        print_warnings(folder, summary)
    raise_failure(summary, config, resume_command(folder, text), signals)


def check_together(
    runs: Mapping[str, Any], out: Path | None, force: bool, documents: str | None
) -> None:
    """Raise ConfigError for options that contradict each other; `runs` are those that name a run."""
    resume, source, initial = (value is not None for value in runs.values())
    if resume and (out is not None or force):
        option = "--force" if out is None else "--out"
        raise ConfigError(f"--resume continues in the folder that it names: leave {option} out")
    if source and (resume or force):
        option = "--resume" if resume else "--force"
        raise ConfigError(f"--from continues in a new folder: leave {option} out")
    if (resume or source) and documents is not None:
        raise ConfigError(
            "the run keeps the --documents that it was started with: leave --documents out"
        )
    if (resume or source) and initial:
        option = "--resume" if resume else "--from"
        raise ConfigError(f"--init-from starts a new run, {option} continues one: leave one of them out")


def check_chosen(minutes: float | None, runs: Mapping[str, Any], preset: str | None) -> None:
    """Raise ConfigError for options that contradict --minutes."""
    if minutes is None:
        return
    for option, value in runs.items():
        if value is not None:
            raise ConfigError(
                f"--minutes trains a new run with settings of its own: leave it or {option} out"
            )
    if preset not in (None, "good"):
        raise ConfigError(f"--minutes and --preset {preset} both choose settings: leave one of them out")


def with_weights_of(settings: dict[str, Any]) -> tuple[dict[str, Any], Checkpoint]:
    """Return settings for a run that starts from the best model of another, and that model."""
    from nbrnn.runs.initial_weights import NETWORK, weights_sha256

    model = options.existing_run(Path(settings["init_from"])).read_model("best")
    weights = {"init_from": weights_sha256(model)}
    network = {name: getattr(model.config, name) for name in NETWORK}
    return {**network, **settings, **weights}, model


def notes_of(config: RunConfig, text: Corpus, initial: Checkpoint | None) -> Iterator[str]:
    """Yield lines on the text of a run that starts: its characters, its documents, warnings."""
    from nbrnn.runs.training_warnings import text_warnings
    from nbrnn.runs.window_order import document_windows

    if initial is not None:
        yield alphabet_message(initial.alphabet, text.alphabet)
    if text.end is not None:
        training = text.stretches(config.parts(len(text)).training)
        lengths, counts = document_windows(config, training, text.end)
        updates = int(counts.sum()) // config.batch
        epochs = updates / config.updates_per_epoch(len(text))
        number = f"{plural(lengths.size, 'document')} to learn from"
        yield f"{number}; all are read once in {updates:,} updates, {epochs:.2g} epochs"
    for warning in text_warnings(config, text):
        yield f"warning: {warning}"


def alphabet_message(old: str, new: str) -> str:
    """Return in one line which characters of another alphabet are shared, new and dropped."""
    parts = [f"{len(set(old) & set(new))} characters have their weights"]
    for what, here, there in (("new", new, old), ("dropped", old, new)):
        if characters := [c for c in here if c not in there]:
            more = " ..." if len(characters) > MAX_NAMED else ""
            named = " ".join(map(repr, characters[:MAX_NAMED])) + more
            verb = "is" if len(characters) == 1 else "are"
            parts.append(f"{len(characters)} {verb} {what}: {named}")
    return "; ".join(parts)


def raise_failure(summary: Summary, config: RunConfig, resuming: str, signals: Signals) -> None:
    """End the program if a run has not finished, and say what to do."""
    if summary.status == "interrupted":
        raise signals.error(f"interrupted after update {summary.updates:,}; to resume: {resuming}")
    if summary.status == "diverged":
        print_error(f"diverged: {summary.reason}; try a smaller --eta (it was {config.eta:g})")
        raise typer.Exit(1)


def resume_command(folder: RunFolder, text: Corpus) -> str:
    """Return the command that resumes a run."""
    return f"nbrnn train {'- ' if text.source == '-' else ''}--resume {shlex.quote(str(folder))}"


def nothing_to_do(folder: RunFolder, text: Corpus, summary: Summary) -> str:
    """Return a message that there was nothing to do, and how to train longer or again."""
    config, _ = folder.read_config()
    extends = summary.status == "finished" and not summary.reason and config.schedule == "constant"
    longer = f"to train longer: {resume_command(folder, text)} --epochs N; " if extends else ""
    return f"{folder}: already {summary.status}; {longer}to train again: --force"


def with_length_of(folder: RunFolder, config: RunConfig) -> RunConfig:
    """Return the config of the same run in the folder, of any length; without one the given config."""
    if folder.is_run():
        old, _ = folder.read_config()
        if old.same_but_length(config):
            return old
    return config


def print_warnings(folder: RunFolder, summary: Summary) -> None:
    """Print on stderr what is to be warned of in a run, a line each."""
    from nbrnn.runs.training_warnings import run_warning

    if warning := run_warning(folder):
        print_error(f"warning: {warning}")
    if summary.is_lost_from_zero:
        best, unigram = formatted(summary.score_best), formatted(summary.score_unigram)
        print_error(
            f"warning: from h = 0 the best model has a loss of {best} nats per character, a unigram "
            f"model {unigram}: it needs the stored state, from which nbrnn sample starts by default"
        )


def config_and_corpus_of(
    run: RunFolder,
    settings: dict[str, Any],
    corpus: list[str] | None,
    encoding: str | None,
    option: str,
) -> tuple[RunConfig, Corpus]:
    """Return config and corpus of a run, with the length in `settings`; `option` names the run.

    Raises StoreError.
    """
    from nbrnn.runs.run import refuse_imported

    refuse_imported(run)
    config, described = run.read_config()
    length = {name: settings[name] for name in ("epochs", "updates") if name in settings}
    for name, value in settings.items():
        old = getattr(config, name)
        if name not in length and value != old:
            option = option_name(name)
            is_old = f"without {option}" if old is None else f"with {option} {old}"
            raise ConfigError(
                f"{run} was started {is_old}: leave {option} out; only --epochs and --updates can change"
            )
    if length:
        config = replace(config, **{"epochs": None, "updates": None, **length})
    return config, text_of(run, described, corpus, encoding, option)


def text_of(
    run: RunFolder,
    described: Description,
    named: list[str] | None,
    encoding: str | None,
    option: str,
) -> Corpus:
    """Return the text of a run, from where it was or where a user says. Raises StoreError."""
    if named is None:
        if described.source == "-":
            again = f"give it again: nbrnn train - {option}"
            raise StoreError(f"the text of {run} came from standard input: {again}")
        for path in described.sources:
            if path not in CORPORA and not os.path.exists(path):
                raise StoreError(
                    f"no such file: {path}; if the text has moved: nbrnn train NEWPATH {option}"
                )
    text = options.load(named or described.sources, encoding or described.encoding, described.documents)
    if text.sha256 == described.sha256:
        return text
    if text.sources == described.sources:
        problem = f"has changed since {run} was trained on it: put the former text back"
    else:
        size = f"{described.characters:,} characters"
        problem = f"is not the text of {run}, which has {size}: leave it out"
    again = f"nbrnn train {shlex.join(text.words)} --init-from {run}"
    raise StoreError(f"{text.source} {problem}, or start a new run from its weights: {again}")


def print_result(
    folder: RunFolder, summary: Summary, as_json: bool, quiet: bool, plan: Plan | None
) -> None:
    """Print the results of a training, in short if its settings were chosen."""
    if as_json:
        print_json({"folder": str(folder), **summary.to_dict()})
    elif plan is not None and summary.status == "finished" and summary.validation_best and not quiet:
        print_outcome(plan, summary)
    elif not quiet:
        if sys.stdout.isatty() and folder.has_text():
            print(f"sample from the best model:\n\n{visible(folder.read_text())}\n")
        print_wrapped(f"{folder}: {summary.status}, {plural(summary.updates, 'update')}")
        if summary.status == "finished" and summary.reason:
            print_wrapped(summary.reason)
        print_wrapped(*loss_lines(summary, *folder.read_config()))
