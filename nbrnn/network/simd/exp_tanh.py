"""tanh, sigmoid and exp of whole arrays, to the last few bits; and to copy and to clear one.

exp(x) = 2^k (1 + q) with k = round(x / ln 2), r = x - k ln 2 and q = exp(r) - 1, a polynomial.
Without branches, so that a loop over an array becomes vector instructions. ln 2 is taken off in
two steps (Cody and Waite, Software Manual for the Elementary Functions, 1980), the first exact.
"""

import numpy as np
from numba import types
from numba.extending import overload

from nbrnn.network.simd.jit import jit, jit_in_order


def power_of_two(k):
    """Return 2**k for a whole number k in floating point, within the normal range."""
    return np.exp2(k)


@overload(power_of_two)
def _power_of_two(k):  # pragma: no cover (only the compiler calls it)
    """Put k into the exponent bits: vectorises, unlike exp2."""
    if k == types.float32:
        return lambda k: np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    return lambda k: np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)


@jit_in_order
def exp_reduced(x, real):
    """Return (2^k, q) with exp(x) = 2^k (1 + q); `real` is the type of x."""
    k = np.rint(x * real(1.4426950408889634))
    r = (x - k * real(0.693145751953125)) - k * real(1.4286068203094172e-06)
    # exp(r) - 1 = r + r^2 / 2! + r^3 / 3! + ..., |r| < 0.35: 7 terms serve float32, 13 float64
    q = real(1 / 5040)
    if real(1) + real(1e-10) > real(1):  # known to the compiler: float32 rounds it away
        q = r * real(1 / 6227020800) + real(1 / 479001600)
        q = r * q + real(1 / 39916800)
        q = r * q + real(1 / 3628800)
        q = r * q + real(1 / 362880)
        q = r * q + real(1 / 40320)
        q = r * q + real(1 / 5040)
    q = r * q + real(1 / 720)
    q = r * q + real(1 / 120)
    q = r * q + real(1 / 24)
    q = r * q + real(1 / 6)
    q = r * q + real(1 / 2)
    q = r * q + real(1)
    return power_of_two(k), r * q


@jit_in_order
def exp(a):
    """Replace each a <= 0 by exp(a), where that is no normal number by about the smallest of them.

    Largest error: 1.2 ulp in float32, over all numbers; 1.1 in float64, over a sample of millions.
    """
    real = a.dtype.type
    lowest = np.log(np.finfo(a.dtype).tiny)
    for i in range(a.size):
        x = a[i]
        x = lowest if x < lowest else x  # a comparison, not max(): it keeps a NaN
        scale, q = exp_reduced(x, real)
        a[i] = scale + scale * q


@jit_in_order
def tanh(a):
    """Replace each a by tanh(a) = e / (e + 2) with e = exp(2a) - 1.

    Largest error: 3.2 ulp in float32, over all numbers; 2.8 in float64, over a sample of millions.
    """
    real = a.dtype.type
    for i in range(a.size):
        x = a[i]  # tanh is 1 to the last bit of float64 from 20 on
        x = real(20) if x > real(20) else x
        x = real(-20) if x < real(-20) else x
        scale, q = exp_reduced(x + x, real)
        e = scale * q + (scale - real(1))
        a[i] = e / (e + real(2))


@jit_in_order
def sigmoid(a):
    """Replace each a by 1 / (1 + exp(-a)) = 1/2 + tanh(a/2) / 2 = e / (e + 1) with e = exp(a)."""
    real = a.dtype.type
    lowest = np.log(np.finfo(a.dtype).tiny)
    for i in range(a.size):
        x = a[i]  # sigmoid is 1 to the last bit of float64 from 40 on
        x = real(40) if x > real(40) else x
        x = lowest if x < lowest else x
        scale, q = exp_reduced(x, real)
        e = scale + scale * q
        a[i] = e / (e + real(1))


@jit
def copy(source, target):
    """Copy a flat array. By slice assignment it takes Numba five times as long to compile."""
    for i in range(source.size):
        target[i] = source[i]


@jit
def clear(target):
    """Set a flat array to zero."""
    for i in range(target.size):
        target[i] = 0
