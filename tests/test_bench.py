"""What is timed is right: the benchmarks' programs follow the naive one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report import write

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_contestants_do_the_same_as_the_naive_program():
    command = [sys.executable, "-m", "bench", "--check", "--only", "nbrnn,numpy,jax,c"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout.splitlines()[-1])["checks"]
    assert len(rows) == 10
    for row in rows:
        if row["name"].startswith("C"):  # where there is no compiler
            assert not row["missing"] or "compiler" in row["missing"]
        else:
            assert not row["missing"]
        assert row["difference"] < 1e-5


def test_what_is_unknown_is_refused():
    command = [sys.executable, "-m", "bench", "--sections", "speed,nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such section: nonsense" in done.stderr


SPEED = [
    {"name": "nbrnn", "dtype": "float32", "microseconds": 20.0, "times_nbrnn": 1.0},
    {"name": "C, float64", "dtype": "float64", "microseconds": 50.0},
    {"name": "NumPy, best", "dtype": "float32", "microseconds": 160.0, "times_nbrnn": 8.0},
    {"name": "PyTorch, eager", "dtype": "float32", "missing": "No module named 'torch'"},
]
SCALING = [
    {"letter": "m", "sizes": [1, 2], "name": "nbrnn", "microseconds": [1.0, 4.0], "exponent": 2.0}
]
MACHINE = dict.fromkeys(("nbrnn", "python", "numpy", "numba", "cpu", "cpu_target"), "some") | {"cpus": 2}


@pytest.mark.parametrize(
    ("sections", "pictures"),
    [
        ({"speed": SPEED, "scaling": SCALING}, {"speed.png", "scaling.png"}),
        ({"speed": SPEED[1:]}, {"speed.png"}),  # without nbrnn there are no ratios
        ({"speed": SPEED[2:]}, {"speed.png"}),
        ({"speed": SPEED[3:], "scaling": []}, set()),
        ({"limit": [{"dtype": "float32", "missing": "no compiler"}]}, set()),
    ],
)
def test_whatever_was_measured_is_shown(tmp_path, sections, pictures):
    write({"machine": MACHINE, **sections}, tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert {path.name for path in tmp_path.glob("*.png")} == pictures
    assert all(f"({name})" in page for name in pictures)
    assert json.loads((tmp_path / "bench.json").read_text())["machine"] == MACHINE
    if "speed" in sections:
        assert "PyTorch, eager: No module named 'torch'" in page
    if sections == {"speed": SPEED, "scaling": SCALING}:
        assert "| NumPy, best | 160 | 8 |  |  |" in page
