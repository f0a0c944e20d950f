"""Compare the optimizers, each at its best of 20 random settings: `python -m results.tuned`.

Rate, schedule, warm-up and decays of each optimizer are drawn alike; the best by the validation part is
trained again with ten fresh seeds, whose test part nothing was chosen by. 120 runs of 10 epochs of
Shakespeare: a quarter of an hour on two cores.
"""

from itertools import combinations
from pathlib import Path

import numpy as np

from nbrnn.analysis.rank_statistics import SIGNIFICANT
from results.facts import Fact, difference_cells, losses_by, lowest_first, write_page, write_rows
from results.question import OF_A_SEARCH, PARTS, ROOT, Row, all_sentences, finished_runs, rows, swept

HERE = ROOT / "tuned"
TEXT, EPOCHS, DRAWS = "shakespeare", 10, 20
CHOOSING, FRESH = "0:0", "100:109"  # seeds
ETAS = {
    "adagrad": "log:0.01:1:13",
    "rmsprop": "log:0.0002:0.02:13",
    "adam": "log:0.0002:0.02:13",
    "sgd": "log:0.02:2:13",
}
DECAYS = {
    "adagrad": [],
    "rmsprop": ["--beta2", "0.8,0.9,0.95,0.99,0.999"],
    "adam": ["--beta1", "0.5,0.8,0.9,0.95", "--beta2", "0.9,0.95,0.99,0.999"],
    "sgd": [],
}
NAMES = {"adagrad": "AdaGrad", "rmsprop": "RMSProp", "adam": "Adam", "sgd": "SGD"}
DRAWN = ("eta", "schedule", "warmup", "beta1", "beta2")  # settings
COMMON = ("--preset", "dd2424-2025", *PARTS, "--epochs", str(EPOCHS))
MEASURES = ("validation_best", "validation_final", "test_best", "test_final")


def search() -> Path:
    """Train random settings of each optimizer, or what is left of them; return the report."""
    drawn = ["--schedule", "constant,linear,cosine", "--warmup", "0,300,3000", "--seeds", CHOOSING]
    drawn += ["--random", str(DRAWS), "--sweep-seed", "1"]
    sweeps = (
        [*COMMON, "--optimizer", name, "--eta", etas, *DECAYS[name], *drawn]
        for name, etas in ETAS.items()
    )
    return swept("tuned", TEXT, *sweeps, name="search", kept=OF_A_SEARCH)


def best_settings(report: Path) -> dict[str, Row]:
    """Return the run of each optimizer with the lowest validation loss."""
    return {
        name: min(
            (row for row in finished_runs(report) if row["optimizer"] == name),
            key=lambda row: float(row["validation_best"]),
        )
        for name in ETAS
    }


def measure(best: dict[str, Row]) -> Path:
    """Train the best settings with fresh seeds, or what is left of that; return the report."""
    sweeps = []
    for name, row in best.items():
        chosen = [word for s in DRAWN if row[s] for word in (f"--{s}", row[s])]
        sweeps.append([*COMMON, "--optimizer", name, *chosen, "--seeds", FRESH])
    return swept("tuned", TEXT, *sweeps, name="measured", reveal_test=True)


def is_at_edge(row: Row) -> bool:
    """Return whether a learning rate is the smallest or the largest of those that were drawn."""
    _, low, high, _ = ETAS[row["optimizer"]].split(":")
    return any(np.isclose(float(row["eta"]), float(end)) for end in (low, high))


def facts_of(best: dict[str, Row], report: Path) -> dict[str, Fact]:
    """Return what the page tells, by the report of the runs with fresh seeds."""
    runs = finished_runs(report)
    facts: dict[str, Fact] = {"draws": DRAWS, "epochs": EPOCHS, "optimizers": len(ETAS)}
    facts["seeds"] = len({row["seed"] for row in runs})
    edge = [name for name, row in best.items() if is_at_edge(row)]
    facts["edge"] = (
        f"The best rate of {' and '.join(edge)} is the smallest or largest that was drawn."
        if edge
        else "No best rate is the smallest or the largest that was drawn."
    )
    for name in ETAS:
        for column in MEASURES:
            losses = [float(row[column]) for row in runs if row["optimizer"] == name]
            facts[f"{name}_{column}"] = float(np.median(losses))
            facts[f"{name}_{column}_worst"] = max(losses)
    names = {row["setting"]: row["optimizer"] for row in rows(report)}
    return {**facts, **order_of(runs), "differences": all_sentences(report, "test_best", names)}


def order_of(runs: list[Row]) -> dict[str, Fact]:
    """Return the optimizers in the order of their test losses, and which differences are significant."""
    losses = losses_by(runs, "test_best", "optimizer")
    order = {place: NAMES[str(place[0])] for place in lowest_first(losses)}
    p_of = {
        pair: cells[-1] for pair, cells in difference_cells(losses, list(combinations(order, 2))).items()
    }
    lower = {order[a]: [order[b] for b in order if p_of.get((a, b), 1) <= SIGNIFICANT] for a in order}
    first, second, *_ = order.values()
    return {
        "first": first,
        "second": second,
        "medians": ", ".join(
            f"{np.median(losses[place]):.3f} ({name})" for place, name in order.items()
        ),
        "significant": "; ".join(f"{a} below {' and '.join(of)}" for a, of in lower.items() if of),
    }


def write_tables(best: dict[str, Row], report: Path) -> None:
    """Write the best settings of each optimizer and their losses, the lowest test loss first."""
    runs, facts = finished_runs(report), facts_of(best, report)
    write_rows(
        HERE / "methods.csv",
        ["optimizer", *DRAWN, "validation, best", "validation, end", "test, best", "test, end",
         "test, worst seed", "runs"],
        [
            [name, *(best[name][s] or "-" for s in DRAWN), *(facts[f"{name}_{m}"] for m in MEASURES),
             facts[f"{name}_test_best_worst"], sum(row["optimizer"] == name for row in runs)]
            for name in sorted(ETAS, key=lambda name: facts[f"{name}_test_best"])
        ],
    )  # fmt: skip


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    best = best_settings(search())
    report = measure(best)
    write_tables(best, report)
    write_page(HERE, facts_of(best, report))


if __name__ == "__main__":
    main()
