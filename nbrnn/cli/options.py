"""Arguments and options that several commands share, and what they name."""

from __future__ import annotations

import inspect
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from nbrnn.cli.completion import folders, texts
from nbrnn.cli.console import print_note
from nbrnn.config import DEFAULT_EPOCHS, NONE, SETTINGS, Setting, option_name
from nbrnn.errors import ConfigError, StoreError
from nbrnn.naming import RESULTS
from nbrnn.presets import PRESETS
from nbrnn.sweeps.grid import DEFAULT_LISTS
from nbrnn.values import nearest, shortened

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.storage.checkpoint import Checkpoint
    from nbrnn.storage.run_folder import RunFolder

Number = TypeVar("Number", int, float)

CorpusNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CORPUS",
        help="Text files or folders, joined; - for standard input; or a known corpus.  "
        "[default: shakespeare]",
        show_default=False,
        autocompletion=texts,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="Encoding of the text.  [default: by its byte order mark, else utf-8]"),
]
Documents = Annotated[
    str | None,
    typer.Option(
        metavar="lines|csv:COLUMN",
        help="Learn from separate documents: lines, or a column of a table; each starts from h = 0.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Start from a known experiment (see nbrnn presets); other options replace its settings.",
        autocompletion=lambda: list(PRESETS),
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
RunPath = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="Run, by folder or name, or model file.", autocompletion=folders),
]
Which = Annotated[Literal["best", "last"], typer.Option("--checkpoint", help="Which model to use.")]
Replacement = Annotated[
    str | None,
    typer.Option("--replace-unknown", metavar="C", help="Read characters outside the alphabet as C."),
]
TopP = Annotated[float, typer.Option(help="Probability of the nucleus to draw from.")]
TopK = Annotated[int, typer.Option(help="Draw from the K likeliest characters (0: all).")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]
StartState = Annotated[
    Literal["kept", "zero"] | None,
    typer.Option(help="Start from the stored state (kept) or h = 0 (zero).  [default: kept]"),
]
Folders = Annotated[
    list[Path],
    typer.Argument(metavar="FOLDER...", help="Folders of sweeps or runs.", autocompletion=folders),
]


def load(corpus: Sequence[str] | None, encoding: str | None, documents: str | None = None) -> Corpus:
    """Return the corpus that a user named."""
    from nbrnn import corpus as corpora

    return corpora.load(corpus or corpora.DEFAULT, encoding, documents or "")


def existing(path: Path) -> Path:
    """Return the path of a folder, which may be given by its name in results/."""
    # not Path.exists, which raises for a name that is too long
    return path if os.path.exists(path) or not os.path.exists(RESULTS / path) else RESULTS / path


def existing_run(path: Path) -> RunFolder:
    """Return the folder of a run, given by its path or its name in results/. Raises StoreError."""
    from nbrnn.storage.model_archive import open_run
    from nbrnn.storage.run_folder import RunFolder

    folder = open_run(existing(path))
    if not os.path.exists(folder.path):
        names = [each.name for each in RESULTS.glob("*") if RunFolder(each).is_run()]
        raise StoreError(
            f"there is no run {str(path)!r}: nbrnn show lists runs{nearest(str(path), names)}"
        )
    if not folder.is_run():
        others = "nor a .nbrnn file: nbrnn show lists runs, nbrnn import makes a run from weights"
        raise StoreError(f"{path} is neither the folder of a run {others}")
    return folder


def model_of(folder: RunFolder, checkpoint: Literal["best", "last"]) -> Checkpoint:
    """Return a model of a run; print its update if the run is not done."""
    from nbrnn.analysis.run_records import read_summary
    from nbrnn.storage.schemas import DONE

    model = folder.read_model(checkpoint)
    with suppress(StoreError):  # a damaged summary does not matter here
        status = read_summary(folder).status
        if status not in DONE:
            print_note(
                f"{folder} is {status}: its {checkpoint} model so far is of update {model.update:,}"
            )
    return model


def parse_numbers(name: str, text: str, kind: type[Number]) -> list[Number]:
    """Return the numbers of a comma-separated list, int or float. Raises ConfigError."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        whole = "whole " if kind is int else ""
        raise ConfigError(
            f"{name} must be {whole}numbers separated by commas (got {shortened(text)})"
        ) from None


# ---------------------------------------------------------------- options from settings


def setting_options(
    *names: str, lists: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that gives a command an option for each of these settings.

    The command gets those that are typed as the dictionary `settings`; with `lists` an option takes a
    list of values, as a text.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(**values: Any) -> Any:
            given = {name: values.pop(name) for name in names}
            settings = {name: value for name, value in given.items() if value is not None}
            if not lists:
                settings = {name: parsed(name, value) for name, value in settings.items()}
            return command(settings=settings, **values)

        parameters = dict(inspect.signature(command, eval_str=True).parameters)
        del parameters["settings"]
        for name in names:
            annotation, kind = option_of(name, lists), inspect.Parameter.KEYWORD_ONLY
            parameters[name] = inspect.Parameter(name, kind, default=None, annotation=annotation)
        wrapped.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
        wrapped.__annotations__ = {name: p.annotation for name, p in parameters.items()}
        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        return wrapped

    return decorate


# A sweep starts from no weights.
list_options = setting_options(*(name for name in SETTINGS if name != "init_from"), lists=True)


def option_of(name: str, is_list: bool) -> Any:
    """Return the annotation of a setting's option."""
    setting = SETTINGS[name]
    kind: Any = Literal[setting.choices] if setting.choices else setting.kind
    metavar = f"NUMBER|{NONE}" if setting.or_none else "RUN" if setting.pattern else None
    if is_list:
        metavar = "LIST"
    names = ["--seeds", "--seed"] if is_list and name == "seed" else [option_name(name)]
    defaults = DEFAULT_LISTS if is_list else {"epochs": DEFAULT_EPOCHS}
    option = typer.Option(*names, help=help_of(setting, defaults.get(name)), metavar=metavar)
    return Annotated[(str if is_list or setting.or_none else kind) | None, option]


def parsed(name: str, value: Any) -> Any:
    """Return the value of an option that takes a number or a word. Raises ConfigError."""
    try:
        return SETTINGS[name].parsed(value) if SETTINGS[name].or_none else value
    except ValueError:
        message = f"{option_name(name)} must be a number or {NONE} (got {shortened(value)})"
        raise ConfigError(message) from None


def help_of(setting: Setting, default: Any) -> str:
    """Return the help of an option, which ends with this default or else that of the setting."""
    if setting.by:
        by_default = defaultdict(list)
        for place, value in setting.default.items():
            by_default[value].append(place if isinstance(place, str) else option_name(setting.by))
        default = "; ".join(
            f"{value:g} with {', '.join(places)}" for value, places in by_default.items()
        )
    elif default is None:
        default = setting.default
    return setting.help if default is None else f"{setting.help}  [default: {default}]"
