"""Each kind of thing is added in the places that CONTRIBUTING.md names, to a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import naive
import numpy as np
import pytest
from harness import TEXT, copy_old, csv_rows
from safetensors.numpy import load_file

from nbrnn.config import option_name
from nbrnn.corpus import load
from nbrnn.network.layout import Layout, generator

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def places(heading):
    """Return the files that CONTRIBUTING.md names in the table below a heading."""
    section = CONTRIBUTING.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


FAST = {"NUMBA_OPT": "0"}  # to compile all kernels, whose sources are others, in two thirds of the time

# What is printed by several commands, whose process imports everything once.
PROGRAM = """
import io, json, sys
import nbrnn.report.sweep_report
from nbrnn.cli.main import app

nbrnn.report.sweep_report.figures = lambda results: ()

printed = []
for arguments in json.load(sys.stdin):
    sys.stdout = io.TextIOWrapper(io.BytesIO())
    try:
        app(arguments)
    except SystemExit as end:
        if end.code:
            raise
    sys.stdout.flush()
    printed.append(sys.stdout.buffer.getvalue().decode())
print(json.dumps(printed), file=sys.__stdout__, flush=True)
"""


@pytest.fixture
def package(tmp_path):
    """Return a copy of the package and its kernels, and a function that runs commands in it."""
    shutil.copytree(ROOT / "nbrnn", tmp_path / "nbrnn", ignore=shutil.ignore_patterns("*.tmp*"))

    def program(*commands, **environment):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=json.dumps([[str(word) for word in command] for command in commands]),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": "", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return tmp_path, program


def change(file, old, new):
    """Replace the only place of a text in a file."""
    before = file.read_text()
    assert before.count(old) == 1
    file.write_text(before.replace(old, new))


@pytest.mark.slow
def test_a_setting_a_measure_and_a_command(package, tmp_path, nbrnn):
    root, program = package
    (settings,) = places("Add a setting")
    field = '    leak: float = setting(float, 0.5, "Of the states.", 0, 1, added="9.9")\n'
    change(root / settings, "    seed: int = ", f"{field}    seed: int = ")
    (measures,) = places("Add a measure")
    row = '    field("perplexity_best", "perplexity of the best model", rank=4),\n'
    change(root / measures, "MEASURES = (\n", f"MEASURES = (\n{row}")
    new, listed = places("Add a command")
    (root / new.replace("NAME", "greet")).write_text(
        'def greet(name: str = "you") -> None:\n    """Say hello."""\n    print(f"hello {name}")\n'
    )
    change(root / listed, "    *(train, sample,", "    *(greet, train, sample,")
    change(root / listed, "app = typer", "from nbrnn.cli.greet import greet\n\napp = typer")
    old_sweep, report = copy_old("sweep", tmp_path / "sweep"), tmp_path / "sweep" / "report"
    dry = ["sweep", TEXT, "--seeds", "0", "--updates", "300", "--dry-run", "--json"]
    train, sweep, dry_run, _, shown, said, help_ = program(
        ["train", "--help"],
        ["sweep", "--help"],
        [*dry, "--leak", "0.25,0.5"],
        ["report", old_sweep, "--quiet"],
        ["report", old_sweep, "--json"],
        ["greet", "--name", "Jane"],
        ["--help"],
    )
    assert re.search(r"--leak \S+ +Of the states\.\s+\[default: 0\.5\]", train)
    assert "--leak" in sweep
    other, default = json.loads(dry_run)
    assert (other["leak"], default["leak"]) == (0.25, 0.5)
    assert other["run_id"] != default["run_id"]
    assert [row["run_id"] for row in json.loads(nbrnn(*dry).stdout)] == [default["run_id"]]
    runs = csv_rows(report / "runs.csv")
    assert {row["leak"] for row in runs} == {"0.5"}
    assert all(float(row["perplexity_best"]) > 1 for row in runs if row["status"] == "finished")
    assert "perplexity_best_mean" in csv_rows(report / "settings.csv")[0]
    assert "Perplexity of the best model" in (report / "index.html").read_text()
    assert "## Perplexity of the best model" in (report / "comparison.md").read_text()
    assert "perplexity_best" in json.loads(shown)["runs"][0]
    assert said == "hello Jane\n"
    assert re.search(r"greet +Say hello\.", help_)


LINEAR = """
from nbrnn.network.cells.cell_interface import Passes, read_character, read_characters, windows
from nbrnn.network.cells.vanilla import batch_gradients, gradients
from nbrnn.network.simd.matmul import add_matmul, add_matvecs, add_vecmat


def forward(layer, work, read):
    x, is_first = read
    for t in range(x.size):
        if is_first:
            read_character(layer.U[0], layer.b[0], x[t], work.z[0], t)
        add_matvecs(work.z[0], t, layer.W[0], work.s[0], t, 1, True)


