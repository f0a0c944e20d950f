"""Find where AdaGrad's learning rate is too large, why, and what helps: `tox -e results`.

Up to ten learning rates by epsilon and sigma on two texts, 2 epochs each, 10 seeds near the edge; six
learning rates by the length of a warm-up, 10 seeds; then 8 seeds for 20 epochs of a text of 1.1 million
characters: half an hour on two cores.
"""

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, load
from nbrnn.run_plots import COLOURS, DASHES, plain, save
from nbrnn.runs.training_state import Training, prepare_kernels
from nbrnn.storage.run_folder import RunFolder
from nbrnn.typing import Array
from results.dynamics import Dynamics, dynamics, spectral_radius
from results.facts import (
    DIFFERENCES,
    LOSSES,
    Fact,
    Place,
    difference_cells,
    loss_cells,
    losses_by,
    write_page,
    write_rows,
)
from results.question import OF_A_SEARCH, OF_RUNS, ROOT, Row, rows, swept
from results.radius import rank_correlation

HERE = ROOT / "edge"
WARMED, LONG = "brontes-warmup", "shakespeare-20-epochs"  # the names of two reports
HELD_OUT = ("--validation", "0.1", "--sample-every", "0")
GRID = (*HELD_OUT, "--epochs", "2", "--sigma", "0.01,0.1")
FINE, COARSE = (*GRID, "--epsilon", "1e-8,0.01,1"), (*GRID, "--epsilon", "1e-8,1")
GRIDS = {
    "brontes": [
        [*FINE, "--eta", "0.05,0.06,0.07,0.08,0.1", "--seeds", "0:9"],
        [*FINE, "--eta", "0.01,0.02,0.03,0.14,0.2", "--seeds", "0:2"],
    ],
    "shakespeare": [[*COARSE, "--eta", "0.03,0.05,0.07,0.1,0.14", "--seeds", "0:9"]],
}
WARMUPS = [
    *(*HELD_OUT, "--epochs", "2", "--seeds", "0:9"),
    *("--eta", "0.05,0.07,0.1,0.14,0.2,0.28", "--warmup", "0,30,300,3000"),
]
OF_20_EPOCHS = (*HELD_OUT, "--epochs", "20", "--seeds", "0:7")
LONGS = [[*OF_20_EPOCHS, "--eta", "0.1"], [*OF_20_EPOCHS, "--eta", "0.07,0.1,0.14", "--warmup", "300"]]
ETA, WARMUP = 0.1, 300  # the assignment's learning rate, and the warm-up that is told most of
EPSILON, SIGMA = 1e-8, 0.1  # the report's
NEAR = (0.05, 0.1)  # learning rates near the edge
PANELS = {
    "validation loss": "nats per character",
    "spectral radius of W": "",
    "Lyapunov exponent": "nats per step",
    "saturated states": "share beyond ±0.99",
    "norm of the gradient": "of a window",
    "clipped windows": "share",
}
KEPT = ("validation_best", *Dynamics._fields)  # columns of networks.csv, in the order of PANELS
EARLY = (10, 30, 100, 1000, 10_000)  # updates
EARLY_PLACES = ((0.03, 0), (0.05, 0), (0.07, 0), (0.1, 0), (0.14, 0), (0.1, 300), (0.14, 300))


# ---------------------------------------------------------------- what is measured


def measure(text: str) -> None:
    """Train one grid, or what is left of it; write networks.csv, a row a run, and a picture."""
    report, corpus, lines = swept("edge", text, *GRIDS[text], kept=OF_A_SEARCH), load(text), []
    for row in (row for row in rows(report, "runs") if row["status"] == "finished"):
        run = RunFolder(HERE / "sweeps" / text / "runs" / row["run_id"])
        model, summary = run.read_model("last"), run.read_summary()
        of_run = dynamics(model, corpus.codes[: model.config.trained_on(len(corpus))], clip=5)
        is_lost = (summary.validation_best or 0) > (summary.validation_unigram or 0)
        settings = [row[name] for name in ("epsilon", "sigma", "eta", "seed", "status")]
        lines.append([*settings, row["validation_best"], *(f"{x:.6g}" for x in of_run), int(is_lost)])
    (report / "runs.csv").unlink()  # networks.csv says the same of them, and more
    head = ["epsilon", "sigma", "eta", "seed", "status", *KEPT, "above_unigram"]
    write_rows(report / "networks.csv", head, lines)
    draw(by_place(rows(report, "networks")), text)


def by_place(networks: list[Row]) -> dict[Place, Array]:
    """Return what the networks of each epsilon, sigma and learning rate show, (seeds, panels)."""
    columns = [losses_by(networks, column, "epsilon", "sigma", "eta") for column in KEPT]
    return {place: np.stack([of[place] for of in columns], axis=1) for place in sorted(columns[0])}


