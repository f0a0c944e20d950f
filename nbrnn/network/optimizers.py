"""How do parameters follow their gradient?

An optimizer is a named tuple of its numbers. Its type decides at compile time which function makes a
step, so that each is compiled for itself. What it remembers of earlier gradients is a tuple of as many
flat buffers, laid out like the parameters, as its rule has names for.

To add one: the class of its numbers, the functions of its step and of its numbers at an update, and its
line in RULES.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types

from nbrnn.network.simd.jit import jit_expand, jit_inline, overload_inline
from nbrnn.network.simd.vector_ops import (
    lanes,
    load,
    load_each,
    maximum,
    minimum,
    reciprocal,
    reciprocal_root,
    square_root,
    store,
    store_each,
)


class Rule(NamedTuple):
    """What an optimizer does, and with what.

    step(optimizer, theta, memory, gradient) returns theta and memory after a step: numbers, or blocks of
    them, memory a tuple with one for each buffer. at(optimizer, eta, t, real) returns the optimizer with
    the numbers of update t, counted from 1, whose learning rate is eta, in the precision `real`. Both
    are plain functions, which the compiler takes up.
    """

    step: Callable[..., Any]
    at: Callable[..., Any]
    memory: tuple[str, ...]  # what its buffers are called in a checkpoint
    sparse: bool  # where the gradient is 0 a step changes nothing, and may be left out


class AdaGrad(NamedTuple):
    """Steps that shrink with all squared gradients so far. Numbers in the parameters' precision."""

    eta: Any
    epsilon: Any


def adagrad(optimizer, theta, memory, gradient):
    """G += g*g; theta -= eta g / sqrt(G + epsilon).

    Duchi, Hazan and Singer, JMLR 12 (2011), 2121-2159, with epsilon inside the root.
    """
    (G,) = memory
    G = G + gradient * gradient
    return theta - optimizer.eta * gradient * reciprocal_root(G + optimizer.epsilon), (G,)


def adagrad_at(optimizer, eta, t, real):
    """Return the numbers of update t."""
    return AdaGrad(eta, optimizer.epsilon)


class RMSProp(NamedTuple):
    """Steps that shrink with the latest squared gradients."""

    eta: Any
    beta2: Any
    epsilon: Any


def rmsprop(optimizer, theta, memory, gradient):
    """G = beta2 G + (1 - beta2) g*g; theta -= eta g / sqrt(G + epsilon).

    Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012); epsilon is inside
    the root.
    """
    (G,) = memory
    square = gradient * gradient
    G = optimizer.beta2 * G + (square - optimizer.beta2 * square)
    return theta - optimizer.eta * gradient * reciprocal_root(G + optimizer.epsilon), (G,)


def rmsprop_at(optimizer, eta, t, real):
    """Return the numbers of update t."""
    return RMSProp(eta, optimizer.beta2, optimizer.epsilon)


class Adam(NamedTuple):
    """Steps along the mean of the latest gradients, which shrink with their squares."""

    eta: Any
    beta1: Any
    beta2: Any
    epsilon: Any


def adam(optimizer, theta, memory, gradient):
    """m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g*g; theta -= eta m / (sqrt(v) + epsilon).

    Kingma and Ba, ICLR 2015, in the order of their section 2: eta and epsilon are those of `adam_at`.
    """
    m, v = memory
    square = gradient * gradient
    m = optimizer.beta1 * m + (gradient - optimizer.beta1 * gradient)
    v = optimizer.beta2 * v + (square - optimizer.beta2 * square)
    return theta - optimizer.eta * m * reciprocal(square_root(v) + optimizer.epsilon), (m, v)


def adam_at(optimizer, eta, t, real):
    """Return the numbers of update t, which make up for a memory that began at zero.

    With c1 = 1 - beta1^t and c2 = 1 - beta2^t: (m / c1) / (sqrt(v / c2) + epsilon) is
    sqrt(c2) / c1 m / (sqrt(v) + epsilon sqrt(c2)).
    """
    root = np.sqrt(1 - np.float64(optimizer.beta2) ** t)
    correction = root / (1 - np.float64(optimizer.beta1) ** t)
    epsilon = real(optimizer.epsilon * root)
    return Adam(real(eta * correction), optimizer.beta1, optimizer.beta2, epsilon)


class SGD(NamedTuple):
    """Steps along the gradient."""

    eta: Any


