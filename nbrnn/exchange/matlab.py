"""What is in a file of MATLAB's save, from version 5 to 7?

SciPy's reader ends the process at some damaged files; this one raises. The format is described in
"MAT-File Format" of The MathWorks, chapter "Level 5 MAT-File Format".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from nbrnn.typing import Array

HEADER = 128  # bytes, of which the last four are version and byte order
ORDERS = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}

# Kinds of elements: numbers as they are stored, and texts as code units.
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

Element = tuple[int, bytes]
Variable = tuple[str, Array | None]  # None: a cell, an object, a sparse or complex matrix


def is_known(data: bytes) -> bool:
    """Whether a file begins as one of these versions."""
    return data[HEADER - 4 : HEADER] in ORDERS


def variables(data: bytes, most: int) -> Iterator[Variable]:
    """Return the variables of a file with their names, and the fields of a struct RNN as RNN.W.

    No more than `most` bytes are unpacked. Raises ValueError, LookupError, zlib.error.
    """
    order = ORDERS[data[HEADER - 4 : HEADER]]
    for kind, content in elements(data[HEADER:], order):
        if kind == COMPRESSED:
            unpacked = zlib.decompressobj().decompress(content, most + 1)
            most -= len(unpacked)
            if most < 0:
                raise ValueError
            found = list(elements(unpacked, order))
        else:
            found = [(kind, content)]
        for inner_kind, inner in found:
            if inner_kind == MATRIX and inner:
                yield from matrix(inner, order)


def elements(data: bytes, order: str) -> Iterator[Element]:
    """Return the elements that lie one after the other, each with its kind. Raises ValueError."""
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


def matrix(data: bytes, order: str, name: str | None = None) -> Iterator[Variable]:
    """Return an array with its name, or with that of the field it is, or the fields of a struct."""
    parts = elements(data, order)
    flags, shape, own_name = (next(parts, (0, b"")) for _ in range(3))
    flag = int(numbers(flags, order)[0])
    dimensions = tuple(map(int, numbers(shape, order)))
    if min(dimensions, default=-1) < 0:
        raise ValueError
    name = own_name[1].decode("ascii") if name is None else name
    kind = flag & 0xFF
    if kind == STRUCT and dimensions == (1, 1):
        for field, (_, inner) in fields(parts, order):
            if inner:
                yield from matrix(inner, order, f"{name}.{field}")
    elif kind == CHAR:
        yield name, np.array(text(next(parts, (UTF8, b"")), order))
    elif kind in CLASSES and not flag & COMPLEX:
        values = numbers(next(parts), order).astype(CLASSES[kind])
        yield name, values.reshape(dimensions, order="F")
    else:
        yield name, None


def fields(parts: Iterator[Element], order: str) -> Iterator[tuple[str, Element]]:
    """Return the fields of a struct with their names."""
    length, (_, names) = int(numbers(next(parts), order)[0]), next(parts)
    for start in range(0, len(names), max(length, 1)):
        field = names[start : start + length].partition(b"\0")[0]
        yield field.decode("ascii"), next(parts)


def numbers(element: Element, order: str) -> Array:
    """Return the numbers of an element (n,)."""
    kind, content = element
    if kind not in STORED:
        raise ValueError
    return np.frombuffer(content, order + STORED[kind])


def text(element: Element, order: str) -> str:
    """Return the characters of an element: UTF-8, or code units of UTF-16."""
    if element[0] == UTF8:
        return element[1].decode()
    return numbers(element, order).astype("<u2").tobytes().decode("utf-16-le")
