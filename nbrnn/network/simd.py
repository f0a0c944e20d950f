"""Vectors of the processor within Numba: what a kernel keeps in registers, and instructions on it.

Left to itself the compiler decides what stays in a register, and in products of matrices it decides
badly. Here the kernel says so: a block is rows x columns vectors, and since this shape is part of
its type, the compiler unrolls whatever is done with it. Blocks add, subtract and multiply number by
number, also with numbers of their precision, and as in NumPy one row goes with each, as does one
column; a product that is added is rounded once, where the processor can.

Each instruction is a Python function, which says what it means and runs where compilation is off (a
block is then an array (rows, columns, lanes)), followed by what the compiler writes in its place.
Arrays are matrices, or vectors as matrices of one row, with contiguous rows; indices are not checked.
"""

import operator
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
# ones lowered: whole ones made an update 1.3 times as fast on an Emerald Rapids. Others ignore it.
# It holds for all that this process compiles from here on.
if config.CPU_FEATURES is None and config.CPU_NAME is None:
    config.CPU_FEATURES = get_host_cpu_features()
HAS_AVX512 = "+avx512f" in (config.CPU_FEATURES or "").split(",")
if HAS_AVX512:
    config.CPU_FEATURES += ",-prefer-256-bit"

VECTOR_BYTES = 64 if HAS_AVX512 else 32

# What the compiler may do: a b + c rounded once; roots and divisions by way of an estimate, too.
FUSED = ("contract",)
ESTIMATED = ("contract", "reassoc", "nsz", "arcp")


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

    @classmethod
    def wider(cls, a, b):
        """Return the type that blocks and numbers of one precision make together; else None."""
        (precision, *others) = {kind.dtype if isinstance(kind, cls) else kind for kind in (a, b)}
        if others or not isinstance(precision, types.Float):
            return None
        shapes = [(kind.rows, kind.columns) for kind in (a, b) if isinstance(kind, cls)]
        shape = [max(lengths) for lengths in zip(*shapes, strict=True)]
        if any(n not in (1, most) for lengths in shapes for n, most in zip(lengths, shape, strict=True)):
            return None
        return cls(precision, *shape) if shapes else precision

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
            self.context, self.builder, array_type, array, (i, j)[-array_type.ndim :], wraparound=False
        )

    def vector(self, which, array, i, j, lanes):
        """Return a pointer to the vector that begins at an element."""
        if self.types[which].layout != "C":
            raise TypeError("rows of vectors are contiguous")
        element = self.element(which, array, i, j)
        return self.builder.bitcast(element, ir.VectorType(element.type.pointee, lanes).as_pointer())

    def pointers(self, which, array, i, j, block):
        """Return a pointer to each vector of the block that begins at an element."""
        places = [(self.after(i, r), self.after(j, q * block.lanes)) for r, q in block.places()]
        return [self.vector(which, array, *place, block.lanes) for place in places]

    def load(self, pointer):
        """Return the vector at a pointer; rows of slices need not begin on a cache line."""
        return self.builder.load(pointer, align=1)

    def store(self, vector, pointer):
        """Write a vector to a pointer."""
        self.builder.store(vector, pointer, align=1)

    def add_to(self, pointer, vector):
        """Add a vector to the one at a pointer."""
        self.store(self.sum(self.load(pointer), vector), pointer)

    def spread(self, number, lanes):
        """Return a vector with a number in all lanes."""
        nothing = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        return self.pick(first, nothing, [0] * lanes)

    def pick(self, a, b, lanes):
        """Return these lanes of two vectors laid end to end."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
        return self.builder.shuffle_vector(a, b, mask)

    def sum(self, *vectors):
        """Return the sum of vectors, the first two first."""
        return reduce(lambda a, b: self.builder.fadd(a, b, flags=FUSED), vectors)

    def chosen(self, comparison, a, b):
        """Return a, or b where its comparison with a is true."""
        return self.builder.select(self.builder.fcmp_ordered(comparison, b, a), b, a)

    def constant(self, value, like):
        """Return a constant number, or a vector of it."""
        return like.type([value] * like.type.count if isinstance(like.type, ir.VectorType) else value)

    def call(self, name, result, *args, **options):
        """Return what a function of the compiler returns."""
        kind = ir.FunctionType(result, [arg.type for arg in args])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, args, **options)

    def reciprocal_root(self, x):
        """Return 1 / sqrt(x); the compiler estimates it in float32 and refines that, here float64 is."""
        if x.type == ir.VectorType(ir.DoubleType(), 8):
            mask = ir.Constant(ir.IntType(8), 255)
            y = self.call("llvm.x86.avx512.rsqrt14.pd.512", x.type, x, x, mask)
            half = self.builder.fmul(x, self.constant(-0.5, x))
            for _ in range(2):  # Newton's method: from 14 bits to 28, to all
                error = self.fused(self.builder.fmul(half, y), y, self.constant(0.5, x))
                y = self.fused(y, error, y)
            return y
        if isinstance(x.type, ir.VectorType):
            name = f"llvm.sqrt.v{x.type.count}{x.type.element.intrinsic_name}"
        else:
            name = f"llvm.sqrt.{x.type.intrinsic_name}"
        root = self.call(name, x.type, x, fastmath=ESTIMATED)
        return self.builder.fdiv(self.constant(1.0, x), root, flags=ESTIMATED)

    def fused(self, a, b, c):
        """Return a b + c."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=FUSED), c, flags=FUSED)

    def folded(self, vector, lanes, operation):
        """Return so many lanes: what the operation makes of all parts of the vector with so many."""
        while vector.type.count > lanes:
            half = vector.type.count // 2
            low, high = (self.pick(vector, vector, range(n, n + half)) for n in (0, half))
            vector = operation(low, high)
        return vector

    def vectors(self, block):
        """Return the vectors of a block, row by row."""
        return [self.builder.extract_value(block, n) for n in range(block.type.count)]

    def block(self, vectors):
        """Return the block of these vectors."""
        return cgutils.pack_array(self.builder, vectors)

    def widened(self, which, value):
        """Return an argument, a block or a number, as vectors in the result's shape."""
        kind = self.types[which]
        if not isinstance(kind, Block):
            return [self.spread(value, self.result.lanes)] * (self.result.rows * self.result.columns)
        vectors = self.vectors(value)
        return [
            vectors[r % kind.rows * kind.columns + q % kind.columns] for r, q in self.result.places()
        ]

    def number_by_number(self, operation, *values):
        """Return what the operation makes of blocks and numbers."""
        if not isinstance(self.result, Block):
            return operation(*values)
        widened = [self.widened(which, value) for which, value in enumerate(values)]
        return self.block([operation(*vectors) for vectors in zip(*widened, strict=True)])


