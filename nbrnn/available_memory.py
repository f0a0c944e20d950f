"""How much memory may still be used?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUPS = Path("/sys/fs/cgroup")  # the limits of containers and batch systems
OWN_CGROUP = Path("/proc/self/cgroup")


def available() -> float:
    """Return how many bytes may still be used; infinity where the system does not tell.

    The least of what the machine has left and of what each control group of this process has
    (https://docs.kernel.org/admin-guide/cgroup-v2.html, "Memory").
    """
    return min([math.inf, *of_machine(), *of_groups()])


def of_machine() -> Iterator[int]:
    """Yield the bytes that are left on this machine."""
    sizes = numbers(MEMINFO)
    if "MemAvailable:" in sizes:
        yield sizes["MemAvailable:"] * 1024


def of_groups() -> Iterator[int]:
    """Yield the bytes that are left in each control group that limits this process."""
    for line in lines(OWN_CGROUP):
        if line.startswith("0::/"):
            own = CGROUPS / line.removeprefix("0::/")
            for group in (own, *own.parents):
                limit, used = lines(group / "memory.max"), lines(group / "memory.current")
                if limit and used and limit[0].isdigit():
                    cached = numbers(group / "memory.stat").get("inactive_file", 0)
                    yield int(limit[0]) - int(used[0]) + cached


def numbers(path: Path) -> dict[str, int]:
    """Return the numbers in a file of lines with a name and a number each."""
    words = (line.split() for line in lines(path))
    return {word[0]: int(word[1]) for word in words if len(word) > 1}


def lines(path: Path) -> list[str]:
    """Return the lines of a file of the system; none where it is not."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
