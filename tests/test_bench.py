"""What is timed is right: the benchmarks' programs follow the naive one."""

import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harness import import_interop

from bench import sections
from bench.problem import IN_BATCHES, Problem
from bench.report import write
from bench.runner import CALM_ETA, CONTESTANTS, PRODUCT, Result, check, in_batches

ROOT = Path(__file__).parent.parent


class InThisProcess:
    """A contestant at work, without a process of its own."""

    def __init__(self, contestant, problem):
        self.module = importlib.import_module(f"bench.{contestant.module}")
        self.problem = replace(problem, dtype=contestant.dtype)

    def start(self, **changes):
        self.train = self.module.start(replace(self.problem, **changes))
        return {"answer": self.train(1).tolist(), "seconds": 0.0}

    def ask(self, question):
        return {"answer": self.train(int(question.removeprefix("losses "))).tolist()}


OURS = [c for c in CONTESTANTS if c.core == "one" and "torch" not in c.module]
ONE, SEVERAL = replace(Problem(), T=7), replace(IN_BATCHES, T=5, batch=3)  # JAX unrolls a window


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "contestant"),
    [
        pytest.param(problem, c, marks=[pytest.mark.interop] if "jax" in c.module else [])
        for problem, contestants in ((ONE, OURS), (SEVERAL, in_batches(OURS)))
        for c in contestants
    ],
    ids=lambda it: getattr(it, "module", None),
)
def test_a_contestant_does_the_same_as_the_naive_program(problem, contestant):
    if "jax" in contestant.module:
        import_interop("jax")
    if contestant.name.startswith("C") and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    assert check(InThisProcess(contestant, problem), 100, CALM_ETA)[0] < 1e-5
    assert np.spacing(1e-304) > 0  # 0 once a library was loaded that was linked with -ffast-math


@pytest.mark.slow
def test_blocks_fit_the_registers_of_an_old_processor():
    command = [sys.executable, "-m", "bench.instructions", "--cpu", "nehalem"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert len(rows) == 8
    assert {kernel: stack for _, kernel, _, stack, *_ in rows[:5] if stack != "0"} == {}


SPEED = [
    {"name": "nbrnn", "dtype": "float32", "microseconds": 20.0, "times_nbrnn": 1.0},
    {"name": "C, float64", "dtype": "float64", "microseconds": 50.0},
    {"name": "NumPy, best", "dtype": "float32", "microseconds": 160.0, "times_nbrnn": 8.0},
    {"name": "PyTorch, eager", "dtype": "float32", "missing": "No module named 'torch'"},
]
SCALING = [
    {"letter": "m", "sizes": [1, 2], "name": "nbrnn", "microseconds": [1.0, 4.0], "exponent": 2.0}
    | {"batch": batch, "per": per}
    for batch, per in ((1, "update"), (32, "character"))
]


def timed_in_batches():
    """Return the rows of one B, by hand: a product of 1000 x 1000 takes 20 ms, or 0.1 TFLOP/s."""
    nbrnn, torch = (c for c in CONTESTANTS if c.name in ("nbrnn", "PyTorch, eager"))
    return sections.batch_rows(
        IN_BATCHES,
        [
            Result(nbrnn, times=[1600.0, 800.0, 800.0]),
            Result(torch, missing="No module named 'torch'"),
            Result(PRODUCT, times=[20_000.0] * 3),
        ],
    )


def test_times_in_batches_are_per_character_and_beside_the_products():
    ours, torch, product = timed_in_batches()
    assert ours["microseconds"] == 1
    assert product["gflops"] == 100
    assert product["microseconds"] == pytest.approx(1.08)  # 6 m (m + K) operations
    assert ours["times_products"] == pytest.approx(1 / 1.08)
    assert product["times_nbrnn"] == pytest.approx(1.08)
    assert torch == {"name": "PyTorch, eager", "missing": "No module named 'torch'"}


MACHINE = dict.fromkeys(("nbrnn", "python", "numpy", "numba", "cpu", "cpu_target"), "some") | {"cpus": 2}


@pytest.mark.parametrize(
    ("document", "pictures"),
    [
        ({"speed": SPEED, "scaling": SCALING}, {"speed.png", "scaling.png"}),
        ({"speed": SPEED[1:]}, {"speed.png"}),  # without nbrnn there are no ratios
        ({"speed": SPEED[2:]}, {"speed.png"}),
        ({"speed": SPEED[3:], "scaling": []}, set()),
        ({"batches": [{"batch": 8, **row} for row in timed_in_batches()]}, {"batches.png"}),
        ({"limit": [{"dtype": "float32", "missing": "no compiler"}]}, set()),
    ],
)
def test_whatever_was_measured_is_shown(tmp_path, document, pictures):
    write({"machine": MACHINE, **document}, tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert {path.name for path in tmp_path.glob("*.png")} == pictures
    assert all(f"({name})" in page for name in pictures)
    assert json.loads((tmp_path / "bench.json").read_text())["machine"] == MACHINE
    if "speed" in document:
        assert "PyTorch, eager: No module named 'torch'" in page
    if "batches" in document:
        assert "| nbrnn | 1 (1) |" in page
        assert "PyTorch, eager: No module named 'torch'" in page
    if "scaling.png" in pictures:
        assert "µs per character over m, B = 32" in page
    if document == {"speed": SPEED, "scaling": SCALING}:
        assert "| NumPy, best | 160 | 8 |  |  |" in page
