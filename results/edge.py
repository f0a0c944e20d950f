"""Find where AdaGrad's learning rate is too large, and what happens there: `tox -e results`.

Ten learning rates by epsilon and sigma on two texts, 2 epochs each, 10 seeds near the edge and 3 away
from it; then 8 seeds for 20 epochs of a text of 1.1 million characters at the best ones, beside the
student's report's. Some three quarters of an hour on two cores.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nbrnn.corpus import load
from nbrnn.network.params import Array
from nbrnn.plots import COLOURS, DASHES, plain, save
from nbrnn.runs.store import RunFolder
from results.dynamics import Dynamics, dynamics
from results.question import ROOT, TEXTS, rows, sentences, swept, table

HERE = Path(__file__).parent / "edge"
HELD_OUT = ("--validation", "0.1", "--sample-every", "0")
LISTS = (*HELD_OUT, "--epochs", "2", "--epsilon", "1e-8,0.01,1", "--sigma", "0.01,0.1")
SWEEPS = [
    [*LISTS, "--eta", "0.05,0.06,0.07,0.08,0.1", "--seeds", "0:9"],
    [*LISTS, "--eta", "0.01,0.02,0.03,0.14,0.2", "--seeds", "0:2"],
]
LONG = (*HELD_OUT, "--epochs", "20", "--seeds", "0:7")
LONG_SWEEPS = [
    [*LONG, "--epsilon", "1", "--eta", "0.06,0.07,0.08"],
    [*LONG, "--epsilon", "1e-8,1", "--eta", "0.1"],
]
Place = tuple[float, float, float]  # epsilon, sigma, eta
PANELS = {
    "held-out loss": "nats per character",
    "spectral radius of W": "",
    "Lyapunov exponent": "nats per step",
    "windows with clipped gradients": "share",
}


def measured(text: str, report: Path) -> dict[Place, Array]:
    """Return for each place of the grid what its runs show, (runs, panels)."""
    corpus, found = load(text), defaultdict(list)
    for row in rows(report, "runs"):
        folder = RunFolder(HERE / "sweeps" / text / "runs" / row["run_id"])
        model = folder.read_model("last")
        shown = dynamics(model, corpus.codes[: model.config.trained_on(len(corpus))], clip=5)
        place = float(row["epsilon"]), float(row["sigma"]), float(row["eta"])
        found[place].append(numbers(float(row["validation_best"]), shown))
    return {place: np.array(of_runs) for place, of_runs in sorted(found.items())}


def numbers(loss: float, shown: Dynamics) -> list[float]:
    """Return a run's numbers in the order of the panels."""
    return [loss, shown.spectral_radius, shown.lyapunov_exponent, shown.clipped]


