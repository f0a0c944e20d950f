"""Vectors of the processor within Numba: what a kernel keeps in registers, and how its code is written.

Left to itself the compiler decides what stays in a register, and in products of matrices it decides
badly. Here the kernel says so: a block is rows x columns vectors, and since this shape is part of
its type, the compiler unrolls whatever is done with it.

An instruction on blocks is a Python function, which says what it means and runs where compilation is
off (a block is then an array (rows, columns, lanes)). `compiles_to` sets another beside it, which
writes what the compiler puts in its place, by way of a `Writer`.
"""

from functools import reduce

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import PrimitiveModel
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, register_model

from nbrnn.network.simd.registers import VECTOR_BYTES

# What the compiler may do: a b + c rounded once; roots and divisions by way of an estimate, too.
FUSED = ("contract",)
ESTIMATED = ("contract", "reassoc", "nsz", "arcp")


class Vector(types.Type):
    """The type of so many numbers side by side in a register."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"Vector({dtype}, {lanes})")


@register_model(Vector)
class VectorModel(PrimitiveModel):
    """A vector of LLVM."""

    def __init__(self, manager, vector):
        number = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(number, vector.lanes))


class Block(types.Type):
    """The type of rows x columns vectors."""

    def __init__(self, dtype, rows, columns):
        self.dtype, self.rows, self.columns = dtype, rows, columns
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(f"Block({dtype}, {rows}, {columns}, {self.lanes})")

    @classmethod
    def of(cls, array, rows, columns):
        """Return the type of a block of an array's numbers; None if its shape is not of literals."""
        if isinstance(rows, types.IntegerLiteral) and isinstance(columns, types.IntegerLiteral):
            return cls(array.dtype, rows.literal_value, columns.literal_value)
        return None

    @classmethod
    def broadcast(cls, a, b):
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
        vector = manager.lookup(Vector(block.dtype, block.lanes)).get_value_type()
        super().__init__(manager, block, ir.ArrayType(vector, block.rows * block.columns))


