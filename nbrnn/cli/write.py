"""The command `write`: a text that a user and a model write in turn."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nbrnn.cli import options
from nbrnn.cli.console import print_error, print_note
from nbrnn.errors import ConfigError, NbrnnError
from nbrnn.escaping import visible_pieces
from nbrnn.values import nearest, shortened

if TYPE_CHECKING:
    from nbrnn.storage.checkpoint import Checkpoint

TURN_LENGTH = 200  # characters
PIECE = 20  # characters that are printed at once
SHOWN_AFTER_UNDO = 300  # characters of the text
NUMBERS: dict[str, Callable[[str], Any]] = {  # the commands that set an option, and its type
    "temperature": float,
    "length": int,
    "top-p": float,
    "top-k": int,
}
HELP = """\
Type text: the model continues it. An empty line lets it continue. \\n is a line end, // a slash.
/temperature X   below 1 safer, above 1 more varied
/length N        characters that the model writes
/top-p P         draw from the fewest characters with this probability
/top-k K         draw from the K likeliest characters (0: all)
/undo            take back the last turn; an empty line then tries again
/new             begin a new text
/text            show the whole text
/save FILE       write the text into a new file
/help, /quit     a command may be shortened: /t 0.5"""
COMMANDS = (*NUMBERS, "undo", "new", "text", "save", "help", "quit")


def write(
    run: options.RunPath,
    prime: Annotated[
        str, typer.Option("--prime", "--prompt", help="Text that the model continues first.")
    ] = "",
    length: Annotated[
        int, typer.Option(help="Characters that the model writes in a turn.")
    ] = TURN_LENGTH,
    temperature: Annotated[
        float, typer.Option(help="Below 1 safer, above 1 more varied text (0: the likeliest character).")
    ] = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    seed: options.Seed = 0,
    checkpoint: options.Which = "best",
    state: options.StartState = None,
    replace_unknown: options.Replacement = None,
) -> None:
    """Write a text with a model: you type, and it continues.

    /help lists the commands, /quit or the end of the input ends.
    """
    drawing = {
        "temperature": temperature,
        "length": length,
        "top_p": top_p,
        "top_k": top_k,
        "state": state,
        "replacement": replace_unknown,
    }
    WritingSession(options.model_of(options.existing_run(run), checkpoint), drawing, seed).run(prime)


class WritingSession:
    """A text that grows in turns: what a user typed, and what the model drew after it.

    drawing: those of `sample_in_pieces`, with the length. The seed of a turn is `seed` plus the number
    of turns before, also those that were taken back.
    """

    def __init__(self, model: Checkpoint, drawing: dict[str, Any], seed: int) -> None:
        self.model, self.drawing, self.seed = model, drawing, seed
        self.texts, self.turns = [""], 0  # the text after each turn that was not taken back
        self.is_watched = sys.stdin.isatty() and sys.stdout.isatty()
        self.check(drawing)

    def run(self, prime: str = "") -> None:
        """Read lines until the end of the input or /quit; a `prime` is the first of them."""
        if self.is_watched:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401 (lets input() edit the line and remember older ones)
            print_note("Type text for the model to continue; /help lists the commands.")
        else:  # exactly these characters
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
            sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        prompt = "> " if self.is_watched else ""
        try:
            if prime:
                self.take_turn(prime)
            while self.obey(input(prompt)):
                pass
        except EOFError:
            pass
        except KeyboardInterrupt:  # at the prompt
            sys.stdout.write("\n")

    def obey(self, line: str) -> bool:
        """Do what a line asks; an error is a message. Return False if the session is to end."""
        try:
            if line.startswith("/") and not line.startswith("//"):
                name, _, value = line[1:].partition(" ")
                return self.command(complete(name), value.strip())
            self.take_turn(line.removeprefix("/").replace("\\n", "\n"))
        except NbrnnError as error:
            from nbrnn.corpus import REPLACE_HINT

            print_error(str(error).replace(REPLACE_HINT, ""))
        return True

    def command(self, name: str, value: str) -> bool:
        """Do a command; return False if the session is to end. Raises ConfigError."""
        if name in NUMBERS:
            if value:
                self.set(name, value)
            print_note(f"{name} {self.drawing[name.replace('-', '_')]:g}")
        elif name == "undo":
            if len(self.texts) == 1:
                raise ConfigError("there is nothing to undo")
            self.texts.pop()
            self.show(self.text[-SHOWN_AFTER_UNDO:])
        elif name == "new":
            self.texts = [""]
            print_note("new text")
        elif name == "text":
            self.show(self.text)
        elif name == "save":
            self.save(value)
        elif name == "help":
            print(HELP, file=sys.stderr)
        return name != "quit"

    @property
    def text(self) -> str:
        """The text so far."""
        return self.texts[-1]

    def set(self, name: str, value: str) -> None:
        """Change a number. Raises ConfigError where it is none, or out of its range."""
        try:
            drawing = {**self.drawing, name.replace("-", "_"): NUMBERS[name](value)}
        except ValueError:
            what = "a whole number" if NUMBERS[name] is int else "a number"
            raise ConfigError(f"/{name} must be {what} (got {shortened(value)})") from None
        try:
            self.check(drawing)
        except ConfigError as error:
            raise ConfigError(str(error).replace("--", "/")) from None
        self.drawing = drawing

    def check(self, drawing: dict[str, Any]) -> None:
        """Raise an error for options with which nothing can be drawn."""
        from nbrnn.runs.sampling import sample_in_pieces

        sample_in_pieces(self.model, seed=self.seed, **drawing)

    def take_turn(self, words: str) -> None:
        """Add words to the text, and what the model draws after them. Ctrl-C ends its part early."""
        from nbrnn.runs.sampling import sample_in_pieces

        whole = self.text + words
        seed = self.seed + self.turns
        pieces = sample_in_pieces(self.model, prime=whole, seed=seed, piece_length=PIECE, **self.drawing)
        self.turns += 1
        drawn: list[str] = []

        def kept() -> Iterator[str]:
            yield words
            for piece in pieces:
                drawn.append(piece)
                yield piece

        with contextlib.suppress(KeyboardInterrupt):
            self.show(kept())
        self.texts.append(whole + "".join(drawn))

    def show(self, pieces: Iterable[str]) -> None:
        """Print text in pieces, and a line end; on a terminal without control characters."""
        for piece in visible_pieces(pieces) if self.is_watched else pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
        sys.stdout.flush()

    def save(self, name: str) -> None:
        """Write the text into a new file. Raises ConfigError."""
        if not name:
            raise ConfigError("/save needs the name of a new file: /save story.txt")
        try:
            with open(name, "x", encoding="utf-8", newline="") as file:
                file.write(self.text)
        except FileExistsError:
            raise ConfigError(f"{name} is there already: give the name of a new file") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name cannot be used"
            raise ConfigError(f"cannot write {name}: {reason}") from None
        print_note(f"{len(self.text):,} characters in {name}")


def complete(name: str) -> str:
    """Return the command that begins with what was typed, the first of several. Raises ConfigError."""
    for command in COMMANDS:
        if name and command.startswith(name.lower().replace("_", "-")):
            return command
    raise ConfigError(f"no such command: /{name}{nearest(name, COMMANDS)} (/help lists them)")
