"""Where in one flat buffer the parameters of all layers and the readout lie, and how they start."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from nbrnn.network.cells import CELLS, Cell
from nbrnn.typing import Array

CACHE_LINE = 64  # bytes; rows are padded to whole ones, and begin on one

Stream = Literal["start", "samples", "text", "gradcheck", "order", "dropout"]


class Parameters(NamedTuple):
    """One contiguous buffer and the views into it, in the order in which they lie there.

    Every row begins on a cache line. Columns m to M are padding: they start at zero, and stay there,
    since their gradient is zero.
    """

    flat: Array
    layers: tuple[Any, ...]  # of each layer its cell's NamedTuple; the first one's U lies first in flat
    V: Array  # (K, M)
    c: Array  # (K,)


class Gradient(NamedTuple):
    """The gradient of a window's loss, laid out like the parameters, and which rows of U it fills.

    All rows of the first layer's U that `rows` does not name are zero. Back-propagation clears the rows
    that are named before it fills its own, so that a buffer may be used for one window after the other.
    """

    flat: Array
    layers: tuple[Any, ...]
    V: Array  # (K, M)
    c: Array  # (K,)
    rows: Array  # (T B,) int32: the characters of the last windows


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a zeroed array that starts on a cache line."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@dataclass(frozen=True)
class Layout:
    """The shapes of a network with m hidden units in each layer and K characters, in one precision."""

    m: int
    K: int
    dtype: np.dtype[Any]
    cell: str = "vanilla"
    layers: int = 1

    @property
    def kind(self) -> Cell:
        """What the cell declares."""
        return CELLS[self.cell]

    @property
    def M(self) -> int:
        """The length of a padded row."""
        return self.padded_length(self.m)

    def padded_length(self, length: int) -> int:
        """Return a length rounded up to whole cache lines."""
        lanes = CACHE_LINE // self.dtype.itemsize
        return -(-length // lanes) * lanes

    def inputs(self, layer: int) -> int:
        """Return how many inputs a layer has, counted from 0: characters, or the states below."""
        return self.m if layer else self.K

    def in_file(self, name: str, layer: int) -> str:
        """Return the name of a layer's parameter or state; a single vanilla layer has no number."""
        plain = self.cell == "vanilla" and self.layers == 1
        return name if plain else f"{name}.{layer + 1}"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters as in the equations, by their names in files."""
        m, K = self.m, self.K
        V: dict[str, tuple[int, ...]] = {"V": (K, m)}
        shapes = {}
        for layer in range(self.layers):
            for name, shape in self.kind.shapes(m, self.inputs(layer)).items():
                shapes[self.in_file(name, layer)] = shape
        matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2}
        return {**matrices, **V, **shapes, "c": (K,)}

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(map(math.prod, self.shapes.values()))

    @property
    def multiply_adds(self) -> int:
        """Those of one character forward, with a one-hot x; back it is twice as many."""
        return sum(math.prod(shape) for shape in self.shapes.values() if len(shape) == 2)

    @property
    def state_names(self) -> list[str]:
        """The names in files of the states before a window, layer by layer."""
        return [
            self.in_file(f"{state}_prev", layer)
            for layer in range(self.layers)
            for state in self.kind.states
        ]

    def padded(self, layer: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a layer's views, in the order in which they lie in a buffer."""
        m, M, inputs = self.m, self.M, self.inputs(layer)
        of_gate = {"U": (inputs, M), "W": (m, M)}
        shapes = self.kind.shapes(m, inputs)
        return {
            name: (shapes[name][0] // m, *of_gate.get(name, (M,)))
            for name in self.kind.parameters._fields
        }

    def pieces(self) -> Iterator[tuple[int, ...]]:
        """Yield the shapes of all views, in the order in which they lie in a buffer."""
        for layer in range(self.layers):
            yield from self.padded(layer).values()
        yield from ((self.K, self.M), (self.K,))

    def flat(self) -> Array:
        """Return a zeroed buffer: parameters, a gradient, or what an optimizer remembers."""
        return zeros((sum(map(math.prod, self.pieces())),), self.dtype)

    def views(self, flat: Array) -> Parameters:
        """Return a buffer with its views."""
        ends = np.cumsum([math.prod(shape) for shape in self.pieces()])
        pieces = zip(np.split(flat, ends[:-1]), self.pieces(), strict=True)
        *views, V, c = (piece.reshape(shape) for piece, shape in pieces)
        kind = self.kind.parameters
        n = len(views) // self.layers
        layers = tuple(kind(*views[first : first + n]) for first in range(0, len(views), n))
        return Parameters(flat, layers, V, c)

    def parameters(self) -> Parameters:
        """Return a zeroed buffer with its views."""
        return self.views(self.flat())

    def gradient(self, characters: int) -> Gradient:
        """Return a zeroed gradient for windows with up to so many characters in all."""
        return Gradient(*self.parameters(), rows=np.zeros(characters, np.int32))

    def by_gate(self, parameters: Parameters | Gradient) -> dict[str, Array]:
        """Return views without padding, by their names in files; each gate is a row, U transposed."""
        m, views = self.m, {"V": parameters.V[:, : self.m], "c": parameters.c}
        for number, layer in enumerate(parameters.layers):
            for name, view in layer._asdict().items():
                own = view[..., :m]
                views[self.in_file(name, number)] = own.swapaxes(1, 2) if name == "U" else own
        return views

    def named(self, parameters: Parameters | Gradient) -> dict[str, Array]:
        """Return arrays shaped as in the equations: views where a cell has one gate."""
        views = self.by_gate(parameters)
        return {name: views[name].reshape(shape) for name, shape in self.shapes.items()}

    def pack(self, arrays: Mapping[str, Array]) -> Parameters:
        """Return a new buffer filled from arrays shaped as in the equations."""
        parameters = self.parameters()
        for name, view in self.by_gate(parameters).items():
            view[...] = np.reshape(arrays[name], view.shape)
        return parameters

    def named_states(self, states: Array) -> dict[str, Array]:
        """Return copies of states (layers, states of a cell, B, M) by name, (B, m), (m,) for B = 1."""
        rows = states[..., : self.m].reshape(len(self.state_names), -1, self.m)
        return {
            name: np.array(row if len(row) > 1 else row[0])
            for name, row in zip(self.state_names, rows, strict=True)
        }

    def pack_states(self, arrays: Mapping[str, Array]) -> Array:
        """Return states (layers, states of a cell, B, m) from those by name."""
        rows = [arrays[name].reshape(-1, self.m) for name in self.state_names]
        return np.stack(rows).reshape(self.layers, -1, *rows[0].shape)

    def initial(
        self, rng: np.random.Generator, sigma: float | None = None, start: str = "normal"
    ) -> Parameters:
        """Return new parameters: W, U of each layer and V random, drawn in this order; all others 0.

        `normal`: normal with deviation sigma. `scaled`: normal with deviations 1/sqrt(2m),
        1/sqrt(2 inputs), 1/sqrt(m), which sigma does not change; the bias of a forget gate is 1.
        `orthogonal`: as normal, but each gate's W uniform among the orthogonal matrices (Saxe,
        McClelland and Ganguli, ICLR 2014, by the decomposition of Mezzadri, Notices of the AMS 54,
        2007). The draws are those of float64 in both dtypes.
        """
        arrays: dict[str, Array] = {}
        for name, shape in self.shapes.items():
            letter, inputs = name.partition(".")[0], shape[-1]
            if letter not in ("W", "U", "V"):
                arrays[name] = np.zeros(shape)
                if letter == "b" and start == "scaled":
                    arrays[name] += np.repeat(self.kind.scaled_bias, self.m)
                continue
            drawn = rng.standard_normal(shape)
            if letter == "W" and start == "orthogonal":
                Q, R = np.linalg.qr(drawn.reshape(-1, self.m, self.m))
                signs = np.copysign(1, np.diagonal(R, axis1=1, axis2=2))
                arrays[name] = (Q * signs[:, None]).reshape(shape)
            elif start == "scaled":
                arrays[name] = (inputs if letter == "V" else 2 * inputs) ** -0.5 * drawn
            else:
                arrays[name] = drawn if sigma is None else sigma * drawn
        return self.pack(arrays)


def shapes(m: int, K: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of one vanilla layer."""
    return Layout(m, K, np.dtype(np.float32)).shapes


NAMES = tuple(shapes(1, 1))


def generator(seed: int, stream: Stream, *numbers: int) -> np.random.Generator:
    """Return the seed's own generator for one purpose, and for each number a purpose counts by."""
    key = get_args(Stream).index(stream), *numbers
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
