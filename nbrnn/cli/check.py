"""The command `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nbrnn.cli import options
from nbrnn.cli.console import print_json, print_table, print_wrapped
from nbrnn.config import Loss


@options.setting_options("optimizer", "eta", "beta1", "beta2", "epsilon", "clip")
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Arrays: .npz, .mat or .safetensors.")
    ],
    case: Annotated[
        Path | None, typer.Option(help="The exercise, if FILE has only the answers.")
    ] = None,
    after: Annotated[int, typer.Option(help="Number of steps on the window before W_after ...")] = 1,
    table: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Write the points of each FILE by exercise.")
    ] = None,
    preset: options.PresetName = None,
    loss: Annotated[
        Loss | None,
        typer.Option(help="Sum or mean over the window  [default: either is right]"),
    ] = None,
    seq_length: Annotated[
        int | None, typer.Option(help="Characters T in a window, for a series of losses only.")
    ] = None,
    as_json: options.Json = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Check whether a program is right, and find its first fault.

    FILE has the parameters W U V b c, the inputs x, y (or X, Y) and h0, and any answers: loss, P, H,
    gradients (grads_W or dW ...), parameters after a step (W_after ...), losses and smooth; or the
    answers to a ladder of exercises by nbrnn case, which find the fault by the first that fails.

    An exercise by nbrnn case contains its settings. In the table, "largest error" is the largest
    difference relative to the largest right number, "of norms" the norm of the difference relative to
    the norm of the right array. Several FILEs, as of a class, give one row each.
    """
    own = {"loss": loss, "seq_length": seq_length}
    settings |= {name: value for name, value in own.items() if value is not None}

    from nbrnn.checks.grades import check_all, grades, write_grades
    from nbrnn.errors import NbrnnError

    reports = check_all(files, case=case, after=after, preset=preset, **settings)
    rows = grades(reports)
    if table is not None:
        write_grades(table, rows)
    errors = [report for report in reports.values() if isinstance(report, NbrnnError)]
    if len(files) == 1:
        if errors:
            raise errors[0]
        print_report(next(iter(reports.values())), as_json)
    elif as_json:
        plain = {
            name: {"error": str(report)} if isinstance(report, NbrnnError) else report.to_dict()
            for name, report in reports.items()
        }
        print_json({"submissions": plain})
    else:
        columns = ["submission", "right", "points", "of", "first fault"]
        print_table("", columns, [[str(row[column]) for column in columns] for row in rows])
    if any(not isinstance(report, NbrnnError) and not report.is_right for report in reports.values()):
        raise typer.Exit(1)
    if errors:
        raise typer.Exit(2)


def print_report(report: Any, as_json: bool) -> None:
    """Print the report on one program."""
    if as_json:
        print_json(report.to_dict())
        return
    print_wrapped(*report.notes)
    if report.titles:
        print("\n".join(report.lines()))
    else:
        rows = [
            [
                row.name,
                row.what,
                " x ".join(map(str, row.shape)) or "1",
                *("-" if error is None else f"{error:.1e}" for error in (row.largest, row.norm)),
                row.verdict,
            ]
            for row in report.rows
        ]
        print_table("", ["", "what", "shape", "largest error", "of norms", "verdict"], rows)
    print_wrapped(report.verdict(), *report.sentences(), report.caveat())
