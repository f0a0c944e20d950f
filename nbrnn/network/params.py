"""Where in one flat buffer W, U, V, b and c lie, how they start, and what else kernels are handed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


CACHE_LINE = 64  # bytes; rows are padded to whole ones, and begin on one

Stream = Literal["start", "samples", "text", "gradcheck"]


class Parameters(NamedTuple):
    """One contiguous buffer and the views into it, in the order in which they lie there.

    Every row begins on a cache line. Columns m to M are padding: they start at zero, and stay there,
    since their gradient is zero.
    """

    flat: Array
    U: Array  # (K, M): the transpose of the equations' U, so that a character is a row
    W: Array  # (m, M)
    V: Array  # (K, M)
    b: Array  # (M,)
    c: Array  # (K,)


class Gradient(NamedTuple):
    """The gradient of a window's loss, laid out like the parameters, and which rows of U it fills.

    All rows of U that `rows` does not name are zero. Back-propagation clears the rows that are named
    before it fills its own, so that a buffer may be used for one window after the other.
    """

    flat: Array
    U: Array  # (K, M)
    W: Array  # (m, M)
    V: Array  # (K, M)
    b: Array  # (M,)
    c: Array  # (K,)
    rows: Array  # (T,) int32: the characters of the last window


class Work(NamedTuple):
    """What the kernels write on along one window of up to T characters. Columns m to M are zero."""

    h: Array  # (T+1, M): states; h[0] is the one before the window, and is kept from window to window
    p: Array  # (T, K): logits, then probabilities, then their loss's gradient
    da: Array  # (T, M): the gradient of what goes into tanh
    losses: Array  # (T,) float64
    touched: Array  # (K,) bool: which rows of U an update has been at; False between two updates


class Buffers(NamedTuple):
    """All that a training reads and writes, many updates long."""

    theta: Parameters
    memory: tuple[Array, ...]  # what the optimizer remembers, flat like theta.flat
    gradient: Gradient
    best: Array  # theta.flat when the smooth loss was lowest at a look
    best_state: Array  # (M,): the state that this model was in
    work: Work


class Carry(NamedTuple):
    """What a training hands on from update to update, besides its buffers."""

    update: int = 0  # updates done
    smooth: float = math.nan  # the smooth loss
    best_smooth: float = math.inf  # the lowest at a look
    best_update: int = 0  # after which update that was


class History(NamedTuple):
    """What one call of the training kernel fills, an entry for each update, and when it looks."""

    losses: Array  # (updates,) float64
    smooths: Array  # (updates,) float64: the smooth loss after each
    looks: Array  # int64, ascending: the updates, counted from 1, after which it looks for a best model

    @classmethod
    def empty(cls, updates: int, looks: Sequence[int] = ()) -> History:
        """Return one with room for so many updates."""
        return cls(np.empty(updates), np.empty(updates), np.array(looks, np.int64))


class Sampling(NamedTuple):
    """How characters are drawn: from softmax(o / temperature), cut to the likeliest.

    First to the top_k likeliest (0: all), then to the fewest whose probabilities add up to top_p.
    Temperature 0 takes the likeliest.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def shapes(m: int, K: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters as in the equations, for m hidden units and K characters."""
    return {"W": (m, m), "U": (m, K), "V": (K, m), "b": (m,), "c": (K,)}


NAMES = tuple(shapes(1, 1))


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a zeroed array that starts on a cache line."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@dataclass(frozen=True)
class Layout:
    """The shapes of a network with m hidden units and K characters, in one precision."""

    m: int
    K: int
    dtype: np.dtype[Any]

    @property
    def M(self) -> int:
        """The length of a padded row."""
        lanes = CACHE_LINE // self.dtype.itemsize
        return -(-self.m // lanes) * lanes

    @property
    def padded(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the views, in the order in which they lie in a buffer."""
        m, M, K = self.m, self.M, self.K
        return {"U": (K, M), "W": (m, M), "V": (K, M), "b": (M,), "c": (K,)}

    def flat(self) -> Array:
        """Return a zeroed buffer: parameters, a gradient, or what an optimizer remembers."""
        return zeros((sum(map(math.prod, self.padded.values())),), self.dtype)

    def views(self, flat: Array) -> Parameters:
        """Return a buffer with its views."""
        ends = np.cumsum([math.prod(shape) for shape in self.padded.values()])
        pieces = zip(np.split(flat, ends[:-1]), self.padded.values(), strict=True)
        return Parameters(flat, *(piece.reshape(shape) for piece, shape in pieces))

    def parameters(self) -> Parameters:
        """Return a zeroed buffer with its views."""
        return self.views(self.flat())

    def gradient(self, T: int) -> Gradient:
        """Return a zeroed gradient for windows of up to T characters."""
        return Gradient(*self.parameters(), rows=np.zeros(T, np.int32))

    def work(self, T: int) -> Work:
        """Return what the kernels need to work on windows of up to T characters."""
        return Work(
            h=zeros((T + 1, self.M), self.dtype),
            p=zeros((T, self.K), self.dtype),
            da=zeros((T, self.M), self.dtype),
            losses=np.zeros(T),
            touched=np.zeros(self.K, np.bool_),
        )

    def buffers(self, theta: Parameters, T: int, memory: int) -> Buffers:
        """Return what it takes to train theta, with so many zeroed buffers of memory; best is theta."""
        return Buffers(
            theta=theta,
            memory=tuple(self.flat() for _ in range(memory)),
            gradient=self.gradient(T),
            best=self.pack(self.named(theta)).flat,
            best_state=zeros((self.M,), self.dtype),
            work=self.work(T),
        )

    def named(self, parameters: Parameters | Gradient) -> dict[str, Array]:
        """Return views without padding, shaped as in the equations; U is a transposed view."""
        m, views = self.m, parameters
        return {
            "W": views.W[:, :m],
            "U": views.U[:, :m].T,
            "V": views.V[:, :m],
            "b": views.b[:m],
            "c": views.c,
        }

    def pack(self, arrays: Mapping[str, Array]) -> Parameters:
        """Return a new buffer filled from arrays shaped as in the equations."""
        parameters = self.parameters()
        for name, view in self.named(parameters).items():
            view[...] = arrays[name]
        return parameters

    def initial(self, sigma: float, rng: np.random.Generator) -> Parameters:
        """Return new parameters: W, U, V normal with deviation sigma, in this order; b = c = 0.

        The draws are those of float64 in both dtypes.
        """
        return self.pack(
            {
                name: sigma * rng.standard_normal(shape) if name in ("W", "U", "V") else np.zeros(shape)
                for name, shape in shapes(self.m, self.K).items()
            }
        )


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """Return the seed's own generator for one purpose, independent of its others."""
    key = get_args(Stream).index(stream)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(key,))))
