"""Where in one flat buffer W, U, V, b and c lie, how they start, and what else kernels are handed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from nbrnn.typing import Array

CACHE_LINE = 64  # bytes; rows are padded to whole ones, and begin on one

Stream = Literal["start", "samples", "text", "gradcheck", "order"]


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
    rows: Array  # (T B,) int32: the characters of the last windows


class Work(NamedTuple):
    """What the kernels write on along one window of up to T characters. Columns m to M are zero."""

    h: Array  # (T+1, M): states; h[0] is the one before the window, and is kept from window to window
    p: Array  # (T, K): logits, then probabilities, then their loss's gradient
    da: Array  # (T, M): the gradient of what goes into tanh
    losses: Array  # (T,) float64
    touched: Array  # (K,) bool: which rows of U an update has been at; False between two updates


class BatchWork(NamedTuple):
    """What the kernels write on along B windows of T characters at once, step by step.

    Row t B + b of what has T B rows is step t of window b. Columns m to M and K to P are zero, P being
    K rounded up as M is.
    """

    h: Array  # (T+1, B, M): states; h[0] are those before the windows, and are kept
    p: Array  # (T B, P): logits, then probabilities, then their loss's gradient
    da: Array  # (T, B, M): the gradient of what goes into tanh
    losses: Array  # (T B,) float64
    touched: Array  # (K,) bool, as in Work
    x: Array  # (T B,) int32: the characters
    y: Array  # (T B,) int32: their successors
    WT: Array  # (m, M): the transpose of W
    VT: Array  # (m, P): the transpose of V
    c: Array  # (P,): that of the parameters, then numbers so low that their exponentials vanish
    inside: Array  # (P,): 1 in the first K columns, then 0
    totals: Array  # (T B,): each row's sum of exponentials
    dc: Array  # (P,): the sum of all rows of the logits' gradient


class Buffers(NamedTuple):
    """All that a training reads and writes, many updates long."""

    theta: Parameters
    memory: tuple[Array, ...]  # what the optimizer remembers, flat like theta.flat
    gradient: Gradient
    best: Array  # theta.flat when the smooth loss was lowest at a look
    best_state: Array  # (B, M), or (M,) for B = 1: the state that this model was in
    work: Work | BatchWork


class Plan(NamedTuple):
    """What each update of one call of the training kernel reads, and how large its step is."""

    starts: Array  # (updates, B) int64: where in the text its windows begin
    fresh: Array  # (updates, B) bool: which windows are read from h = 0, not from the state before
    eta: Array  # (updates,): the learning rate, in the parameters' precision
    end: int = -1  # the character of which all but the first after a document are padding


class Carry(NamedTuple):
    """What a training carries over from update to update, besides its buffers."""

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
        return self.padded_length(self.m)

    def padded_length(self, length: int) -> int:
        """Return a length rounded up to whole cache lines."""
        lanes = CACHE_LINE // self.dtype.itemsize
        return -(-length // lanes) * lanes

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

    def gradient(self, characters: int) -> Gradient:
        """Return a zeroed gradient for windows with up to so many characters in all."""
        return Gradient(*self.parameters(), rows=np.zeros(characters, np.int32))

    def work(self, T: int) -> Work:
        """Return what the kernels need to work on windows of up to T characters."""
        return Work(
            h=zeros((T + 1, self.M), self.dtype),
            p=zeros((T, self.K), self.dtype),
            da=zeros((T, self.M), self.dtype),
            losses=np.zeros(T),
            touched=np.zeros(self.K, np.bool_),
        )

    def batch_work(self, T: int, B: int) -> BatchWork:
        """Return what the kernels need to work on B windows of T characters at once."""
        m, M, P = self.m, self.M, self.padded_length(self.K)
        c, inside = zeros((P,), self.dtype), zeros((P,), self.dtype)
        c[self.K :] = np.finfo(self.dtype).min / 2
        inside[: self.K] = 1
        return BatchWork(
            h=zeros((T + 1, B, M), self.dtype),
            p=zeros((T * B, P), self.dtype),
            da=zeros((T, B, M), self.dtype),
            losses=np.zeros(T * B),
            touched=np.zeros(self.K, np.bool_),
            x=np.zeros(T * B, np.int32),
            y=np.zeros(T * B, np.int32),
            WT=zeros((m, M), self.dtype),
            VT=zeros((m, P), self.dtype),
            c=c,
            inside=inside,
            totals=zeros((T * B,), self.dtype),
            dc=zeros((P,), self.dtype),
        )

    def buffers(self, theta: Parameters, T: int, memory: int, B: int = 1) -> Buffers:
        """Return what it takes to train theta, with so many zeroed buffers of memory; best is theta."""
        work = self.work(T) if B == 1 else self.batch_work(T, B)
        return Buffers(
            theta=theta,
            memory=tuple(self.flat() for _ in range(memory)),
            gradient=self.gradient(T * B),
            best=self.pack(self.named(theta)).flat,
            best_state=zeros(work.h[0].shape, self.dtype),
            work=work,
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

    def initial(
        self, rng: np.random.Generator, sigma: float | None = None, start: str = "normal"
    ) -> Parameters:
        """Return new parameters: W, U, V random, drawn in this order; b = c = 0.

        `normal`: normal with deviation sigma. `scaled`: normal with deviations 1/sqrt(2m), 1/sqrt(2K),
        1/sqrt(m), which sigma does not change. `orthogonal`: as normal, but W uniform among the
        orthogonal matrices (Saxe, McClelland and Ganguli, ICLR 2014, by the decomposition of Mezzadri,
        Notices of the AMS 54, 2007). The draws are those of float64 in both dtypes.
        """
        m, K = self.m, self.K
        deviations: dict[str, Any] = dict.fromkeys("WUV", sigma)
        if start == "scaled":
            deviations = {"W": (2 * m) ** -0.5, "U": (2 * K) ** -0.5, "V": m**-0.5}
        arrays = {}
        for name, shape in shapes(m, K).items():
            drawn = rng.standard_normal(shape) if name in deviations else np.zeros(shape)
            if name == "W" and start == "orthogonal":
                Q, R = np.linalg.qr(drawn)
                arrays[name] = Q * np.copysign(1, np.diag(R))
            else:
                arrays[name] = deviations.get(name, 1) * drawn
        return self.pack(arrays)


def generator(seed: int, stream: Stream, *numbers: int) -> np.random.Generator:
    """Return the seed's own generator for one purpose, and for each number a purpose counts by."""
    key = get_args(Stream).index(stream), *numbers
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
