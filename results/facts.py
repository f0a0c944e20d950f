"""Numbers of a page: a study writes them to facts.csv, and its page is a template that reads them."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from results.question import markdown

FACTS, TEMPLATE, PAGE = "facts.csv", "template.md", "README.md"
MAX_TYPED = 5  # characters of a number that somebody typed, such as a setting
SMALL = 0.1
Fact = float | int | str


def write_rows(file: Path, head: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Replace a table as a whole, with all digits."""
    new = file.with_suffix(".new")
    with new.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([head, *lines])
    new.replace(file)


def write_facts(folder: Path, facts: Mapping[str, Fact]) -> None:
    """Write facts.csv, a named fact a row."""
    write_rows(folder / FACTS, ["name", "value"], facts.items())


def read_facts(folder: Path) -> dict[str, Fact]:
    """Return the facts in facts.csv."""
    with (folder / FACTS).open(newline="") as file:
        return {row["name"]: parsed(row["value"]) for row in csv.DictReader(file)}


def parsed(text: str) -> Fact:
    """Return the number that a text is, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def table_of(file: Path) -> str:
    """Return a table in Markdown."""
    with file.open(newline="") as lines:
        head, *rows = csv.reader(lines)
    return "\n".join(markdown(head, [list(map(cell_text, row)) for row in rows]))


def cell_text(cell: str) -> str:
    """Return a cell of a table: a measured number with three decimals or, if small, three digits."""
    value = parsed(cell)
    if not isinstance(value, float) or len(cell) <= MAX_TYPED:
        return cell
    return f"{value:.3f}" if abs(value) >= SMALL else f"{value:.3g}"


def render(folder: Path) -> str:
    """Return the page: the template with the facts, and with the tables beside it by their names."""
    tables = {file.stem: table_of(file) for file in folder.glob("*.csv") if file.name != FACTS}
    return (folder / TEMPLATE).read_text().format_map({**tables, **read_facts(folder)})


def write_page(folder: Path) -> None:
    """Write README.md."""
    (folder / PAGE).write_text(render(folder))
