"""Where in the one flat buffer W, U, V, b and c lie, and how they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


CACHE_LINE = 64  # bytes; rows are padded to whole ones, and begin on one

NAMES = ("W", "U", "V", "b", "c")

Stream = Literal["start", "samples", "text", "gradcheck"]


def shapes(m: int, K: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters as in the equations, by name."""
    return {"W": (m, m), "U": (m, K), "V": (K, m), "b": (m,), "c": (K,)}


class Parameters(NamedTuple):
    """One contiguous buffer and the views into it, in the order in which they lie there."""

    flat: Array
    U: Array  # (K, M): the transpose of the equations' U, so that a character is a row
    W: Array  # (m, M)
    V: Array  # (K, M)
    b: Array  # (M,)
    c: Array  # (K,)


class Work(NamedTuple):
    """What the kernels write on: states, probabilities and gradients along one window."""

    h: Array  # (T+1, M)
    p: Array  # (T, K)
    da: Array  # (T, M)
    losses: Array  # (T,)
    touched: Array  # (K,)


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a zeroed array that starts on a cache line."""
    size = int(np.prod(shape)) * dtype.itemsize
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

    def parameters(self) -> Parameters:
        """Return a zeroed buffer with its views: parameters, gradients, or AdaGrad's memory."""
        m, M, K = self.m, self.M, self.K
        shapes = ((K, M), (m, M), (K, M), (M,), (K,))
        sizes = [int(np.prod(shape)) for shape in shapes]
        flat = zeros((sum(sizes),), self.dtype)
        ends = np.cumsum(sizes)
        views = [
            flat[end - size : end].reshape(shape)
            for shape, size, end in zip(shapes, sizes, ends, strict=True)
        ]
        return Parameters(flat, *views)

    def work(self, T: int) -> Work:
        """Return what the kernels need to work on windows of up to T characters."""
        return Work(
            h=zeros((T + 1, self.M), self.dtype),
            p=zeros((T, self.K), self.dtype),
            da=zeros((T, self.M), self.dtype),
            losses=np.zeros(T),
            touched=np.full(self.K, -1),
        )

    def named(self, parameters: Parameters) -> dict[str, Array]:
        """Return views without padding, shaped as in the equations; U is a transposed view."""
        m = self.m
        _, U, W, V, b, c = parameters
        return {"W": W[:, :m], "U": U[:, :m].T, "V": V[:, :m], "b": b[:m], "c": c}

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
        m, K = self.m, self.K
        draws = {"b": np.zeros(m), "c": np.zeros(K)}
        for name, shape in (("W", (m, m)), ("U", (m, K)), ("V", (K, m))):
            draws[name] = sigma * rng.standard_normal(shape)
        return self.pack(draws)


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """Return the seed's own generator for one purpose, independent of its others."""
    key = get_args(Stream).index(stream)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(key,))))
