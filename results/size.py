"""How does the held-out loss fall with the number of hidden units? `tox -e results`.

Seven sizes from 50 to 500 hidden units on two texts, 3 seeds for 10 epochs each: 42 runs, half an hour
on two cores.
"""

from pathlib import Path

from nbrnn.corpus import load
from results.question import COURSE, TEXTS, rows, swept

HERE = Path(__file__).parent / "size"
SIZES = "50,100,150,200,300,400,500"
RECIPE = [
    *("--batch", "16", "--seq-length", "50", "--eta", "0.003", "--schedule", "linear"),
    *("--epochs", "10", "--seeds", "0:2", "--hidden", SIZES),
]


def parameters(m: int, K: int) -> int:
    """Return how many weights a network has."""
    return m * m + 2 * m * K + m + K


def size_table(report: Path, K: int) -> list[str]:
    """Return losses, their spread and the time by the number of hidden units."""
    configurations = sorted(rows(report), key=lambda row: int(row["hidden"]))
    lines = [
        "| hidden units | weights | held-out loss | standard deviation | training loss | seconds |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for row in configurations:
        m = int(row["hidden"])
        lines.append(
            f"| {m} | {parameters(m, K):,} | {float(row['validation_best_mean']):.3f} "
            f"| {float(row['validation_best_sd']):.3f} | {float(row['epoch_mean_loss_last_mean']):.3f} "
            f"| {float(row['seconds_mean']):.0f} |"
        )
    return lines


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    text = [
        "# How large a network?",
        "",
        "Vanilla networks of 50 to 500 hidden units, Adam with a learning rate that falls from 0.003 in "
        "a line, 16 windows of 50 characters at once, a scaled start (`--preset dd2424-2025`), 10 "
        "epochs; the last tenth of the text is held out. Losses in nats per character, means of 3 "
        "seeds, the training loss that of the last epoch; seconds of training on one core of a shared "
        "machine. Made by `tox -e results`.",
    ]
    for corpus in TEXTS:
        report = swept("size", corpus, [*COURSE, *RECIPE])
        text += [
            "",
            f"## {corpus.capitalize()}",
            "",
            *size_table(report, len(load(corpus).alphabet)),
            "",
        ]
        text += [f"![How the held-out loss falls]({corpus}/held_out.png)", ""]
        text += [f"All [runs]({corpus}/runs.csv), [answer]({corpus}/answer.md)."]
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
