"""Output of the command line: one-line errors, tables, and streams that may be closed or full."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO, cast

import typer
from typer.core import TyperGroup

from nbrnn.cli.suggestions import explain
from nbrnn.errors import NbrnnError
from nbrnn.escaping import one_line, visible
from nbrnn.signals import SignalError


class OneLineErrors(TyperGroup):
    """The program's commands; each error that a user can cause is one line on stderr."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program and exit with its code; without arguments print its help."""
        arguments = list(args[0] if args else sys.argv[1:])
        if not arguments:
            args = (["--help"], *args[1:])
        os.environ.pop("MPLBACKEND", None)  # pictures go to files; Matplotlib refuses a wrong name
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        # Warnings of libraries are for programmers: a user gets results, and errors of our own.
        warnings.showwarning = lambda *warning, **options: None
        open_standard_streams()
        sys.stdout = usable(sys.stdout)
        if sys.flags.optimize > 1:
            fail("python -OO drops the help of all commands: use python or python -O", 2)
        if not isinstance(sys.stderr, SafeStream):
            sys.stderr = cast(TextIO, SafeStream(usable(sys.stderr)))
        if sys.stderr.isatty():
            logging.basicConfig(handlers=[NoteHandler()])
            logging.getLogger("nbrnn").setLevel(logging.INFO)
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except NbrnnError as error:
            fail(str(error), error.exit_code)
        except OSError as error:  # from stdout or the working directory
            close_stdout()
            where = f"{error.filename}: " if error.filename else "cannot write to standard output: "
            fail(f"{where}{error.strerror or error}", 1)
        except MemoryError:
            fail("not enough memory for a network of this size", 2)
        except Exception as error:
            # Click's errors have this method; anything else is a defect and keeps its traceback.
            if not hasattr(error, "format_message"):
                raise
            fail(explain(error, arguments), getattr(error, "exit_code", 2))
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run a command. A reader of its output may stop early, as `head` does."""
        with surviving_closed_stdout():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                raise SignalError(signal.SIGINT) from None


class NoteHandler(logging.Handler):
    """Prints the package's log on the present sys.stderr, which progress bars replace."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        print_note(record.getMessage())


def open_standard_streams() -> None:
    """Lead standard streams that are closed to nowhere: a file would get their descriptors."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # at the lowest free number


def usable(stream: TextIO | None) -> TextIO:
    """Return a stream that takes any character; instead of a closed one, one that leads nowhere."""
    if stream is None:
        return Path(os.devnull).open("w")
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    return stream


class SafeStream:
    """A stream that drops what cannot be written, to a full disk or a closed pipe: no work stops."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text, if that is possible."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write the buffer, if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            self.stream.flush()


def print_error(message: str) -> None:
    """Print one line on stderr that says what is wrong."""
    print_note(f"nbrnn: {message}")


def print_note(message: str) -> None:
    """Print one line on stderr that a user should know."""
    print(one_line(message), file=sys.stderr)


def fail(message: str, code: int) -> None:
    """Exit with one line on stderr."""
    print_error(message)
    sys.exit(code)


def print_json(document: Any) -> None:
    """Print the one document of --json."""
    print(json.dumps(document, indent=2))


def print_wrapped(*paragraphs: str) -> None:
    """Print paragraphs, broken between words."""
    for text in paragraphs:
        print("\n".join(wrapped(text)))


def width_or(default: int) -> int:
    """Return the width of the output: COLUMNS, or that of the terminal, or else a default."""
    return shutil.get_terminal_size((default, 0)).columns


def wrapped(text: str) -> list[str]:
    """Return the lines of a paragraph as the terminal is wide, or COLUMNS say; elsewhere it is one."""
    return textwrap.wrap(
        visible(text), width_or(10**6), subsequent_indent="  ", break_on_hyphens=False
    ) or [""]


def formatted(value: float | str | None) -> str:
    """Return the text of a value in a table."""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= value < 1e6 else f"{value:.4g}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; all columns but the first and "text" are aligned to the right."""
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
    console = Console(highlight=False, width=width_or(1000))
    with console.capture() as lines:
        console.print(table)
    print("\n".join(line.rstrip() for line in lines.get().splitlines()))


@contextlib.contextmanager
def surviving_closed_stdout() -> Iterator[None]:
    """Continue where nobody reads stdout any more: what is printed goes nowhere."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        close_stdout()


def close_stdout() -> None:
    """Send the rest of the output to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
