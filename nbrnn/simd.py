"""Vectors of the processor within Numba: what a kernel keeps in registers, and instructions on it.

Left to itself the compiler decides what stays in a register, and in products of matrices it decides
badly. Here the kernel says so: a block is rows x columns vectors, and since this shape is part of
its type, the compiler unrolls whatever is done with it.

Each instruction is a Python function, which says what it means and runs where compilation is off,
followed by what the compiler writes in its place. Arrays are matrices with contiguous rows; indices
are not checked.
"""

from functools import reduce

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.core.datamodel import PrimitiveModel
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, register_model

# LLVM halves the vectors of Intel's processors with AVX-512, out of concern for clock rates that old
# ones lowered: whole ones make an update 1.3 times as fast on an Emerald Rapids. Others ignore it.
# It holds for all that this process compiles from here on.
if config.CPU_FEATURES is None and config.CPU_NAME is None:
    config.CPU_FEATURES = get_host_cpu_features()
HAS_AVX512 = "+avx512f" in (config.CPU_FEATURES or "").split(",")
if HAS_AVX512:
    config.CPU_FEATURES += ",-prefer-256-bit"

VECTOR_BYTES = 64 if HAS_AVX512 else 32


class Block(types.Type):
    """The type of rows x columns vectors."""

    def __init__(self, dtype, rows, columns):
        self.dtype, self.rows, self.columns = dtype, rows, columns
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(f"Block({dtype}, {rows}, {columns})")

    @classmethod
    def of(cls, array, rows, columns):
        """Return the type of a block of an array's numbers, its shape given by literals; else None."""
        if isinstance(rows, types.IntegerLiteral) and isinstance(columns, types.IntegerLiteral):
            return cls(array.dtype, rows.literal_value, columns.literal_value)
        return None

    def places(self):
        """Return (row, column) of each vector, in the order in which they are kept."""
        return [(r, q) for r in range(self.rows) for q in range(self.columns)]


@register_model(Block)
class BlockModel(PrimitiveModel):
    """Vectors row by row."""

    def __init__(self, manager, block):
        vector = ir.VectorType(manager.lookup(block.dtype).get_value_type(), block.lanes)
        super().__init__(manager, block, ir.ArrayType(vector, block.rows * block.columns))


