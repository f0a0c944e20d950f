"""How are tables written for LaTeX?"""

from __future__ import annotations

from collections.abc import Sequence

from nbrnn.reports.catalogue import Table
from nbrnn.reports.tables import Results

LONGEST = 40  # rows of a table on one page
NEEDS = "% \\usepackage{booktabs, longtable}, with a text font that has all characters"
ESCAPES = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "µ": r"\textmu{}",
        "↵": r"$\hookleftarrow$",
    }
)


def latex(table: Table, results: Results) -> str:
    """Return a table of the catalogue for LaTeX's input, all its parts one after the other."""
    found = [NEEDS]
    for columns, rows, heading, _ in table.texts(results):
        if rows:
            found += [f"% {heading or table.title}", latex_table(columns, rows)]
    return "\n".join(found) + "\n"


def latex_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, has_numbers: bool = True
) -> str:
    """Return a table with rules by booktabs; columns of numbers, all but the first, to the right."""
    head, *body = (" & ".join(cell.translate(ESCAPES) for cell in row) for row in (columns, *rows))
    kind = "tabular" if len(rows) <= LONGEST else "longtable"
    lines = [
        f"\\begin{{{kind}}}{{l{'lr'[has_numbers] * (len(columns) - 1)}}}",
        r"\toprule",
        f"{head} \\\\",
        r"\midrule",
    ]
    lines += [r"\endhead"] if kind == "longtable" else []
    return "\n".join([*lines, *(f"{line} \\\\" for line in body), r"\bottomrule", f"\\end{{{kind}}}"])
