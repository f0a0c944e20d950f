"""Products of matrices and vectors, whose rows are contiguous and padded to whole vectors.

Each keeps a block of numbers in registers while it goes along a sum; `registers` says how many rows.
A row is given by its matrix and index: to slice it out would cost as much as to go along it.
A matrix that exceeds the first-level cache is gone through in ascending and descending order in turn:
what was read last is then still there.
"""

import numpy as np

from nbrnn.network.simd.jit import jit, jit_expand, jit_inline
from nbrnn.network.simd.registers import TARGET_BLOCKS
from nbrnn.network.simd.vector_ops import (
    add_row_sums,
    broadcast,
    lanes,
    load,
    store,
    sum_rows,
    transpose_square,
    zeros,
)

_, DOT_ROWS, VECMAT_ROWS, WINDOW_ROWS, MATMUL_ROWS = TARGET_BLOCKS
# The first row. To Numba a literal 0 is a type of its own, for which it compiles a product once more.
FIRST = np.intp(0)
MATMUL_CHUNK, OUTER_CHUNK = 64, 64  # rows that are gone through again from the second-level cache


@jit_inline
def add_matvecs(out, out_row, A, B, row, n, ascending):
    """out[out_row + t] += A B[row + t] for t < n, through the rows of A in ascending order or not.

    out (.., I) of any length I, A (I, J), B (.., J), with J padded.
    """
    blocks = A.shape[0] // DOT_ROWS
    for block in range(blocks):
        i = DOT_ROWS * (block if ascending else blocks - 1 - block)
        for t in range(n):
            add_dots(DOT_ROWS, out, out_row + t, A, i, B, row + t)
    i = DOT_ROWS * blocks
    while i + 4 <= A.shape[0]:
        for t in range(n):
            add_dots(4, out, out_row + t, A, i, B, row + t)
        i += 4
    for rest in range(i, A.shape[0]):
        for t in range(n):
            add_dots(1, out, out_row + t, A, rest, B, row + t)


@jit_expand
def add_dots(rows, out, out_row, A, i, B, row):
    """out[out_row, i:] += A[i:] B[row], for so many rows of A."""
    s = zeros(A, rows, 1)
    for j in range(0, A.shape[1], lanes(A)):
        s += load(A, i, j, rows, 1) * load(B, row, j, 1, 1)
    add_row_sums(out, out_row, i, s)


@jit_expand
def add_vecmat(out, out_row, B, row, A, ascending):
    """out[out_row] += B[row] A, which is A^T B[row], through the rows of A in ascending order or not.

    out (.., J), B (.., I) of any length I, A (I, J), with J padded.
    """
    blocks = A.shape[0] // VECMAT_ROWS
    for block in range(blocks):
        i = VECMAT_ROWS * (block if ascending else blocks - 1 - block)
        add_rows(VECMAT_ROWS, out, out_row, B, row, A, i)
    rest = VECMAT_ROWS * blocks
    while rest + 4 <= A.shape[0]:
        add_rows(4, out, out_row, B, row, A, rest)
        rest += 4
    for i in range(rest, A.shape[0]):
        add_rows(1, out, out_row, B, row, A, i)


@jit_expand
def add_rows(rows, out, out_row, B, row, A, i):
    """out[out_row] += B[row, i:] A[i:], for so many rows of A."""
    x = broadcast(B, row, i, rows)
    for j in range(0, A.shape[1], lanes(A)):
        product = sum_rows(x * load(A, i, j, rows, 1))
        store(load(out, out_row, j, 1, 1) + product, out, out_row, j)


@jit
def matmul(out, A, B):
    """out = A B. out (I, J), A (I, K) and may be a transposed view, B (K, J), with J padded."""
    I, J = out.shape
    L = lanes(B)
    if I < WINDOW_ROWS:
        for i in range(I):
            for j in range(0, J, L):
                matmul_block(1, 1, out, A, i, B, j)
    else:
        for first in range(0, I, WINDOW_ROWS):
            i = min(first, I - WINDOW_ROWS)  # the last rows are done with some of those before them
            for j in range(0, J - L, 2 * L):
                matmul_block(WINDOW_ROWS, 2, out, A, i, B, j)
            if J // L % 2:
                matmul_block(WINDOW_ROWS, 1, out, A, i, B, J - L)


