"""Compile all kernels that several tests use, and keep them on disk: `python tests/kernels.py`.

Done once, in two processes, before several processes of pytest would each do it for themselves.
"""

from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
from filelock import FileLock
from numba.core.caching import Cache

from nbrnn.network import kernel_cache, optimizers, rnn, training_kernels
from nbrnn.network.optimizers import OPTIMIZERS
from nbrnn.network.simd import exp_tanh, matmul

# Precision, one window or several, optimizers: float64 is what is compared with slow programs.
# What the kernels of a group call is the same, and compiled once; the longest group comes first.
GROUPS = [
    ("float64", True, list(OPTIMIZERS)),
    ("float64", False, list(OPTIMIZERS)),
    ("float32", True, ["adam"]),
    ("float32", False, ["adagrad", "adam", "sgd"]),
]
OF_SEVERAL = ("train_windows", "windows_gradient")  # the kernels that are others for several windows
# What tests call that Python otherwise does not.
PARTS = [
    *(exp_tanh.exp, exp_tanh.tanh, training_kernels.draw, optimizers.update_parameters),
    rnn.softmax_loss,
    *(matmul.matmul, matmul.add_matmul, matmul.add_matvecs, matmul.add_vecmat),
    *(matmul.add_outer_products, matmul.transpose),
]


@contextmanager
def kept_together():
    """Let several processes keep kernels and their parts in one cache, each recorded at once.

    The next process to look would take one that is not recorded yet for damage, and delete all.
    """
    folder, save = kernel_cache.cache_folder(), Cache.save_overload
    if folder is None:
        yield
        return
    for part in PARTS:
        part.enable_caching()
    of_simd = Path(matmul.matmul.stats.cache_path)  # Numba keeps a cache for each folder of sources
    kernel_cache.discard_damaged(of_simd)

    def save_and_record(cache, *kernel):
        with FileLock(folder / "tests.lock"):
            save(cache, *kernel)
            for each in (folder, of_simd):
                kernel_cache.record(each)

    with kernel_cache.sound_cache(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cache, "save_overload", save_and_record)
        yield


def keep(group):
    """Compile the kernels of a group."""
    dtype, several, optimizers = group
    with kept_together(), kernel_cache.no_collections():
        for optimizer in optimizers:
            for kernel in OF_SEVERAL if several else kernel_cache.ENTRY_POINTS:
                kernel_cache.call(kernel, dtype, optimizer, several)


if __name__ == "__main__":
    with kept_together(), ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(keep, GROUPS))
