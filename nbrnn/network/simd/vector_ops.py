"""The instructions on blocks of vectors, and the arithmetic that kernels write as formulas.

Blocks add, subtract, multiply and divide element by element, also with numbers of their precision, and
as in NumPy one row goes with each, as does one column; a product that is added is rounded once, where
the processor can. Arrays are matrices, or vectors as matrices of one row, with contiguous rows; indices
are not checked.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from nbrnn.network.simd.registers import VECTOR_BYTES
from nbrnn.network.simd.vector_types import FUSED, Block, compiles_to


def lanes(A):
    """Return how many of A's numbers make a vector."""
    return VECTOR_BYTES // A.itemsize


@compiles_to(lanes, lambda A: types.intp)
def _lanes(code, A):
    return code.context.get_constant(types.intp, Block(code.types[0].dtype, 1, 1).lanes)


def zeros(A, rows, columns):
    """Return a block of zeros of A's precision; rows and columns are to be written as numbers."""
    return np.zeros((rows, columns, lanes(A)), A.dtype)


@compiles_to(zeros, Block.of)
def _zeros(code, A, rows, columns):
    return ir.Constant(code.context.get_value_type(code.result), None)


def load(A, i, j, rows, columns):
    """Return the block that begins at row i and column j of A."""
    return np.atleast_2d(A)[i : i + rows, j : j + columns * lanes(A)].reshape(rows, columns, -1)


@compiles_to(load, lambda A, i, j, rows, columns: Block.of(A, rows, columns))
def _load(code, A, i, j, rows, columns):
    return code.load(code.result, code.types[0], A, i, j)


def store(block, out, i, j):
    """Write a block into `out`, from row i and column j on."""
    for r, row in enumerate(block):
        np.atleast_2d(out)[i + r, j : j + row.size] = row.ravel()


@compiles_to(store, lambda block, *_: types.none)
def _store(code, block, out, i, j):
    code.store(code.types[0], block, code.types[1], out, i, j)


def broadcast(A, i, j, rows):
    """Return a block of one column: A[i, j + r] in all lanes of vector r. A may be transposed."""
    numbers = np.atleast_2d(A)[i, j : j + rows]
    return np.broadcast_to(numbers[:, None, None], (rows, 1, lanes(A)))


@compiles_to(broadcast, lambda A, i, j, rows: Block.of(A, rows, types.literal(1)))
def _broadcast(code, A, i, j, rows):
    kind, rows = code.types[0], range(code.result.rows)
    numbers = [code.load_element(kind, A, i, code.offset(j, r)) for r in rows]
    return code.block([code.splat(number, code.result.lanes) for number in numbers])


def load_each(arrays, i, like):
    """Return of each flat array what begins at element i: a vector, or a number if `like` is one."""
    return tuple(load(array, 0, i, 1, 1) if np.ndim(like) else array[i] for array in arrays)


@compiles_to(load_each, lambda arrays, i, like: types.Tuple([like] * len(arrays)))
def _load_each(code, arrays, i, like):
    kinds = code.types[0].types
    items = zip(kinds, cgutils.unpack_tuple(code.builder, arrays), strict=True)
    values = [code.load(code.types[2], kind, array, i, i) for kind, array in items]
    return code.context.make_tuple(code.builder, code.result, values)


def store_each(values, arrays, i):
    """Write each vector or number of a tuple into its flat array, from element i on."""
    for value, array in zip(values, arrays, strict=True):
        if np.ndim(value):
            store(value, array, 0, i)
        else:
            array[i] = value


@compiles_to(store_each, lambda values, arrays, i: types.none)
def _store_each(code, values, arrays, i):
    values, arrays = (cgutils.unpack_tuple(code.builder, each) for each in (values, arrays))
    for block, value, kind, array in zip(
        code.types[0].types, values, code.types[1].types, arrays, strict=True
    ):
        code.store(block, value, kind, array, i, i)


for operation, name in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    for kinds in ((Block, Block), (Block, types.Float), (types.Float, Block)):

        @compiles_to(operation, Block.broadcast, *kinds)
        def _arithmetic(code, a, b, name=name):
            write = getattr(code.builder, name)
            return code.elementwise(lambda *pair: write(*pair, flags=FUSED), a, b)


def maximum(a, b):
    """Return a, or b where that is larger, element by element; NaN is never larger."""
    return np.where(b > a, b, a)


@compiles_to(maximum, Block.broadcast)
def _maximum(code, a, b):
    return code.elementwise(lambda *pair: code.select(">", *pair), a, b)


