"""A process that compiles a kernel computes the same bits as one that loads it from disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import DEADLINE

from nbrnn.network.optimizers import OPTIMIZERS

SCRIPT = Path(__file__).with_name("bit_digests.py")


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a process; all share one cache, which is empty at first."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def call(*arguments):
        words = [sys.executable, SCRIPT, *map(str, arguments)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)

    return call


def digests(process):
    """Return what a process prints when it ends."""
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    return json.loads(output)


def kernel_files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("B, optimizers", [(1, list(OPTIMIZERS)), (4, ["adam"])])
def test_the_process_that_compiles_and_one_that_loads(start, tmp_path, precision, B, optimizers):
    compiled = digests(start(precision, B, *optimizers))
    files = kernel_files(tmp_path)
    assert len(files) == len(optimizers) + (4 if B == 1 else 1)
    loaded = digests(start(precision, B, *optimizers))
    assert kernel_files(tmp_path) == files  # none is compiled again
    assert {name for name in compiled if compiled[name] != loaded[name]} == set()


@pytest.mark.slow
def test_two_processes_that_start_on_an_empty_cache_and_one_without_a_cache(start):
    first, second = start("float32", 1), start("float32", 1)
    expected = digests(first)
    assert digests(second) == expected
    assert digests(start("float32", 1)) == expected  # loads
    assert digests(start("float32", 1, "--no-cache")) == expected
