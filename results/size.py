"""How much does a larger network gain? `tox -e results`.

Networks of 50 to 500 hidden units on two texts, 10 epochs each, the last tenth held out: each size at
several learning rates with one seed, and at the best of them with three others. 62 runs, half an hour
on two cores.
"""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nbrnn.corpus import load
from nbrnn.network.layout import shapes
from nbrnn.run_plots import COLOURS, plain, save
from results.question import COURSE, ROOT, TEXTS, markdown, nbrnn, rows, swept

HERE = ROOT / "size"
BATCH, LENGTH = 16, 50
NETWORK = (*COURSE, "--batch", str(BATCH), "--seq-length", str(LENGTH), "--schedule", "linear")
ETAS = {
    50: "0.004,0.008,0.016",
    100: "0.004,0.008,0.016",
    200: "0.002,0.004,0.008",
    300: "0.001,0.002,0.004,0.008",
    500: "0.001,0.002,0.004",
}
CHOOSING, MEASURED = "0:0", "1:3"  # seeds
TIMED = 1000  # updates
CURVES = {"held out": "validation_best", "training": "epoch_mean_loss_last"}
Row = dict[str, str]


def options(hidden: int, etas: str, seeds: str) -> list[str]:
    """Return the options of a sweep of one size."""
    return [*NETWORK, "--epochs", "10", "--hidden", str(hidden), "--eta", etas, "--seeds", seeds]


def held_out(row: Row) -> float:
    """Return the held-out loss of a run's best model."""
    return float(row["validation_best"])


def runs_of(text: str) -> dict[int, list[Row]]:
    """Return the runs of each size at the learning rate that the first seed finds best."""
    choosing = [options(hidden, etas, CHOOSING) for hidden, etas in ETAS.items()]
    tried = rows(swept("size", text, *choosing), "runs")
    best = {m: min((r for r in tried if r["hidden"] == str(m)), key=held_out)["eta"] for m in ETAS}
    chosen = [options(hidden, eta, MEASURED) for hidden, eta in best.items()]
    report = swept("size", text, *choosing, *chosen)
    for name in ("answer.md", "effects.csv", "effects.md"):  # sizes were tried at different rates
        (report / name).unlink()
    found = rows(report, "runs")
    return {m: [r for r in found if r["hidden"] == str(m) and r["seed"] != CHOOSING[0]] for m in ETAS}


def microseconds(hidden: int) -> float:
    """Return the time that training takes for a character, on one core and with nothing beside it."""
    with tempfile.TemporaryDirectory() as folder:
        network = (*NETWORK, "--hidden", str(hidden), "--updates", str(TIMED))
        summary = json.loads(nbrnn("train", "shakespeare", *network, "--out", f"{folder}/run", "--json"))
    return 1e6 / (summary["updates_per_second"] * BATCH * LENGTH)


def table(text: str, found: dict[int, list[Row]], times: dict[int, float]) -> list[str]:
    """Return what the sizes of one text come to."""
    K, lines = len(load(text).alphabet), []
    for m, runs in found.items():
        losses = np.array([held_out(row) for row in runs])
        training = np.mean([float(row["epoch_mean_loss_last"]) for row in runs])
        lines.append([
            f"{m}", f"{sum(map(math.prod, shapes(m, K).values())):,}", runs[0]["eta"],
            f"{losses.mean():.3f}", f"{losses.std(ddof=1):.3f}", f"{losses.mean() / np.log(2):.2f}",
            f"{training:.3f}", f"{times[m]:.2f}",
        ])  # fmt: skip
    head = [
        *("hidden units", "parameters", "learning rate", "held-out loss", "sd", "bits per character"),
        *("training loss, last epoch", "µs per character"),
    ]
    return markdown(head, lines)


def gains(found: dict[int, list[Row]]) -> str:
    """Say how much is gained between sizes, and which learning rates might be larger still."""
    mean = {m: np.mean([held_out(row) for row in runs]) for m, runs in found.items()}
    first, then = (f"{mean[a] - mean[b]:.3f} from {a} to {b}" for a, b in ((50, 200), (200, 500)))
    largest = [str(m) for m, runs in found.items() if runs[0]["eta"] == ETAS[m].split(",")[-1]]
    units = " and ".join(", ".join(largest).rsplit(", ", 1))
    limit = f" With {units} units the best learning rate is the largest tried." if largest else ""
    return f"The held-out loss falls by {first} hidden units, and by {then}.{limit}"


def drawn(found: dict[str, dict[int, list[Row]]], file: Path) -> None:
    """Draw held-out and training loss over the size, every run and the mean."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    for axes, (text, sizes) in zip(figure.subplots(1, 2), found.items(), strict=True):
        for colour, (label, column) in zip(COLOURS, CURVES.items(), strict=False):
            losses = {m: [float(row[column]) for row in runs] for m, runs in sizes.items()}
            for m, values in losses.items():
                axes.plot([m] * len(values), values, ".", color=colour, alpha=0.5)
            axes.plot(list(losses), [np.mean(v) for v in losses.values()], color=colour, label=label)
        axes.set(
            xscale="log", title=text.capitalize(), xlabel="hidden units", ylabel="nats per character"
        )
        axes.set_xticks(list(sizes), [f"{m}" for m in sizes])
        axes.minorticks_off()
        axes.legend()
        plain(axes)
    with file.open("wb") as picture:
        save(figure, picture, "png")


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    found = {text: runs_of(text) for text in TEXTS}
    times = {hidden: microseconds(hidden) for hidden in ETAS}
    drawn(found, HERE / "size.png")
    text = [
        "# How much does a larger network gain?",
        "",
        "Vanilla networks of 50 to 500 hidden units: the course's network since 2025 "
        "(`--preset dd2424-2025`), 16 windows of 50 characters in a batch, Adam with a learning rate "
        "that falls in a line to 0, 10 epochs, the last tenth of the text held out. The learning rate "
        "is, for each size, the best of three or four with the seed 0; losses are means over the seeds "
        "1 to 3, which had no part in that choice, in nats per character. Three seeds are too few to "
        "rank the sizes from 200 units on. Times are of one core with nothing running beside it. Made "
        "by `tox -e results`.",
        "",
        "![Losses over the number of hidden units](size.png)",
    ]
    for corpus, sizes in found.items():
        text += ["", f"## {corpus.capitalize()}", "", gains(sizes), "", *table(corpus, sizes, times)]
        text += ["", f"All [runs]({corpus}/runs.csv) and [configurations]({corpus}/settings.md)."]
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