def drawn(found: dict[Place, Array], file: Path) -> None:
    """Draw each panel over the learning rate: medians, and in the first one every run."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    epsilons, sigmas = (sorted({place[i] for place in found}) for i in (0, 1))
    for panel, (axes, (name, unit)) in enumerate(
        zip(figure.subplots(2, 2, sharex=True).flat, PANELS.items(), strict=True)
    ):
        for colour, epsilon in zip(COLOURS, epsilons, strict=False):
            for dash, sigma in zip(DASHES, sigmas, strict=False):
                places = [place for place in found if place[:2] == (epsilon, sigma)]
                etas = [place[2] for place in places]
                medians = [np.median(found[place][:, panel]) for place in places]
                label = f"epsilon {epsilon:g}, sigma {sigma:g}"
                axes.plot(etas, medians, color=colour, linestyle=dash, label=label)
                if panel == 0:
                    for place in places:
                        runs = found[place][:, 0]
                        axes.plot([place[2]] * len(runs), runs, ".", color=colour, alpha=0.35)
        axes.set(xscale="log", title=name, ylabel=unit)
        axes.set_xticks(ticks := [0.01, 0.02, 0.05, 0.1, 0.2], [f"{eta:g}" for eta in ticks])
        axes.minorticks_off()
        plain(axes)
    figure.axes[0].legend(fontsize=8)
    figure.supxlabel("learning rate")
    with file.open("wb") as picture:
        save(figure, picture, "png")


def grid_table(found: dict[Place, Array]) -> list[str]:
    """Return the held-out losses as a table: means and, in brackets, standard deviations."""
    columns = sorted({place[:2] for place in found})
    etas = sorted({place[2] for place in found})
    lines = [
        "| learning rate | " + " | ".join(f"epsilon {e:g}, sigma {s:g}" for e, s in columns) + " |",
        "|--:|" + "--:|" * len(columns),
    ]
    for eta in etas:
        cells = [found[*column, eta][:, 0] for column in columns]
        lines.append(
            f"| {eta:g} | " + " | ".join(f"{c.mean():.3f} ({c.std(ddof=1):.3f})" for c in cells) + " |"
        )
    return lines


def dynamics_table(found: dict[Place, Array], epsilon: float, sigma: float) -> list[str]:
    """Return medians of what the networks do, for one epsilon and sigma."""
    lines = ["| learning rate | " + " | ".join(PANELS) + " |", "|--:|" + "--:|" * len(PANELS)]
    for place in found:
        if place[:2] == (epsilon, sigma):
            medians = np.median(found[place], axis=0)
            lines.append(f"| {place[2]:g} | " + " | ".join(f"{value:.3f}" for value in medians) + " |")
    return lines


def best_rates(found: dict[Place, Array]) -> list[str]:
    """Say at which learning rate each epsilon and sigma does best, and how the report's fares."""
    lines = []
    for epsilon, sigma in sorted({place[:2] for place in found}):
        means = {p[2]: found[p][:, 0].mean() for p in found if p[:2] == (epsilon, sigma)}
        best = min(means, key=lambda eta: means[eta])
        lines.append(
            f"- epsilon {epsilon:g}, sigma {sigma:g}: best at {best:g} with {means[best]:.3f}; "
            f"at 0.1 {means[0.1] - means[best]:.3f} more."
        )
    return lines


def correlation(found: dict[Place, Array]) -> str:
    """Say how the spectral radius and the held-out loss of single runs go together near the edge."""
    runs = np.concatenate([of_runs for place, of_runs in found.items() if 0.05 <= place[2] <= 0.1])
    loss, radius = runs[:, 0].argsort().argsort(), runs[:, 1].argsort().argsort()
    return (
        f"Of the {len(runs)} runs with learning rates from 0.05 to 0.1 the spectral radius and the held-out "
        f"loss have a rank correlation of {np.corrcoef(loss, radius)[0, 1]:.2f}."
    )


def part(text: str) -> list[str]:
    """Return the page's part about one text."""
    found = measured(text, swept("edge", text, *SWEEPS))
    drawn(found, HERE / text / "edge.png")
    return [
        "",
        f"## {text.capitalize()}",
        "",
        f"![Loss and dynamics over the learning rate]({text}/edge.png)",
        "",
        "Held-out loss of the best model in nats per character, mean (standard deviation over seeds):",
        "",
        *grid_table(found),
        "",
        *best_rates(found),
        "",
        "What the networks do at the end of their training, epsilon 1, sigma 0.1, medians:",
        "",
        *dynamics_table(found, 1.0, 0.1),
        "",
        correlation(found),
        "",
        f"All [runs]({text}/runs.csv), [configurations]({text}/settings.md), and "
        f"[what each setting does]({text}/answer.md).",
    ]


def long_part() -> list[str]:
    """Return the page's part about 20 epochs."""
    name = "shakespeare-20-epochs"
    report = swept("edge", "shakespeare", *LONG_SWEEPS, name=name)
    found = rows(report)
    best = found[0]["setting"]
    (theirs,) = (r["setting"] for r in found if (r["eta"], r["epsilon"]) == ("0.1", "1e-08"))
    return [
        "",
        "## 20 epochs of Shakespeare, 8 seeds",
        "",
        "The text has 1.1 million characters, of which the last tenth is held out. Held-out loss of the best "
        "model:",
        "",
        table(report),
        "",
        "Best smooth loss, of windows of 25 characters:",
        "",
        table(report, "Best smooth loss"),
        "",
        "What the best gains over the student's report's configuration, in nats per character of held-out "
        "text and in nats per window:",
        "",
        *sentences(report, [(best, theirs)]),
        *sentences(report, [(best, theirs)], "smooth_loss_best"),
        "",
        f"[Answer]({name}/answer.md), [runs]({name}/runs.csv).",
    ]


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    text = (ROOT / "edge" / "head.md").read_text().splitlines()
    for corpus in TEXTS:
        text += part(corpus)
    text += long_part()
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
