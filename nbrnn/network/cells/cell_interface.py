"""What the file of a cell provides: its arithmetic in time, for one window and for B windows at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nbrnn.network.simd.jit import jit_expand
from nbrnn.network.simd.vector_ops import lanes, load, store


class Passes(NamedTuple):
    """Three plain functions, which the compiler takes up.

    `layer` is the layer's parameters, `work` its LayerWork, in whose arrays one row, for several windows
    B rows, are a step. What is read is (x, is_first): in the first layer forward begins each step by
    `read_character` or `read_characters` for every gate; above it work.z holds U x + b already. Before
    `backward` work.dh holds the gradient of h_t that comes from above.

    forward(layer, work, (x, is_first)): fill the states, in work.s, from those before the window.
    backward(layer, work, T): fill work.dz, from the last of T steps to the first.
    gradients(layer, work, gradient): fill the gradients of all parameters but U and b, which follow from
    work.dz.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    gradients: Callable[..., Any]


@jit_expand
def read_character(U, b, character, z, t):
    """Fill z at step t with U x_t + b, of one gate."""
    a, u = z[t], U[character]
    for j in range(a.size):
        a[j] = b[j] + u[j]


@jit_expand
def read_characters(U, b, x, z, first, B):
    """Fill B rows of z from `first` on with U x_t + b, of one gate."""
    for j in range(0, b.size, lanes(b)):
        bias = load(b, 0, j, 1, 1)
        for row in range(first, first + B):
            store(load(U, x[row], j, 1, 1) + bias, z, row, j)


@jit_expand
def windows(work):
    """Return the number of windows B of a LayerWork."""
    return work.s.shape[1] - work.dh.shape[0]


def step_by_step(step, step_back, gradients):
    """Return the passes of a cell whose functions step and step_back (layer, work, t) do a step.

    Before `step` work.z holds U x_t + b of every gate.
    """

    def forward(layer, work, read):
        x, is_first = read
        B = windows(work)
        for t in range(x.size // B):
            if is_first:
                for gate in range(layer.b.shape[0]):
                    read_characters(layer.U[gate], layer.b[gate], x, work.z[gate], t * B, B)
            step(layer, work, t)

    def backward(layer, work, T):
        for t in range(T - 1, -1, -1):
            step_back(layer, work, t)

    return Passes(forward, backward, gradients)