def draw(networks: dict[Place, Array], text: str) -> None:
    """Draw each panel over the learning rate: medians, and in the first one every run."""
    figure = Figure(figsize=(12, 7), layout="constrained")
    epsilons, sigmas = (sorted({place[i] for place in networks}) for i in (0, 1))
    all_axes = figure.subplots(2, 3, sharex=True).flat
    for panel, (axes, (name, unit)) in enumerate(zip(all_axes, PANELS.items(), strict=True)):
        for colour, epsilon in zip(COLOURS, epsilons, strict=False):
            for dash, sigma in zip(DASHES, sigmas, strict=False):
                curve = {p[2]: of[:, panel] for p, of in networks.items() if p[:2] == (epsilon, sigma)}
                medians = [np.median(values) for values in curve.values()]
                label = f"epsilon {epsilon:g}, sigma {sigma:g}"
                axes.plot(list(curve), medians, color=colour, linestyle=dash, label=label)
                for eta, values in curve.items() if panel == 0 else ():
                    axes.plot([eta] * len(values), values, ".", color=colour, alpha=0.35)
        axes.set(xscale="log", title=name, ylabel=unit)
        axes.set_xticks(ticks := [0.01, 0.02, 0.05, 0.1, 0.2], [f"{eta:g}" for eta in ticks])
        axes.minorticks_off()
        plain(axes)
    # some runs that h = 0 leads to another attractor are far above
    figure.axes[0].set_ylim(min(of[:, 0].min() for of in networks.values()) - 0.05, 2.6)
    figure.axes[3].legend(fontsize=8)
    figure.supxlabel("learning rate")
    with (HERE / text / "edge.png").open("wb") as picture:
        save(figure, picture, "png")


def measure_early() -> None:
    """Write the spectral radius after few updates by learning rate and warm-up, median of 3 seeds."""
    corpus, lines = load("brontes"), []
    for eta, warmup in EARLY_PLACES:
        radii = [early_radii(corpus, RunConfig(eta=eta, warmup=warmup, seed=s)) for s in range(3)]
        lines.append([eta, warmup, *np.median(radii, axis=0)])
    write_rows(HERE / "early.csv", ["learning rate", "warm-up", *map(str, EARLY)], lines)


def early_radii(corpus: Corpus, config: RunConfig) -> list[float]:
    """Return the spectral radius of a training after few updates."""
    prepare_kernels(config)
    training, radii = Training(config, corpus), []
    for update in EARLY:
        training.advance(update - training.update)
        radii.append(spectral_radius(training.layout.named(training.buffers.theta)["W"]))
    return radii


# ---------------------------------------------------------------- what it says


def best_rate(networks: dict[Place, Array], *place: Fact) -> Fact:
    """Return the learning rate with the lowest median loss at one epsilon and sigma."""
    medians = {p[2]: np.median(of[:, 0]) for p, of in networks.items() if p[:2] == place}
    return min(medians, key=medians.__getitem__)


def facts_of_grid(text: str, rows_of: list[Row]) -> dict[str, Fact]:
    """Return what the page tells of one text."""
    networks = by_place(rows_of)
    best = best_rate(networks, EPSILON, SIGMA)
    near = [of for (_, _, eta), of in networks.items() if NEAR[0] <= float(eta) <= NEAR[1]]
    shown = {"best": networks[EPSILON, SIGMA, best], "there": networks[EPSILON, SIGMA, ETA]}
    facts: dict[str, Fact] = {
        "networks": len(rows_of),
        "lost": sum(row["above_unigram"] == "1" for row in rows_of),
        "best": best,
        "other_sigma": float(np.median(networks[EPSILON, 0.01, ETA][:, 0])),
        "near": sum(map(len, near)),
        "correlation": rank_correlation(*np.concatenate(near)[:, 1::-1].T),
        "within": float(np.mean([rank_correlation(of[:, 1], of[:, 0]) for of in near])),
    }
    for name, of in shown.items():
        medians = map(float, np.median(of, axis=0))
        facts |= {f"{name}_{c}": m for c, m in zip(("loss", *Dynamics._fields), medians, strict=True)}
    return {f"{text}_{name}": value for name, value in facts.items()}


