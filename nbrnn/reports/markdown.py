"""How are tables and samples written as Markdown?"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from nbrnn.reports.answers import ANSWER_METHOD, answers
from nbrnn.reports.measures import SCORE
from nbrnn.reports.rows import (
    comparison_rows,
    configuration_rows,
    effect_rows,
    length_rows,
    measures_of,
    method,
    sentences,
    tries_rows,
)
from nbrnn.reports.samples import Samples
from nbrnn.reports.tables import Results
from nbrnn.visible import one_line


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, all columns but the first to the right."""
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "--:|" * (len(columns) - 1)]
    for row in rows:
        cells = (html.escape(cell, quote=False).replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def answer_markdown(results: Results) -> str:
    """Return answer.md."""
    lines = [f"- {html.escape(text, quote=False)}" for text in answers(results)]
    parts = ["# What the runs say", "\n".join(lines)]
    titles = (
        ("What each setting does", effect_rows),
        ("The expected best of several runs", tries_rows),
        ("Whether rankings by shorter runs hold", length_rows),
    )
    for title, table in titles:
        columns, rows = table(results)
        if rows:
            parts += [f"## {title}", markdown_table(columns, rows)]
    parts += ["## How", ANSWER_METHOD]
    return "\n\n".join(parts) + "\n"


def configurations_markdown(results: Results) -> str:
    """Return settings.md."""
    parts = [
        "# Configurations",
        f"Over the finished seeds of each configuration; {units(results)}.",
    ]
    problems = [f"Left out: {one_line(problem)}." for problem in results.unreadable]
    parts += [html.escape(line, quote=False) for line in (*results.lost_from_zero(), *problems)]
    for measure in measures_of(results):
        parts += [
            f"## {measure.words.capitalize()}",
            markdown_table(*configuration_rows(results, measure)),
        ]
    return "\n\n".join(parts) + "\n"


def units(results: Results) -> str:
    """Return in which units losses are."""
    measures = measures_of(results)
    others = {results.unit_of(measure) for measure in measures} - {results.unit}
    which = "scores" if SCORE in measures else "held-out ones"
    return f"losses in {results.unit}" + "".join(f", {which} in {unit}" for unit in others)


def comparison_markdown(results: Results) -> str:
    """Return comparison.md."""
    parts = ["# Differences between configurations", f"{method(results)} {units(results).capitalize()}."]
    for measure in measures_of(results):
        columns, rows = comparison_rows(results, measure)
        if rows:
            parts += [f"## {measure.words.capitalize()}", markdown_table(columns, rows)]
            parts += [
                "\n".join(f"- {html.escape(text, quote=False)}" for text in sentences(results, measure))
            ]
    if len(parts) == 2:
        parts.append("There is one configuration only.")
    return "\n\n".join(parts) + "\n"


def samples_markdown(samples: Mapping[str, Samples]) -> str:
    """Return samples.md: a table for each configuration."""
    parts = ["# What the configurations write"]
    for configuration, (heads, rows) in samples.items():
        parts += [f"## {html.escape(configuration, quote=False)}", text_table(heads, rows)]
    return "\n\n".join(parts) + "\n"


def text_table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return texts side by side, in HTML, since the cells of Markdown's tables have no line ends."""
    lines = ["<table>", "<tr><th></th>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for name, texts in rows:
        cells = "".join(f"<td><pre>{html.escape(text)}</pre></td>" for text in texts)
        lines.append(f"<tr><td>{name}</td>{cells}</tr>")
    # an empty line would end the table
    return re.sub(r"\n(?=[^\S\n]*\n)", "\n&nbsp;", "\n".join([*lines, "</table>"]))