def minimum(a, b):
    """Return a, or b where that is smaller, element by element; NaN is never smaller."""
    return np.where(b < a, b, a)


@compiles_to(minimum, Block.broadcast)
def _minimum(code, a, b):
    return code.elementwise(lambda *pair: code.select("<", *pair), a, b)


def reciprocal_root(a):
    """Return 1 / sqrt(a), element by element, within a few units in the last place."""
    return 1 / np.sqrt(a)


@compiles_to(reciprocal_root, lambda a: a)
def _reciprocal_root(code, a):
    return code.elementwise(code.reciprocal_root, a)


def reciprocal(a):
    """Return 1 / a, element by element, within a few units in the last place."""
    return 1 / a


@compiles_to(reciprocal, lambda a: a)
def _reciprocal(code, a):
    return code.elementwise(code.reciprocal, a)


def square_root(a):
    """Return sqrt(a), element by element."""
    return np.sqrt(a)


@compiles_to(square_root, lambda a: a)
def _square_root(code, a):
    return code.elementwise(code.square_root, a)


def reduce_max(a):
    """Return the largest number in a block of one vector; NaN counts only where it is in all lanes."""
    return a.max()


@compiles_to(reduce_max, lambda a: a.dtype)
def _reduce_max(code, a):
    (vector,) = code.vectors(a)
    one = code.reduce(vector, 1, lambda *pair: code.select(">", *pair))
    return code.builder.extract_element(one, ir.Constant(ir.IntType(32), 0))


def sum_rows(a):
    """Return a block of one row: the sum of all."""
    return a.sum(0, keepdims=True)


@compiles_to(sum_rows, lambda a: Block(a.dtype, 1, a.columns))
def _sum_rows(code, a):
    vectors, columns = code.vectors(a), code.result.columns
    rows = [vectors[q::columns] for q in range(columns)]
    # two chains of additions, since one waits for each before the next
    halves = [[code.add(*half) for half in (row[::2], row[1::2]) if half] for row in rows]
    return code.block([code.add(*half) for half in halves])


def add_row_sums(out, i, j, a):
    """out[i, j + r] += the sum of all numbers in row r of a, a block of one column."""
    np.atleast_2d(out)[i, j : j + len(a)] += a.sum((1, 2))


@compiles_to(add_row_sums, lambda *_: types.none)
def _add_row_sums(code, out, i, j, a):
    vectors, block = code.vectors(a), code.types[3]
    n, group = block.lanes, min(block.lanes, 4)
    whole = block.rows // group * group
    evens = [
        start + k
        for first in range(0, n, group)
        for start in (first, n + first)
        for k in range(0, group, 2)
    ]
    odds = [k + 1 for k in evens]

    def add_pairs(a, b):
        """Return sums of neighbours: within each group first those of a, then those of b."""
        return code.add(code.shuffle(a, b, evens), code.shuffle(a, b, odds))

    def add_to_row(r, sums):
        lanes = sums.type.count
        pointer = code.vector_pointer(code.types[0], out, i, code.offset(j, r), lanes)
        code.store_vector(code.add(code.load_vector(pointer, block.dtype, lanes), sums), pointer)

    for r in range(0, whole, group):  # four sums at a time take half as many instructions as one by one
        sums = vectors[r : r + group]
        while len(sums) > 1:
            sums = [add_pairs(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
        add_to_row(r, code.reduce(sums[0], group, code.add))
    for r in range(whole, block.rows):
        add_to_row(r, code.reduce(vectors[r], 1, code.add))


def transpose_square(out, A, i, j):
    """out[j : j + L, i : i + L] = A[i : i + L, j : j + L]^T, for L = lanes(A)."""
    L = lanes(A)
    out[j : j + L, i : i + L] = A[i : i + L, j : j + L].T


@compiles_to(transpose_square, lambda *_: types.none)
def _transpose_square(code, out, A, i, j):
    out_kind, kind = code.types[:2]
    n = Block(kind.dtype, 1, 1).lanes
    square = Block(kind.dtype, n, 1)
    vectors = code.vectors(code.load(square, kind, A, i, j))
    distance = 1
    while distance < n:  # swap what lies off the diagonal, in squares of 2, 4, 8 ... numbers
        for r in [r for r in range(n) if not r & distance]:
            pair = vectors[r], vectors[r + distance]
            low = [k if not k & distance else n + k - distance for k in range(n)]
            high = [k + distance if not k & distance else n + k for k in range(n)]
            vectors[r], vectors[r + distance] = (code.shuffle(*pair, lanes) for lanes in (low, high))
        distance *= 2
    code.store(square, code.block(vectors), out_kind, out, j, i)
