"""Compile all kernels that several tests use, and keep them on disk: `python tests/kernels.py`.

Done once, in two processes, before several processes of pytest would each do it for themselves.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from nbrnn.network import compiled
from nbrnn.network.optimizers import OPTIMIZERS

LONGEST = ["train_windows"]  # to compile: as long as all others together
OTHERS = [name for name in compiled.ENTRY_POINTS if name not in LONGEST]
# Of the optimizers, for one window and for several: float64, in which they are compared with slow ones.
VARIANTS = [("float32", "adagrad", False)] + [
    ("float64", optimizer, several) for optimizer in OPTIMIZERS for several in (False, True)
]


def keep(kernels):
    """Compile kernels; only they are kept, as no two processes may write the same index."""
    for kernel in kernels:
        getattr(compiled.ENTRY_POINTS[kernel], kernel).enable_caching()
    for kernel in kernels:
        for dtype, optimizer, several in VARIANTS:
            compiled.call(kernel, dtype, optimizer, several=several)


if __name__ == "__main__":
    with compiled.sound_cache(), ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(keep, [LONGEST, OTHERS]))
