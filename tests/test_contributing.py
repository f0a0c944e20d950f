"""Each kind of thing is added in the places that CONTRIBUTING.md names, to a copy of the package."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbrnn.config import RunConfig
from nbrnn.corpus import load
from nbrnn.errors import StoreError
from nbrnn.runs.run import run
from nbrnn.runs.store import RunFolder

ROOT = Path(__file__).parents[1]
TEXT = ROOT / "tests" / "data" / "0.1" / "moor.txt"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def places(heading):
    """Return the files that CONTRIBUTING.md names in the table below a heading."""
    section = CONTRIBUTING.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


@pytest.fixture
def package(tmp_path):
    """Return a copy of the package, and a function that runs the program in it."""
    shutil.copytree(ROOT / "nbrnn", tmp_path / "nbrnn", ignore=shutil.ignore_patterns("__pycache__"))

    def program(*arguments):
        command = [sys.executable, "-m", "nbrnn", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tmp_path, program


def change(file, old, new):
    """Replace the only place of a text in a file."""
    before = file.read_text()
    assert before.count(old) == 1
    file.write_text(before.replace(old, new))


def report(root, program):
    """Return the rows of runs.csv and settings.csv, and the page, about an old sweep."""
    sweep = shutil.copytree(TEXT.parent / "sweep", root / "sweep")
    program("report", sweep, "--quiet")
    tables = []
    for name in ("runs.csv", "settings.csv"):
        with (sweep / "report" / name).open() as file:
            tables.append(list(csv.DictReader(file)))
    return *tables, (sweep / "report" / "index.html").read_text()


@pytest.mark.slow
def test_a_setting(package):
    root, program = package
    (place,) = places("Add a setting")
    field = '    leak: float = setting(float, 0.5, "Of the states.", 0, 1, added="9.9")\n'
    change(root / place, "    seed: int = ", f"{field}    seed: int = ")
    assert re.search(r"--leak \S+ +Of the states\.\s+\[default: 0\.5\]", program("train", "--help"))
    assert "--leak" in program("sweep", "--help")
    dry = ["sweep", TEXT, "--seeds", "0", "--updates", "300", "--dry-run", "--json"]
    other, default = json.loads(program(*dry, "--leak", "0.25,0.5"))
    assert (other["leak"], default["leak"]) == (0.25, 0.5)
    assert other["run_id"] != default["run_id"]
    before = subprocess.run(
        [sys.executable, "-m", "nbrnn", *map(str, dry)], capture_output=True, check=True
    )
    assert [row["run_id"] for row in json.loads(before.stdout)] == [default["run_id"]]
    runs, _, _ = report(root, program)
    assert {row["leak"] for row in runs} == {"0.5"}


@pytest.mark.slow
def test_a_measure(package):
    root, program = package
    (place,) = places("Add a measure")
    row = '    field("perplexity_best", "perplexity of the best model", rank=4),\n'
    change(root / place, "MEASURES = (\n", f"MEASURES = (\n{row}")
    runs, configurations, page = report(root, program)
    finished = [row for row in runs if row["status"] == "finished"]
    assert all(float(row["perplexity_best"]) > 1 for row in finished)
    assert "perplexity_best_mean" in configurations[0]
    assert "Perplexity of the best model" in page
    assert "## Perplexity of the best model" in (root / "sweep" / "report" / "comparison.md").read_text()
    shown = json.loads(program("report", root / "sweep", "--json"))
    assert "perplexity_best" in shown["runs"][0]


@pytest.mark.slow
def test_a_command(package):
    root, program = package
    new, listed = places("Add a command")
    (root / new.replace("NAME", "greet")).write_text(
        'def greet(name: str = "you") -> None:\n    """Say hello."""\n    print(f"hello {name}")\n'
    )
    change(root / listed, "for command in (train,", "for command in (greet, train,")
    change(root / listed, "app = typer", "from nbrnn.cli.greet import greet\n\napp = typer")
    assert program("greet", "--name", "Jane") == "hello Jane\n"
    assert re.search(r"greet +Say hello\.", program("--help"))


SGD = """

class SGD(NamedTuple):
    eta: Any


def sgd(optimizer, theta, memory, gradient):
    return theta - optimizer.eta * gradient, memory


RULES[SGD] = Rule(sgd, memory=(), sparse=True)
"""

TRAINING = """
import naive
import numpy as np
from nbrnn.network import loops, optimizers
from nbrnn.network.params import Carry, History, Layout

layout = Layout(5, 3, np.dtype(float))
codes = np.random.default_rng(0).integers(0, 3, 41).astype(np.int32)
theta = layout.initial(0.3, np.random.default_rng(1))
expected = {name: np.array(a) for name, a in layout.named(theta).items()}
buffers = layout.buffers(theta, 4, len(optimizers.RULES[optimizers.SGD].memory))
loops.train(buffers, optimizers.SGD(0.2), 5.0, codes, Carry(), History.empty(10))
h = np.zeros(5)
for start in range(0, 40, 4):
    _, gradient, h = naive.gradients(expected, codes[start : start + 4], codes[start + 1 : start + 5], h)
    for name, g in gradient.items():
        expected[name] -= 0.2 * g
print(max(np.abs(layout.named(theta)[name] - a).max() for name, a in expected.items()))
"""


@pytest.mark.slow
def test_an_optimizer(package):
    root, _ = package
    (place,) = places("Add an optimizer")
    file = root / place
    change(file, "DEFAULT = AdaGrad", f"{SGD.strip()}\n\n\nDEFAULT = AdaGrad")
    done = subprocess.run(
        [sys.executable, "-c", TRAINING],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}:{ROOT / 'tests'}", "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-12
    change(file, "DEFAULT = AdaGrad", "DEFAULT = SGD")
    environment = {**os.environ, "PYTHONPATH": str(root), "NUMBA_DISABLE_JIT": "1"}
    options = [
        "--hidden",
        "2",
        "--seq-length",
        "3",
        "--updates",
        "3",
        "--sample-every",
        "0",
        "--out",
        "run",
        "-q",
    ]
    command = [sys.executable, "-m", "nbrnn", "train", str(TEXT), *options]
    subprocess.run(command, cwd=root, env=environment, check=True)
    assert RunFolder(root / "run").read_checkpoint("last").memory == {}
    with pytest.raises(StoreError, match="another optimizer"):
        run(RunConfig(hidden=2, seq_length=3, updates=9, sample_every=0), load(str(TEXT)), root / "run")
