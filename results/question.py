"""What do the parts of results/ have in common, above all those that ask a question of sweeps?"""

import csv
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parent
KEPT = (".md", ".csv", ".png")  # ends of names: the page and the SVGs say the same again
OF_A_SEARCH = ("runs.csv",)  # of runs that something is chosen by
OF_RUNS = ("runs.csv", "settings.csv", "settings.md")  # where a page has its own tables and pictures
PARTS = ("--validation", "0.1", "--test", "0.1", "--sample-every", "0")
COURSE = ("--preset", "dd2424-2025", "--validation", "0.1", "--sample-every", "0")
TEXTS = ("brontes", "shakespeare")
Row = dict[str, str]


def nbrnn(*arguments: str) -> str:
    """Run the program and return what it prints."""
    command = [sys.executable, "-m", "nbrnn", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def swept(
    part: str,
    text: str,
    *sweeps: Sequence[str],
    name: str = "",
    reveal_test: bool = False,
    kept: tuple[str, ...] = KEPT,
) -> Path:
    """Do the sweeps of one text, or what is left of them, all into one folder; return their report.

    Both are called like the text, without another name. The runs stay in sweeps/, which git ignores;
    of the report the files are kept whose names end so. `reveal_test` shows the test loss in them.
    """
    name = name or text
    runs, report = ROOT / part / "sweeps" / name, ROOT / part / name
    for options in sweeps:
        nbrnn("sweep", text, *options, "--out", str(runs))
    keep_report(runs, report, reveal_test, kept)
    return report


def keep_report(
    runs: Path, report: Path, reveal_test: bool = False, kept: tuple[str, ...] = KEPT
) -> None:
    """Report on runs, and keep what is to be kept of it."""
    shutil.rmtree(report, ignore_errors=True)
    reveal = ["--reveal-test"] if reveal_test else []
    nbrnn("report", str(runs), "--out", str(report), *reveal)
    for file in report.iterdir():
        if not file.name.endswith(kept):
            file.unlink()


def rows(report: Path, name: str = "settings") -> list[Row]:
    """Return the rows of a table of a report."""
    with (report / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def finished_runs(report: Path) -> list[Row]:
    """Return the runs of a report that are finished."""
    return [row for row in rows(report, "runs") if row["status"] == "finished"]


def all_sentences(report: Path, measure: str, names: Mapping[str, str]) -> str:
    """Return what the differences of one measure say of all pairs of configurations, by other names."""
    found = {
        frozenset((row["a"], row["b"])): row["sentence"]
        for row in rows(report, "comparison")
        if row["measure"] == measure
    }
    text = "\n".join(f"- {found[frozenset(pair)]}" for pair in combinations(names, 2))
    for setting in sorted(names, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(setting, names[setting])
    return text
