"""Render the tables of a document for LaTeX, and the paragraph on reproducibility."""

from __future__ import annotations

from collections.abc import Sequence

from nbrnn.report.document import Table, printable

MAX_ROWS = 40  # of a table on one page
PACKAGES = "% \\usepackage{booktabs, longtable}, with a text font that has all characters"
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


def escape(text: str) -> str:
    """Return a text that LaTeX shows as it is."""
    return printable(text).translate(ESCAPES)


def latex_table(table: Table) -> str:
    """Return a table with its caption and its label, over several pages where it is long."""
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    head, *body = (" & ".join(map(escape, row)) + r" \\" for row in (table.columns, *table.rows))
    caption, label = f"\\caption{{{escape(table.caption)}}}", f"\\label{{tab:{table.name}}}"
    if len(table.rows) > MAX_ROWS:
        start = [f"\\begin{{longtable}}{{{columns}}}", f"{caption} {label} \\\\"]
        lines = [*start, r"\toprule", head, r"\midrule", r"\endhead", *body, r"\bottomrule"]
        return "\n".join([PACKAGES, *lines, r"\end{longtable}"]) + "\n"
    start = [r"\begin{table}[tbp]", r"\centering", caption, label, f"\\begin{{tabular}}{{{columns}}}"]
    lines = [*start, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([PACKAGES, *lines, r"\end{table}"]) + "\n"


def latex_paragraph(sentences: Sequence[str], commands: Sequence[str]) -> str:
    """Return a paragraph of sentences and commands."""
    lines = [*map(escape, sentences), *(f"\\texttt{{{escape(command)}}}" for command in commands)]
    return "\n".join(lines) + "\n"
