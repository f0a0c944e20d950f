"""How much does a larger network gain, with and without a warm-up? `python -m results.widths`.

Networks of 50 to 400 hidden units, each with the learning rate that three seeds find best on the
validation part, from a grid that is extended until the best is inside; then six fresh seeds. Some 180
runs of 3 epochs of Shakespeare: twelve minutes on two cores.
"""

from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import mannwhitneyu

from nbrnn.corpus import load
from nbrnn.network.layout import Layout
from nbrnn.run_plots import COLOURS, DASHES, plain, save
from results.facts import Fact, losses_by, write_page, write_rows
from results.question import OF_A_SEARCH, OF_RUNS, PARTS, ROOT, Row, finished_runs, rows, swept

HERE = ROOT / "widths"
TEXT, EPOCHS, BATCH, LENGTH = "shakespeare", 3, 16, 50
WARMUPS = (0, 300)  # updates
CHOOSING, FRESH = "0:2", "100:105"  # seeds
RATES = {50: (0.008, 0.016, 0.032), 100: (0.004, 0.008, 0.016), 200: (0.004, 0.008, 0.016),
         400: (0.002, 0.004, 0.008)}  # fmt: skip
MAX_RATES = 7  # by which a grid stops to grow
NETWORK = ("--preset", "dd2424-2025", *PARTS, "--batch", str(BATCH), "--seq-length", str(LENGTH))
COMMON = (*NETWORK, "--schedule", "linear", "--epochs", str(EPOCHS))
Place = tuple[int, int]  # hidden units, warm-up


def options(place: Place, etas: list[float], seeds: str) -> list[str]:
    """Return the options of a sweep of one size and warm-up."""
    hidden, warmup = place
    rates = ",".join(f"{eta:g}" for eta in etas)
    sizes = ["--hidden", str(hidden), "--warmup", str(warmup)]
    return [*COMMON, *sizes, "--eta", rates, "--seeds", seeds]


def median_losses(runs: list[Row], place: Place) -> dict[float, float]:
    """Return the median validation loss of each rate; infinite where a run did not finish."""
    losses: dict[float, list[float]] = {}
    for row in runs:
        if (int(row["hidden"]), int(row["warmup"])) == place:
            finished = row["status"] == "finished"
            loss = float(row["validation_best"]) if finished else float("inf")
            losses.setdefault(float(row["eta"]), []).append(loss)
    return {eta: float(np.median(of)) for eta, of in sorted(losses.items())}


def extended(grid: list[float], losses: dict[float, float]) -> list[float]:
    """Return a grid with one more rate beyond its best one, where that is at its edge."""
    best = min(grid, key=lambda eta: losses[eta])
    if best not in (grid[0], grid[-1]) or len(grid) == MAX_RATES:
        return grid
    return [best / 2, *grid] if best == grid[0] else [*grid, 2 * best]


def choose() -> tuple[dict[Place, list[float]], list[Row]]:
    """Train all rates, extend the grids until the best are inside, and return both."""
    grids = {(m, warmup): list(RATES[m]) for m in RATES for warmup in WARMUPS}
    while True:
        sweeps = [options(place, grid, CHOOSING) for place, grid in grids.items()]
        runs = rows(swept("widths", TEXT, *sweeps, name="rates", kept=OF_A_SEARCH), "runs")
        larger = {place: extended(grid, median_losses(runs, place)) for place, grid in grids.items()}
        if larger == grids:
            return grids, runs
        grids = larger


def facts_of(grids: dict[Place, list[float]], tried: list[Row], runs: list[Row]) -> dict[str, Fact]:
    """Return what the page tells, by the runs that chose rates and those with fresh seeds."""
    facts: dict[str, Fact] = {"epochs": EPOCHS, "batch": BATCH, "length": LENGTH}
    facts["choosing"] = len({row["seed"] for row in tried})
    facts["seeds"] = len({row["seed"] for row in runs})
    at_edge = []
    for (m, warmup), grid in grids.items():
        of_rates = median_losses(tried, (m, warmup))
        best = min(grid, key=of_rates.__getitem__)
        at_edge += [f"{m} units, warm-up {warmup}"] if best in (grid[0], grid[-1]) else []
        own = [r for r in runs if (int(r["hidden"]), int(r["warmup"])) == (m, warmup)]
        name = f"m{m}_warmup{warmup}"
        facts[f"{name}_eta"] = best
        for column in ("validation_best", "test_best", "test_final"):
            values = [float(row[column]) for row in own]
            facts[f"{name}_{column}"] = float(np.median(values))
            facts[f"{name}_{column}_worst"] = max(values)
    facts["edge"] = f"At the edge of its grid: {'; '.join(at_edge)}." if at_edge else (
        "No best rate is the smallest or the largest that was tried."
    )  # fmt: skip
    losses = losses_by(runs, "test_best", "hidden", "warmup")
    for warmup in WARMUPS:
        for small, large in pairwise(RATES):
            of_small, of_large = losses[small, warmup], losses[large, warmup]
            name = f"{small}_{large}_warmup{warmup}"
            facts[f"gain_{name}"] = float(np.median(of_small) - np.median(of_large))
            facts[f"p_{name}"] = float(mannwhitneyu(of_small, of_large).pvalue)
    return facts


def drawn(runs: list[Row]) -> None:
    """Draw the test loss over the size, every run and the medians."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for colour, dash, warmup in zip(COLOURS, DASHES, WARMUPS, strict=False):
        losses = {
            m: [
                float(r["test_best"])
                for r in runs
                if (int(r["hidden"]), int(r["warmup"])) == (m, warmup)
            ]
            for m in RATES
        }
        for m, values in losses.items():
            axes.plot([m] * len(values), values, ".", color=colour, alpha=0.5)
        medians = [np.median(values) for values in losses.values()]
        axes.plot(list(losses), medians, color=colour, linestyle=dash, label=f"warm-up {warmup}")
    axes.set(xscale="log", xlabel="hidden units", ylabel="test loss (nats per character)")
    axes.set_xticks(list(RATES), [f"{m}" for m in RATES])
    axes.minorticks_off()
    axes.legend()
    plain(axes)
    with (HERE / "widths.png").open("wb") as picture:
        save(figure, picture, "png")


def parameters(hidden: int) -> int:
    """Return the number of parameters of a network."""
    layout = Layout(hidden, len(load(TEXT).alphabet), np.dtype("float32"))
    return sum(array.size for array in layout.named(layout.parameters()).values())


def write_tables(grids: dict[Place, list[float]], tried: list[Row], runs: list[Row]) -> None:
    """Write the losses of each size and warm-up."""
    facts = facts_of(grids, tried, runs)
    head = ["hidden units", "parameters", "warm-up", "learning rate"]
    head += ["validation", "test", "worst", "test, end"]
    columns = ("eta", "validation_best", "test_best", "test_best_worst", "test_final")
    lines = [[m, parameters(m), w, *(facts[f"m{m}_warmup{w}_{c}"] for c in columns)] for m, w in grids]
    write_rows(HERE / "sizes.csv", head, lines)


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    grids, tried = choose()
    best = {p: min(grid, key=lambda e: median_losses(tried, p)[e]) for p, grid in grids.items()}
    sweeps = [options(place, [eta], FRESH) for place, eta in best.items()]
    runs = finished_runs(swept("widths", TEXT, *sweeps, name="measured", reveal_test=True, kept=OF_RUNS))
    write_tables(grids, tried, runs)
    drawn(runs)
    write_page(HERE, facts_of(grids, tried, runs))


if __name__ == "__main__":
    main()
