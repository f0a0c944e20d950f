"""The program `nbrnn` with its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from nbrnn.cli.case import case
from nbrnn.cli.check import check
from nbrnn.cli.console import OneLineErrors
from nbrnn.cli.corpora import corpora
from nbrnn.cli.explain import explain
from nbrnn.cli.export_import import export, import_
from nbrnn.cli.gradcheck import gradcheck
from nbrnn.cli.presets import presets
from nbrnn.cli.reports import compare, report
from nbrnn.cli.sample import sample
from nbrnn.cli.score import score
from nbrnn.cli.show import show
from nbrnn.cli.suggestions import Command
from nbrnn.cli.sweeps import sweep
from nbrnn.cli.train import train
from nbrnn.cli.write import write

app = typer.Typer(
    cls=OneLineErrors,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# The page in docs/ at the end of a command's help, where it is not how-to.md.
PAGES = {
    "train": "reference/settings.md",
    "show": "reference/files.md",
    "compare": "reference/statistics.md",
    "presets": "reference/settings.md",
    **dict.fromkeys(("gradcheck", "check", "case"), "tutorials/students.md"),
}


def print_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        from importlib.metadata import version

        print(f"nbrnn {version('nbrnn')}")
        raise typer.Exit


@app.callback(epilog="More: docs/reference/commands.md")
def nbrnn(
    _: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Train small character-level recurrent networks, fast, on an ordinary CPU."""


for command in (
    *(train, sample, write, score, explain, show, sweep, report, compare, export, import_),
    *(gradcheck, check, case, corpora, presets),
):
    name = command.__name__.rstrip("_")
    app.command(name, cls=Command, epilog=f"More: docs/{PAGES.get(name, 'how-to.md')}")(command)
app.command("generate", cls=Command, hidden=True)(sample)  # what other programs call it
