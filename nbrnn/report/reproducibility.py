"""What a reader needs to reproduce runs: versions, processor, seeds, commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from nbrnn.storage.schemas import Environment

MAX_SEEDS = 10  # that are listed one by one


def reproducibility(starts: Iterable[Environment | None], seeds: Iterable[int]) -> list[str]:
    """Return the versions, processors and seeds with which runs were trained, in sentences."""
    known = [start for start in starts if start is not None]
    if not known:
        return []
    versions = dict.fromkeys(
        f"nbrnn {s.nbrnn}{f' ({s.git_commit[:8]})' if s.git_commit else ''}, Python {s.python}, "
        f"NumPy {s.numpy}, Numba {s.numba}, LLVM {s.llvm}"
        for s in known
    )
    machines = dict.fromkeys(f"{s.cpu} ({s.cpu_target})" for s in known)
    return [
        f"Trained with {' and '.join(versions)}, on {' and '.join(machines)}, with {seed_text(seeds)}.",
        "On such a machine, the same versions, settings and seeds give bit-identical runs.",
    ]


def seed_text(seeds: Iterable[int]) -> str:
    """Return which seeds these are."""
    ordered = sorted(set(seeds))
    if len(ordered) == 1:
        return f"seed {ordered[0]}"
    if ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"the seeds {ordered[0]} to {ordered[-1]}"
    listed = ", ".join(map(str, ordered[:MAX_SEEDS]))
    more = len(ordered) - MAX_SEEDS
    return f"the seeds {listed}" + (f" and {more} more" if more > 0 else "")


def as_typed(command: Sequence[str]) -> str:
    """Return a command as somebody would type it, wherever the program lies."""
    program, *arguments = command
    path = Path(program)
    if path.name == "nbrnn":
        typed = ["nbrnn"]
    elif path.name == "__main__.py" and path.parent.name:
        typed = ["python", "-m", path.parent.name]
    else:
        typed = [program]
    return shlex.join([*typed, *arguments])
