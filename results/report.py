"""Make the assignment's report of two runs: `tox -e results`, which takes some minutes.

`nbrnn train brontes` and `nbrnn report` do all of it, with the default settings: 7 epochs,
and the same run extended to 20.
"""

import shutil
import tempfile
from pathlib import Path

from results.question import ROOT, nbrnn, rows

HERE = ROOT / "report"
EPOCHS = ("7", "20")
DEFAULTS = ("0.1", "1e-08")  # sigma and epsilon


def main() -> None:
    """Train, report, and write what leads there."""
    shutil.rmtree(HERE, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "brontes"
        for epochs in EPOCHS:
            begun = ("--resume", str(run)) if run.exists() else ("brontes", "--out", str(run))
            nbrnn("train", *begun, "--epochs", epochs)
            nbrnn("report", str(run), "--out", str(HERE / f"{epochs}-epochs"))
    for file in HERE.glob("*/*"):
        if file.suffix in (".svg", ".html") or file.name == ".lock":  # which say the same again
            file.unlink()
    (seeds,) = (r for r in rows(ROOT / "sigma" / "7-epochs") if (r["sigma"], r["epsilon"]) == DEFAULTS)
    text = [
        "# The assignment's report, on the novels of the Brontës",
        "Made by `tox -e results`, by `nbrnn train brontes` with the default settings and the seed 0, "
        "and by `nbrnn report`. Each folder has the report as Markdown, its pictures as PNG and "
        "PDF, its tables for LaTeX, and the gradient check as JSON.",
    ]
    for epochs in EPOCHS:
        folder = f"{epochs}-epochs"
        text += [
            f"## {epochs} epochs",
            f"![The smooth loss over {epochs} epochs]({folder}/loss.png)",
            f"[All of it]({folder}/report.md), with gradient check, samples, and what is copied.",
        ]
    text.append(
        f"One run says little: over {seeds['n']} seeds the best smooth loss after 7 epochs lies between "
        f"{float(seeds['smooth_loss_best_min']):.1f} and {float(seeds['smooth_loss_best_max']):.1f} "
        "([sigma](../sigma/README.md))."
    )
    (HERE / "README.md").write_text("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
