"""What kernels are handed besides parameters: what they write on, plans, and what they carry over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nbrnn.network.layout import Gradient, Layout, Parameters, zeros
from nbrnn.typing import Array


class LayerWork(NamedTuple):
    """What one layer writes on along T steps of B windows.

    Row t B + b of what has T B rows is step t of window b. Columns m to M are zero.
    """

    s: Array  # (states, (T+1) B, M): h first; s[:, :B] are those before, which are carried over
    z: Array  # (planes, T B, M): what goes into each gate, then the gate
    dh: Array  # (T B, M): the gradient of h_t
    dz: Array  # (planes, T B, M): the gradient of what goes into each gate
    x: Array  # (T B, M): what is read of the states: the states themselves, or some of them
    mask: Array  # (T B, M): with dropout, what the states are multiplied by
    WT: Array  # (gates, m, M): the transpose of each gate's W; only for several windows
    UT: Array  # (gates, m, M): the transpose of each gate's U; only above the first layer


class Dropout(NamedTuple):
    """Which states are dropped: those whose random number, below 2**32, is below a threshold."""

    threshold: np.uint64
    kept: Any  # what all others are multiplied by, 1 / (1 - p), in the parameters' precision
    seed: Array  # (2,) uint64: its lower and its upper 32 bits

    @classmethod
    def of(cls, p: float, seed: int, dtype: np.dtype[Any]) -> Dropout:
        """Return the one with probability p."""
        halves = np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint64)
        return cls(np.uint64(round(p * 2**32)), dtype.type(1 / (1 - p)), halves)


class Work(NamedTuple):
    """What the kernels write on along one window of up to T characters."""

    layers: tuple[LayerWork, ...]
    p: Array  # (T, K): logits, then probabilities, then their loss's gradient
    losses: Array  # (T,) float64
    touched: Array  # (K,) bool: which rows of U an update has been at; False between two updates
    update: Array  # (1,) int64: the updates done, for dropout
    dropout: Dropout | None


class BatchWork(NamedTuple):
    """What the kernels write on along B windows of T characters at once, step by step.

    Columns K to P are zero, P being K rounded up as M is.
    """

    layers: tuple[LayerWork, ...]
    p: Array  # (T B, P): logits, then probabilities, then their loss's gradient
    losses: Array  # (T B,) float64
    touched: Array  # (K,) bool, as in Work
    update: Array  # (1,) int64
    dropout: Dropout | None
    x: Array  # (T B,) int32: the characters
    y: Array  # (T B,) int32: their successors
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
    best: Array  # theta.flat when the smooth loss was lowest at an evaluation
    best_state: Array  # (layers, states of a cell, B, M): the states of this model
    work: Work | BatchWork


class Plan(NamedTuple):
    """What each update of one call of the training kernel reads, and how large its step is."""

    starts: Array  # (updates, B) int64: where in the text its windows begin
    reset: Array  # (updates, B) bool: which windows are read from h = 0, not from the state before
    eta: Array  # (updates,): the learning rate, in the parameters' precision
    end: int = -1  # the character of which all but the first after a document are padding


class Carry(NamedTuple):
    """What a training carries over from update to update, besides its buffers."""

    update: int = 0  # updates done
    smooth: float = math.nan  # the smooth loss
    best_smooth: float = math.inf  # the lowest at an evaluation
    best_update: int = 0  # after which update that was


class History(NamedTuple):
    """What one call of the training kernel fills, an entry for each update, and when it evaluates."""

    losses: Array  # (updates,) float64
    smooths: Array  # (updates,) float64: the smooth loss after each
    evaluations: Array  # int64, ascending: updates, counted from 1, after which the model may be best

    @classmethod
    def empty(cls, updates: int, evaluations: Sequence[int] = ()) -> History:
        """Return one with room for so many updates."""
        return cls(np.empty(updates), np.empty(updates), np.array(evaluations, np.int64))


class Sampling(NamedTuple):
    """How characters are drawn: from softmax(o / temperature), cut to the likeliest.

    First to the top_k likeliest (0: all), then to the fewest whose probabilities add up to top_p.
    Temperature 0 takes the likeliest.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def layer_work(
    layout: Layout, layer: int, T: int, B: int, *, batch: bool, dropout: Dropout | None
) -> LayerWork:
    """Return what a layer of the layout's cell writes on; `batch`: by products of matrices."""
    cell, M, dtype = layout.kind, layout.M, layout.dtype
    transposed, planes = (cell.gates, layout.m, M), (cell.planes, T * B, M)
    s, dh = zeros((len(cell.states), (T + 1) * B, M), dtype), zeros((T * B, M), dtype)
    return LayerWork(
        s=s,
        z=zeros(planes, dtype) if cell.planes else s[:, B:],
        dh=dh,
        dz=zeros(planes, dtype) if cell.planes else dh[None],
        x=zeros(dh.shape, dtype) if dropout else s[0, B:],
        mask=zeros(dh.shape if dropout else (0, 0), dtype),
        WT=zeros(transposed if batch else (0, 0, 0), dtype),
        UT=zeros(transposed if batch and layer else (0, 0, 0), dtype),
    )