class Writer:
    """Writes the code of one instruction."""

    def __init__(self, context, builder, signature):
        self.context, self.builder = context, builder
        self.types, self.result = signature.args, signature.return_type

    def after(self, index, n):
        """Return an index plus a constant."""
        return self.builder.add(index, ir.Constant(index.type, n))

    def element(self, which, array, i, j):
        """Return a pointer to an element of the array that is argument number `which`."""
        array_type = self.types[which]
        array = self.context.make_array(array_type)(self.context, self.builder, array)
        return cgutils.get_item_pointer(
            self.context, self.builder, array_type, array, (i, j), wraparound=False
        )

    def vector(self, which, array, i, j, lanes):
        """Return a pointer to the vector that begins at an element."""
        if self.types[which].layout != "C":
            raise TypeError("rows of vectors are contiguous")
        element = self.element(which, array, i, j)
        return self.builder.bitcast(element, ir.VectorType(element.type.pointee, lanes).as_pointer())

    def load(self, pointer):
        """Return the vector at a pointer; rows of slices need not begin on a cache line."""
        return self.builder.load(pointer, align=1)

    def store(self, vector, pointer):
        """Write a vector to a pointer."""
        self.builder.store(vector, pointer, align=1)

    def add_to(self, pointer, vector):
        """Add a vector to the one at a pointer."""
        self.store(self.sum(self.load(pointer), vector), pointer)

    def spread(self, element, lanes):
        """Return a vector with the number at a pointer in all lanes."""
        number = self.builder.load(element)
        nothing = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        return self.pick(first, nothing, [0] * lanes)

    def pick(self, a, b, lanes):
        """Return these lanes of two vectors laid end to end."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
        return self.builder.shuffle_vector(a, b, mask)

    def sum(self, first, *others):
        """Return the sum of vectors."""
        return reduce(self.builder.fadd, others, first)

    def fused(self, a, b, c):
        """Return a b + c, rounded once where the processor can."""
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(product, c, flags=("contract",))

    def dot(self, pairs):
        """Return the sum of the products of pairs of vectors."""
        (a, b), *others = pairs
        return reduce(lambda total, pair: self.fused(*pair, total), others, self.builder.fmul(a, b))

    def folded(self, vector, lanes):
        """Return so many lanes: the sum of all parts of the vector that have so many."""
        while vector.type.count > lanes:
            half = vector.type.count // 2
            low, high = (self.pick(vector, vector, range(n, n + half)) for n in (0, half))
            vector = self.sum(low, high)
        return vector

    def vectors(self, block):
        """Return the vectors of a block, row by row."""
        return [self.builder.extract_value(block, n) for n in range(block.type.count)]

    def block(self, vectors):
        """Return the block of these vectors."""
        return cgutils.pack_array(self.builder, vectors)


def compiles_to(meaning, result):
    """Make what the decorated function writes the compiled form of a Python function.

    `result` returns the type of the result for those of the arguments, None for wrong ones.
    """

    def register(write):
        @infer_global(meaning)
        class Typing(AbstractTemplate):
            key = meaning
            prefer_literal = True

            def generic(self, args, kws):
                returned = result(*args)
                plain = [types.intp if isinstance(arg, types.Integer) else arg for arg in args]
                return returned and signature(returned, *plain)

        @lower_builtin(meaning, types.VarArg(types.Any))
        def lower(context, builder, signature, args):
            written = write(Writer(context, builder, signature), *args)
            return context.get_dummy_value() if written is None else written

        return write

    return register


# ---------------------------------------------------------------- instructions


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


def store(c, C, i, j):
    """Write block c into C, from row i and column j on."""
    for r, row in enumerate(c):
        C[i + r, j : j + row.size] = row.ravel()


@compiles_to(store, lambda c, *_: types.none)
def _store(code, c, C, i, j):
    block = code.types[0]
    for (r, q), vector in zip(block.places(), code.vectors(c), strict=True):
        column = code.after(j, q * block.lanes)
        code.store(vector, code.vector(1, C, code.after(i, r), column, block.lanes))


def spread(A, i, j, rows):
    """Return a block of one column: A[i, j + r] in all lanes of vector r."""
    return np.broadcast_to(A[i, j : j + rows, None, None], (rows, 1, lanes(A)))


@compiles_to(spread, lambda A, i, j, rows: Block.of(A, rows, types.literal(1)))
def _spread(code, A, i, j, rows):
    elements = [code.element(0, A, i, code.after(j, r)) for r in range(code.result.rows)]
    return code.block([code.spread(element, code.result.lanes) for element in elements])


def add_outer(c, A, i, k, B, j):
    """Return c + a b: a is column k of A from row i on, b is row k of B from column j on.

    The rows of A need not be contiguous.
    """
    rows, columns, L = c.shape
    return c + A[i : i + rows, k, None, None] * B[k, j : j + columns * L].reshape(columns, L)


@compiles_to(add_outer, lambda c, *_: c)
def _add_outer(code, c, A, i, k, B, j):
    block = code.result
    a = [code.spread(code.element(1, A, code.after(i, r), k), block.lanes) for r in range(block.rows)]
    columns = [code.after(j, q * block.lanes) for q in range(block.columns)]
    b = [code.load(code.vector(4, B, k, column, block.lanes)) for column in columns]
    places = zip(block.places(), code.vectors(c), strict=True)
    return code.block([code.fused(a[r], b[q], vector) for (r, q), vector in places])


def add_products(s, A, i, B, k, j):
    """Return s + the products, number by number, of A's rows from i on with B's row k, at column j."""
    rows, _, L = s.shape
    return s + A[i : i + rows, None, j : j + L] * B[k, j : j + L]


@compiles_to(add_products, lambda s, *_: s)
def _add_products(code, s, A, i, B, k, j):
    block = code.result
    b = code.load(code.vector(3, B, k, j, block.lanes))
    rows = [code.load(code.vector(1, A, code.after(i, r), j, block.lanes)) for r in range(block.rows)]
    return code.block([code.fused(a, b, c) for a, c in zip(rows, code.vectors(s), strict=True)])


def add_sums(C, i, j, s):
    """C[i, j + r] += the sum of all numbers in row r of s, a block of one column."""
    C[i, j : j + len(s)] += s.sum((1, 2))


@compiles_to(add_sums, lambda *_: types.none)
def _add_sums(code, C, i, j, s):
    vectors, n = code.vectors(s), code.types[3].lanes
    whole = len(vectors) // 4 * 4
    evens = [k for first in range(0, n, 4) for k in (first, first + 2, n + first, n + first + 2)]
    odds = [k + 1 for k in evens]

    def neighbours(a, b):
        """Return sums of neighbours: within each 4 numbers first two of a, then two of b."""
        return code.sum(code.pick(a, b, evens), code.pick(a, b, odds))

    def add(r, sums):
        code.add_to(code.vector(0, C, i, code.after(j, r), sums.type.count), sums)

    for r in range(0, whole, 4):  # four sums at a time take half as many instructions as one by one
        a, b, c, d = vectors[r : r + 4]
        add(r, code.folded(neighbours(neighbours(a, b), neighbours(c, d)), 4))
    for r in range(whole, len(vectors)):
        add(r, code.folded(vectors[r], 1))


def add_combination(C, i, j, x, A, k):
    """C[i] += the sum over r of x[r] A[k + r], at column j; x is a block of one column."""
    rows, _, L = x.shape
    C[i, j : j + L] += (x[:, 0] * A[k : k + rows, j : j + L]).sum(0)


@compiles_to(add_combination, lambda *_: types.none)
def _add_combination(code, C, i, j, x, A, k):
    block = code.types[3]
    rows = [code.load(code.vector(4, A, code.after(k, r), j, block.lanes)) for r in range(block.rows)]
    pairs = list(zip(code.vectors(x), rows, strict=True))
    halves = [code.dot(half) for half in (pairs[::2], pairs[1::2]) if half]  # two chains of additions
    code.add_to(code.vector(0, C, i, j, block.lanes), code.sum(*halves))
