"""How does the command line talk: errors in one line, streams that may be closed, text for eyes?"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO, cast

import typer
from typer.core import TyperGroup

from nbrnn.cli.signals import SignalError
from nbrnn.cli.suggestions import explained
from nbrnn.errors import NbrnnError
from nbrnn.escaping import one_line, visible


class OneLineErrors(TyperGroup):
    """A group of commands that shows each error a user can cause as one line on stderr."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program and exit with its code; without arguments it shows its help."""
        arguments = list(args[0] if args else sys.argv[1:])
        if not arguments:
            args = (["--help"], *args[1:])
        # pictures go to files, whatever matplotlib is told to show them with; it refuses a wrong name
        os.environ.pop("MPLBACKEND", None)
        open_standard_streams()
        sys.stdout = usable(sys.stdout)
        if sys.flags.optimize > 1:
            fail("python -OO drops the help of all commands: use python or python -O", 2)
        if not isinstance(sys.stderr, Unfailing):
            sys.stderr = cast(TextIO, Unfailing(usable(sys.stderr)))
        if sys.stderr.isatty():
            logging.basicConfig(handlers=[Notes()])
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
            fail(explained(error, arguments), getattr(error, "exit_code", 2))
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run a command; it is no error if its reader has read enough, as with `| head`."""
        with surviving_closed_stdout():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                raise SignalError(signal.SIGINT) from None


class Notes(logging.Handler):
    """Shows what the package logs on what stderr is at that time: bars put it above themselves."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        note(record.getMessage())


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


class Unfailing:
    """A stream of messages: that one cannot be written, on a full disk or to nobody, stops no work."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text if that can be."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is still to be written if that can be."""
        with contextlib.suppress(OSError, ValueError):
            self.stream.flush()


def complain(message: str) -> None:
    """Say on stderr, in one line, what is wrong."""
    note(f"nbrnn: {message}")


def note(message: str) -> None:
    """Say on stderr, in one line, what a user should know."""
    print(one_line(message), file=sys.stderr)


def fail(message: str, code: int) -> None:
    """Exit with one line on stderr."""
    complain(message)
    sys.exit(code)


def print_wrapped(text: str) -> None:
    """Print a paragraph between words."""
    print("\n".join(wrapped(text)))


def wrapped(text: str) -> list[str]:
    """Return the lines of a paragraph on a terminal; elsewhere it is one line."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10**6
    return textwrap.wrap(visible(text), width, subsequent_indent="  ", break_on_hyphens=False) or [""]


def shown(value: float | str | None) -> str:
    """Return a table's cell."""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= value < 1e6 else f"{value:.4g}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; all columns but the first and `text` are flush right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.title = Text(visible(title)) if title else None
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if number == 0 or column == "text" else "right"
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


def span(lengths: Collection[int]) -> str:
    """Return one length of runs, or from which to which they are."""
    return "-".join(f"{length:,}" for length in sorted({min(lengths), max(lengths)}))
