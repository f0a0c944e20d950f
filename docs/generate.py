"""Write the parts of the pages that follow from the code: `python docs/generate.py`.

With `--check`, only compare: exit with 1, and name the pages that no longer agree with the code.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from nbrnn.cli.main import app
from nbrnn.config import SETTINGS, Setting, option_name

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "nbrnn"
START, END = "<!-- made by docs/generate.py -->\n", "<!-- end -->\n"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', ' or ') for cell in line)} |\n" for line in lines)


# ---------------------------------------------------------------- settings and commands


def commands() -> dict[str, Any]:
    """Return all commands by their names, in the order of `nbrnn --help`."""
    every = typer.main.get_command(app).commands
    return {name: command for name, command in every.items() if not command.hidden}


def option_rows(command: Any) -> dict[str, tuple[str, str, str]]:
    """Return spelling, meaning and default of each argument and option, by its longest name."""
    context, rows = typer.Context(command), {}
    for parameter in command.params:
        names, text = parameter.get_help_record(context)
        meaning, _, default = text.replace("  [required]", "").partition("[default: ")
        kind = names.replace(" <list[Path]>", "").replace("<", "").replace(">", "")
        name = max(parameter.opts, key=len)
        rows[name] = f"`{kind}`", meaning.strip(), default.removesuffix("]")
    return rows


def values_of(setting: Setting) -> str:
    """Return which values a setting takes."""
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    if setting.pattern:
        return "a run"
    kind = "whole number" if setting.kind is int else "number"
    low = f"{'above' if setting.exclusive else 'from'} {setting.least:g}"
    high = f" to {setting.most:,}" if setting.most < 10**6 else ""  # others only keep overflow away
    return f"{kind} {low}{high}{', `none`' * setting.or_none}"


def settings_table() -> str:
    """Return a row for each setting: its option, default, values and meaning."""
    options, rows = option_rows(commands()["train"]), []
    for name, setting in SETTINGS.items():
        _, meaning, default = options[option_name(name)]
        rows.append((f"`{option_name(name)}`", meaning, default or "-", values_of(setting)))
    return table(("option", "meaning", "default", "values"), rows)


def command_sections() -> str:
    """Return a section for each command: usage, help, arguments, options, and settings."""
    options = {option_name(name) for name in SETTINGS} | {"--seeds"}
    settings = {row[1:] for name, row in option_rows(commands()["train"]).items() if name in options}
    sections = []
    for name, command in commands().items():
        usage = " ".join(command.collect_usage_pieces(typer.Context(command)))
        rows = option_rows(command)
        same = [n for n in rows if n in options and (rows[n][1:] in settings or name == "sweep")]
        own = [row for option, row in rows.items() if option not in same]
        parts = [
            f"## nbrnn {name}",
            f"```text\nnbrnn {name} {usage}\n```",
            paragraphs(command),
            table(("argument or option", "meaning", "default"), own),
        ]
        if same:
            takes = "a list for each of these settings" if name == "sweep" else "these settings"
            names = ", ".join(f"`{n}`" for n in same)
            parts.append(f"It also takes {takes} ([reference](settings.md)): {names}.")
        sections.append("\n\n".join(part.strip() for part in parts) + "\n")
    return "\n".join(sections)


def paragraphs(command: Any) -> str:
    """Return a command's help, one line a paragraph."""
    blocks = (command.help or "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(block.split()) for block in blocks)


# ---------------------------------------------------------------- where things are


def phrase(module: Path) -> str:
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(module.read_text())) or "").partition("\n")[0]


def structure() -> str:
    """Return a section for each folder of the package, with a row for each module."""
    sections = []
    for folder in [PACKAGE, *sorted({path.parent for path in PACKAGE.glob("*/**/__init__.py")})]:
        modules = sorted(path for path in folder.glob("*.py") if not path.stem.startswith("__"))
        rows = [(f"`{path.stem}`", phrase(path)) for path in modules]
        where = folder.relative_to(PACKAGE.parent).as_posix()
        text = f"### {where}/\n\n{phrase(folder / '__init__.py')}\n"
        sections.append(f"{text}\n{table(('module', 'what'), rows)}" if rows else text)
    return "\n".join(sections)


# ---------------------------------------------------------------- the pages

PAGES = {
    "reference/settings.md": settings_table,
    "reference/commands.md": command_sections,
    "structure.md": structure,
}


def pages() -> Iterator[tuple[Path, str]]:
    """Return each page with the text that it should have."""
    for name, part in PAGES.items():
        path = DOCS / name
        before, start, rest = path.read_text().partition(START)
        _, end, after = rest.partition(END)
        if not (start and end):
            raise SystemExit(f"{path} lacks the lines {START.strip()} and {END.strip()}")
        yield path, f"{before}{START}\n{part()}\n{END}{after}"


def main() -> None:
    """Write the pages, or say which of them differ."""
    stale = [(path, text) for path, text in pages() if path.read_text() != text]
    for path, text in stale:
        if "--check" in sys.argv:
            print(f"{path} does not agree with the code: run python docs/generate.py")
        else:
            path.write_text(text)
    sys.exit("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    main()
