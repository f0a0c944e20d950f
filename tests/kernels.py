"""Compile all kernels for both precisions and keep them on disk: `python tests/kernels.py`.

Done once, in two processes, before several processes of pytest would each do it for themselves.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from nbrnn.network import compiled

LONGEST = ["train_windows"]  # to compile: as long as all others together
OTHERS = [name for name in compiled.ENTRY_POINTS if name not in LONGEST]


def keep(kernels):
    """Compile kernels; only they are kept, as no two processes may write the same index."""
    for kernel in kernels:
        getattr(compiled.ENTRY_POINTS[kernel], kernel).enable_caching()
    for kernel in kernels:
        for dtype in ("float32", "float64"):
            compiled.call(kernel, dtype, "adagrad", several=False)


if __name__ == "__main__":
    with compiled.sound_cache(), ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(keep, [LONGEST, OTHERS]))
