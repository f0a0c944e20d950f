"""Compare both editions of the course's assignment on held-out text: `tox -e results`.

10 seeds of each, and of the older one with a warm-up, for 10 epochs of Shakespeare, whose last tenth is
held out: 30 runs, five minutes on two cores.
"""

import shutil
from itertools import combinations

from results.question import ROOT, rows, sentences, swept, table

EXPERIMENTS = (("dd2424-2017",), ("dd2424-2017", "--warmup", "300"), ("dd2424-2025",))
LISTS = ("--validation", "0.1", "--sample-every", "0", "--epochs", "10", "--seeds", "0:9")


def main() -> None:
    """Do the sweeps, or what is left of them, and write everything."""
    report = swept("editions", "shakespeare", *(["--preset", *what, *LISTS] for what in EXPERIMENTS))
    names = [row["setting"] for row in rows(report)]
    (shown,) = (
        row["run_id"] for row in rows(report, "runs") if (row["optimizer"], row["seed"]) == ("adam", "0")
    )
    picture = ROOT / "editions" / "sweeps" / "shakespeare" / "runs" / shown / "loss.png"
    shutil.copy(picture, ROOT / "editions" / "loss.png")
    text = [
        "# Both editions of the assignment",
        "",
        "AdaGrad, the sum of a window's losses, a normal initialization and clipped gradients (until "
        "2024, `--preset dd2424-2017`), and Adam, the mean, a scaled initialization and no clipping "
        "(since 2025, `--preset dd2424-2025`), m = 100, T = 25, and the older one with a warm-up of 300 "
        "updates ([why](../edge/README.md)): 10 seeds of each for 10 epochs of Shakespeare, whose "
        "last tenth is held out. Each keeps its own constant learning rate, so this compares three "
        "settings, not two optimizers: another rate or a schedule may change the order. Made by "
        "`tox -e results`.",
        "",
        "![Training and held-out loss of a run of the edition since 2025](loss.png)",
        "",
        "![The held-out loss of every run](shakespeare/best.png)",
        "",
        table(report),
        "",
        "Held-out losses in nats per character:",
        "",
        *sentences(report, [(better, worse) for better, worse in combinations(names, 2)]),
        "",
        "How it falls: [picture](shakespeare/held_out.png); all [runs](shakespeare/runs.csv).",
    ]
    (ROOT / "editions" / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
