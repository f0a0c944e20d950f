"""How are the tables written for LaTeX?"""

from __future__ import annotations

from nbrnn.assignment.tables import Table
from nbrnn.reports import latex


def floating(table: Table) -> str:
    """Return a table with its caption, which LaTeX places where there is room."""
    lines = [
        latex.NEEDS,
        r"\begin{table}[tbp]",
        r"\centering",
        f"\\caption{{{table.caption.translate(latex.ESCAPES)}}}",
        f"\\label{{tab:{table.name}}}",
        latex.latex_table(table.columns, table.rows, has_numbers=table.has_numbers),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