def sgd(optimizer, theta, memory, gradient):
    """theta -= eta g. Robbins and Monro, Annals of Mathematical Statistics 22 (1951), 400-407."""
    return theta - optimizer.eta * gradient, memory


def sgd_at(optimizer, eta, t, real):
    """Return the numbers of update t: its learning rate."""
    return SGD(eta)


RULES: dict[type, Rule] = {
    AdaGrad: Rule(adagrad, adagrad_at, memory=("adagrad",), sparse=True),
    RMSProp: Rule(rmsprop, rmsprop_at, memory=("rmsprop",), sparse=False),
    Adam: Rule(adam, adam_at, memory=("adam.m", "adam.v"), sparse=False),
    SGD: Rule(sgd, sgd_at, memory=(), sparse=True),
}


OPTIMIZERS: dict[str, type[Any]] = {optimizer.__name__.lower(): optimizer for optimizer in RULES}


def step(optimizer, theta, memory, gradient):
    """Return theta and memory after the optimizer's step along the gradient."""
    return RULES[type(optimizer)].step(optimizer, theta, memory, gradient)


@overload_inline(step)
def _step(optimizer, theta, memory, gradient):  # pragma: no cover (only the compiler calls it)
    return RULES[optimizer.instance_class].step


def at(optimizer, eta, t, real):
    """Return the optimizer with the numbers of update t, counted from 1, whose learning rate is eta."""
    return RULES[type(optimizer)].at(optimizer, eta, t, real)


@overload_inline(at)
def _at(optimizer, eta, t, real):  # pragma: no cover (only the compiler calls it)
    return RULES[optimizer.instance_class].at


def is_sparse(optimizer):
    """Return whether the optimizer does nothing where the gradient is 0."""
    return RULES[type(optimizer)].sparse


@overload_inline(is_sparse)
def _is_sparse(optimizer):  # pragma: no cover (only the compiler calls it)
    sparse = RULES[optimizer.instance_class].sparse
    return lambda optimizer: sparse


def limit_norm(norm, gradient):
    """Scale a flat gradient to the norm where its own is larger; None: never."""
    if norm is not None:
        scale_down(norm, gradient)


def scale_down(norm, gradient):
    """Scale a flat gradient to the norm where its own is larger."""
    total = 0.0
    for i in range(gradient.size):
        total += np.float64(gradient[i]) * np.float64(gradient[i])
    if total > np.float64(norm) * np.float64(norm):
        factor = gradient.dtype.type(np.float64(norm) / np.sqrt(total))
        for i in range(gradient.size):
            gradient[i] *= factor


@overload_inline(limit_norm)
def _limit_norm(norm, gradient):  # pragma: no cover (only the compiler calls it)
    return scale_down if isinstance(norm, types.Float) else lambda norm, gradient: None


@jit_inline
def update_span(optimizer, clip, theta, memory, gradient, span):
    """One step on theta[first:last] along the clipped gradient, all flat; span is (first, last)."""
    first, last = span
    L = lanes(theta)
    rest = first + (last - first) // L * L
    for i in range(first, rest, L):
        t, g = load(theta, 0, i, 1, 1), load(gradient, 0, i, 1, 1)
        g = minimum(maximum(g, -clip), clip)
        t, s = step(optimizer, t, load_each(memory, i, t), g)
        store(t, theta, 0, i)
        store_each(s, memory, i)
    for i in range(rest, last):
        g = minimum(maximum(gradient[i], -clip), clip)
        theta[i], s = step(optimizer, theta[i], load_each(memory, i, theta[i]), g)
        store_each(s, memory, i)


@jit_expand
def update_parameters(optimizer, clip, theta, memory, gradient, touched):
    """One step on all parameters, along the gradient clipped to [-clip, clip].

    A sparse optimizer leaves out the rows of the first layer's U that gradient.rows does not name.
    touched (K,) is False before and after: no row is stepped on twice.
    """
    U, sparse = theta.layers[0].U, is_sparse(optimizer)
    gates, K, M = U.shape
    # the parameters after U begin where it ends
    dense = U.size if sparse else 0, theta.flat.size
    update_span(optimizer, clip, theta.flat, memory, gradient.flat, dense)
    if sparse:
        for u in gradient.rows:
            if not touched[u]:
                touched[u] = True
                for gate in range(gates):
                    row = (gate * K + u) * M, (gate * K + u + 1) * M
                    update_span(optimizer, clip, theta.flat, memory, gradient.flat, row)
        for u in gradient.rows:
            touched[u] = False
