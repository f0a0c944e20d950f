"""tanh and exp against exact arithmetic."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nbrnn.network import elementary


def ulps(actual, exact, dtype):
    """Return the error in units of the last place of the exact value."""
    return np.abs(actual.astype(exact.dtype) - exact) / np.spacing(np.abs(exact).astype(dtype))


def worst_of_all_float32(kernel, exact, sign):
    """Return the largest error in ulp, and the largest result, over all float32 of a sign."""

    end, chunk = int(np.float32(np.inf).view(np.uint32)), 1 << 20

    def worst(first):
        bits = np.arange(first, min(first + chunk, end), dtype=np.uint32)
        x = np.copysign(bits.view(np.float32), np.float32(sign))
        expected = exact(x.astype(np.float64))
        kernel(x)
        return ulps(x, expected, np.float32).max(), np.abs(x).max()

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.max(list(threads.map(worst, range(0, end, chunk))), axis=0)  # NaN is the largest


@pytest.mark.parametrize("sign", [1, -1])
def test_float32_tanh_is_within_4_ulp_over_all_numbers(sign):
    error, largest = worst_of_all_float32(elementary.tanh, np.tanh, sign)
    assert error < 4  # 3.2 on processors with FMA
    assert largest == 1


def test_float32_exp_is_within_2_ulp_over_all_numbers():
    lowest = np.log(np.finfo(np.float32).tiny)  # of the normal numbers, taken for all below
    error, largest = worst_of_all_float32(elementary.exp, lambda x: np.exp(np.maximum(x, lowest)), -1)
    assert error < 2  # 1.2 on processors with FMA
    assert largest == 1


def test_float64_exp_and_tanh_are_within_a_few_ulp():
    x = np.concatenate([-np.geomspace(1e-300, 700, 400_001), np.geomspace(1e-300, 700, 400_001)])
    wide = x.astype(np.longdouble)
    a = x[:400_001].copy()
    elementary.exp(a)
    assert ulps(a, np.exp(wide[:400_001]), np.float64).max() < 2
    a = x.copy()
    elementary.tanh(a)
    assert ulps(a, np.tanh(wide), np.float64).max() < 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions_at_the_edges(dtype):
    a = np.array([0, -np.inf, -1e30, np.nan], dtype)
    elementary.exp(a)
    assert a[0] == 1
    assert 0 <= a[1] <= np.finfo(dtype).tiny * 1.01
    assert 0 <= a[2] <= np.finfo(dtype).tiny * 1.01
    assert np.isnan(a[3])
    a = np.array([0, np.inf, -np.inf, np.nan], dtype)
    elementary.tanh(a)
    assert a[:3].tolist() == [0, 1, -1]
    assert np.isnan(a[3])
