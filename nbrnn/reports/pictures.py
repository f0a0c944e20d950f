"""How does a picture become part of the page, as dark as it and with what is under the mouse?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from markupsafe import Markup

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
# Colours that follow the page's; those of a picture's own scale are not quite white or black.
THEME = {"#ffffff": "var(--card)", "#000000": "currentColor"}
COLOURS = re.compile("|".join(THEME))
NEEDLESS = (f"{SVG}metadata", f"{SVG}style")  # the page has the one rule that there is
COORDINATES = ("d", "x", "y")  # in points, of which a hundredth is enough
DIGITS = re.compile(r"(?<=\.\d\d)\d+")
INNER = re.compile(r"^#|(?<=url\(#)")  # where an id is spoken of


def inline(svg: bytes, name: str, label: str, tips: Mapping[str, str | list[str]]) -> Markup:
    """Return a picture as HTML: elements of its own, with the ids prefixed by its name.

    tips: what is said of an element with this id, or of each of the marks in it.
    """
    root = ElementTree.fromstring(svg)
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in [element for element in root.iter() if element.tag in NEEDLESS]:
        parents[element].remove(element)
    for element in list(root.iter()):
        add_tips(element, tips.get(element.get("id", "")))
    for element in root.iter():
        adapt(element, name)
    width = float(root.attrib.pop("width").removesuffix("pt"))
    del root.attrib["height"], root.attrib["version"]
    root.attrib |= {"role": "img", "aria-label": label, "style": f"min-width: min(100%, {width:.0f}pt)"}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def add_tips(element: ElementTree.Element, tips: str | list[str] | None) -> None:
    """Give an element a title, or one to each of its marks."""
    if isinstance(tips, str):
        add_title(element, tips)
    elif tips:
        marks = list(element.iter(f"{SVG}use"))
        if len(marks) == len(tips):  # many are an image
            for mark, tip in zip(marks, tips, strict=True):
                add_title(mark, tip)


def add_title(element: ElementTree.Element, text: str) -> None:
    """Give an element a title, which browsers show under the mouse."""
    title = ElementTree.Element("title")
    title.text = text
    element.insert(0, title)


def adapt(element: ElementTree.Element, name: str) -> None:
    """Make an element one of HTML: no namespaces, ids of this picture only, colours of the page."""
    element.tag = element.tag.removeprefix(SVG)
    for key, old in list(element.attrib.items()):
        new = f"{name}-{old}" if key == "id" else INNER.sub(lambda found: f"{found[0]}{name}-", old)
        if key in COORDINATES:
            new = DIGITS.sub("", new)
        if key == "style":
            new = COLOURS.sub(lambda found: THEME[found[0]], new)
        del element.attrib[key]
        element.set(key.removeprefix(XLINK), new)
