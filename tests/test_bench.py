"""What is timed is right: the benchmarks' programs follow the naive one."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_contestants_do_the_same_as_the_naive_program():
    command = [sys.executable, "-m", "bench", "--check", "--only", "nbrnn,numpy,jax,c"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
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
