"""Compile all kernels that several tests use, and keep them on disk: `python tests/kernels.py`.

Done once, in two processes, before several processes of pytest would each do it for themselves.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from nbrnn.network import kernel_cache, optimizers, readout, sampling_kernels
from nbrnn.network.optimizers import OPTIMIZERS
from nbrnn.network.simd import exp_tanh, matmul

# Precision, one window or a batch, optimizers: float64 is what is compared with slow programs.
# What the kernels of a group call is the same, and compiled once; the longest group comes first.
GROUPS = [
    ("float64", True, list(OPTIMIZERS)),
    ("float64", False, list(OPTIMIZERS)),
    ("float32", True, ["adam"]),
    ("float32", False, ["adagrad", "adam", "sgd"]),
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


def keep(group):
    """Compile the kernels of a group."""
    dtype, batch, optimizers = group
    keep_parts()
    with kernel_cache.no_collections():
        for optimizer in optimizers:
            for kernel in kernel_cache.ENTRY_POINTS:
                if ("batch" in kernel) == batch:
                    kernel_cache.call(kernel, dtype, optimizer)
        for network in DEEP if dtype == "float64" else ():
            for kernel in (
                ["batch_gradient"] if batch else ["window_gradient", "evaluate", "read", "sample"]
            ):
                kernel_cache.call(kernel, dtype, "sgd", *network)


if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(keep, GROUPS))
