"""How is everything shown on one page, which needs no other file and runs no other script?"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distribution, version
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from nbrnn.errors import NbrnnError
from nbrnn.reports.answers import ANSWER_METHOD, outlook, verdict
from nbrnn.reports.catalogue import IN_ANSWER, TABLES, Text
from nbrnn.reports.figures import caption, tips
from nbrnn.reports.heading import MOST_UNDER_WAY, Asked, fixed, progress, title
from nbrnn.reports.pictures import inline
from nbrnn.reports.rows import method
from nbrnn.reports.samples import Samples
from nbrnn.reports.tables import Results

FIRST = "best"  # the picture beside the answer: every run, by configuration
MOST_SAMPLES = 12  # configurations whose samples are on the page; samples.md has all
MOST_ROWS = 400  # of a table on the page; its files have all
MOST_OTHERS = 100  # of one by a measure that does not rank
LIBRARY = "itables/html/dt_bundle"  # DataTables, in a package that carries it
EXPORTS = re.compile(r"export\s*\{[^}]*?(\w+) as default[^}]*\};?")  # of which we need one
# At the beginning of a cell; that of a fraction, a date or a name is no number of its own.
NUMBER = re.compile(r"(?:< )?([-+]?[\d,.]+(?:e[-+]?\d+)?)(?![\w.,/-])")
# Inside of a script element these would hide its end, and within JavaScript they are in texts only:
# https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
HIDING = re.compile(r"<(?=!--|script|/script)", re.IGNORECASE)


@cache
def template() -> Template:
    """Return the template of the page; to compile it takes longer than to fill it."""
    environment = templates("nbrnn.reports")
    environment.filters["number"] = number
    return environment.get_template("page.html")


def templates(*packages: str) -> Environment:
    """Return the templates of pages in these packages; of two of one name that in the first."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package, ".") for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def made() -> dict[str, str]:
    """Return what each page says of itself: when it was made, and by which version."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"made": now, "version": version("nbrnn")}


def page(
    results: Results,
    pictures: Mapping[str, bytes],
    samples: Mapping[str, Samples],
    wanted: Asked,
    refresh: int,
) -> str:
    """Return the page with everything, which needs no other file; pictures are SVG.

    The only script that a browser runs in it is ours, by its hash: whatever a name holds, and would
    escaping fail.
    """
    statuses = results.runs["status"].value_counts()
    texts = {table.name: table.texts(results) for table in TABLES}
    hints = tips(results)
    captions = {name: caption(results, name) for name in pictures}
    shown = {
        name: (captions[name], inline(svg, name, captions[name], hints))
        for name, svg in pictures.items()
    }
    return template().render(
        title=title(results),
        fixed=fixed(results),
        commands=wanted.commands,
        progress=progress(results, wanted),
        most_under_way=MOST_UNDER_WAY,
        counts=", ".join(f"{count:,} {status}" for status, count in statuses.items()),
        configurations_count=len(results.configurations),
        seeds_count=results.runs["seed"].nunique(),
        unit=results.unit,
        first_picture=shown.pop(FIRST, None),
        pictures=shown.values(),
        texts=texts,
        in_answer=IN_ANSWER,
        titles={table.name: table.title for table in TABLES},
        most_rows=MOST_ROWS,
        most_others=MOST_OTHERS,
        unreadable=results.unreadable,
        lost=results.lost_from_zero(),
        method=method(results),
        verdict=verdict(results),
        outlook=outlook(results),
        answer_method=ANSWER_METHOD,
        samples=dict(list(samples.items())[:MOST_SAMPLES]),
        more_samples=max(0, len(samples) - MOST_SAMPLES),
        kinds_of=kinds_of,
        style=Markup(library("css")),
        has_data_tables=bool(data_tables()),
        script=script(),
        policy=policy(script()),
        refresh=refresh,
        **made(),
    )


# ---------------------------------------------------------------- tables


def number(cell: str) -> str:
    """Return the number at the beginning of a cell, by which it is sorted; empty without one."""
    found = NUMBER.match(cell)
    return found[1].replace(",", "") if found else ""


class Kind(NamedTuple):
    """How a column is shown: its class, and whether its cells are sorted by more than their texts."""

    name: str
    is_ordered: bool = False


def kinds_of(text: Text) -> list[Kind]:
    """Return the kind of each column of a table: of numbers, of names of runs, of words."""
    columns = zip(*text.rows, strict=True) if text.rows else [()] * len(text.columns)
    kinds = []
    for name, cells in zip(text.columns, columns, strict=True):
        known = [cell for cell in cells if cell != "-"]
        if known and all(map(number, known)):
            kinds.append(Kind("number", any(number(cell) != cell for cell in known)))
        else:
            kinds.append(Kind("run" if name == "run" else ""))
    return kinds


# ---------------------------------------------------------------- the library


@cache
def library(suffix: str) -> str:
    """Return the style or the script of DataTables. Raises NbrnnError if its package lacks it."""
    path = Path(str(distribution("itables").locate_file(f"{LIBRARY}.{suffix}")))
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NbrnnError(f"cannot read {path}: {error.strerror}; install itables again") from error


@cache
def data_tables() -> str:
    """Return the library as it defines DataTable; empty if it is one that exports otherwise."""
    text, exports = EXPORTS.subn(r"const DataTable = \1;", library("js"))
    return text if exports == 1 else ""


@cache
def script() -> Markup:
    """Return the only script of the page: the library, and what makes tables of it."""
    module = data_tables() or "const DataTable = null;"
    own = files("nbrnn.reports").joinpath("page.js").read_text(encoding="utf-8")
    return Markup(HIDING.sub(r"\\x3C", f"{module}\n{own}"))


def policy(allowed: str) -> str:
    """Return what the page may load and run: https://www.w3.org/TR/CSP3/."""
    digest = base64.b64encode(hashlib.sha256(allowed.encode()).digest()).decode()
    parts: dict[str, Any] = {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())
