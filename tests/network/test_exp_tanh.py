"""tanh and exp against exact arithmetic."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nbrnn.network.simd import exp_tanh


def ulps(actual, exact, dtype):
    """Return the error in units of the last place of the exact value."""
    return np.abs(actual.astype(exact.dtype) - exact) / np.spacing(np.abs(exact).astype(dtype))


def largest_over_float32(first, last, every, measure):
    """Return the largest of what is measured of every so-manieth positive float32 from first to last."""
    start, end = (int(np.float32(x).view(np.uint32)) for x in (first, last))
    chunk = every << 17

    def of_a_chunk(low):
        bits = np.arange(low, min(low + chunk, end + 1), every, dtype=np.uint32)
        return measure(bits.view(np.float32))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.max(list(threads.map(of_a_chunk, range(start, end + 1, chunk))))  # NaN is the largest


def applied(kernel, x):
    """Return what a kernel, which works in place, makes of x."""
    y = x.copy()
    kernel(y)
    return y


def steps(a, b):
    """Return how many float32 lie between a and b, of the same sign."""
    return np.abs(a.view(np.int32) - b.view(np.int32))


# Over all float32, both signs of tanh: a reference is computed only where one is needed.
EVERY = pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 997])


@EVERY
def test_float32_tanh_is_within_4_ulp_over_all_numbers(every):
    def from_itself(x):  # tanh x = x (1 - x^2/3 + ...): nearer to x than a third of an ulp
        return max(steps(applied(exp_tanh.tanh, sign * x), sign * x).max() for sign in (1, -1))

    def from_the_exact(x):
        exact = np.tanh(x.astype(np.float64))
        both = applied(exp_tanh.tanh, x), -applied(exp_tanh.tanh, -x)
        assert np.max(both) <= 1
        return np.max([ulps(y, exact, np.float32) for y in both])

    def from_one(x):  # tanh x > 1 - 2^-25, which is 1 when rounded
        return max(
            steps(sign * applied(exp_tanh.tanh, sign * x), np.float32(1)).max() for sign in (1, -1)
        )

    smallest, infinity = np.float32(1e-45), np.float32(np.inf)
    small, large = np.float32(2**-12), np.float32(9.1)
    assert applied(exp_tanh.tanh, np.float32([0, -0.0])).tolist() == [0, 0]
    assert largest_over_float32(smallest, small, every, from_itself) <= 3
    assert largest_over_float32(small, large, every, from_the_exact) < 4  # 3.2 with FMA
    assert largest_over_float32(large, infinity, every, from_one) == 0


@EVERY
def test_float32_exp_is_within_2_ulp_over_all_numbers(every):
    lowest = -np.log(np.finfo(np.float32).tiny)  # of the normal numbers, taken for all below
    at_lowest = applied(exp_tanh.exp, np.float32([-lowest]))[0]

    def from_one(x):  # 1 - 2^-25 <= exp(-x) <= 1
        return steps(applied(exp_tanh.exp, -x), np.float32(1)).max()

    def from_the_exact(x):
        y = applied(exp_tanh.exp, -x)
        assert np.max(y) <= 1
        return ulps(y, np.exp(-np.minimum(x, lowest).astype(np.float64)), np.float32).max()

    def from_the_lowest(x):
        return steps(applied(exp_tanh.exp, -x), at_lowest).max()

    small, large = np.float32(2**-25), np.nextafter(lowest, np.float32(np.inf))
    assert largest_over_float32(0, small, every, from_one) == 0
    assert largest_over_float32(small, large, every, from_the_exact) < 2  # 1.2 with FMA
    assert largest_over_float32(large, np.inf, every, from_the_lowest) == 0


def test_float64_exp_and_tanh_are_within_a_few_ulp():
    x = np.concatenate([-np.geomspace(1e-300, 700, 400_001), np.geomspace(1e-300, 700, 400_001)])
    wide = x.astype(np.longdouble)
    a = x[:400_001].copy()
    exp_tanh.exp(a)
    assert ulps(a, np.exp(wide[:400_001]), np.float64).max() < 2
    a = x.copy()
    exp_tanh.tanh(a)
    assert ulps(a, np.tanh(wide), np.float64).max() < 4


@pytest.mark.nojit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions_at_the_edges(dtype):
    a = np.array([0, -np.inf, -1e30, np.nan], dtype)
    exp_tanh.exp(a)
    assert a[0] == 1
    assert 0 <= a[1] <= np.finfo(dtype).tiny * 1.01
    assert 0 <= a[2] <= np.finfo(dtype).tiny * 1.01
    assert np.isnan(a[3])
    a = np.array([0, np.inf, -np.inf, np.nan], dtype)
    exp_tanh.tanh(a)
    assert a[:3].tolist() == [0, 1, -1]
    assert np.isnan(a[3])
