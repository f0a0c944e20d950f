"""Compile all kernels that several tests use, and keep them on disk: `python tests/kernels.py`.

Done once, in two processes, before several processes of pytest would each do it for themselves. What
the processes that compile compute is kept, too, as hashes: network/test_same_bits.py compares with it.
"""

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bit_digests import digests

from nbrnn.network import kernel_cache, optimizers, readout, sampling_kernels, training_kernels
from nbrnn.network.optimizers import OPTIMIZERS
from nbrnn.network.simd import exp_tanh, matmul

# Precision, one window or a batch, optimizers: float64 is what is compared with slow programs.
# What the kernels of a group call is the same, and compiled once; the longest group comes first.
GROUPS = [
    ("float64", True, list(OPTIMIZERS)),
    ("float64", False, list(OPTIMIZERS)),
    ("float32", False, list(OPTIMIZERS)),
    ("float32", True, ["adam"]),
]
DEEP = [("gru", 2), ("lstm", 1)]  # other networks: cell, layers
# What tests call that Python otherwise does not.
PARTS = [
    *(exp_tanh.exp, exp_tanh.tanh, sampling_kernels.draw, optimizers.update_parameters),
    readout.softmax_loss,
    *(matmul.matmul, matmul.add_matmul, matmul.add_matvecs, matmul.add_vecmat),
    *(matmul.add_outer_products, matmul.transpose),
]


def keep_parts():
    """Let what tests call be kept on disk, besides what Python calls."""
    kernel_cache.keep_all_on_disk()
    for part in PARTS:
        kernel_cache.keep_on_disk(part)


def digests_file(group):
    """Return the file with what the process computed that compiled a group, of these sources."""
    dtype, several, names = group
    key = repr((kernel_cache.SOURCES, kernel_cache.VERSIONS, names)).encode()
    folder = kernel_cache.KernelCache(training_kernels.train_window.py_func).cache_path
    kind = f"{dtype}-{'several' if several else 'one'}-{hashlib.sha256(key).hexdigest()[:20]}"
    return Path(folder) / f"test-digests-{kind}.json"


def keep(group):
    """Compile the kernels of a group, unless they are there; keep what they compute."""
    dtype, several, names = group
    keep_parts()
    with kernel_cache.no_collections():
        for kernel in kernel_cache.ENTRY_POINTS:
            if ("batch" in kernel) == several:
                for optimizer in names if "train" in kernel else names[:1]:
                    kernel_cache.call(kernel, dtype, optimizer)
        for network in DEEP if dtype == "float64" else ():
            for kernel in (
                ["batch_gradient"] if several else ["window_gradient", "evaluate", "read", "sample"]
            ):
                kernel_cache.call(kernel, dtype, "sgd", *network)
        if dtype == "float64" and several:
            kernel_cache.call("batch_gradient", dtype, "sgd", "gru", 2, dropout=True)
            kernel_cache.call("train_batch", dtype, "sgd", "gru", 2, dropout=True, norm=True)
        if dtype == "float32" and several:  # of the preset good, and of --minutes
            kernel_cache.call("train_batch", dtype, "adam", "gru", 2, dropout=True, norm=True)
            for kernel in ("evaluate", "sample"):
                kernel_cache.call(kernel, dtype, "adam", "gru", 2)
    file = digests_file(group)
    if not file.exists():
        file.write_text(json.dumps(digests(dtype, 4 if several else 1, names)))


if __name__ == "__main__":
    if not all(digests_file(group).exists() for group in GROUPS):  # others may have compiled some
        kernel_cache.keep_all_on_disk()
        for name, module in kernel_cache.ENTRY_POINTS.items():
            getattr(module, name)._cache.flush()
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(keep, GROUPS))
