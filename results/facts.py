"""Numbers of a page: a study writes them to facts.csv, and its page is a template that reads them."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from nbrnn.analysis.rank_statistics import holm, median_of, shift_of
from nbrnn.report.dot_plots import colours_of, dots_figure
from nbrnn.report.formatting import p_text
from nbrnn.run_plots import save
from nbrnn.typing import Array
from results.question import ROOT, Row

FACTS, TEMPLATE, PAGE = "facts.csv", "template.md", "README.md"
MAX_TYPED = 5  # characters of a number that somebody typed, such as a setting
SMALL = 0.1
LOSSES = ("seeds", "median", "lowest", "highest")  # columns of a table
P = "p"
DIFFERENCES = ("shift", "95 % CI from", "to", P)
Fact = float | int | str
Place = tuple[Fact, ...]  # values of some settings
Pair = tuple[Place, Place]


def write_rows(file: Path, head: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Replace a table as a whole, with all digits."""
    new = file.with_suffix(".new")
    with new.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([head, *lines])
    new.replace(file)


def read_facts(folder: Path) -> dict[str, Fact]:
    """Return the facts in facts.csv, none where there is no such file."""
    if not (folder / FACTS).exists():
        return {}
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


def losses_by(runs: Iterable[Row], column: str, *settings: str) -> dict[Place, Array]:
    """Return the losses of the finished runs by the values of some settings."""
    losses: dict[Place, list[float]] = {}
    for row in runs:
        if row["status"] == "finished":
            losses.setdefault(tuple(parsed(row[name]) for name in settings), []).append(
                float(row[column])
            )
    return {place: np.array(of_seeds) for place, of_seeds in losses.items()}


def lowest_first(losses: Mapping[Place, Array]) -> list[Place]:
    """Return the places in the order of their medians."""
    return sorted(losses, key=lambda place: np.median(losses[place]))


def write_losses(file: Path, settings: Sequence[str], losses: Mapping[Place, Array]) -> None:
    """Write a table of the losses of each place, the lowest median first."""
    lines = [[*place, *loss_cells(losses[place])] for place in lowest_first(losses)]
    write_rows(file, [*settings, *LOSSES], lines)


def draw_losses(file: Path, settings: Sequence[str], losses: Mapping[Place, Array], label: str) -> None:
    """Draw the loss of each run, with medians and their intervals, the lowest median first."""
    of_names = {str(place): losses[place] for place in lowest_first(losses)}
    cells = {str(place): list(map(str, place)) for place in losses}
    medians = {name: median_of(of_seeds) for name, of_seeds in of_names.items()}
    intervals = {name: (median.value, median.low, median.high) for name, median in medians.items()}
    colours = colours_of(list(of_names), None)
    with file.open("wb") as picture:
        save(dots_figure(of_names, intervals, colours, label, (settings, cells)), picture, "png")


def loss_cells(losses: Array) -> list[Fact]:
    """Return the cells of LOSSES."""
    return [losses.size, *(float(of(losses)) for of in (np.median, np.min, np.max))]


def write_differences(
    file: Path, settings: Sequence[str], losses: Mapping[Place, Array], pairs: Sequence[Pair]
) -> None:
    """Write a table of the differences between the places of each pair."""
    cells = difference_cells(losses, pairs).items()
    lines = [[*(", ".join(map(str, place)) for place in pair), *row] for pair, row in cells]
    write_rows(file, [", ".join(settings), "minus", *DIFFERENCES], lines)


def difference_cells(
    losses: Mapping[Place, Array], pairs: Sequence[Pair]
) -> dict[Pair, tuple[float, float, float, float]]:
    """Return the cells of DIFFERENCES for each pair: by how much the first has higher losses.

    The p-values are corrected for the number of pairs.
    """
    shifts = [shift_of([(losses[a], losses[b])]) for a, b in pairs]
    corrected = holm([shift.p for shift in shifts])
    return {
        pair: (shift.value, shift.low, shift.high, p)
        for pair, shift, p in zip(pairs, shifts, corrected, strict=True)
    }


def table_of(file: Path) -> str:
    """Return a table in Markdown, with columns of words flush left."""
    with file.open(newline="") as opened:
        head, *rows = csv.reader(opened)
    lines = [[cell_text(name, cell) for name, cell in zip(head, row, strict=True)] for row in rows]
    has_words = (any(cell[:1].isalpha() for cell in column) for column in zip(*lines, strict=True))
    rule = ["---" if words else "--:" for words in has_words]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def cell_text(name: str, cell: str) -> str:
    """Return a cell of a column: a measured number with three decimals or, if small, three digits."""
    value = parsed(cell)
    if isinstance(value, int):
        return f"{value:,}"
    if name == P and isinstance(value, float):
        return p_text(value)
    if not isinstance(value, float) or len(cell) <= MAX_TYPED:
        return cell
    return f"{value:.3f}" if abs(value) >= SMALL else f"{value:.3g}"


def facts_and_tables(folder: Path) -> dict[str, Fact]:
    """Return the facts of a folder, and its tables by their names."""
    tables = {file.stem: table_of(file) for file in folder.glob("*.csv") if file.name != FACTS}
    return {**tables, **read_facts(folder)}


def fill(template: str, folder: Path = ROOT) -> str:
    """Return a text with the facts and tables of a folder, and those of all studies: `{study.fact}`."""
    studies = {
        file.parent.name: SimpleNamespace(**facts_and_tables(file.parent))
        for file in ROOT.glob(f"*/{FACTS}")
    }
    return template.format_map({**studies, **facts_and_tables(folder)})


def render(folder: Path) -> str:
    """Return the page of a folder: its template, filled."""
    return fill((folder / TEMPLATE).read_text(), folder)


def write_page(folder: Path, facts: Mapping[str, Fact]) -> None:
    """Write facts.csv, a named fact a row, the page of the folder, and the page of all studies."""
    write_rows(folder / FACTS, ["name", "value"], facts.items())
    for place in (folder, ROOT):
        (place / PAGE).write_text(render(place))