@jit_expand
def matmul_block(rows, columns, out, A, i, B, j):
    """out[i:, j:] = A[i:] B[:, j:], for so many rows, and so many columns of vectors."""
    s, transposed = zeros(B, rows, columns), A.T
    for k in range(B.shape[0]):
        s += broadcast(transposed, k, i, rows) * load(B, k, j, 1, columns)
    store(s, out, i, j)


@jit
def add_matmul(out, i, A, a, rows, B):
    """out[i : i + rows] += A[a : a + rows, :K] B. out (.., J), A (.., >= K), B (K, J), with J padded."""
    J, L = out.shape[1], lanes(B)
    for first in range(0, rows, MATMUL_CHUNK):
        last = min(first + MATMUL_CHUNK, rows)
        for j in range(0, J - L, 2 * L):
            add_matmul_columns(2, out, i, A, a, first, last, B, j)
        if J // L % 2:
            add_matmul_columns(1, out, i, A, a, first, last, B, J - L)


@jit_expand
def add_matmul_columns(columns, out, i, A, a, first, last, B, j):
    """Rows first to last of `add_matmul`, in so many columns of vectors from j on."""
    while first + MATMUL_ROWS <= last:
        add_matmul_block(MATMUL_ROWS, columns, out, i + first, A, a + first, B, j)
        first += MATMUL_ROWS
    while first + 2 <= last:
        add_matmul_block(2, columns, out, i + first, A, a + first, B, j)
        first += 2
    if first < last:
        add_matmul_block(1, columns, out, i + first, A, a + first, B, j)


@jit_expand
def add_matmul_block(rows, columns, out, i, A, a, B, j):
    """out[i:, j:] += A[a:] B[:, j:], for so many rows, and so many columns of vectors."""
    s, transposed = load(out, i, j, rows, columns), A.T
    for k in range(B.shape[0]):
        s += broadcast(transposed, k, a, rows) * load(B, k, j, 1, columns)
    store(s, out, i, j)


@jit
def add_outer_products(out, A, a, B, b, rows):
    """out += A[a : a + rows, :I]^T B[b : b + rows]. out (I, J), A (.., >= I), B (.., J), J padded."""
    J, L = out.shape[1], lanes(B)
    for first in range(0, rows, OUTER_CHUNK):
        n = min(OUTER_CHUNK, rows - first)
        for j in range(0, J - L, 2 * L):
            add_outer_columns(2, out, A, a + first, B, b + first, n, j)
        if J // L % 2:
            add_outer_columns(1, out, A, a + first, B, b + first, n, J - L)


@jit_expand
def add_outer_columns(columns, out, A, a, B, b, n, j):
    """`add_outer_products` of n rows, in so many columns of vectors from j on."""
    i, last = 0, out.shape[0]
    while i + MATMUL_ROWS <= last:
        add_outer_block(MATMUL_ROWS, columns, out, i, A, a, B, b, n, j)
        i += MATMUL_ROWS
    while i + 2 <= last:
        add_outer_block(2, columns, out, i, A, a, B, b, n, j)
        i += 2
    if i < last:
        add_outer_block(1, columns, out, i, A, a, B, b, n, j)


@jit_expand
def add_outer_block(rows, columns, out, i, A, a, B, b, n, j):
    """out[i:, j:] += A[a : a + n, i:]^T B[b : b + n, j:], for so many rows and columns of vectors."""
    s = load(out, i, j, rows, columns)
    for r in range(n):
        s += broadcast(A, a + r, i, rows) * load(B, b + r, j, 1, columns)
    store(s, out, i, j)


@jit_expand
def sum_of_rows(out, A):
    """Fill out (J,) with the sum of the rows of A (I, J), with J padded."""
    (I, J), L = A.shape, lanes(A)
    whole = I // 8 * 8
    for j in range(0, J, L):
        s = zeros(A, 1, 1)
        for i in range(0, whole, 8):
            s += sum_rows(load(A, i, j, 8, 1))
        for i in range(whole, I):
            s += load(A, i, j, 1, 1)
        store(s, out, 0, j)


@jit
def transpose(out, A):
    """out = A^T, its columns beyond A's rows left as they are. A (I, >= J), out (J, >= I).

    By squares of vectors, the last of which overlap those before.
    """
    (I, J), L = (A.shape[0], out.shape[0]), lanes(A)
    if min(I, J) < L:
        for i in range(I):
            for j in range(J):
                out[j, i] = A[i, j]
    else:
        for start in range(0, I, L):
            i = min(start, I - L)
            for j in range(0, J, L):
                transpose_square(out, A, i, min(j, J - L))
