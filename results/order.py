"""Answer the course's bonus question, in which order to read the text: `tox -e results`.

The orders sequential, random and chunks, one window at a time and eight, on two texts, 10 seeds for 5
epochs each: 120 runs, some minutes on two cores. Since an epoch is as many characters in every order and
for every number of windows, all runs see equally many.
"""

from nbrnn.analysis.rank_statistics import SIGNIFICANT
from results.facts import (
    Fact,
    Pair,
    difference_cells,
    losses_by,
    write_differences,
    write_losses,
    write_page,
)
from results.question import COURSE, OF_RUNS, ROOT, TEXTS, Row, rows, swept

HERE = ROOT / "order"
EPOCHS = 5
SEQUENTIAL, OTHERS = "sequential", ("random", "chunks")
ORDERS = (SEQUENTIAL, *OTHERS)
ETAS = {1: "0.001", 8: "0.002"}  # by the number of windows, whose mean gradient is less noisy
COMMON = (*COURSE, "--order", ",".join(ORDERS), "--epochs", str(EPOCHS), "--seeds", "0:9")
SWEEPS = [[*COMMON, "--batch", str(B), "--eta", eta] for B, eta in ETAS.items()]
SETTINGS = ("text", "order", "windows")
PAIRS: list[Pair] = [
    *(((t, other, B), (t, SEQUENTIAL, B)) for t in TEXTS for B in ETAS for other in OTHERS),
    *(((text, order, 8), (text, order, 1)) for text in TEXTS for order in ORDERS),
]


def facts_of(runs: list[Row]) -> dict[str, Fact]:
    """Return what the page tells."""
    losses = losses_by(runs, "validation_best", "corpus", "order", "batch")
    cells = difference_cells(losses, PAIRS)
    others = [cells[a, b] for a, b in PAIRS if a[1] != b[1]]
    significant = [shift for shift, _, _, p in others if p <= SIGNIFICANT]
    return {
        "epochs": EPOCHS,
        "seeds": min(of.size for of in losses.values()),
        "pairs": len(PAIRS),
        "compared": len(others),
        "lower": sum(shift > 0 for shift in significant),
        "higher": sum(shift < 0 for shift in significant),
    }


def write_tables(runs: list[Row]) -> None:
    """Write the losses of each order and number of windows, and their differences."""
    losses = losses_by(runs, "validation_best", "corpus", "order", "batch")
    write_losses(HERE / "losses.csv", SETTINGS, losses)
    write_differences(HERE / "differences.csv", SETTINGS, losses, PAIRS)


def kept() -> list[Row]:
    """Return the runs on both texts."""
    return [row for text in TEXTS for row in rows(HERE / text, "runs")]


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    for text in TEXTS:
        swept("order", text, *SWEEPS, kept=(*OF_RUNS, "best.png"))
    write_tables(kept())
    write_page(HERE, facts_of(kept()))


if __name__ == "__main__":
    main()