def window_work(layout: Layout, T: int, dropout: Dropout | None = None) -> Work:
    """Return what the kernels need to work on windows of up to T characters."""
    return Work(
        layers=tuple(
            layer_work(layout, n, T, 1, batch=False, dropout=dropout) for n in range(layout.layers)
        ),
        p=zeros((T, layout.K), layout.dtype),
        losses=np.zeros(T),
        touched=np.zeros(layout.K, np.bool_),
        update=np.zeros(1, np.int64),
        dropout=dropout,
    )


def batch_work(layout: Layout, T: int, B: int, dropout: Dropout | None = None) -> BatchWork:
    """Return what the kernels need to work on B windows of T characters at once."""
    K, P, dtype = layout.K, layout.padded_length(layout.K), layout.dtype
    c, inside = zeros((P,), dtype), zeros((P,), dtype)
    c[K:] = np.finfo(dtype).min / 2
    inside[:K] = 1
    return BatchWork(
        layers=tuple(
            layer_work(layout, n, T, B, batch=True, dropout=dropout) for n in range(layout.layers)
        ),
        p=zeros((T * B, P), dtype),
        losses=np.zeros(T * B),
        touched=np.zeros(K, np.bool_),
        update=np.zeros(1, np.int64),
        dropout=dropout,
        x=np.zeros(T * B, np.int32),
        y=np.zeros(T * B, np.int32),
        VT=zeros((layout.m, P), dtype),
        c=c,
        inside=inside,
        totals=zeros((T * B,), dtype),
        dc=zeros((P,), dtype),
    )


def training_buffers(
    layout: Layout,
    theta: Parameters,
    T: int,
    memory: int,
    B: int = 1,
    dropout: Dropout | None = None,
) -> Buffers:
    """Return what it takes to train theta, with so many zeroed buffers of memory; best is theta."""
    work = window_work(layout, T, dropout) if B == 1 else batch_work(layout, T, B, dropout)
    return Buffers(
        theta=theta,
        memory=tuple(layout.flat() for _ in range(memory)),
        gradient=layout.gradient(T * B),
        best=layout.pack(layout.named(theta)).flat,
        best_state=zeros(states_before(work).shape, layout.dtype),
        work=work,
    )


def states_before(work: Work | BatchWork) -> Array:
    """Return a copy of the states before the windows, (layers, states of a cell, B, M)."""
    return np.stack([layer.s[:, : layer.s.shape[1] - len(layer.dh)] for layer in work.layers])


def clear_states(work: Work | BatchWork) -> None:
    """Set the states before the windows to zero."""
    for layer in work.layers:
        layer.s[:, : layer.s.shape[1] - len(layer.dh)] = 0


def set_states_before(work: Work | BatchWork, states: Array) -> None:
    """Set the states before the windows; states (layers, states of a cell, B, m), padded or not."""
    for layer, own in zip(work.layers, states, strict=True):
        layer.s[:, : layer.s.shape[1] - len(layer.dh), : own.shape[-1]] = own
