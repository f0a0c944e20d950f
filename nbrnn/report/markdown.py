"""Render a document as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from nbrnn.report.document import (
    Block,
    Bullets,
    Document,
    Figure,
    Fold,
    Paragraph,
    ProgressBar,
    Samples,
    Table,
    printable,
)

SPECIAL = re.compile(r"[\\`*\[\]]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is none


def render_markdown(document: Document) -> str:
    """Return the document as Markdown; pictures are files beside it."""
    parts = [f"# {escape(document.title)}"]
    parts += [f"{escape(document.status[0].upper() + document.status[1:])}."] if document.status else []
    for section in document.sections:
        if section.blocks:
            parts += [f"## {escape(section.title)}"] if section.title else []
            parts += [part for block in section.blocks for part in render_block(block)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return a text of one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\g<0>", html.escape(" ".join(printable(text).split("\n")), quote=False))


def render_block(block: Block) -> list[str]:  # noqa: PLR0911  (a case a block)
    """Return the parts of a block."""
    match block:
        case Paragraph(text, "command"):
            return [fenced(text, "sh")]
        case Paragraph(text) | ProgressBar(text):
            return [escape(text)]
        case Bullets(items):
            return ["\n".join(f"- {escape(item)}" for item in items)]
        case Table():
            parts = [markdown_table(block.columns, block.rows), escape(block.caption)]
            return parts if block.caption else parts[:1]
        case Figure(name, caption):
            return [f"![{escape(caption)}]({name}.png)", escape(caption)]
        case Samples(heads, rows):
            if len(heads) > 1:
                return [samples_table(heads, rows)]
            return [part for label, (text,) in rows for part in (f"### {escape(label)}", fenced(text))]
        case Fold(summary, blocks):
            return [f"### {escape(summary)}", *(part for each in blocks for part in render_block(each))]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, numbers to the right."""
    numeric = Table("", "", columns, rows).numeric
    rule = "|" + "".join("--:|" if number else "---|" for number in numeric)
    return "\n".join([line(columns), rule, *map(line, rows)])


def line(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(escape(cell).replace("|", "\\|") for cell in cells) + " |"


def fenced(text: str, language: str = "text") -> str:
    """Return a block of text, between longer fences than there are in it."""
    text = printable(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def inner(text: str) -> str:
    """Return a text within HTML."""
    return html.escape(printable(text))


def samples_table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return texts side by side, in HTML, since the cells of Markdown's tables have no line ends."""
    lines = ["<table>", "<tr><th></th>" + "".join(f"<th>{inner(head)}</th>" for head in heads) + "</tr>"]
    for label, texts in rows:
        cells = "".join(f"<td><pre>{inner(text)}</pre></td>" for text in texts)
        lines.append(f"<tr><td>{inner(label)}</td>{cells}</tr>")
    # an empty line would end the table
    return re.sub(r"\n(?=[^\S\n]*\n)", "\n&nbsp;", "\n".join([*lines, "</table>"]))
