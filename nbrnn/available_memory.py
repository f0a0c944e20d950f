"""The memory that may still be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")  # where Linux keeps the limits of containers and batch systems
OWN_CGROUPS = Path("/proc/self/cgroup")
# Of both versions: the files with the limit and the usage, and the reclaimable part of the usage.
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


def available() -> float:
    """Return how many bytes may still be used: on this machine, and within each control group.

    See https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html.
    """
    return float(max(0, min([psutil.virtual_memory().available, *left_in_groups()])))


def left_in_groups() -> Iterator[int]:
    """Yield the bytes that are left in each control group that limits this process."""
    for line in lines(OWN_CGROUPS):
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, (limit_file, usage_file, reclaimable) = CGROUPS / controllers, V1 if controllers else V2
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            limit, usage = lines(folder / limit_file), lines(folder / usage_file)
            if limit and usage and limit[0].isdigit():
                statistics = dict(line.split() for line in lines(folder / "memory.stat"))
                yield int(limit[0]) - int(usage[0]) + int(statistics.get(reclaimable, 0))
            if folder == root:
                break


def lines(path: Path) -> list[str]:
    """Return the lines of a file of the system; none where it is not."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
