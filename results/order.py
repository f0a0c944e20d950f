"""Answer the course's bonus question, in which order to read the text: `tox -e results`.

The orders sequential, random and chunks, one window at a time and eight, on two texts, 10 seeds for 5
epochs each: 120 runs, some minutes on two cores. Since an epoch is as many characters in every order and
for every number of windows, all runs see equally many.
"""

from nbrnn.analysis.intervals import SIGNIFICANT
from nbrnn.typing import Array
from results.facts import (
    DIFFERENCES,
    LOSSES,
    Fact,
    Place,
    difference_rows,
    loss_rows,
    losses_by,
    write_facts,
    write_page,
    write_rows,
)
from results.question import COURSE, OF_RUNS, ROOT, TEXTS, Row, rows, swept

HERE = ROOT / "order"
EPOCHS = 5
SEQUENTIAL, OTHERS = "sequential", ("random", "chunks")
ORDERS = (SEQUENTIAL, *OTHERS)
ETAS = {
    1: "0.001",
    8: "0.002",
}  # by the number of windows, whose mean gradient is less noisy
COMMON = (*COURSE, "--order", ",".join(ORDERS), "--epochs", str(EPOCHS), "--seeds", "0:9")
SWEEPS = [[*COMMON, "--batch", str(B), "--eta", eta] for B, eta in ETAS.items()]
PAIRS: list[tuple[Place, Place]] = [
    *(((other, B), (SEQUENTIAL, B)) for B in ETAS for other in OTHERS),
    *(((order, 8), (order, 1)) for order in ORDERS),
]


def losses_of(runs: list[Row]) -> dict[Place, Array]:
    """Return the validation losses of each order and number of windows."""
    return losses_by(runs, "validation_best", "order", "batch")


def facts_of(runs_of: dict[str, list[Row]]) -> dict[str, Fact]:
    """Return what the page tells, by the runs on each text."""
    losses = {text: losses_of(runs) for text, runs in runs_of.items()}
    significant = [
        shift
        for of_text in losses.values()
        for order, _, other, _, shift, _, _, p in difference_rows(of_text, PAIRS)
        if order != other and p <= SIGNIFICANT
    ]
    return {
        "epochs": EPOCHS,
        "seeds": min(of.size for of_text in losses.values() for of in of_text.values()),
        "pairs": len(PAIRS),
        "compared": len(losses) * len(ETAS) * len(OTHERS),
        "lower": sum(shift > 0 for shift in significant),
        "higher": sum(shift < 0 for shift in significant),
    }


def write_tables(runs_of: dict[str, list[Row]]) -> None:
    """Write the losses of each text, the lowest median first, and their differences."""
    losses = {text: losses_of(runs) for text, runs in runs_of.items()}
    lines = [[text, *row] for text, of in losses.items() for row in loss_rows(of)]
    write_rows(HERE / "losses.csv", ["text", "order", "windows", *LOSSES], lines)
    lines = [[text, *row] for text, of in losses.items() for row in difference_rows(of, PAIRS)]
    head = ["text", "order", "windows", "minus order", "minus windows", *DIFFERENCES]
    write_rows(HERE / "differences.csv", head, lines)


def kept() -> dict[str, list[Row]]:
    """Return the runs on each text."""
    return {text: rows(HERE / text, "runs") for text in TEXTS}


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    for text in TEXTS:
        swept("order", text, *SWEEPS, kept=(*OF_RUNS, "best.png"))
    write_tables(kept())
    write_facts(HERE, facts_of(kept()))
    write_page(HERE)


if __name__ == "__main__":
    main()
