"""One document as HTML, Markdown and LaTeX: nothing in it is markup, nothing is lost."""

import html
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Picture

from nbrnn.report.document import (
    Bullets,
    Document,
    Figure,
    Fold,
    Paragraph,
    ProgressBar,
    Samples,
    Section,
    Table,
)
from nbrnn.report.html import render_html
from nbrnn.report.latex import latex_paragraph, latex_table
from nbrnn.report.markdown import markdown_table, render_markdown
from nbrnn.report.report_folder import csv_text, draw

EVIL = "<script>alert(1)</script> | ``` $x^2$ & {y} \\ ~# _z_ \x1b[31m \u202e"
ESCAPED = EVIL.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")


def picture():
    figure = Picture()
    axes = figure.add_subplot()
    axes.plot(range(3), "o", color="black", gid="runs-0")
    axes.plot(range(2), "o", color="white", gid="runs-1")
    return draw("a", figure)["a.svg"]


@pytest.fixture(scope="module")
def document():
    """Return a document with a block of each kind, whose texts are all hostile."""
    tips = {
        "runs-0": [f"{EVIL} {n}.12345 #000000" for n in range(3)],
        "runs-1": ["too few"],
        "axes_1": EVIL,
    }
    blocks = [
        *(Paragraph(EVIL, style) for style in ("", "soft", "command")),
        Bullets([EVIL, EVIL], is_answer=True),
        Table("evil", EVIL, [EVIL, "number"], [[EVIL, "1"]], is_sortable=True),
        Figure("picture", EVIL, picture(), tips),
        Samples(["a", "b"], [(EVIL, [EVIL, EVIL])]),
        Samples([""], [(EVIL, [EVIL])], (8, 20)),
        ProgressBar(EVIL, 1, 2),
        Fold(EVIL, [Paragraph(EVIL)]),
    ]
    return Document(EVIL, EVIL, [Section(EVIL, blocks), Section("empty", [])])


def test_a_page_has_no_markup_of_others(document):
    page = render_html(document)
    assert page.count("<script") == 1
    assert html.escape(EVIL[:25]) in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert "<mark>alert(1)&lt;/sc</mark>" in page
    assert ">empty<" not in page


def test_markdown_has_no_markup_of_others(document):
    text = render_markdown(document)
    assert not {"\x1b", "\u202e"} & set(text)
    assert "<script" not in re.sub(r"^(`{4,})\w+\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert text.count("<pre>") == 2
    assert re.findall(r"^````(?:text|sh)\n(.*)\n````$", text, re.MULTILINE) == [ESCAPED] * 2


def test_markdown_escapes_what_it_would_read():
    cells = ["*a* **b** `c`", "![x](http://example.org/x.png)", "_d_ e_f <i>|", r"\*"]
    row = markdown_table(["text"] * 4, [cells]).splitlines()[-1]
    assert row == (
        r"| \*a\* \*\*b\*\* \`c\` | !\[x\](http://example.org/x.png) | \_d\_ e_f &lt;i&gt;\| | \\\* |"
    )


def test_blank_lines_do_not_end_a_table_of_samples():
    samples = Samples(["a", "b"], [("", ["x\n\n \n\ny", ""])])
    text = render_markdown(Document("", "", [Section("", [samples])]))
    table = text.partition("<table>")[2].partition("</table>")[0]
    assert table.count("&nbsp;") == 3
    assert not re.search(r"\n\s*\n", table)


def test_latex_has_a_caption_and_a_label_and_escapes_what_it_would_read():
    text = latex_table(Table("a-b", "50 %", ["a_b", "c"], [["x", "1"]]))
    lines = [r"\caption{50 \%}", r"\label{tab:a-b}", r"a\_b & c \\", r"\begin{tabular}{lr}"]
    assert set(lines) <= set(text.splitlines())
    long = latex_table(Table("long", "", ["a_b", "c"], [["x: 50 % of $x^2$ & {y} \\ ~#", "1"]] * 41))
    assert r"\begin{longtable}{lr}" in long
    assert (
        r"x: 50 \% of \$x\textasciicircum{}2\$ \& \{y\} \textbackslash{} \textasciitilde{}\# & 1 \\"
        in long
    )
    assert not {"\x1b", "\u202e"} & set(latex_table(Table("", EVIL, [EVIL], [[EVIL]])))
    assert latex_paragraph(["50 %"], ["a_b"]) == "50 \\%\n\\texttt{a\\_b}\n"


def test_a_picture_follows_the_colours_of_the_page_and_has_ids_of_its_own(document):
    svg = re.search(r"<svg.*?</svg>", render_html(document), re.DOTALL)[0]
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == ESCAPED
    assert "#000000" not in re.sub("<title>.*?</title>", "", svg)
    assert "currentColor" in svg
    assert "var(--card)" in svg
    for pattern in (r"scale\([^)]*\)", r"<use", r"<path"):  # the scale of glyphs has six decimals
        assert re.findall(pattern, svg) == re.findall(pattern, picture().decode())
    titles = [title.text for title in root.iter("title")]
    assert titles == [ESCAPED, *(f"{ESCAPED} {n}.12345 #000000" for n in range(3))]
    ids = {element.get("id") for element in root.iter()} - {None}
    assert all(name.startswith("picture-") for name in ids)
    assert set(re.findall(r"(?:href=\"|url\()#([^\")]*)", svg)) <= ids


@pytest.mark.parametrize(
    ("cell", "is_number"),
    [("42.7", True), ("1e-08", True), ("195,223", True), ("< 0.001", True), ("-1.5 to 2", True),
     ("0.97 (0.9 to 1)", True), ("12%", True), ("adam", False), ("0a3f", False),
     ("1/8 of the updates", False), ("2024-notes", False), ("1,000/2", False)],
)  # fmt: skip
def test_columns_of_numbers_are_those_whose_cells_begin_with_one(cell, is_number):
    assert Table("", "", ["a", "b"], [[cell, "-"], ["-", "-"]]).numeric == [is_number, False]


def test_no_name_is_a_formula_in_csv():
    names = ["=1+1", "+a", "-a", "@a", "\t=1", "a=b", "-1.5", "+2"]
    text = csv_text(pd.DataFrame({"name": names, "x": np.arange(8) - 4, "mixed": [None, 1, *names[:6]]}))
    cells = [line.split(",")[0] for line in text.splitlines()[1:]]
    assert cells == ["'=1+1", "'+a", "'-a", "'@a", "'\t=1", "a=b", "-1.5", "+2"]
    assert text.splitlines()[3] == "'-a,-2,'=1+1"
