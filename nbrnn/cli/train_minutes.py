"""`nbrnn train TEXT --minutes 10`: where such a run is kept, its exact command, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nbrnn.cli.console import print_wrapped
from nbrnn.config import RunConfig, option_name
from nbrnn.escaping import visible
from nbrnn.naming import RESULTS, folder_part, short_hash, train_command

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.storage.run_folder import RunFolder
    from nbrnn.storage.schemas import Summary

SHOWN = 400  # characters of the sample

Minutes = Annotated[
    float | None,
    typer.Option(
        help="Choose network, settings and length for so many minutes of training on this machine; "
        "other options replace what is chosen.",
        show_default=False,
    ),
]


class Plan(NamedTuple):
    """A run of so many minutes: `given` are the settings that the user gave."""

    minutes: float
    given: Mapping[str, Any]
    text: Corpus
    config: RunConfig
    folder: RunFolder
    command: list[str]
    notes: list[str]


def plan_run(
    minutes: float, given: Mapping[str, Any], text: Corpus, out: Path | None, force: bool
) -> Plan:
    """Return what is to be done: the run that is in the folder already, or one that is chosen now.

    Raises ConfigError, CorpusError, StoreError.
    """
    from nbrnn.runs.settings_for_minutes import check_minutes, choose, is_chosen
    from nbrnn.storage.run_folder import RunFolder

    check_minutes(minutes, given)
    folder = RunFolder(out or default_folder(minutes, given, text))
    config, notes = None, list[str]()
    if folder.is_run() and not force:
        there, described = folder.read_config()
        if described.sha256 == text.sha256 and is_chosen(there, given):
            config = there
            if out is not None:
                notes.append(f"{out} holds a run, which is kept: give --force or another --out")
    if config is None:
        config, reasons = choose(text, minutes, given)
        notes += reasons
    command = [*train_command(config, text.words), "--out", str(folder)]
    if notes:
        notes.append(f"the same run again: {shlex.join(command)}")
    return Plan(minutes, given, text, config, folder, command, notes)


def default_folder(minutes: float, given: Mapping[str, Any], text: Corpus) -> Path:
    """Return the folder of a run, which does not depend on the speed of the machine."""
    identity = short_hash({"minutes": minutes, "given": dict(given), "corpus": text.sha256})
    seed = given.get("seed", 0)
    return RESULTS / f"{folder_part(text.name)}-{minutes:g}minutes-seed{seed}-{identity}"


def print_outcome(plan: Plan, summary: Summary) -> None:
    """Print a sample, the validation loss beside its baselines, and what to do next."""
    print(f"sample of the best model:\n\n{visible(plan.folder.read_text()[:SHOWN])}\n")
    print_wrapped(
        f"validation loss: {summary.validation_best:.4f} nats per character, by the model of update "
        f"{summary.best_update:,} of {summary.updates:,}; of a unigram model "
        f"{summary.validation_unigram:.4f}, of a bigram model {summary.validation_bigram:.4f}"
    )
    print(f"files: {plan.folder}; next:")
    for command in next_commands(plan):
        print(f"  {command}")


def next_commands(plan: Plan) -> list[str]:
    """Return the commands that write, train longer or with another seed, and compare both runs."""
    from nbrnn.runs.settings_for_minutes import is_limited_by_text

    text, minutes = plan.text, plan.minutes
    given: dict[str, Any] = dict(plan.given)
    if is_limited_by_text(plan.config, text, given):
        given["seed"] = plan.config.seed + 1
    else:
        minutes *= 2
    folder, other = str(plan.folder), str(default_folder(minutes, given, text))
    words = [*text.words, "--minutes", f"{minutes:g}"]
    for name, value in given.items():
        words += [option_name(name), str(value)]
    return [
        shlex.join(["nbrnn", "sample", folder, "--length", "1000", "--temperature", "0.7"]),
        shlex.join(["nbrnn", "train", *words]),
        shlex.join(["nbrnn", "compare", folder, other]),
    ]