def backward(layer, work, T):
    dz = work.dz[0]
    for t in range(T - 2, -1, -1):
        add_vecmat(dz, t, dz, t + 1, layer.W[0], True)


def batch_forward(layer, work, read):
    x, is_first = read
    B = windows(work)
    for row in range(0, x.size, B):
        if is_first:
            read_characters(layer.U[0], layer.b[0], x, work.z[0], row, B)
        add_matmul(work.z[0], row, work.s[0], row, B, work.WT[0])


def batch_backward(layer, work, T):
    dz, B = work.dz[0], windows(work)
    for row in range((T - 2) * B, -1, -B):
        add_matmul(dz, row, dz, row + B, B, layer.W[0])


WINDOW = Passes(forward, backward, gradients)
BATCH = Passes(batch_forward, batch_backward, batch_gradients)
"""


@pytest.mark.slow
def test_a_cell(package):
    root, program = package
    declared, file, settings = places("Add a cell")
    (root / file.replace("NAME", "linear")).write_text(LINEAR)
    kind = "class Linear(NamedTuple):\n    U: Any\n    W: Any\n    b: Any\n\n\nclass Cell("
    change(root / declared, "class Cell(", kind)
    line = 'CELLS = {\n    "linear": Cell(Linear, ("h",), ("h",), 0, (0.0,), ""),\n'
    change(root / declared, "CELLS = {\n", line)
    change(root / settings, '"gru", "lstm"]', '"gru", "lstm", "linear"]')
    network = ["--cell", "linear", "--layers", 2, "--seq-length", 4]
    check = ["gradcheck", TEXT, *network, "--hidden", 3, "--json"]
    train = ["train", TEXT, *network, "--hidden", 3, "--batch", 2, "--updates", 5, "-q", "--out", "run"]
    train += ["--dtype", "float64"]  # parts of its kernels are compiled by then
    commands = check, [*check, "--batch", 2], train, ["score", "run", TEXT, "--json"]
    *checked, _, scored = program(*commands, **FAST)
    assert [json.loads(each)["passed"] for each in checked] == [True, True]
    assert json.loads(scored)["model"]["nats_per_character"] > 0
    found = load_file(root / "run" / "last.safetensors")
    assert {"W.1", "U.2", "b.2", "h_prev.1", "h_prev.2"} < set(found)


MOMENTUM = """
class Momentum(NamedTuple):
    eta: Any
    beta1: Any


def momentum(optimizer, theta, memory, gradient):
    (v,) = memory
    v = optimizer.beta1 * v + gradient
    return theta - optimizer.eta * v, (v,)


def momentum_at(optimizer, eta, t, real):
    return Momentum(eta, optimizer.beta1)


RULES[Momentum] = Rule(momentum, momentum_at, memory=("velocity",), sparse=False)


OPTIMIZERS: """


def with_momentum(theta, codes, T, updates, eta, beta1):
    """Train theta in place; return what the optimizer remembers."""
    velocity = {name: np.zeros_like(array) for name, array in theta.items()}
    h = np.zeros(len(theta["b"]))
    for start in range(0, updates * T, T):
        window, after = codes[start : start + T], codes[start + 1 : start + T + 1]
        _, gradient, h = naive.gradients(theta, window, after, h)
        for name, g in gradient.items():
            velocity[name] = beta1 * velocity[name] + g
            theta[name] -= eta * velocity[name]
    return velocity


@pytest.mark.slow
def test_an_optimizer(package):
    root, program = package
    kernel, settings = places("Add an optimizer")
    change(root / kernel, "OPTIMIZERS: ", MOMENTUM.strip())
    change(root / settings, '"sgd"]', '"sgd", "momentum"]')
    change(root / settings, '"sgd": 0.01}', '"sgd": 0.01, "momentum": 0.02}')
    change(root / settings, '{"adam": 0.9}', '{"adam": 0.9, "momentum": 0.8}')
    text = load(str(TEXT))
    sizes = {"hidden": 5, "seq_length": 4, "dtype": "float64", "sample_every": 0, "clip": "none"}
    options = [word for name, value in sizes.items() for word in (option_name(name), value)]
    command = ["train", TEXT, *options, "--optimizer", "momentum", "-q", "--out", "run"]
    program([*command, "--updates", 7], [*command, "--updates", 30], **FAST)
    found = load_file(root / "run" / "last.safetensors")
    layout = Layout(5, len(text.alphabet), np.dtype(float))
    start = layout.named(layout.initial(generator(0, "start"), 0.1))
    theta = {name: np.array(array) for name, array in start.items()}
    velocity = with_momentum(theta, text.codes, 4, 30, eta=0.02, beta1=0.8)
    for name, array in theta.items():
        assert np.abs(found[name] - array).max() < 1e-12
        assert np.abs(found[f"velocity.{name}"] - velocity[name]).max() < 1e-12
