"""A reader of MATLAB's .mat files, versions 5 to 7.

SciPy 1.17's reader ends the process (SIGSEGV, SIGBUS) at about one of a hundred damaged files; this one
raises. The format: The MathWorks, "MAT-File Format", chapter "Level 5 MAT-File Format".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from nbrnn.typing import Array

HEADER = 128  # bytes, of which the last four are version and byte order
ORDERS = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}

# Types of elements: numbers as they are stored, and texts as code units.
STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
    16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
MATRIX, COMPRESSED, UTF8 = 14, 15, 16

# Classes of arrays: numbers may be stored in a smaller type than their own.
STRUCT, CHAR = 2, 4
CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
COMPLEX = 0x800
MAX_NAMES = 2**16  # bytes of the names of a struct's fields
MAX_TEXT = 2**26  # bytes of a text

Element = tuple[int, memoryview]
Variable = tuple[str, Array | None]  # None: a cell, an object, a sparse or complex matrix


def is_known(data: bytes) -> bool:
    """Return whether a file begins as one of these versions."""
    return data[HEADER - 4 : HEADER] in ORDERS


def variables(data: bytes, limit: int) -> Iterator[Variable]:
    """Yield the variables of a file with their names, and the fields of a struct RNN as RNN.W.

    At most `limit` bytes are unpacked, and returned. Raises ValueError, LookupError, zlib.error.
    """
    order, unpacked, returned = ORDERS[data[HEADER - 4 : HEADER]], 0, 0
    for kind, content in elements(memoryview(data)[HEADER:], order):
        packed = kind == COMPRESSED
        inner = unpack(content, order, limit - unpacked) if packed else content
        unpacked += packed * len(inner)
        if inner and (packed or kind == MATRIX):
            for name, array in matrix(inner, order, limit - returned):
                returned += 0 if array is None else array.nbytes
                yield name, array


def unpack(content: memoryview, order: str, limit: int) -> memoryview:
    """Return the matrix in a compressed element. Raises ValueError if it has more than `limit` bytes."""
    kind, size = map(int, np.frombuffer(zlib.decompressobj().decompress(content, 8), f"{order}u4"))
    if kind != MATRIX or size > limit:
        raise ValueError
    return memoryview(zlib.decompressobj().decompress(content, size + 8))[8:]


def elements(data: memoryview, order: str) -> Iterator[Element]:
    """Yield the elements that lie one after the other, each with its type. Raises ValueError."""
    at = 0
    while at < len(data):
        kind, size = map(int, np.frombuffer(data, f"{order}u4", 2, at))
        start, length = at + 8, size
        if kind >> 16:  # four bytes or fewer, within the tag
            kind, length = kind & 0xFFFF, kind >> 16
            start, size = at + 4, 4
        content = data[start : start + length]
        if len(content) != length or length > size:
            raise ValueError
        yield kind, content
        at = start + size + (0 if kind == COMPRESSED else -(start + size) % 8)


def matrix(data: memoryview, order: str, limit: int, name: str | None = None) -> Iterator[Variable]:
    """Yield an array with its name, or with that of the field it is, or the fields of a struct.

    Raises ValueError if the array has more than `limit` bytes.
    """
    parts = elements(data, order)
    flags, shape, own_name = (next(parts, (0, memoryview(b""))) for _ in range(3))
    flag = int(numbers(flags, order)[0])
    dimensions = tuple(map(int, numbers(shape, order)))
    if min(dimensions, default=-1) < 0:
        raise ValueError
    name = str(own_name[1], "ascii") if name is None else name
    kind = flag & 0xFF
    if kind == STRUCT and dimensions == (1, 1):
        for field, (_, inner) in fields(parts, order):
            if inner:
                yield from matrix(inner, order, limit, f"{name}.{field}")
    elif kind == CHAR:
        yield name, np.array(text(next(parts, (UTF8, memoryview(b""))), order))
    elif kind in CLASSES and not flag & COMPLEX:
        values = numbers(next(parts), order)
        if values.size * np.dtype(CLASSES[kind]).itemsize > limit:
            raise ValueError
        yield name, values.astype(CLASSES[kind], copy=False).reshape(dimensions, order="F")
    else:
        yield name, None


def fields(parts: Iterator[Element], order: str) -> Iterator[tuple[str, Element]]:
    """Yield the fields of a struct with their names."""
    length, (_, names) = int(numbers(next(parts), order)[0]), next(parts)
    if length < 1 or len(names) > MAX_NAMES:
        raise ValueError
    for start in range(0, len(names), length):
        field = bytes(names[start : start + length]).partition(b"\0")[0]
        yield field.decode("ascii"), next(parts)


def numbers(element: Element, order: str) -> Array:
    """Return the numbers of an element (n,)."""
    kind, content = element
    return np.frombuffer(content, order + STORED[kind])


def text(element: Element, order: str) -> str:
    """Return the characters of an element: UTF-8, or code units of UTF-16."""
    kind, content = element
    if len(content) > MAX_TEXT:
        raise ValueError
    if kind == UTF8:
        return str(content, "utf-8")
    return numbers(element, order).astype("<u2").tobytes().decode("utf-16-le")
