"""A process that compiles a kernel computes the same bits as one that loads it from disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import kernels
import pytest
from harness import DEADLINE

from nbrnn.network import kernel_cache

SCRIPT = Path(__file__).parents[1] / "bit_digests.py"


def misses():
    """Return how often each kernel was compiled in this process."""
    return {name: vars(module)[name].stats.cache_misses for name, module in ENTRIES}


ENTRIES = kernel_cache.ENTRY_POINTS.items()


@pytest.mark.slow
@pytest.mark.parametrize("group", kernels.GROUPS, ids=str)
def test_this_process_which_loads_and_the_one_that_compiled(group):
    file = kernels.digests_file(group)
    if not file.exists():
        subprocess.run([sys.executable, kernels.__file__], check=True)
    dtype, several, names = group
    before = str(misses())
    loaded, compiled = kernels.digests(dtype, 4 if several else 1, names), json.loads(file.read_text())
    assert str(misses()) == before
    assert {name for name in compiled if compiled[name] != loaded[name]} == set()


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a process; all share one cache, which is empty at first."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def call(*arguments):
        words = [sys.executable, SCRIPT, *map(str, arguments)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)

    return call


def printed(process):
    """Return what a process prints when it ends."""
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    return json.loads(output)


@pytest.mark.slow
def test_two_processes_that_start_on_an_empty_cache_and_one_without_a_cache(start, tmp_path):
    first, second = start("float32", 1), start("float32", 1)
    expected = printed(first)
    assert printed(second) == expected
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert printed(start("float32", 1)) == expected  # loads
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == files
    assert len(files) == 1
    assert printed(start("float32", 1, "--no-cache")) == expected
