"""How are the tables written for LaTeX?"""

from __future__ import annotations

import pandas as pd

from nbrnn.assignment.tables import Table


def latex_table(table: Table) -> str:
    """Return a table as LaTeX, which needs the package booktabs."""
    frame = pd.DataFrame(table.rows).map(latex_text)
    style = frame.style.hide(axis="index")
    style = style.relabel_index([latex_text(column) for column in table.columns], axis="columns")
    text: str = style.to_latex(
        hrules=True,
        position="tbp",
        position_float="centering",
        column_format="l" + "lr"[table.has_numbers] * (len(table.columns) - 1),
        caption=latex_text(table.caption),
        label=f"tab:{table.name}",
    )
    return "% needs \\usepackage{booktabs}\n" + text


def latex_text(text: str) -> str:
    """Return a text whose characters LaTeX shows as they are."""
    return "".join(SPECIAL.get(character, character) for character in text)


SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "↵": r"$\hookleftarrow$",
}
