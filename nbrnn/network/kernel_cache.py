"""Are the compiled kernels ready, and is what is kept of them on disk whole?

Numba keeps compiled code in a folder that `stats.cache_path` names, and loads it without a check:
a file cut short or zeroed (by a crash, a full disk) raises, or aborts the whole process. So each
file's sha256 is kept beside it, and a file that does not agree is deleted before Numba looks. Of the
sources Numba watches only the file of the kernel that is called, although those that it calls are
compiled into it: the whole wing is watched here.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numba.core import event

from nbrnn.network import rnn, suffix_automaton, training_kernels
from nbrnn.network.layout import Carry, History, Layout, Plan, Sampling
from nbrnn.network.optimizers import OPTIMIZERS, RULES

log = logging.getLogger("nbrnn")

HASHES = "nbrnn-hashes.json"
MOST_BYTES = 2**26  # of a file in the cache; Numba's have some hundred thousand
PATIENCE = 1.0  # seconds that a process may take to record what it has kept
# Of the whole wing: one file too many costs a compilation, one too few would run old code. As they were
# imported, whatever is written into them while kernels compile.
SOURCES = {
    path.name: hashlib.sha256(path.read_bytes()).hexdigest()
    for path in Path(__file__).parent.rglob("*.py")
}
# The kernels that Python calls; what they call is compiled into them.
ENTRY_POINTS: dict[str, ModuleType] = {
    "train_windows": training_kernels,
    "sample": training_kernels,
    "evaluate": training_kernels,
    "numerical_gradient": training_kernels,
    "windows_gradient": training_kernels,
    "forward": rnn,
    "copied_lengths": suffix_automaton,
}


@cache
def cache_folder() -> Path | None:
    """Switch on Numba's cache on disk; return its folder, or None where there can be none."""
    folder = None
    for name, module in ENTRY_POINTS.items():
        kernel = getattr(module, name)
        if not hasattr(kernel, "enable_caching"):  # with NUMBA_DISABLE_JIT
            return None
        try:
            kernel.enable_caching()
        except RuntimeError:  # no folder that can be written
            return None
        folder = Path(kernel.stats.cache_path)
    return folder


def cached(folder: Path) -> list[Path]:
    """Return the files in Numba's cache, which has a folder for each folder of sources."""
    return sorted(folder.glob("*.nb[ic]"))


def content(path: Path) -> bytes:
    """Return what a file of the cache holds. Raises OSError for a pipe, which might never end."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise OSError(f"{path} is no file of a cache")
    return path.read_bytes()


def fingerprint(path: Path) -> str:
    """Return the sha256 of a file of the cache, or an empty text if it cannot be one."""
    try:
        return hashlib.sha256(content(path)).hexdigest()
    except OSError:
        return ""


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of ours, and of the sources that they were made from."""
    return SOURCES | {file.name: fingerprint(file) for file in cached(folder)}


def recorded(folder: Path) -> dict[str, str]:
    """Return the hashes on record, which anybody may have written."""
    try:
        found = json.loads(content(folder / HASHES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_sound(folder: Path) -> bool:
    """Whether each file is as it was written."""
    before = recorded(folder)
    return all(sha256 and before.get(name) == sha256 for name, sha256 in hashes(folder).items())


def discard_damaged(folder: Path) -> None:
    """Delete all files if one is not as it was written: an index may point to it.

    It may also be one that another process has just kept, and will have recorded in a moment.
    """
    end = time.monotonic() + PATIENCE
    while cached(folder) and not is_sound(folder):
        if time.monotonic() >= end:
            for file in cached(folder):
                file.unlink(missing_ok=True)
        time.sleep(PATIENCE / 20)


def record(folder: Path) -> None:
    """Record the hashes of all files as they are now, unless they are on record."""
    if is_sound(folder):
        return  # what another process keeps at this moment would be left out
    partial = folder / f"{HASHES}.{secrets.token_hex(8)}.tmp"
    try:
        with partial.open("x") as file:  # which follows no link
            json.dump(hashes(folder), file)
        partial.replace(folder / HASHES)
    finally:
        partial.unlink(missing_ok=True)


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


def ready_to_train(dtype: str, optimizer: str, several: bool) -> None:
    """Have all kernels ready that a run needs, as `ready` does it; `several`: windows at once."""
    ready("train_windows", dtype, optimizer, several)
    ready("sample", dtype)


@cache
def ready(kernel: str, dtype: str, optimizer: str = "adagrad", several: bool = False) -> None:
    """Compile a kernel for a precision, or load it from disk, by calling it on next to nothing."""
    with sound_cache(), no_collections(), event.install_listener("numba:compile", Announcement()):
        for _ in ENTRY_POINTS:
            # On a full disk Numba compiles a kernel, fails to keep it and raises: the next call goes on.
            with suppress(OSError):
                return call(kernel, dtype, optimizer, several)
        return call(kernel, dtype, optimizer, several)


@contextmanager
def no_collections() -> Iterator[None]:
    """Let nothing search for cycles of dead objects: compiling takes 12 % less time so, and 50 MB more.

    Numba makes millions of objects, of which hardly any is dead before it has finished.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Announcement(event.Listener):
    """Says what takes so long when a kernel is compiled, not when it is loaded from disk."""

    def on_start(self, event: event.Event) -> None:
        """Say it, once."""
        announce_compilation()

    def on_end(self, event: event.Event) -> None:
        """Say nothing."""


@cache
def announce_compilation() -> None:
    """Say, once, what takes so long."""
    log.info("compiling the kernels, which takes some seconds and is kept for the next time")


def call(kernel: str, dtype: str, optimizer: str, several: bool) -> None:
    """Call a kernel for its compilation only: on one hidden unit, two characters, and no update."""
    layout = Layout(1, 2, np.dtype(dtype))
    number, B = layout.dtype.type(1), 2 if several else 1
    kind = OPTIMIZERS[optimizer]
    buffers = layout.buffers(layout.parameters(), T=1, memory=len(RULES[kind].memory), B=B)
    theta, work = buffers.theta, layout.work(1)
    x, nothing, index = np.zeros(1, np.int32), np.empty(0), np.empty(0, np.int64)
    arguments: dict[str, tuple[Any, ...]] = {
        "train_windows": (
            buffers,
            kind(*(number for _ in kind._fields)),
            number,
            number,
            x,
            Plan(np.zeros((0, B), np.int64), np.zeros((0, B), np.bool_), np.zeros(0, dtype)),
            Carry(),
            History.empty(0),
            *training_kernels.choice(buffers.work),
        ),
        "sample": (theta, work.h, x, nothing, Sampling(), x[:0]),
        "evaluate": (theta, work, x),
        "numerical_gradient": (theta, work, x, index, 1.0, nothing),
        "forward": (theta, x, work.h, work.p),
        "copied_lengths": (suffix_automaton.Automaton.empty(1, 2), x, x, np.empty(1, np.int32)),
        "windows_gradient": (
            theta,
            buffers.gradient,
            buffers.work,
            np.zeros(2, np.int32),
            np.zeros(B, np.int64),
            number,
            *training_kernels.choice(buffers.work),
        ),
    }
    getattr(ENTRY_POINTS[kernel], kernel)(*arguments[kernel])
