"""Make the parts of the student's report anew: run `tox -e results`, which takes some minutes.

Everything is made by the program's own commands, on the corpus brontes with the default settings:
the gradient check, 7 epochs, the same run extended to 20, what the best model then writes, and the 7
epochs once more with nine other seeds.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent / "report"


def nbrnn(*arguments: str) -> str:
    """Run the program and return what it prints."""
    command = [sys.executable, "-m", "nbrnn", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def gradient_check() -> str:
    """Return the table of the gradient check in Markdown."""
    document = json.loads(nbrnn("gradcheck", "--hidden", "5,100", "--json"))
    differences = document["differences"]
    cases = list(dict.fromkeys(d["case"] for d in differences))
    lines = [
        "| m | parameter | weights | " + " | ".join(f"{c}: max | {c}: norm" for c in cases) + " |",
        "|--:|---|--:|" + "--:|" * (2 * len(cases)),
    ]
    for m, name in dict.fromkeys((d["hidden"], d["parameter"]) for d in differences):
        of_name = [d for d in differences if (d["hidden"], d["parameter"]) == (m, name)]
        errors = " | ".join(f"{d['largest']:.1e} | {d['norm']:.1e}" for d in of_name)
        lines.append(f"| {m} | {name} | {of_name[0]['weights']:,} | {errors} |")
    lines += ["", f"Largest relative error of any weight: {document['largest']:.1e}."]
    return "\n".join(lines)


def samples(folder: Path) -> str:
    """Return the first samples of a run in Markdown."""
    parts = []
    for line in (folder / "samples.jsonl").read_text().split("\n")[:11]:
        sample = json.loads(line)
        loss = sample["smooth_loss"]
        shown = "before the first update" if loss is None else f"smooth loss {loss:.2f}"
        parts += [f"### Update {sample['update']:,}", f"{shown}:", fenced(sample["text"])]
    return "\n\n".join(parts)


def fenced(text: str) -> str:
    """Return a text as a Markdown block; the carriage returns of its line ends are left out."""
    return "```text\n" + text.replace("\r", "") + "\n```"


def losses(summary: dict) -> str:
    """Return a table of the losses of a run in Markdown."""
    lines = [
        "| | update | smooth loss | nats/character | bits/character | perplexity |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, update in (("best", summary["best_update"]), ("final", summary["updates"])):
        numbers = " | ".join(
            f"{summary[f'{unit}_{name}']:.3f}"
            for unit in ("smooth_loss", "nats_per_character", "bits_per_character", "perplexity")
        )
        lines.append(f"| {name} | {update:,} | {numbers} |")
    return "\n".join(lines)


def seeds(folder: Path) -> str:
    """Train with the seeds 0 to 9, as many at once as there are processors; return how they spread."""

    def best(seed: int) -> float:
        out = str(folder / f"seed-{seed}")
        document = nbrnn("train", "--epochs", "7", "--seed", str(seed), "--out", out, "--json")
        return json.loads(document)["smooth_loss_best"]

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        losses = list(threads.map(best, range(10)))
    return (
        "One run says little. The best smooth loss of 7 epochs with the seeds 0 to 9: "
        + ", ".join(f"{loss:.2f}" for loss in losses)
        + f"; median {statistics.median(losses):.2f}, standard deviation {statistics.stdev(losses):.2f}."
    )


def main() -> None:
    """Write everything."""
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "brontes"
        nbrnn("train", "--epochs", "7", "--out", str(run))
        seven = json.loads((run / "summary.json").read_text())
        shutil.copy(run / "loss.png", HERE / "loss-7-epochs.png")
        (HERE / "samples.md").write_text(
            "# What the network writes while it learns\n\n" + samples(run) + "\n"
        )
        nbrnn("train", "--resume", str(run), "--epochs", "20")
        twenty = json.loads((run / "summary.json").read_text())
        env = json.loads((run / "env.json").read_text())
        shutil.copy(run / "loss.png", HERE / "loss-20-epochs.png")
        text = (run / "best.txt").read_bytes().decode()
        spread = seeds(Path(temporary))
    versions = ", ".join(f"{name} {env[name]}" for name in ("nbrnn", "python", "numpy", "numba", "llvm"))
    report = [
        "# The report's parts, on the novels of the Brontës",
        "Made by `tox -e results` with the default settings: m = 100, T = 25, eta = 0.1, sigma = 0.1, "
        f"seed 0, float32. {versions}, {env['cpu']}.",
        "## Gradient check",
        "Relative error of the gradient against numerical differences, in float64, for every weight.",
        gradient_check(),
        "## 7 epochs",
        losses(seven),
        "![The smooth loss over 7 epochs](loss-7-epochs.png)",
        spread,
        "The samples of the first 100,000 updates: [samples.md](samples.md).",
        "## 20 epochs",
        losses(twenty),
        f"{twenty['updates']:,} updates in {twenty['seconds']:.0f} s, "
        f"{twenty['updates_per_second']:,.0f} a second.",
        "![The smooth loss over 20 epochs](loss-20-epochs.png)",
        "## 1,000 characters by the best model",
        fenced(text),
    ]
    (HERE / "README.md").write_text("\n\n".join(report) + "\n")


if __name__ == "__main__":
    main()