class Writer:
    """Writes the code of one instruction."""

    def __init__(self, context, builder, signature):
        self.context, self.builder = context, builder
        self.types, self.result = signature.args, signature.return_type

    def offset(self, index, n):
        """Return an index plus a constant."""
        return self.builder.add(index, ir.Constant(index.type, n))

    def element_pointer(self, kind, array, i, j):
        """Return a pointer to an element of an array, whose type is `kind`."""
        array = self.context.make_array(kind)(self.context, self.builder, array)
        return cgutils.get_item_pointer(
            self.context, self.builder, kind, array, (i, j)[-kind.ndim :], wraparound=False
        )

    def load_element(self, kind, array, i, j):
        """Return an element of an array."""
        number = self.context.get_value_type(kind.dtype)
        return self.builder.load(self.element_pointer(kind, array, i, j), typ=number)

    def vector_pointer(self, kind, array, i, j, lanes):
        """Return a pointer to the vector that begins at an element."""
        if kind.layout != "C":
            raise TypeError("rows of vectors are contiguous")
        # Numba knows whether the pointers of its LLVM have types
        pointer = self.context.get_value_type(types.CPointer(Vector(kind.dtype, lanes)))
        return self.builder.bitcast(self.element_pointer(kind, array, i, j), pointer)

    def load_vector(self, pointer, dtype, lanes):
        """Return the vector at a pointer; rows of slices need not begin on a cache line."""
        vector = self.context.get_value_type(Vector(dtype, lanes))
        return self.builder.load(pointer, align=1, typ=vector)

    def store_vector(self, vector, pointer):
        """Write a vector to a pointer."""
        self.builder.store(vector, pointer, align=1)

    def block_pointers(self, block, kind, array, i, j):
        """Return a pointer to each vector of a block, which begins at an element of an array."""
        places = [(self.offset(i, r), self.offset(j, q * block.lanes)) for r, q in block.places()]
        return [self.vector_pointer(kind, array, *place, block.lanes) for place in places]

    def load(self, block, kind, array, i, j):
        """Return the block, or the number, of this type that begins at an element of an array."""
        if not isinstance(block, Block):
            return self.load_element(kind, array, i, j)
        pointers = self.block_pointers(block, kind, array, i, j)
        return self.block([self.load_vector(pointer, block.dtype, block.lanes) for pointer in pointers])

    def store(self, block, value, kind, array, i, j):
        """Write a block, or a number, of this type into an array, from an element on."""
        if not isinstance(block, Block):
            self.builder.store(value, self.element_pointer(kind, array, i, j))
            return
        pointers = self.block_pointers(block, kind, array, i, j)
        for vector, pointer in zip(self.vectors(value), pointers, strict=True):
            self.store_vector(vector, pointer)

    def splat(self, number, lanes):
        """Return a vector with a number in all lanes."""
        undefined = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        return self.shuffle(first, undefined, [0] * lanes)

    def shuffle(self, a, b, lanes):
        """Return these lanes of two vectors laid end to end."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
        return self.builder.shuffle_vector(a, b, mask)

    def add(self, *vectors):
        """Return the sum of vectors, the first two first."""
        return reduce(lambda a, b: self.builder.fadd(a, b, flags=FUSED), vectors)

    def multiply_add(self, a, b, c):
        """Return a b + c."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=FUSED), c, flags=FUSED)

    def select(self, comparison, a, b):
        """Return b where its comparison with a is true, else a."""
        return self.builder.select(self.builder.fcmp_ordered(comparison, b, a), b, a)

    def reduce(self, vector, lanes, operation):
        """Return so many lanes: what the operation makes of all parts of the vector with so many."""
        while vector.type.count > lanes:
            half = vector.type.count // 2
            low, high = (self.shuffle(vector, vector, range(n, n + half)) for n in (0, half))
            vector = operation(low, high)
        return vector

    def constant(self, value, like):
        """Return a constant number, or a vector of it."""
        return like.type([value] * like.type.count if isinstance(like.type, ir.VectorType) else value)

    def call(self, name, result, *args, **options):
        """Return what a function of LLVM returns."""
        kind = ir.FunctionType(result, [arg.type for arg in args])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, args, **options)

    def reciprocal_root(self, x):
        """Return 1 / sqrt(x); LLVM estimates it in float32 and refines that, here float64 is."""
        if x.type == ir.VectorType(ir.DoubleType(), 8):
            mask = ir.Constant(ir.IntType(8), 255)
            y = self.call("llvm.x86.avx512.rsqrt14.pd.512", x.type, x, x, mask)
            half = self.builder.fmul(x, self.constant(-0.5, x))
            for _ in range(2):  # Newton's method: from 14 bits to 28, to all
                error = self.multiply_add(self.builder.fmul(half, y), y, self.constant(0.5, x))
                y = self.multiply_add(y, error, y)
            return y
        root = self.square_root(x, ESTIMATED)
        return self.builder.fdiv(self.constant(1.0, x), root, flags=ESTIMATED)

    def reciprocal(self, x):
        """Return 1 / x, by the processor's estimate of 14 bits where it has one."""
        vector = isinstance(x.type, ir.VectorType)
        double = (x.type.element if vector else x.type) == ir.DoubleType()
        lanes, letter, steps = (8, "d", 2) if double else (16, "s", 1)
        if not vector or x.type.count != lanes:
            return self.builder.fdiv(self.constant(1.0, x), x, flags=ESTIMATED)
        y = self.call(
            f"llvm.x86.avx512.rcp14.p{letter}.512", x.type, x, x, ir.Constant(ir.IntType(lanes), -1)
        )
        for _ in range(steps):  # Newton's method: from 14 bits to 28, to all
            error = self.multiply_add(self.builder.fneg(x), y, self.constant(1.0, x))
            y = self.multiply_add(y, error, y)
        return y

    def square_root(self, x, flags=()):
        """Return sqrt(x)."""
        if isinstance(x.type, ir.VectorType):
            name = f"llvm.sqrt.v{x.type.count}{x.type.element.intrinsic_name}"
        else:
            name = f"llvm.sqrt.{x.type.intrinsic_name}"
        return self.call(name, x.type, x, fastmath=flags)

    def vectors(self, block):
        """Return the vectors of a block, row by row."""
        return [self.builder.extract_value(block, n) for n in range(block.type.count)]

    def block(self, vectors):
        """Return the block of these vectors."""
        return cgutils.pack_array(self.builder, vectors)

    def broadcast(self, which, value):
        """Return an argument, a block or a number, as vectors in the result's shape."""
        kind = self.types[which]
        if not isinstance(kind, Block):
            return [self.splat(value, self.result.lanes)] * (self.result.rows * self.result.columns)
        vectors = self.vectors(value)
        return [
            vectors[r % kind.rows * kind.columns + q % kind.columns] for r, q in self.result.places()
        ]

    def elementwise(self, operation, *values):
        """Return what the operation makes of blocks and numbers, element by element."""
        if not isinstance(self.result, Block):
            return operation(*values)
        vectors = [self.broadcast(which, value) for which, value in enumerate(values)]
        return self.block([operation(*operands) for operands in zip(*vectors, strict=True)])


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
                return None if returned is None else signature(returned, *plain)

        @lower_builtin(meaning, *(kinds or [types.VarArg(types.Any)]))
        def lower(context, builder, signature, args):
            written = write(Writer(context, builder, signature), *args)
            return context.get_dummy_value() if written is None else written

        return write

    return register
