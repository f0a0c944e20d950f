"""Is `nbrnn train TEXT --minutes 3` as good as a sweep of half an hour? `python -m results.minutes`.

Five texts of 20 kB to 3 MB. The settings that --minutes chooses are trained once; beside them random
settings of as many epochs, the best of which is chosen by the validation part. The test part of both,
the last tenth, decides. Some 100 runs of up to three minutes, one after the other: an hour.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from nbrnn.corpus import read_text
from results.facts import Fact, write_page, write_rows
from results.question import OF_A_SEARCH, ROOT, Row, finished_runs, nbrnn, rows, swept

HERE = ROOT / "minutes"
MINUTES = 3


class Text(NamedTuple):
    """The texts that are joined, how many of their first characters, and what is searched."""

    sources: tuple[str, ...]
    characters: int | None
    draws: int
    batch: str = "8,16,32"


TEXTS = {
    "federalist-20kB": Text(("federalist",), 20_000, 60, "4,8,16"),
    "shakespeare-100kB": Text(("shakespeare",), 100_000, 16, "4,8,16"),
    "brontes": Text(("brontes",), None, 8),
    "shakespeare": Text(("shakespeare",), None, 8),
    "all-three": Text(("shakespeare", "brontes", "federalist"), None, 8),
}
DRAWN = {
    "layers": "1,2",
    "hidden": "64,96,128,192,256,320",
    "dropout": "0.1,0.2,0.3,0.4,0.5",
    "eta": "0.002,0.004,0.008,0.016",
}
SHOWN = ("characters", "batch", "hidden", "dropout", "eta")  # in the table, of what was chosen
TESTED = ("--test", "0.1", "--sample-every", "0")


def write_text(name: str, text: Text) -> Path:
    """Write a text, unless it is there; return its file."""
    file = HERE / "sweeps" / "texts" / f"{name}.txt"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        joined = "\n".join(map(read_text, text.sources))[: text.characters]
        file.write_text(joined, encoding="utf-8", newline="")
    return file


def choose(name: str, file: Path) -> dict[str, Any]:
    """Train with what --minutes chooses, unless that is done; return settings and results."""
    folder = HERE / "sweeps" / f"{name}-chosen"
    nbrnn("train", str(file), "--minutes", str(MINUTES), *TESTED, "--out", str(folder), "--quiet")
    shown = json.loads(nbrnn("show", str(folder), "--json"))
    return {**shown["config"], **shown["summary"], "characters": shown["corpus"]["characters"]}


def search(name: str, text: Text, file: Path, chosen: dict[str, Any]) -> Row:
    """Train random settings on as many epochs, or what is left of them; return the best run."""
    lists = {**DRAWN, "batch": text.batch}
    drawn = [word for setting, values in lists.items() for word in (f"--{setting}", values)]
    epochs = max(1, round(chosen["epochs"]))
    length = ["--epochs", f"{epochs}", "--validation", f"{chosen['validation']}"]
    random = ["--random", str(text.draws), "--sweep-seed", "1", "--seeds", "0", "--jobs", "1"]
    options = ["--preset", "good", *length, *drawn, *random, *TESTED]
    report = swept("minutes", str(file), options, name=name, reveal_test=True, kept=OF_A_SEARCH)
    return min(finished_runs(report), key=lambda row: float(row["validation_best"]))


def facts_of(losses: list[Row], ten_minutes: dict[str, Any]) -> dict[str, Fact]:
    """Return what the page tells, by the rows of losses.csv and the run of ten minutes."""
    excess = {row["text"]: 100 * (float(row["chosen"]) / float(row["best drawn"]) - 1) for row in losses}
    worst = max(excess, key=excess.__getitem__)
    return {
        "minutes": MINUTES,
        "texts": len(losses),
        "worst": worst,
        "excess": excess[worst],
        "ten_minutes_loss": ten_minutes["validation_best"],
        "ten_minutes_seconds": ten_minutes["seconds"],
    }


def kept() -> tuple[list[Row], dict[str, Any]]:
    """Return the rows of losses.csv, and the summary of the run of ten minutes."""
    return rows(HERE, "losses"), json.loads((HERE / "ten-minutes" / "summary.json").read_text())


def main() -> None:
    """Train what is left, and write everything."""
    lines = []
    for name, text in TEXTS.items():
        file = write_text(name, text)
        chosen = choose(name, file)
        best = search(name, text, file, chosen)
        loss, least = chosen["test_best"], float(best["test_best"])
        settings = {**{s: chosen[s] for s in SHOWN}, "epochs": f"{chosen['epochs']:.0f}"}
        losses = chosen["test_unigram"], chosen["test_bigram"], loss, least
        difference = f"{100 * (loss / least - 1):.1f} %"
        seconds = f"{chosen['seconds']:.0f}"
        lines.append([name, *settings.values(), seconds, *losses, difference, text.draws])
    head = ["text", *SHOWN, "epochs", "seconds", "unigram", "bigram", "chosen", "best drawn"]
    head += ["difference", "draws"]
    write_rows(HERE / "losses.csv", head, lines)
    write_page(HERE, facts_of(*kept()))


if __name__ == "__main__":
    main()
