"""Products of matrices and vectors, whose rows are contiguous and padded to whole vectors.

Each keeps a block of numbers in registers while it goes along a sum. Blocks of ROWS rows serve a
matrix and a vector, of 5 x 2 vectors two matrices: measured against others in results/LOG.md.
A row is given by its matrix and index: to slice it out would cost as much as to go along it.
A matrix that exceeds the first-level cache is gone through in ascending and descending order in turn:
what was read last is then still there.
"""

from nbrnn.network.blocks import HAS_AVX512
from nbrnn.network.jit import jit, jit_expand, jit_inline
from nbrnn.network.simd import add_row_sums, broadcast, lanes, load, store, sum_rows, zeros

ROWS = 20 if HAS_AVX512 else 12  # of the 32 or 16 registers that the processor has


@jit_inline
def add_matvecs(out, out_row, A, B, row, n, ascending):
    """out[out_row + t] += A B[row + t] for t < n, through the rows of A in ascending order or not.

    out (.., I) of any length I, A (I, J), B (.., J), with J padded.
    """
    blocks = A.shape[0] // ROWS
    for block in range(blocks):
        i = ROWS * (block if ascending else blocks - 1 - block)
        for t in range(n):
            add_dots(ROWS, out, out_row + t, A, i, B, row + t)
    i = ROWS * blocks
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
    blocks = A.shape[0] // ROWS
    for block in range(blocks):
        i = ROWS * (block if ascending else blocks - 1 - block)
        add_rows(ROWS, out, out_row, B, row, A, i)
    rest = ROWS * blocks
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
    if I < 5:
        for i in range(I):
            for j in range(0, J, L):
                matmul_block(1, 1, out, A, i, B, j)
    else:
        for first in range(0, I, 5):
            i = min(first, I - 5)  # the last rows are done with some of those before them
            for j in range(0, J - L, 2 * L):
                matmul_block(5, 2, out, A, i, B, j)
            if J // L % 2:
                matmul_block(5, 1, out, A, i, B, J - L)


@jit_expand
def matmul_block(rows, columns, out, A, i, B, j):
    """out[i:, j:] = A[i:] B[:, j:], for so many rows, and so many columns of vectors."""
    s, transposed = zeros(B, rows, columns), A.T
    for k in range(B.shape[0]):
        s += broadcast(transposed, k, i, rows) * load(B, k, j, 1, columns)
    store(s, out, i, j)
