"""With what was it computed: versions, processor, command, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nbrnn.storage.schemas import Start


def start_of(command: Sequence[str]) -> Start:
    """Return what env.json says of one start of a run, by what the user typed."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return Start(**machine(), command=list(command), started=started)


@cache
def machine() -> dict[str, Any]:
    """Return what stays the same while this process lives."""
    import llvmlite.binding

    from nbrnn.network.simd.registers import target_name

    return {
        "nbrnn": version("nbrnn"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "llvm": ".".join(map(str, llvmlite.binding.llvm_version_info)),
        "cpu": cpu_name(),
        "cpu_target": target_name(),
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "git_commit": git_commit(),
    }


def cpu_name() -> str:
    """Return the processor's name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, if it is one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