def compiles_to(meaning, result, *kinds):
    """Make what the decorated function writes the compiled form of a Python function.

    `result` returns the type of the result for those of the arguments, None for wrong ones. An
    operator, which others define too, is given the kinds of its arguments.
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

        @lower_builtin(meaning, *(kinds or [types.VarArg(types.Any)]))
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


def load(A, i, j, rows, columns):
    """Return the block that begins at row i and column j of A."""
    return np.atleast_2d(A)[i : i + rows, j : j + columns * lanes(A)].reshape(rows, columns, -1)


@compiles_to(load, lambda A, i, j, rows, columns: Block.of(A, rows, columns))
def _load(code, A, i, j, rows, columns):
    return code.block([code.load(pointer) for pointer in code.pointers(0, A, i, j, code.result)])


def store(c, C, i, j):
    """Write block c into C, from row i and column j on."""
    for r, row in enumerate(c):
        np.atleast_2d(C)[i + r, j : j + row.size] = row.ravel()


@compiles_to(store, lambda c, *_: types.none)
def _store(code, c, C, i, j):
    pointers = code.pointers(1, C, i, j, code.types[0])
    for vector, pointer in zip(code.vectors(c), pointers, strict=True):
        code.store(vector, pointer)


def spread(A, i, j, rows):
    """Return a block of one column: A[i, j + r] in all lanes of vector r. A may be transposed."""
    numbers = np.atleast_2d(A)[i, j : j + rows]
    return np.broadcast_to(numbers[:, None, None], (rows, 1, lanes(A)))


@compiles_to(spread, lambda A, i, j, rows: Block.of(A, rows, types.literal(1)))
def _spread(code, A, i, j, rows):
    elements = [code.element(0, A, i, code.after(j, r)) for r in range(code.result.rows)]
    numbers = [code.builder.load(element) for element in elements]
    return code.block([code.spread(number, code.result.lanes) for number in numbers])


for operation, name in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    for kinds in ((Block, Block), (Block, types.Float), (types.Float, Block)):

        @compiles_to(operation, Block.wider, *kinds)
        def _arithmetic(code, a, b, name=name):
            write = getattr(code.builder, name)
            return code.number_by_number(lambda *pair: write(*pair, flags=FUSED), a, b)


def larger(a, b):
    """Return a, or b where that is larger, number by number; NaN is never larger."""
    return np.where(b > a, b, a)


@compiles_to(larger, Block.wider)
def _larger(code, a, b):
    return code.number_by_number(lambda *pair: code.chosen(">", *pair), a, b)


def smaller(a, b):
    """Return a, or b where that is smaller, number by number; NaN is never smaller."""
    return np.where(b < a, b, a)


@compiles_to(smaller, Block.wider)
def _smaller(code, a, b):
    return code.number_by_number(lambda *pair: code.chosen("<", *pair), a, b)


def reciprocal_root(a):
    """Return 1 / sqrt(a), number by number, within a few units in the last place."""
    return 1 / np.sqrt(a)


@compiles_to(reciprocal_root, lambda a: a)
def _reciprocal_root(code, a):
    return code.number_by_number(code.reciprocal_root, a)


def largest(a):
    """Return the largest number in a block of one vector, in which there is no NaN."""
    return a.max()


@compiles_to(largest, lambda a: a.dtype)
def _largest(code, a):
    (vector,) = code.vectors(a)
    one = code.folded(vector, 1, lambda *pair: code.chosen(">", *pair))
    return code.builder.extract_element(one, ir.Constant(ir.IntType(32), 0))


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
        add(r, code.folded(neighbours(neighbours(a, b), neighbours(c, d)), 4, code.sum))
    for r in range(whole, len(vectors)):
        add(r, code.folded(vectors[r], 1, code.sum))


def sum_of_rows(a):
    """Return a block of one row: the sum of all."""
    return a.sum(0, keepdims=True)


@compiles_to(sum_of_rows, lambda a: Block(a.dtype, 1, a.columns))
def _sum_of_rows(code, a):
    vectors, columns = code.vectors(a), code.result.columns
    rows = [vectors[q::columns] for q in range(columns)]
    # two chains of additions, since one waits for each before the next
    halves = [[code.sum(*half) for half in (row[::2], row[1::2]) if half] for row in rows]
    return code.block([code.sum(*half) for half in halves])
