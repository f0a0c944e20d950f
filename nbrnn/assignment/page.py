"""How is the report of a run shown on one page, which needs no other file?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from nbrnn.assignment.gather import Facts
from nbrnn.assignment.sections import Section, captions, heading, status
from nbrnn.visible import one_line


def page(facts: Facts, sections: Sequence[Section], pictures: Mapping[str, str], refresh: int) -> str:
    """Return the page with everything; pictures: SVGs in base64, by name."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("nbrnn.assignment", "."), PackageLoader("nbrnn.reports", ".")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("assignment.html").render(
        title=heading(facts),
        status=status(facts),
        missing=[one_line(line) for line in facts.missing],
        sections=[(section, captions(section)) for section in sections],
        pictures=pictures,
        refresh=refresh,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("nbrnn"),
    )
