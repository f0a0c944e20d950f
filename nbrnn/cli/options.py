"""What do several commands take, and what does it name?"""

from __future__ import annotations

import codecs
import inspect
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from nbrnn.cli.completion import RESULTS, folders, texts
from nbrnn.cli.console import note
from nbrnn.cli.suggestions import CORPORA
from nbrnn.config import DEFAULT_EPOCHS, NONE, SETTINGS, Setting, option_name
from nbrnn.errors import ConfigError, StoreError
from nbrnn.presets import PRESETS
from nbrnn.sweeps.grid import DEFAULT_LISTS

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.storage.checkpoint import Checkpoint
    from nbrnn.storage.run_folder import RunFolder

Number = TypeVar("Number", int, float)

CorpusName = Annotated[
    str | None,
    typer.Argument(
        metavar="CORPUS",
        help="A text file, - for standard input, or a known corpus  [default: shakespeare]",
        autocompletion=texts,
    ),
]
Encoding = Annotated[str | None, typer.Option(help="Of the text file  [default: utf-8]")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="A well-known experiment, see nbrnn presets; options beside it win.",
        autocompletion=lambda: list(PRESETS),
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run.", autocompletion=folders)
]
Which = Annotated[
    Literal["best", "last"], typer.Option("--checkpoint", help="The model to take: best or last.")
]
Replacement = Annotated[
    str | None,
    typer.Option("--replace-unknown", metavar="C", help="Stands for characters outside the alphabet."),
]
Folders = Annotated[
    list[Path],
    typer.Argument(metavar="FOLDER...", help="Of sweeps or of runs.", autocompletion=folders),
]


def load(corpus: str | None, encoding: str | None) -> Corpus:
    """Return the corpus that a user named."""
    from nbrnn.corpus import DEFAULT
    from nbrnn.corpus import load as load_corpus

    source = DEFAULT if corpus is None else corpus
    return load_corpus(source, encoding_of(source, encoding))


def encoding_of(source: str, encoding: str | None) -> str:
    """Return a text's encoding. Raises ConfigError for one that is none, or not a known corpus's."""
    if encoding is None:
        return "utf-8"
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        raise ConfigError(f"--encoding {encoding}: Python knows no such encoding") from None
    if source in CORPORA and name != "utf-8":
        raise ConfigError(f"--encoding is for text files: {source} is UTF-8, not {encoding}")
    return encoding


def existing(path: Path) -> Path:
    """Return a folder given by its path or by its name in results/; without either, the path."""
    # not Path.exists, which raises for a name that is too long
    return path if os.path.exists(path) or not os.path.exists(RESULTS / path) else RESULTS / path


def existing_run(path: Path) -> RunFolder:
    """Return the folder of a run, given by its path or by its name in results/."""
    from nbrnn.storage.run_folder import RunFolder

    folder = RunFolder(existing(path))
    if not folder.is_run():
        raise StoreError(f"{path} is not the folder of a run")
    return folder


def model_of(folder: RunFolder, checkpoint: Literal["best", "last"]) -> Checkpoint:
    """Return a model of a run; say which one it is where the run may yet find a better one."""
    from nbrnn.reports.reading import read_summary
    from nbrnn.storage.schemas import DONE

    model = folder.read_model(checkpoint)
    with suppress(StoreError):  # the model is whole, whatever the summary is
        status = read_summary(folder).status
        if status not in DONE:
            note(f"{folder} is {status}: its {checkpoint} model so far is of update {model.update:,}")
    return model


def numbers(name: str, text: str, kind: type[Number]) -> list[Number]:
    """Return the numbers of a comma list, int or float. Raises ConfigError."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        whole = "whole " if kind is int else ""
        raise ConfigError(f"{name} takes {whole}numbers with commas between, not {text!r}") from None


# ---------------------------------------------------------------- options from settings


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each setting, as the dictionary `settings`.

    An option that is not given is not in the dictionary.
    """
    options = {}
    for name, setting in SETTINGS.items():
        option = option_of(name)
        kind = Literal[setting.choices] if setting.choices else str if setting.or_none else setting.kind
        options[name] = Annotated[kind | None, option]
    return with_settings(command, options, parsed)


def option_of(name: str) -> Any:
    """Return the option of a setting."""
    setting = SETTINGS[name]
    default = DEFAULT_EPOCHS if name == "epochs" else setting.default
    metavar = f"NUMBER|{NONE}" if setting.or_none else None
    return typer.Option(option_name(name), help=with_default(setting, default), metavar=metavar)


def parsed(name: str, value: Any) -> Any:
    """Return the value of an option that takes a number or a word. Raises ConfigError."""
    try:
        return SETTINGS[name].parsed(value) if SETTINGS[name].or_none else value
    except ValueError:
        raise ConfigError(f"{option_name(name)} takes a number or {NONE}, not {value!r}") from None


def list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the same options as `config_options` does, but each takes a list, as a text."""
    options = {}
    for name, setting in SETTINGS.items():
        names = ["--seeds", "--seed"] if name == "seed" else [option_name(name)]
        text = with_default(setting, DEFAULT_LISTS.get(name, setting.default))
        options[name] = Annotated[str | None, typer.Option(*names, help=text, metavar="LIST")]
    return with_settings(command, options)


def with_default(setting: Setting, default: Any) -> str:
    """Return the help of an option."""
    if setting.by:
        by_value = defaultdict(list)
        for place, value in setting.default.items():
            by_value[value].append(place if isinstance(place, str) else option_name(setting.by))
        texts = (f"{value:g} with {', '.join(places)}" for value, places in by_value.items())
        return f"{setting.help}  [default: {'; '.join(texts)}]"
    return setting.help if default is None else f"{setting.help}  [default: {default}]"


def with_settings(
    command: Callable[..., Any],
    options: Mapping[str, Any],
    parse: Callable[[str, Any], Any] = lambda name, value: value,
) -> Callable[..., Any]:
    """Return a command with these options; those that are given come as the dictionary `settings`."""

    def wrapped(**values: Any) -> Any:
        settings = {name: values.pop(name) for name in options}
        given = {name: parse(name, value) for name, value in settings.items() if value is not None}
        return command(settings=given, **values)

    parameters = dict(inspect.signature(command, eval_str=True).parameters)
    del parameters["settings"]
    kind = inspect.Parameter.KEYWORD_ONLY
    for name, annotation in options.items():
        parameters[name] = inspect.Parameter(name, kind, default=None, annotation=annotation)
    wrapped.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: p.annotation for name, p in parameters.items()}
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    return wrapped
