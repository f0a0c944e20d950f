"""Make the assignment's report of two runs: `tox -e results`, which takes some minutes.

`nbrnn train brontes` and `nbrnn report` do all of it, with the default settings: 7 epochs,
and the same run extended to 20.
"""

import shutil
import tempfile
from pathlib import Path

from results.facts import PAGE, render
from results.question import ROOT, nbrnn

HERE = ROOT / "report"
EPOCHS = ("7", "20")


def main() -> None:
    """Train, report, and write the page."""
    for epochs in EPOCHS:
        shutil.rmtree(HERE / f"{epochs}-epochs", ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "brontes"
        for epochs in EPOCHS:
            begun = ("--resume", str(run)) if run.exists() else ("brontes", "--out", str(run))
            nbrnn("train", *begun, "--epochs", epochs)
            nbrnn("report", str(run), "--out", str(HERE / f"{epochs}-epochs"))
    for file in HERE.glob("*/*"):
        if file.suffix in (".svg", ".html") or file.name == ".lock":  # which say the same again
            file.unlink()
    (HERE / PAGE).write_text(render(HERE))


if __name__ == "__main__":
    main()
