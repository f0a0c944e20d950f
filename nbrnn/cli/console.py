"""How the command line talks: groups of commands, errors in one line, progress, text for eyes."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, TextIO, get_type_hints

import typer
from typer.core import TyperGroup

from nbrnn.config import DEFAULT_EPOCHS, RunConfig, option_name
from nbrnn.errors import NbrnnError
from nbrnn.sweeps.grid import DEFAULT_LISTS
from nbrnn.visible import one_line, visible


class OneLineErrors(TyperGroup):
    """A group of commands that shows each error a user can cause as one line on stderr."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program and exit with its code; without arguments it shows its help."""
        if not (args[0] if args else sys.argv[1:]):
            args = (["--help"], *args[1:])
        open_standard_streams()
        sys.stdout = usable(sys.stdout)
        sys.stderr = usable(sys.stderr)
        if sys.stderr.isatty():
            logging.basicConfig(format="%(message)s")
            logging.getLogger("nbrnn").setLevel(logging.INFO)
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except NbrnnError as error:
            fail(str(error), error.exit_code)
        except OSError as error:  # of stdout, or the working directory
            close_stdout()
            fail(str(error), 1)
        except MemoryError:
            fail("not enough memory for a network of this size", 2)
        except Exception as error:
            # What click raises for wrong usage; everything else is a defect and keeps its traceback.
            if not hasattr(error, "format_message"):
                raise
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "nbrnn"
            fail(f"{error.format_message()} (see {command} --help)", getattr(error, "exit_code", 2))
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run a command; it is no error if its reader has read enough, as with `| head`."""
        with surviving_closed_stdout():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                raise SignalError(signal.SIGINT) from None


def open_standard_streams() -> None:
    """Let the three standard streams lead nowhere if they are closed: a file would take their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # at the lowest free number


def usable(stream: TextIO | None) -> TextIO:
    """Return a stream that takes any character; one that is closed leads nowhere."""
    if stream is None:
        return Path(os.devnull).open("w")
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    return stream


def complain(message: str) -> None:
    """Say on stderr, in one line, what is wrong."""
    print(f"nbrnn: {one_line(message)}", file=sys.stderr)


def fail(message: str, code: int) -> None:
    """Exit with one line on stderr."""
    complain(message)
    sys.exit(code)


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each field of RunConfig, as the dictionary `settings`.

    An option that is not given is not in the dictionary.
    """
    hints = get_type_hints(RunConfig)
    options = {}
    for item in fields(RunConfig):
        default = DEFAULT_EPOCHS if item.name == "epochs" else item.default
        option = typer.Option(option_name(item.name), help=with_default(item, default))
        options[item.name] = Annotated[hints[item.name] | None, option]
    return with_settings(command, options)


def list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the same options as `config_options` does, but each takes a list, as a text."""
    options = {}
    for item in fields(RunConfig):
        default = DEFAULT_LISTS.get(item.name, item.default)
        names = ["--seeds", "--seed"] if item.name == "seed" else [option_name(item.name)]
        option = typer.Option(*names, help=with_default(item, default), metavar="LIST")
        options[item.name] = Annotated[str | None, option]
    return with_settings(command, options)


def with_default(item: Field[Any], default: Any) -> str:
    """Return the help of an option."""
    text: str = item.metadata["help"]
    return text if default is None else f"{text}  [default: {default}]"


def with_settings(command: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a command with these options; those that are given come as the dictionary `settings`."""

    def wrapped(**values: Any) -> Any:
        settings = {name: values.pop(name) for name in options}
        given = {name: value for name, value in settings.items() if value is not None}
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


class SignalError(NbrnnError):
    """SIGINT or SIGTERM came; `exit_code` is what a shell expects after it."""

    def __init__(self, number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Signals:
    """Within this context SIGINT and SIGTERM end the program with one line, and the right code.

    At once, until `defer` is called; from then on `waiting` tells that one has come.
    """

    def __enter__(self) -> Signals:
        self.received: int | None = None
        self.deferred = False
        numbers = (signal.SIGINT, signal.SIGTERM)
        self.before = {
            number: signal.signal(number, self.receive)
            for number in numbers
            if signal.getsignal(number) is not signal.SIG_IGN  # as after nohup
        }
        return self

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Act on a signal, or remember it."""
        self.received = number
        if not self.deferred:
            raise self.error()

    def defer(self) -> None:
        """From now on only remember signals."""
        self.deferred = True

    def waiting(self) -> bool:
        """Whether a signal has come."""
        return self.received is not None

    def error(self, message: str = "interrupted") -> SignalError:
        """Return the error to raise for the signal that has come."""
        return SignalError(self.received or signal.SIGINT, message)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def print_wrapped(text: str) -> None:
    """Print a paragraph between words."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10**6
    print(textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False))


def shown(value: float | str | None) -> str:
    """Return a table's cell."""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= value < 1e6 else f"{value:.4g}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, all columns but the first and any text to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.title = Text(title) if title else None
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if number == 0 or column == "where" else "right"
        table.add_column(column, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
    with console.capture() as lines:
        console.print(table)
    print("\n".join(line.rstrip() for line in lines.get().splitlines()))


@contextlib.contextmanager
def surviving_closed_stdout() -> Iterator[None]:
    """Let what is printed after a long job go nowhere if nobody reads it any more."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        close_stdout()


def close_stdout() -> None:
    """Send what is still to be printed to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
