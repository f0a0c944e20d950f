"""Answer the course's bonus question, in which order to read the text: `tox -e results`.

The orders sequential, random and chunks, one window at a time and eight, on two texts, 10 seeds for 5
epochs each: 120 runs, some minutes on two cores. Since an epoch is as many characters in every order and
for every number of windows, all runs see equally many.
"""

from collections.abc import Sequence
from pathlib import Path

from results.question import COURSE, TEXTS, sentences, swept, table

HERE = Path(__file__).parent / "order"
ORDERS = "sequential,random,chunks"
ETAS = {1: "0.001", 8: "0.002"}  # by the number of windows, whose mean gradient is less noisy
SWEEPS = [
    [*COURSE, "--order", ORDERS, "--epochs", "5", "--seeds", "0:9", "--batch", str(B), "--eta", eta]
    for B, eta in ETAS.items()
]


def name(order: str, B: int) -> str:
    """Return the name of a configuration in the tables."""
    return f"batch {B}, order {order}, eta {ETAS[B]}"


PAIRS = [
    (name("sequential", batch), name(other, batch)) for batch in (1, 8) for other in ("random", "chunks")
]
PAIRS += [(name(order, 1), name(order, 8)) for order in ORDERS.split(",")]


def section(text: str, report: Path, said: Sequence[str]) -> list[str]:
    """Return what a page says of the sweeps of one text."""
    return [
        "",
        f"## {text.capitalize()}",
        "",
        f"![The validation loss of every run]({text}/best.png)",
        "",
        table(report),
        "",
        "Validation losses in nats per character, shifts of one configuration against another:",
        "",
        *said,
        "",
        f"How it falls: [picture]({text}/held_out.png); all [runs]({text}/runs.csv), "
        f"[configurations]({text}/settings.md), [differences]({text}/comparison.md).",
    ]


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    text = [
        "# In which order is the text best read?",
        "",
        "The course asks for bonus points whether windows at random places, or the text in shuffled "
        "chunks, train better than the text from beginning to end, and what several windows at once do. "
        "Here are 10 seeds of each, m = 100, T = 25, Adam (`--preset dd2424-2025`), 5 epochs, so that "
        "all have seen equally many characters; the last tenth of the text is held out. `sequential` "
        "carries the state over from window to window; `random` starts each from h = 0; `chunks` reads "
        "100 pieces in a new order each epoch. Made by `tox -e results`.",
    ]
    for corpus in TEXTS:
        report = swept("order", corpus, *SWEEPS)
        text += section(corpus, report, sentences(report, PAIRS))
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
