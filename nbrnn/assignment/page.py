"""How is the report of a run shown on one page, which needs no other file?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from jinja2 import Template
from markupsafe import Markup

from nbrnn.assignment.gather import Facts
from nbrnn.assignment.sections import Section, captions, heading, status
from nbrnn.escaping import one_line
from nbrnn.reports.page import made, templates

POLICY = Markup(  # nothing is run or loaded, whatever a text holds
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)


@cache
def template() -> Template:
    """Return the template of the page; to compile it takes a quarter of the time of a report."""
    return templates("nbrnn.assignment", "nbrnn.reports").get_template("assignment.html")


def page(facts: Facts, sections: Sequence[Section], pictures: Mapping[str, str], refresh: int) -> str:
    """Return the page with everything; pictures: SVGs in base64, by name."""
    return template().render(
        title=heading(facts),
        status=status(facts),
        missing=[one_line(line) for line in facts.missing],
        sections=[(section, captions(section)) for section in sections],
        pictures=pictures,
        policy=POLICY,
        refresh=refresh,
        **made(),
    )
