"""Render a document as one HTML page, which needs no other file and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, groupby, zip_longest
from string import Template

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
    resource,
)

MAX_BESIDE = 4  # texts of one column that stand side by side
MARK = "Made by nbrnn"  # by which the folder of a report is recognized
# Colours that follow the page's; those of a colour map are not quite white or black.
THEME = {"#ffffff": "var(--card)", "#000000": "currentColor"}
NEEDLESS = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL
)
SIZE = re.compile(r'\s*<svg [^>]*?width="([\d.]+)pt"[^>]*?viewBox="([^"]*)"[^>]*>')
ID = re.compile(r'(?<= id=")|(?<=href="#)|(?<=url\(#)')
COORDINATES = re.compile(r'(?<= )[dxy]="[^"]*"')  # in points: two decimals are enough
DECIMALS = re.compile(r"(?<=\.\d\d)\d+")
USE = re.compile(r"(?<=\")/>(?=\s*(?:<use|$))")


def render_html(document: Document, refresh: int = 0) -> str:
    """Return the page; with `refresh` it loads itself again after so many seconds."""
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    status = f"{document.status} · {made}{f' · renewed every {refresh} s' if refresh else ''}"
    body = "\n".join(
        (f"<h2>{escape(section.title)}</h2>\n" if section.title else "") + render_blocks(section.blocks)
        for section in document.sections
        if section.blocks
    )
    return page(document.title, status, body, resource("page.js"), refresh)


def page(title: str, status: str, body: str, script: str, refresh: int = 0) -> str:
    """Return a page around its body, which may run this script alone."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    reload = f'<meta http-equiv="refresh" content="{refresh}">\n' if refresh else ""
    return Template(resource("page.html")).substitute(
        policy=html.escape(policy),
        reload=reload,
        title=escape(title),
        style=resource("style.css"),
        status=escape(status),
        body=body,
        mark=f"{MARK} {version('nbrnn')}",
        script=script,
    )


def escape(text: str) -> str:
    """Return a text that a browser shows as it is."""
    return html.escape(printable(text))


def render_blocks(blocks: Iterable[Block]) -> str:
    """Return blocks as HTML, figures that follow one another side by side."""
    parts = []
    for are_figures, group in groupby(blocks, lambda block: isinstance(block, Figure)):
        rendered = list(map(render_block, group))
        side_by_side = are_figures and len(rendered) > 1
        parts += ['<div class="pictures">', *rendered, "</div>"] if side_by_side else rendered
    return "\n".join(parts)


def render_block(block: Block) -> str:  # noqa: PLR0911  (a case a block)
    """Return a block as HTML."""
    match block:
        case Paragraph(text, "command"):
            return f'<div class="command"><code>{escape(text)}</code></div>'
        case Paragraph(text, style):
            return f"<p{f' class={style}' if style else ''}>{escape(text)}</p>"
        case Bullets(items, is_answer):
            rows = "\n".join(f"<li>{escape(item)}</li>" for item in items)
            return f'<ul class="{"answer" if is_answer else "bullets"}">\n{rows}\n</ul>'
        case Table():
            return render_table(block)
        case Figure():
            return (
                f'<figure id="{block.name}">{inline_svg(block)}'
                f"<figcaption>{escape(block.caption)}</figcaption></figure>"
            )
        case Samples():
            return render_samples(block)
        case ProgressBar(text, done, total):
            return f'<p><progress max="{total}" value="{done}"></progress> {escape(text)}</p>'
        case Fold(summary, inner, is_open):
            start = f"<details{' open' if is_open else ''}><summary>{escape(summary)}</summary>"
            return f"{start}\n{render_blocks(inner)}\n</details>"


def render_table(table: Table) -> str:
    """Return a table as HTML, numbers to the right."""
    classes = [' class="number"' if numeric else "" for numeric in table.numeric]

    def row(tag: str, cells: Iterable[str]) -> str:
        both = zip(cells, classes, strict=True)
        return "<tr>" + "".join(f"<{tag}{c}>{escape(cell)}</{tag}>" for cell, c in both) + "</tr>"

    caption, more = table.caption, len(table.rows) - table.max_rows
    if more > 0:
        file = f"{table.name.partition('-')[0]}.csv"
        caption += f" The first {table.max_rows} of {len(table.rows):,} rows; {file} has all."
    body = "\n".join(row("td", cells) for cells in table.rows[: table.max_rows])
    return f"""<figure class="table"><div class="wide" tabindex="0">
<table{' class="sortable"' if table.is_sortable else ""}>
<thead>{row("th", table.columns)}</thead>
<tbody>
{body}
</tbody>
</table></div>
<figcaption>{escape(caption)}</figcaption></figure>"""


def render_samples(samples: Samples) -> str:
    """Return generated texts as HTML, side by side where there is room."""
    columns = len(samples.heads) if len(samples.heads) > 1 else MAX_BESIDE
    parts = [f'<div class="texts" style="--columns: {columns}">']
    begin, end = samples.mark
    for label, texts in samples.rows:
        for head, text in zip(samples.heads, texts, strict=True):
            marked = f"<mark>{escape(text[begin:end])}</mark>" if end > begin else ""
            shown = f"{escape(text[:begin])}{marked}{escape(text[end:])}"
            title = escape(", ".join(filter(None, (label, head))))
            parts.append(f"<section><h3>{title}</h3>\n<pre>{shown}</pre></section>")
    return "\n".join([*parts, "</div>"])


# ---------------------------------------------------------------- pictures


def inline_svg(figure: Figure) -> str:
    """Return a picture as elements of the page: its colours, ids of its own, texts under the mouse."""
    svg = NEEDLESS.sub("", figure.svg.decode())
    width, box = SIZE.findall(svg)[0]
    label = f'aria-label="{escape(figure.caption)}" style="min-width: min(100%, {float(width):.0f}pt)"'
    svg = SIZE.sub("", svg, count=1).replace("xlink:href", "href")
    for colour, name in THEME.items():
        svg = svg.replace(colour, name)
    svg = COORDINATES.sub(lambda match: DECIMALS.sub("", match[0]), svg)
    svg = ID.sub(f"{figure.name}-", svg)
    tips = {f"{figure.name}-{name}": texts for name, texts in figure.tips.items()}
    return f'<svg viewBox="{box}" role="img" {label}>{add_tips(svg, tips)}'


def add_tips(svg: str, tips: Mapping[str, str | list[str]]) -> str:
    """Return a picture with titles, which browsers show under the mouse, for elements or their marks."""
    for name, texts in tips.items():
        before, element, after = svg.partition(f'<g id="{name}">')
        if element and isinstance(texts, str):
            after = f"<title>{escape(texts)}</title>{after}"
        elif element:
            marks, end, rest = after.partition("</g>")
            if marks.count("<use ") == len(texts):  # many marks are one image
                parts = USE.split(marks)
                titles = [f"><title>{escape(text)}</title></use>" for text in texts]
                marks = "".join(chain(*zip_longest(parts, titles, fillvalue="")))
            after = marks + end + rest
        svg = before + element + after
    return svg
