"""Dropout: states that the layer above, or the readout, does not see. Srivastava et al., JMLR 15 (2014).

Which states these are depends on nothing but the seed, the update, the layer and the place: numbers from
Philox 4x32-10 (Salmon et al., SC 2011), which has no state. So a run that was killed has the same masks.
"""

import numpy as np
from numba import types

from nbrnn.network.simd.jit import jit, jit_inline, overload_inline
from nbrnn.network.simd.vector_ops import lanes, load, store

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@jit_inline
def philox(a, b, c, d, key, other_key):
    """Return four random numbers below 2**32 for a counter of four and a key of two, all uint64."""
    for _ in range(10):
        first, second = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b = (second >> HALF) ^ b ^ key, second & LOW
        c, d = (first >> HALF) ^ d ^ other_key, first & LOW
        key, other_key = (key + KEY_STEPS[0]) & LOW, (other_key + KEY_STEPS[1]) & LOW
    return a, b, c, d


@jit
def fill_mask(mask, dropout, update, layer):
    """Fill mask (rows, M) with 0 where a random number is below the threshold, else with `kept`."""
    flat = mask.reshape(-1)
    quarter = flat.size // 4
    zero, low, high = flat.dtype.type(0), np.uint64(update) & LOW, np.uint64(update) >> HALF
    for i in range(quarter):
        numbers = philox(np.uint64(i), np.uint64(layer), low, high, dropout.seed[0], dropout.seed[1])
        for n in range(4):
            flat[n * quarter + i] = zero if numbers[n] < dropout.threshold else dropout.kept


@jit
def multiply(out, A, B):
    """out = A * B, element by element; all (rows, M)."""
    L = lanes(A)
    for row in range(out.shape[0]):
        for j in range(0, out.shape[1], L):
            store(load(A, row, j, 1, 1) * load(B, row, j, 1, 1), out, row, j)


def mask_states(dropout, work, layer, update):
    """Fill x, what is read of a layer's states, with h * mask."""
    fill_mask(work.mask, dropout, update, layer)
    multiply(work.x, work.s[0, work.s.shape[1] - work.dh.shape[0] :], work.mask)


def mask_gradient(dropout, work, layer, update):
    """Make the gradient of x that of the states."""
    multiply(work.dh, work.dh, work.mask)


def with_dropout(function):
    """Return a function that does nothing where `dropout` is None, which its type says."""

    def of_dropout(dropout, work, layer, update):
        if dropout is not None:
            function(dropout, work, layer, update)

    @overload_inline(of_dropout)
    def _of_dropout(dropout, work, layer, update):  # pragma: no cover (only the compiler calls it)
        if isinstance(dropout, types.NoneType):
            return lambda dropout, work, layer, update: None
        return function

    return of_dropout


drop, drop_back = with_dropout(mask_states), with_dropout(mask_gradient)
