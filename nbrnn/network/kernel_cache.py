"""Kernels are compiled once and kept on disk, each with a checksum.

Numba loads what is on disk without a check: a file cut short or zeroed (by a crash, a full disk) raises,
or aborts the process. An index says which file has which code, and two processes that save at once can
leave one that names the wrong file. Of the sources Numba watches only the file of the kernel itself.
So each kernel and signature has a file of its own here, and its checksum covers the sources of the whole
wing: what does not agree is compiled again, and overwritten.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import pickle
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from nbrnn.network import sampling_kernels, suffix_automaton, training_kernels
from nbrnn.network.buffers import (
    Carry,
    Dropout,
    History,
    Plan,
    Sampling,
    training_buffers,
    window_work,
)
from nbrnn.network.layout import Layout
from nbrnn.network.optimizers import OPTIMIZERS, RULES

log = logging.getLogger("nbrnn")

MAX_BYTES = 2**26  # of a file in the cache; a kernel has some hundred thousand
ABANDONED_SECONDS = 3600  # after which no process writes a temporary file any more
VERSIONS = sys.implementation.cache_tag, numba.__version__, llvmlite.__version__, np.__version__
# Settings of Numba that change the code of a kernel, beside the processor, which its own key names.
CODE_SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
# As they were imported, whatever is written into them while kernels compile.
SOURCES = b"".join(
    hashlib.sha256(path.read_bytes()).digest() for path in sorted(Path(__file__).parent.rglob("*.py"))
)
# The kernels that Python calls; what they call is compiled into them.
ENTRY_POINTS: dict[str, ModuleType] = {
    "train_window": training_kernels,
    "train_batch": training_kernels,
    "window_gradient": training_kernels,
    "batch_gradient": training_kernels,
    "numerical_gradient": training_kernels,
    "evaluate": sampling_kernels,
    "read": sampling_kernels,
    "sample": sampling_kernels,
    "copied_lengths": suffix_automaton,
}


class KernelFiles:
    """The files of one kernel, in place of Numba's: one for each key, a signature and a processor."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def path(self, key: Any) -> Path:
        """Return the file for a key."""
        settings = [getattr(numba.config, name, None) for name in CODE_SETTINGS]
        digest = hashlib.sha256(repr((VERSIONS, settings, key)).encode()).hexdigest()
        return self.folder / f"{self.name}.{digest[:20]}.nbc"

    def load(self, key: Any) -> Any:
        """Return what was saved; None if nothing was, if it is damaged or made from other sources."""
        with suppress(OSError):
            path = self.path(key)
            if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
                return None  # a pipe might never end
            content = path.read_bytes()
            if content[:32] == checksum(content[32:]):
                return pickle.loads(content[32:])
        return None

    def flush(self) -> None:
        """Delete all files of the kernel, as Numba asks when it is compiled anew."""
        for path in self.folder.glob(f"{self.name}.*.nbc*"):
            path.unlink(missing_ok=True)

    def save(self, key: Any, kernel: Any) -> None:
        """Save a kernel; delete what killed processes and releases before 0.6 left. Raises OSError."""
        path, data = self.path(key), dumps(kernel)
        partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            with partial.open("xb") as file:  # which follows no link
                file.write(checksum(data) + data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        for left in self.folder.iterdir():
            with suppress(FileNotFoundError):  # others save and delete meanwhile
                is_old = left.suffix == ".tmp" and time.time() - left.stat().st_mtime > ABANDONED_SECONDS
                if is_old or left.suffix == ".nbi" or left.name == "nbrnn-hashes.json":
                    left.unlink()


def checksum(data: bytes) -> bytes:
    """Return the sha256 of the sources and what is made from them."""
    return hashlib.sha256(SOURCES + data).digest()


class KernelCache(FunctionCache):
    """Numba's cache of one kernel, with files that are checked, in the folder that Numba chooses."""

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        self._cache_file = KernelFiles(  # type: ignore[assignment]
            Path(self.cache_path), self._impl.filename_base
        )

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Load a kernel; one that Numba or LLVM cannot take back is compiled again."""
        with suppress(Exception):
            return super().load_overload(signature, target_context)

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save a kernel; a folder that cannot be written costs time, not the run."""
        with suppress(OSError):
            super().save_overload(signature, compiled)


def keep_on_disk(kernel: Any) -> None:
    """Let a kernel be loaded from disk, or compiled and kept there, if it is compiled at all."""
    if hasattr(kernel, "enable_caching"):  # not with NUMBA_DISABLE_JIT
        with suppress(RuntimeError):  # there is no folder for it
            kernel._cache = KernelCache(kernel.py_func)


def ready_for(kernel: str, layout: Layout, optimizer: str = "adagrad", **options: bool) -> None:
    """Have a kernel ready for networks of this precision, cell and number of layers."""
    ready(kernel, layout.dtype.name, optimizer, layout.cell, layout.layers, **options)


@cache
def ready(
    kernel: str,
    dtype: str,
    optimizer: str = "adagrad",
    cell: str = "vanilla",
    layers: int = 1,
    dropout: bool = False,
    norm: bool = False,
) -> None:
    """Compile a kernel, or load it from disk, by calling it on next to nothing."""
    keep_all_on_disk()
    with no_collections(), event.install_listener("numba:compile", Announcement()):
        call(kernel, dtype, optimizer, cell, layers, dropout, norm)


@cache
def keep_all_on_disk() -> None:
    """Let all kernels that Python calls be kept on disk, once."""
    for name, module in ENTRY_POINTS.items():
        keep_on_disk(getattr(module, name))


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


def call(
    kernel: str,
    dtype: str,
    optimizer: str,
    cell: str = "vanilla",
    layers: int = 1,
    dropout: bool = False,
    norm: bool = False,
) -> None:
    """Call a kernel for its compilation only: on one hidden unit, two characters, and no update."""
    layout = Layout(1, 2, np.dtype(dtype), cell, layers)
    number, B = layout.dtype.type(1), 2 if "batch" in kernel else 1
    kind = OPTIMIZERS[optimizer]
    memory = len(RULES[kind].memory)
    drops = Dropout.of(0.5, 0, layout.dtype) if dropout else None
    buffers = training_buffers(layout, layout.parameters(), 1, memory, B, drops)
    theta, work = buffers.theta, window_work(layout, 1)
    x, nothing, index = np.zeros(1, np.int32), np.empty(0), np.empty(0, np.int64)
    plan = Plan(np.zeros((0, B), np.int64), np.zeros((0, B), np.bool_), np.zeros(0, dtype))
    numbers = kind(*(number for _ in kind._fields)), number, number
    training = buffers, *numbers, x, plan, Carry(), History.empty(0), number if norm else None
    starts = np.zeros(B, np.int64)
    gradient = theta, buffers.gradient, buffers.work, np.zeros(2, np.int32), starts, number, -1
    arguments: dict[str, tuple[Any, ...]] = {
        "train_window": training,
        "train_batch": training,
        "window_gradient": gradient,
        "batch_gradient": gradient,
        "numerical_gradient": (theta, work, x, index, 1.0, nothing),
        "evaluate": (theta, work, x),
        "read": (theta, work, x),
        "sample": (theta, work, x, nothing, Sampling(), x[:0]),
        "copied_lengths": (suffix_automaton.Automaton.empty(1, 2), x, x, np.empty(1, np.int32)),
    }
    getattr(ENTRY_POINTS[kernel], kernel)(*arguments[kernel])