def facts_of(
    networks: dict[str, list[Row]], warmed: list[Row], long: list[Row], early: list[Row]
) -> dict[str, Fact]:
    """Return what the page tells."""
    losses = losses_by(warmed, "validation_best", "eta", "warmup")
    medians = {place: float(np.median(of)) for place, of in losses.items()}
    lowest = min(of.min() for (_, warmup), of in losses.items() if not warmup)
    below = {eta: (of < lowest).sum() for (eta, w), of in losses.items() if w == WARMUP}
    facts: dict[str, Fact] = {
        "seeds": losses[ETA, 0].size,
        "without": medians[ETA, 0],
        "with": medians[ETA, WARMUP],
        "with_worst": float(losses[ETA, WARMUP].max()),
        "lowest_without": float(lowest),
        "below": ", ".join(f"{count} at {eta:g}" for eta, count in sorted(below.items())),
        "long_seeds": losses_by(long, "validation_best", "eta", "warmup")[ETA, 0].size,
    }
    for warmup, name in ((0, "best_without"), (WARMUP, "best_with")):
        facts[name] = min((p for p in medians if p[1] == warmup), key=medians.__getitem__)[0]
    for row in early:
        if float(row["learning rate"]) == ETA:
            facts |= {f"radius_{row['warm-up']}_{n}": float(row[str(n)]) for n in (EARLY[0], EARLY[-1])}
    for text, rows_of in networks.items():
        facts |= facts_of_grid(text, rows_of)
    return facts


def spread(losses: Iterable[float]) -> str:
    """Return a median and, in brackets, the worst."""
    return f"{np.median(of := list(losses)):.3f} ({max(of):.3f})"


def write_tables(networks: dict[str, list[Row]], warmed: list[Row], long: list[Row]) -> None:
    """Write the tables of the page."""
    losses = losses_by(warmed, "validation_best", "eta", "warmup")
    etas, warmups = (sorted({place[i] for place in losses}) for i in (0, 1))
    lines = [[eta, *(spread(losses[eta, w]) for w in warmups)] for eta in etas]
    write_rows(HERE / "warmup.csv", ["learning rate", *(f"warm-up {w}" for w in warmups)], lines)
    for name, column in (("validation", "validation_best"), ("smooth", "smooth_loss_best")):
        losses = losses_by(long, column, "eta", "warmup")
        pairs = [(place, (ETA, 0)) for place in sorted(losses, reverse=True) if place != (ETA, 0)]
        shifts = difference_cells(losses, pairs)
        lines = [[*a, *loss_cells(losses[a]), *shifts[a, b]] for a, b in pairs]
        lines.append([ETA, 0, *loss_cells(losses[ETA, 0]), *"-" * len(DIFFERENCES)])
        head = ["learning rate", "warm-up", *LOSSES, *DIFFERENCES]
        write_rows(HERE / f"long_{name}.csv", head, lines)
    rates = []
    for text, rows_of in networks.items():
        write_grid_tables(text, of_places := by_place(rows_of))
        for place in sorted({place[:2] for place in of_places}):
            best = best_rate(of_places, *place)
            medians = [float(np.median(of_places[*place, eta][:, 0])) for eta in (best, ETA)]
            rates.append([text, *(f"{value:g}" for value in place), best, *medians])
    head = ["text", "epsilon", "sigma", "best rate", "loss there", f"loss at {ETA}"]
    write_rows(HERE / "rates.csv", head, rates)


def write_grid_tables(text: str, networks: dict[Place, Array]) -> None:
    """Write the losses of one text by epsilon, sigma and learning rate, and what its networks do."""
    columns, etas = sorted({p[:2] for p in networks}), sorted({p[2] for p in networks})
    write_rows(
        HERE / f"{text}_losses.csv",
        ["learning rate", "seeds", *(f"epsilon {e:g}, sigma {s:g}" for e, s in columns)],
        [
            [eta, len(networks[*columns[0], eta]), *(spread(networks[*c, eta][:, 0]) for c in columns)]
            for eta in etas
        ],
    )
    medians = [[eta, *np.median(networks[EPSILON, SIGMA, eta], axis=0)] for eta in etas]
    write_rows(HERE / f"{text}_dynamics.csv", ["learning rate", *PANELS], medians)


def kept() -> tuple[dict[str, list[Row]], list[Row], list[Row], list[Row]]:
    """Return the networks of each text, the runs by warm-up, those of 20 epochs, and the first radii."""
    networks = {text: rows(HERE / text, "networks") for text in GRIDS}
    return networks, rows(HERE / WARMED, "runs"), rows(HERE / LONG, "runs"), rows(HERE, "early")


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    for text in GRIDS:
        measure(text)
    swept("edge", "brontes", WARMUPS, name=WARMED, kept=OF_RUNS)
    swept("edge", "shakespeare", *LONGS, name=LONG, kept=OF_RUNS)
    measure_early()
    networks, warmed, long, early = kept()
    write_tables(networks, warmed, long)
    write_page(HERE, facts_of(networks, warmed, long, early))


if __name__ == "__main__":
    main()
