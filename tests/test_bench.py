"""What benchmarks make of their measurements; each checks itself what its programs compute."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import sections
from bench.problem import IN_BATCHES
from bench.runner import CONTESTANTS, PRODUCT, Result

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_blocks_fit_the_registers_of_an_old_processor():
    command = [sys.executable, "-m", "bench.instructions", "--cpu", "nehalem"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert len(rows) == 8
    assert {kernel: stack for _, kernel, _, stack, *_ in rows[:5] if stack != "0"} == {}


def test_what_is_unknown_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "--sections", "speed,nonsense"])
    with pytest.raises(SystemExit) as end:
        bench.main()
    assert end.value.code == 2
    assert "no such section: nonsense" in capsys.readouterr().err


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
