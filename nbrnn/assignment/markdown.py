"""How is the report of a run written as Markdown?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nbrnn.assignment.gather import Facts
from nbrnn.assignment.sections import Section, Text, captions, heading, status
from nbrnn.escaping import one_line
from nbrnn.reports.markdown import escaped, markdown_table, text_table

MOST_BESIDE = 3  # texts that have room side by side


def markdown(facts: Facts, sections: Sequence[Section]) -> str:
    """Return report.md."""
    parts = [f"# {escaped(heading(facts))}", f"{escaped(status(facts)).capitalize()}."]
    parts += [f"Not here: {escaped(one_line(line))}." for line in facts.missing]
    for section in sections:
        parts += [f"## {section.title}", *map(escaped, section.sentences)]
        for name, caption in captions(section):
            parts += [f"![{caption}]({name}.png)", caption]
        for table in filter(None, section.tables):
            parts += [markdown_table(table.columns, table.rows), escaped(table.caption)]
        for texts in section.texts:
            if 1 < len(texts) <= MOST_BESIDE:
                parts.append(text_table([text.head for text in texts], [("", [t.whole for t in texts])]))
                continue
            for text in texts:
                parts += [f"### {text.head.capitalize()}", fenced(text)]
    return "\n\n".join(parts) + "\n"


def fenced(text: Text) -> str:
    """Return what a network wrote as a block, between longer fences than there are in it."""
    longest = max(map(len, re.findall(r"`+", text.whole)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.whole}\n{fence}"
