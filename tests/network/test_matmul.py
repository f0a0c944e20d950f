"""The products of matrices and vectors against NumPy."""

from itertools import product

import numpy as np
import pytest

from nbrnn.network.simd import matmul
from nbrnn.network.simd.jit import jit


@jit
def matmul_of_columns(C, A, B):
    matmul.matmul(C, A[:, : B.shape[0]], B)


@jit
def matmul_of_transposed_columns(C, A, B):
    matmul.matmul(C, A[:, : C.shape[0]].T, B)


SHAPES = [*product((1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 19, 20, 25, 45), (1, 2, 4, 5, 6, 9, 10, 13))]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [pytest.param(16, marks=pytest.mark.nojit), 32, 112])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-4)])
def test_products_of_all_remainders(columns, dtype, tolerance):
    for rows, inner in SHAPES:
        check_products(rows, inner, columns, dtype, tolerance)


def check_products(rows, inner, columns, dtype, tolerance):
    rng = np.random.default_rng(rows * 100 + inner)

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def check(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=f"{rows} x {inner}")

    A, B, C = normal(rows, inner + 1), normal(inner, columns), normal(rows, columns)
    matmul_of_columns(C, A, B)
    check(C, A[:, :inner] @ B)
    A = normal(inner, rows + 1)
    matmul_of_transposed_columns(C, A, B)
    check(C, A[:, :rows].T @ B)

    D, E = normal(rows, columns), normal(inner, columns)
    for ascending in (True, False):
        F = normal(inner + 1, rows)
        expected = F.copy()
        expected[1:] += E @ D.T
        matmul.add_matvecs(F, 1, D, E, 0, inner, ascending)
        check(F, expected)

        x, y = normal(2, rows), normal(2, columns)
        expected = y.copy()
        expected[0] += x[1] @ D
        matmul.add_vecmat(y, 0, x, 1, D, ascending)
        check(y, expected)


@jit
def products_of_rows(C, A, B):
    matmul.add_dots(4, C, 0, A, 0, B, 0)


def test_rows_that_are_not_contiguous_do_not_compile():
    A, B, C = np.ones((4, 8)), np.ones((1, 8)), np.zeros((1, 4))
    products_of_rows(C, A, B)
    assert C.tolist() == [[8.0] * 4]
    with pytest.raises(TypeError, match="contiguous"):
        products_of_rows(C, np.asfortranarray(A), B)
