"""Compare the optimizers, each at its best learning rate: `tox -e results`.

First a small sweep of learning rates for each, 3 seeds for 3 epochs on one text; then 10 seeds for 5
epochs on two texts at the best ones: 140 runs, some ten minutes on two cores.
"""

import statistics
from itertools import pairwise
from pathlib import Path

from results.question import COURSE, TEXTS, rows, section, sentences, swept, table

HERE = Path(__file__).parent / "optimizers"
ETAS = {
    "adagrad": "0.01,0.02,0.05,0.1,0.2",
    "rmsprop": "0.0003,0.0005,0.001,0.002,0.004",
    "adam": "0.0005,0.001,0.002,0.004,0.008",
    "sgd": "0.02,0.05,0.1,0.2,0.5",
}


def best_etas(report: Path) -> dict[str, str]:
    """Return the learning rate of each optimizer with the lowest mean held-out loss."""
    best: dict[str, str] = {}
    for row in rows(report):  # the best first
        best.setdefault(row["optimizer"], row["eta"])
    return best


def final_losses(report: Path) -> str:
    """Return the means at the end of the training, where no evaluation was chosen."""
    of_optimizer: dict[str, list[float]] = {}
    for row in rows(report, "runs"):
        of_optimizer.setdefault(row["optimizer"], []).append(float(row["validation_final"]))
    means = sorted((statistics.mean(losses), name) for name, losses in of_optimizer.items())
    return f"- At the end of the training: {', '.join(f'{name} {mean:.3f}' for mean, name in means)}."


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    lists = [
        [*COURSE, "--optimizer", optimizer, "--eta", etas, "--epochs", "3", "--seeds", "0:2"]
        for optimizer, etas in ETAS.items()
    ]
    rates = swept("optimizers", "brontes", *lists, name="rates")
    best = best_etas(rates)
    chosen = [
        [*COURSE, "--optimizer", optimizer, "--eta", eta, "--epochs", "5", "--seeds", "0:9"]
        for optimizer, eta in best.items()
    ]
    text = [
        "# Which optimizer?",
        "",
        "AdaGrad, RMSProp, Adam and SGD on the course's network since 2025 (`--preset dd2424-2025`: "
        "m = 100, T = 25, the mean of a window's losses, a scaled initialization, no clipping), with "
        "the last tenth of the text held out. Learning rates are constant; a schedule or a warm-up may "
        "change the order. Made by `tox -e results`.",
        "",
        "## Learning rates",
        "",
        "3 seeds for 3 epochs of the Brontës' novels; held-out losses in nats per character:",
        "",
        table(rates),
        "",
        "The best of each is then trained with 10 seeds for 5 epochs, on both texts. Tables show the "
        "lowest of the 5 held-out losses of a run, one an epoch.",
    ]
    for corpus in TEXTS:
        report = swept("optimizers", corpus, *chosen)
        names = [row["setting"] for row in rows(report)]
        text += section(
            corpus, report, [*sentences(report, list(pairwise(names))), final_losses(report)]
        )
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
