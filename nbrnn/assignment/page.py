"""How is the report of a run shown on one page, which needs no other file?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from nbrnn.assignment.gather import Facts
from nbrnn.assignment.sections import Section, captions, heading, status
from nbrnn.reports.page import made, templates
from nbrnn.visible import one_line

POLICY = Markup(  # nothing is run or loaded, whatever a text holds
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)


def page(facts: Facts, sections: Sequence[Section], pictures: Mapping[str, str], refresh: int) -> str:
    """Return the page with everything; pictures: SVGs in base64, by name."""
    environment = templates("nbrnn.assignment", "nbrnn.reports")
    return environment.get_template("assignment.html").render(
        title=heading(facts),
        status=status(facts),
        missing=[one_line(line) for line in facts.missing],
        sections=[(section, captions(section)) for section in sections],
        pictures=pictures,
        policy=POLICY,
        refresh=refresh,
        **made(),
    )
