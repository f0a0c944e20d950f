"""Answer the report's question, whether sigma = 0.1 beats 0.01, with many seeds: `tox -e results`.

Two sweeps over sigma and epsilon on the corpus brontes, 50 seeds for 7 epochs and 5 seeds for 20:
half an hour on two cores.
"""

import numpy as np

from results.facts import (
    Fact,
    Pair,
    difference_cells,
    draw_losses,
    losses_by,
    write_differences,
    write_losses,
    write_page,
)
from results.question import OF_A_SEARCH, ROOT, Row, rows, swept

HERE = ROOT / "sigma"
SEEDS = {7: "0:49", 20: "0:4"}  # by the number of epochs
SIGMAS, EPSILONS = (0.01, 0.03, 0.1, 0.3), (1e-8, 1.0)
SETTINGS = ("sigma", "epsilon")
REPORTED, SMALL, DEFAULT = 0.1, 0.01, 1e-8  # the report's two sigmas and its epsilon
LARGE_EPSILON = ((0.03, 1.0), (0.03, DEFAULT))
PAIRS: list[Pair] = [
    *(((sigma, eps), (REPORTED, eps)) for eps in EPSILONS for sigma in SIGMAS if sigma != REPORTED),
    *(((sigma, 1.0), (sigma, DEFAULT)) for sigma in SIGMAS),
]


def facts_of(runs_of: dict[int, list[Row]]) -> dict[str, Fact]:
    """Return what the page tells, by the runs of each number of epochs."""
    small, reported = (SMALL, DEFAULT), (REPORTED, DEFAULT)
    facts: dict[str, Fact] = {"pairs": len(PAIRS)}
    for epochs, runs in runs_of.items():
        losses = losses_by(runs, "smooth_loss_best", *SETTINGS)
        cells = difference_cells(losses, PAIRS)
        shift, low, high, p = cells[small, reported]
        by_epsilon = cells[LARGE_EPSILON]
        of_epochs: dict[str, Fact] = {
            "seeds": losses[reported].size,
            "small": float(np.median(losses[small])),
            "reported": float(np.median(losses[reported])),
            "lowest": float(min(losses[reported])),
            "highest": float(max(losses[reported])),
            "range": float(np.ptp(losses[reported])),
            "shift": shift,
            "low": low,
            "high": high,
            "p": p,
            "by_epsilon": -by_epsilon[0],
            "by_epsilon_low": -by_epsilon[2],
            "by_epsilon_high": -by_epsilon[1],
        }
        facts |= {f"{name}_{epochs}": value for name, value in of_epochs.items()}
    return facts


def write_tables(runs_of: dict[int, list[Row]]) -> None:
    """Write the losses of each configuration, the lowest median first, and their differences."""
    for epochs, runs in runs_of.items():
        losses = losses_by(runs, "smooth_loss_best", *SETTINGS)
        write_losses(HERE / f"losses_{epochs}.csv", SETTINGS, losses)
        write_differences(HERE / f"differences_{epochs}.csv", SETTINGS, losses, PAIRS)


def draw(runs_of: dict[int, list[Row]]) -> None:
    """Draw the losses of all runs."""
    for epochs, runs in runs_of.items():
        losses, label = losses_by(runs, "smooth_loss_best", *SETTINGS), "smooth loss of the best model"
        draw_losses(HERE / f"losses_{epochs}.png", SETTINGS, losses, f"{label} (nats per window)")


def kept() -> dict[int, list[Row]]:
    """Return the runs of each number of epochs."""
    return {epochs: rows(HERE / f"{epochs}-epochs", "runs") for epochs in SEEDS}


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    lists = ["--sigma", ",".join(map(str, SIGMAS)), "--epsilon", ",".join(map(str, EPSILONS))]
    for epochs, seeds in SEEDS.items():
        options = [*lists, "--epochs", str(epochs), "--seeds", seeds]
        swept("sigma", "brontes", options, name=f"{epochs}-epochs", kept=OF_A_SEARCH)
    write_tables(kept())
    draw(kept())
    write_page(HERE, facts_of(kept()))


if __name__ == "__main__":
    main()
