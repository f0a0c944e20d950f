"""Does the order of three methods depend on which tenth of the text is held out?

`python -m results.folds`: three methods, ten folds, three seeds, 10 epochs of Shakespeare: 90 runs, a
quarter of an hour on two cores.
"""

from itertools import combinations
from pathlib import Path

import numpy as np

from results.facts import Fact, write_page, write_rows
from results.question import PARTS, ROOT, Row, all_sentences, finished_runs, rows, swept

HERE = ROOT / "folds"
TEXT, EPOCHS, FOLDS, SEEDS = "shakespeare", 10, "0:9", "0:2"
COMMON = (*PARTS, "--epochs", str(EPOCHS), "--fold", FOLDS, "--seeds", SEEDS)
METHODS = {
    "Adam, constant": ("--preset", "dd2424-2025"),
    "AdaGrad, warm-up": ("--preset", "dd2424-2017", "--warmup", "300"),
    "Adam, linear": ("--preset", "dd2424-2025", "--eta", "0.002", "--schedule", "linear"),
}


def method_of(row: Row) -> str:
    """Return the method of a run or of a configuration."""
    if row["optimizer"] == "adagrad":
        return "AdaGrad, warm-up"
    return f"Adam, {row['schedule']}"


def medians_by_fold(runs: list[Row], column: str) -> dict[str, dict[int, float]]:
    """Return the median over seeds of each method on each fold."""
    losses: dict[str, dict[int, list[float]]] = {method: {} for method in METHODS}
    for row in runs:
        losses[method_of(row)].setdefault(int(row["fold"]), []).append(float(row[column]))
    return {
        method: {fold: float(np.median(of)) for fold, of in sorted(by_fold.items())}
        for method, by_fold in losses.items()
    }


def facts_of(report: Path) -> dict[str, Fact]:
    """Return what the page tells, by the report of all runs."""
    runs = finished_runs(report)
    medians = medians_by_fold(runs, "test_best")
    table = np.array([list(by_fold.values()) for by_fold in medians.values()])  # (methods, folds)
    seeds = [
        np.std(
            [float(r["test_best"]) for r in runs if (method_of(r), int(r["fold"])) == (m, fold)], ddof=1
        )
        for m in METHODS
        for fold in medians[m]
    ]
    orders = {tuple(np.argsort(column)) for column in table.T}
    facts: dict[str, Fact] = {
        "epochs": EPOCHS,
        "folds": table.shape[1],
        "seeds": len({row["seed"] for row in runs}),
        "sd_folds": float(np.std(table, axis=1, ddof=1).mean()),
        "sd_seeds": float(np.sqrt(np.mean(np.square(seeds)))),
        "orders": f"{len(orders)} different orders" if len(orders) > 1 else "the same order",
    }
    facts |= {f"mean_{i}": float(losses.mean()) for i, losses in enumerate(table)}
    deviations = [float(np.std(a - b, ddof=1)) for a, b in combinations(table, 2)]
    facts |= {"sd_gaps_min": min(deviations), "sd_gaps_max": max(deviations)}
    for (i, a), (j, b) in combinations(enumerate(METHODS), 2):
        gap, name = table[i] - table[j], f"gap_{i}_{j}"
        facts[name] = f"{a} minus {b}"
        facts |= {f"{name}_mean": float(gap.mean()), f"{name}_min": float(gap.min())}
        facts |= {f"{name}_max": float(gap.max()), f"{name}_above": int((gap > 0).sum())}
    names = {row["setting"]: method_of(row) for row in rows(report)}
    return {**facts, "differences": all_sentences(report, "test_best", names)}


def write_tables(report: Path) -> None:
    """Write the losses of each fold, and their means."""
    medians = medians_by_fold(finished_runs(report), "test_best")
    losses = np.array([list(by_fold.values()) for by_fold in medians.values()]).T  # (folds, methods)
    lines = [[str(fold), *of] for fold, of in zip(medians["Adam, linear"], losses, strict=True)]
    write_rows(HERE / "by_fold.csv", ["fold", *METHODS], [*lines, ["mean", *losses.mean(axis=0)]])


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    report = swept(
        "folds", TEXT, *([*m, *COMMON] for m in METHODS.values()), name=TEXT, reveal_test=True
    )
    write_tables(report)
    write_page(HERE, facts_of(report))


if __name__ == "__main__":
    main()
