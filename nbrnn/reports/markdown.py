"""How are tables, the answer and samples written as Markdown?"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from nbrnn.reports.answers import ANSWER_METHOD, answers
from nbrnn.reports.catalogue import IN_ANSWER, TABLES, Table
from nbrnn.reports.samples import Samples
from nbrnn.reports.tables import Results

SPECIAL = re.compile(r"[\\`*\[\]]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is none


def escaped(text: str) -> str:
    """Return a text of one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\g<0>", html.escape(text, quote=False))


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, all columns but the first to the right."""
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "--:|" * (len(columns) - 1)]
    for row in rows:
        cells = (escaped(cell).replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(table: Table, results: Results) -> str:
    """Return a table of the catalogue as a document."""
    notes = [escaped(note) for note in table.notes(results)]
    return "\n\n".join([f"# {table.title}", *notes, *parts(table, results)]) + "\n"


def parts(table: Table, results: Results) -> list[str]:
    """Return the parts of a table, each with what it says in words."""
    found = []
    for text in table.texts(results):
        if text.rows:
            # the unit is told in the notes
            found += [f"## {text.heading.partition(' (')[0]}"] if text.heading else []
            found += [markdown_table(text.columns, text.rows)]
            found += [listed(text.sentences)] if text.sentences else []
    return found


def listed(texts: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {escaped(text)}" for text in texts)


def answer_markdown(results: Results) -> str:
    """Return answer.md."""
    found = ["# What the runs say", listed(answers(results))]
    for table in TABLES:
        if table.name in IN_ANSWER and (its := parts(table, results)):
            found += [f"## {table.title}", *its]
    return "\n\n".join([*found, "## How", ANSWER_METHOD]) + "\n"


def samples_markdown(samples: Mapping[str, Samples]) -> str:
    """Return samples.md: a table for each configuration."""
    found = ["# What the configurations write"]
    for configuration, (heads, rows) in samples.items():
        found += [f"## {escaped(configuration)}", text_table(heads, rows)]
    return "\n\n".join(found) + "\n"


def text_table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return texts side by side, in HTML, since the cells of Markdown's tables have no line ends."""
    lines = ["<table>", "<tr><th></th>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for name, texts in rows:
        cells = "".join(f"<td><pre>{html.escape(text)}</pre></td>" for text in texts)
        lines.append(f"<tr><td>{name}</td>{cells}</tr>")
    # an empty line would end the table
    return re.sub(r"\n(?=[^\S\n]*\n)", "\n&nbsp;", "\n".join([*lines, "</table>"]))
