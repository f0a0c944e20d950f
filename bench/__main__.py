"""Run the benchmarks: `python -m bench`, on a machine that does nothing else."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from bench.report import write
from bench.sections import FULL, LONG, QUICK, SECTIONS, checks, chosen
from nbrnn.runs.provenance import current_environment

RESULTS = Path(__file__).parent.parent / "results" / "bench"  # of everything, measured in full


def main() -> None:
    """Measure, show tables on stderr as they come, and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes, without " + ", ".join(LONG))
    parser.add_argument("--check", action="store_true", help="only compare with the naive program")
    parser.add_argument("--only", default="", help="implementations by name, with commas: numpy,nbrnn")
    parser.add_argument("--sections", default="", help="out of " + ", ".join(SECTIONS))
    parser.add_argument("--json", type=Path, help="write the document to this file, too")
    parser.add_argument("--out", type=Path, help="write tables and pictures into this folder")
    options = parser.parse_args()
    effort = QUICK if options.quick else FULL
    wanted = options.sections.split(",") if options.sections else list(SECTIONS)
    if options.quick and not options.sections:
        wanted = [name for name in wanted if name not in LONG]
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if options.check:
        wanted = ["checks"]
    is_whole = not (options.quick or options.check or options.only or options.sections)
    out = options.out or (RESULTS if is_whole else None)
    document: dict[str, Any] = {
        "machine": msgspec.to_builtins(current_environment(["python", "-m", "bench", *sys.argv[1:]]))
    }
    for name in wanted:
        print(f"\n{name}", file=sys.stderr)
        document[name] = (checks if options.check else SECTIONS[name])(chosen(options.only), effort)
        show(document[name])
    text = json.dumps(document)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    print(text, flush=True)
    if out:
        write(document, out)


def show(rows: list[dict[str, Any]] | dict[str, float]) -> None:
    """Print what a section found."""
    for row in rows if isinstance(rows, list) else [rows]:
        print("  " + "  ".join(f"{name} {shown(value)}" for name, value in row.items()), file=sys.stderr)


def shown(value: Any) -> str:
    """Return a value with four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return str(value)


if __name__ == "__main__":
    main()
