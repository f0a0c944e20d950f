"""Which cell, how many layers, at equal parameters and at equal seconds? `python -m results.cells`.

Vanilla, GRU and LSTM with one and two layers, as large as two numbers of parameters allow. Each has the
learning rate that three seeds find best on the validation part, from a grid that is extended until the
best is inside; then five fresh seeds, for that length and for a third of it, whose seconds of one core
are counted. Some 500 runs: an hour on two cores that do nothing else.
What is done stays in sweeps/, and the same command continues.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from nbrnn.corpus import load
from nbrnn.network.layout import Layout
from nbrnn.run_plots import COLOURS, DASHES, plain, save
from nbrnn.values import plural
from results.facts import Fact, write_page, write_rows
from results.question import OF_A_SEARCH, OF_RUNS, PARTS, ROOT, Row, rows, swept
from results.widths import extended

HERE = ROOT / "cells"
TEXTS = ("shakespeare", "federalist")
CELLS, LAYERS = ("vanilla", "gru", "lstm"), (1, 2)
BUDGETS = (30_000, 120_000)  # parameters
EPOCHS, SHORT = 3, 1
BATCH, LENGTH, WARMUP = 16, 50, 100
CHOOSING, FRESH = "0:2", "100:104"  # seeds
OF_RATES = "-rates"  # the end of the name of a report
RATES = {"vanilla": (0.002, 0.004, 0.008), "gru": (0.004, 0.008, 0.016), "lstm": (0.008, 0.016, 0.032)}
NETWORK = ("--preset", "dd2424-2025", *PARTS, "--batch", str(BATCH), "--seq-length", str(LENGTH))
COMMON = (*NETWORK, "--schedule", "linear", "--warmup", str(WARMUP))
LOSSES = ("validation_best", "test_best")
UNSTABLE = ("2", "200", "0.016")  # layers, hidden units and learning rate of a GRU in stability.csv
TICKS = (1, 2, 5, 10, 20)  # seconds


class Place(NamedTuple):
    """A network: its cell, layers and hidden units."""

    cell: str
    layers: int
    hidden: int

    def owns(self, row: Row) -> bool:
        """Return whether a run has this network."""
        return (row["cell"], int(row["layers"]), int(row["hidden"])) == self


def spelled(cell: str) -> str:
    """Return the name of a cell in a sentence."""
    return cell if cell == "vanilla" else cell.upper()


def parameters(place: Place, characters: int) -> int:
    """Return the number of parameters of a network."""
    return Layout(place.hidden, characters, np.dtype("float32"), place.cell, place.layers).size


def places(characters: int) -> dict[tuple[str, int, int], Place]:
    """Return the largest network of each cell, layers and number of parameters."""
    largest = {}
    for cell in CELLS:
        for layers in LAYERS:
            for budget in BUDGETS:
                hidden = 1
                while parameters(Place(cell, layers, hidden + 1), characters) <= budget:
                    hidden += 1
                largest[cell, layers, budget] = Place(cell, layers, hidden)
    return largest


def options(place: Place, etas: Iterable[float], seeds: str, epochs: int) -> list[str]:
    """Return the options of a sweep of one network."""
    network = ["--cell", place.cell, "--layers", str(place.layers), "--hidden", str(place.hidden)]
    rates = ",".join(f"{eta:g}" for eta in etas)
    return [*COMMON, *network, "--eta", rates, "--seeds", seeds, "--epochs", str(epochs)]


def median_losses(runs: list[Row], place: Place) -> dict[float, float]:
    """Return the median validation loss of each rate; infinite where a run did not finish."""
    losses: dict[float, list[float]] = {}
    for row in filter(place.owns, runs):
        loss = float(row["validation_best"]) if row["status"] == "finished" else float("inf")
        losses.setdefault(float(row["eta"]), []).append(loss)
    return {eta: float(np.median(of)) for eta, of in sorted(losses.items())}


def choose(text: str, networks: Iterable[Place]) -> list[Row]:
    """Train all rates on a text, extend the grids until the best are inside, and return the runs."""
    grids = {place: list(RATES[place.cell]) for place in networks}
    while True:
        sweeps = [options(place, grid, CHOOSING, EPOCHS) for place, grid in grids.items()]
        runs = rows(swept("cells", text, *sweeps, name=f"{text}{OF_RATES}", kept=OF_A_SEARCH), "runs")
        larger = {place: extended(grid, median_losses(runs, place)) for place, grid in grids.items()}
        if larger == grids:
            return runs
        grids = larger


def best_rate(place: Place, tried: list[Row]) -> float:
    """Return the rate of a network with the lowest median validation loss."""
    losses = median_losses(tried, place)
    return min(losses, key=losses.__getitem__)


def measure(text: str, best: dict[Place, float]) -> list[Row]:
    """Train the best rates with fresh seeds, for both lengths; return the runs."""
    sweeps = [options(p, [eta], FRESH, epochs) for epochs in (EPOCHS, SHORT) for p, eta in best.items()]
    report = swept("cells", text, *sweeps, name=text, reveal_test=True, kept=OF_RUNS)
    return finished(rows(report, "runs"))


def finished(runs: Iterable[Row]) -> list[Row]:
    """Return the runs that are done."""
    return [row for row in runs if row["status"] == "finished"]


def kept(ending: str = "") -> list[Row]:
    """Return the kept runs of both texts: those with fresh seeds, or those of rates."""
    return [row for text in TEXTS for row in rows(HERE / f"{text}{ending}", "runs")]


# ---------------------------------------------------------------- numbers


def medians(runs: list[Row], place: Place, epochs: int) -> dict[str, float]:
    """Return the medians of the measures over the fresh seeds of a network.

    Seconds are those of an epoch in the short runs, times the epochs: all updates take equally long.
    """
    of = {
        length: [row for row in runs if place.owns(row) and int(row["epochs_wanted"]) == length]
        for length in (SHORT, EPOCHS)
    }
    losses = {name: float(np.median([float(row[name]) for row in of[epochs]])) for name in LOSSES}
    short = float(np.median([float(row["seconds"]) for row in of[SHORT]]))
    return {**losses, "seconds": short * epochs / SHORT}


def facts_of(runs: list[Row], tried: list[Row], stability: list[Row]) -> dict[str, Fact]:
    """Return what the page tells, by the fresh runs, those that chose rates, and stability.csv."""
    facts: dict[str, Fact] = {"epochs": EPOCHS, "short": SHORT, "batch": BATCH, "length": LENGTH}
    facts |= {"warmup": WARMUP, "small": BUDGETS[0], "large": BUDGETS[1]}
    facts |= {
        "choosing": len({row["seed"] for row in tried}),
        "seeds": len({row["seed"] for row in runs}),
    }
    for text in TEXTS:
        own, of_text = ([row for row in of if row["corpus"] == text] for of in (tried, runs))
        facts |= facts_of_text(text, of_text, own)
    for warmup in ("0", "300"):
        losses = [
            float(row["validation"])
            for row in stability
            if (row["layers"], row["hidden"], row["eta"], row["warmup"]) == (*UNSTABLE, warmup)
        ]
        facts |= {f"unstable_{warmup}_lowest": min(losses), f"unstable_{warmup}_highest": max(losses)}
    return facts


def facts_of_text(text: str, runs: list[Row], tried: list[Row]) -> dict[str, Fact]:
    """Return the rates at the edge of their grid, and the best network of each number of parameters."""
    networks, edge = places(len(load(text).alphabet)), []
    for place in networks.values():
        rates = list(median_losses(tried, place))
        if best_rate(place, tried) in (rates[0], rates[-1]):
            edge.append(f"{place.cell} of {place.layers} x {place.hidden}")
    facts: dict[str, Fact] = {
        f"{text}_edge": f"At the edge of the rates that were tried: {'; '.join(edge)}."
        if edge
        else "No best rate is the smallest or the largest that was tried."
    }
    of_all = {place: medians(runs, place, EPOCHS) for place in networks.values()}
    for key, place in networks.items():
        facts["_".join(map(str, (text, *key, "test")))] = of_all[place]["test_best"]
    for budget in BUDGETS:  # chosen by validation, told by test
        losses = {place: of_all[place] for key, place in networks.items() if key[-1] == budget}
        best = min(losses, key=lambda place: losses[place]["validation_best"])
        facts[f"{text}_best_{budget}"] = f"{spelled(best.cell)} with {plural(best.layers, 'layer')}"
        facts[f"{text}_best_{budget}_test"] = losses[best]["test_best"]
    return facts


def at_equal_seconds(text: str, runs: list[Row]) -> list[list[object]]:
    """Return for some numbers of seconds each cell's best network that needs no more, and its loss.

    The network is chosen by validation; its test loss is told. The numbers of seconds are those of the
    vanilla networks with one layer.
    """
    networks = places(len(load(text).alphabet))
    points = [
        (key, place, epochs, medians(runs, place, epochs))
        for key, place in networks.items()
        for epochs in (SHORT, EPOCHS)
    ]
    limits = sorted(of["seconds"] for key, _, _, of in points if key[:2] == ("vanilla", 1))
    lines: list[list[object]] = []
    for limit in limits:
        for cell in CELLS:
            within = [p for p in points if p[1].cell == cell and p[3]["seconds"] <= limit]
            if within:
                _, place, epochs, of = min(within, key=lambda p: p[3]["validation_best"])
                network = f"{place.layers} x {place.hidden}, {plural(epochs, 'epoch')}"
                lines.append([text, f"{limit:.1f}", cell, network, of["test_best"]])
    return lines


def table(text: str, best: dict[Place, float], runs: list[Row]) -> list[list[object]]:
    """Return a row for each network."""
    K = len(load(text).alphabet)
    lines = []
    for (cell, layers, _), place in places(K).items():
        long, short = (medians(runs, place, epochs) for epochs in (EPOCHS, SHORT))
        losses = [long["validation_best"], long["test_best"], long["seconds"]]
        size = [cell, layers, place.hidden, parameters(place, K), str(best[place])]
        lines.append([text, *size, *losses, short["test_best"], short["seconds"]])
    return lines


def drawn(runs_of: dict[str, list[Row]]) -> None:
    """Draw the test loss over the seconds of one core: a line from size to size and length to length."""
    figure = Figure(figsize=(6 * len(runs_of), 6), layout="constrained")
    for axes, (text, runs) in zip(
        figure.subplots(1, len(runs_of), squeeze=False).flat, runs_of.items(), strict=True
    ):
        networks = places(len(load(text).alphabet))
        for colour, cell in zip(COLOURS, CELLS, strict=False):
            for dash, layers in zip(DASHES, LAYERS, strict=False):
                for budget, marker in zip(BUDGETS, "os", strict=True):
                    place = networks[cell, layers, budget]
                    own = [medians(runs, place, epochs) for epochs in (SHORT, EPOCHS)]
                    axes.plot(
                        [of["seconds"] for of in own],
                        [of["test_best"] for of in own],
                        color=colour,
                        linestyle=dash,
                        marker=marker,
                        label=f"{cell}, {layers} x {place.hidden}",
                    )
        axes.set(xscale="log", xlabel="seconds of one core", title=text.capitalize())
        axes.set_xticks(TICKS, map(str, TICKS))
        axes.minorticks_off()
        axes.set_ylabel("test loss (nats per character)")
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, fontsize="x-small", handlelength=4
        )
        plain(axes)
    with (HERE / "cells.png").open("wb") as picture:
        save(figure, picture, "png")


def write_tables(runs: list[Row], tried: list[Row]) -> None:
    """Write the tables of the page, and that of the large networks on the first text."""
    lines, equal = list[list[object]](), list[list[object]]()
    for text in TEXTS:
        own, of_text = ([row for row in of if row["corpus"] == text] for of in (tried, runs))
        networks = places(len(load(text).alphabet)).values()
        lines += table(text, {place: best_rate(place, own) for place in networks}, of_text)
        equal += at_equal_seconds(text, of_text)
    head = ["text", "cell", "layers", "hidden units", "parameters", "learning rate", "validation"]
    head += ["test", "seconds", "test, 1 epoch", "seconds, 1 epoch"]
    write_rows(HERE / "networks.csv", head, lines)
    write_rows(HERE / "equal.csv", ["text", "seconds", "cell", "network", "test"], equal)
    large = [
        [f"{spelled(row['cell'])}, {row['layers']} x {row['hidden units']}", row["parameters"],
         row["learning rate"], row["test"], f"{float(row['seconds']):.1f}"]
        for row in rows(HERE, "networks")
        if row["text"] == TEXTS[0] and int(row["parameters"]) > BUDGETS[0]
    ]  # fmt: skip
    head = ["network", "parameters", "learning rate", "test loss", "seconds"]
    write_rows(HERE / "large_networks.csv", head, large)


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    HERE.mkdir(exist_ok=True)
    runs_of = dict[str, list[Row]]()
    for text in TEXTS:
        networks = list(places(len(load(text).alphabet)).values())
        tried = choose(text, networks)
        runs_of[text] = measure(text, {place: best_rate(place, tried) for place in networks})
    drawn(runs_of)
    runs, tried = finished(kept()), kept(OF_RATES)
    write_tables(runs, tried)
    write_page(HERE, facts_of(runs, tried, rows(HERE, "stability")))


if __name__ == "__main__":
    main()
