"""Are the compiled kernels ready, and is what is kept of them on disk whole?

Numba keeps compiled code in a folder that `stats.cache_path` names, and loads it without a check:
a file cut short or zeroed (by a crash, a full disk) raises, or aborts the whole process. So each
file's sha256 is kept beside it, and a file that does not agree is deleted before Numba looks. Of the
sources Numba watches kernels.py alone; the instructions of simd.py are watched here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.network import kernels, simd
from nbrnn.network.params import Layout

log = logging.getLogger("nbrnn")

HASHES = "nbrnn-hashes.json"
# As they were imported, whatever is written into the file while kernels compile.
INSTRUCTIONS = {"simd.py": hashlib.sha256(Path(simd.__file__).read_bytes()).hexdigest()}
# The kernels that Python calls; what they call is compiled into them.
ENTRY_POINTS = (
    "train", "sample", "evaluate", "forward", "softmax_loss", "backward", "numerical_gradient",
)  # fmt: skip


@cache
def cache_folder() -> Path | None:
    """Switch on Numba's cache on disk; return its folder, or None where there can be none."""
    folder = None
    for name in ENTRY_POINTS:
        kernel = getattr(kernels, name)
        if not hasattr(kernel, "enable_caching"):  # with NUMBA_DISABLE_JIT
            return None
        try:
            kernel.enable_caching()
        except RuntimeError:  # no folder that can be written
            return None
        folder = Path(kernel.stats.cache_path)
    return folder


def cached(folder: Path) -> list[Path]:
    """Return the files of ours in Numba's cache."""
    return sorted(folder.glob("kernels.*.nb[ic]"))


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of ours, and of the instructions that they were made with."""
    files = cached(folder)
    return INSTRUCTIONS | {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def discard_damaged(folder: Path) -> None:
    """Delete all files if one is not as it was written: an index may point to it."""
    try:
        recorded = json.loads((folder / HASHES).read_bytes())
    except (OSError, ValueError):
        recorded = {}
    if not isinstance(recorded, dict):
        recorded = {}
    if any(recorded.get(name) != sha256 for name, sha256 in hashes(folder).items()):
        for file in cached(folder):
            file.unlink(missing_ok=True)


def record(folder: Path) -> None:
    """Record the hashes of all files as they are now."""
    partial = folder / (HASHES + ".tmp")
    partial.write_text(json.dumps(hashes(folder)))
    partial.replace(folder / HASHES)


@contextmanager
def sound_cache() -> Iterator[None]:
    """Let kernels be loaded from disk, or compiled and kept there, within this context."""
    folder = cache_folder()
    if folder is None:
        yield
        return
    # A cache that cannot be read or written costs time, not the run.
    with suppress(OSError):
        discard_damaged(folder)
    yield
    with suppress(OSError):
        if cached(folder):
            record(folder)


@cache
def ready(kernel: str, dtype: str) -> None:
    """Compile a kernel for a precision, or load it from disk, by calling it on next to nothing."""
    layout = Layout(1, 2, np.dtype(dtype))
    real = layout.dtype.type
    theta, G, grad, best = (layout.parameters() for _ in range(4))
    work = layout.work(1)
    x = np.zeros(1, np.int32)
    nothing, number = np.empty(0), real(1)
    arguments: dict[str, tuple[Any, ...]] = {
        "train": (theta, G, grad, best, work, x, 0, number, number, number, 0.0, 1.0, nothing, nothing),
        "sample": (theta, work.h, x, nothing, 1.0, 0, 1.0, x[:0]),
        "evaluate": (theta, work, x),
        "forward": (theta, x, work.h, work.p),
        "softmax_loss": (work.p, x, work.losses),
        "backward": (theta, grad, x, work.h, work.p, work.da),
        "numerical_gradient": (theta, np.empty(0, np.int64), x, x, work, 1.0, nothing),
    }
    with sound_cache():
        folder = cache_folder()
        if not (folder and any(folder.glob(f"kernels.{kernel}-*.nbi"))):
            log.info("compiling the kernels, which takes some seconds and is kept for the next time")
        for _ in ENTRY_POINTS:
            # On a full disk Numba compiles a kernel, fails to keep it and raises: the next call goes on.
            with suppress(OSError):
                return call(kernel, arguments[kernel])
        return call(kernel, arguments[kernel])


def call(kernel: str, arguments: tuple[Any, ...]) -> None:
    """Call a kernel for its compilation only."""
    getattr(kernels, kernel)(*arguments)
