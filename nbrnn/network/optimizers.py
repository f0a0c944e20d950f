"""How do parameters follow their gradient?

An optimizer is a named tuple of its numbers. Its type decides at compile time which function makes a
step, so that each is compiled for itself. What it remembers of earlier gradients is a tuple of as many
flat buffers, laid out like the parameters, as its rule has names for.

To add one: the class of its numbers, the function of its step, and its line in RULES.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from nbrnn.network.jit import jit_expand, jit_inline, overload_inline
from nbrnn.network.simd import (
    lanes,
    load,
    load_each,
    maximum,
    minimum,
    reciprocal_root,
    store,
    store_each,
)


class Rule(NamedTuple):
    """What an optimizer does, and with what.

    step(optimizer, theta, memory, gradient) returns theta and memory after a step: numbers, or blocks of
    them, memory a tuple with one for each buffer. It is a plain function, which the compiler takes up.
    """

    step: Callable[..., Any]
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


RULES: dict[type, Rule] = {
    AdaGrad: Rule(adagrad, memory=("adagrad",), sparse=True),
}


DEFAULT = AdaGrad  # that a run trains with


def step(optimizer, theta, memory, gradient):
    """Return theta and memory after the optimizer's step along the gradient."""
    return RULES[type(optimizer)].step(optimizer, theta, memory, gradient)


@overload_inline(step)
def _step(optimizer, theta, memory, gradient):  # pragma: no cover (only the compiler calls it)
    return RULES[optimizer.instance_class].step


def is_sparse(optimizer):
    """Return whether the optimizer does nothing where the gradient is 0."""
    return RULES[type(optimizer)].sparse


@overload_inline(is_sparse)
def _is_sparse(optimizer):  # pragma: no cover (only the compiler calls it)
    sparse = RULES[optimizer.instance_class].sparse
    return lambda optimizer: sparse


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

    A sparse optimizer leaves out the rows of U that gradient.rows does not name. touched (K,) is False
    before and after: no row is stepped on twice.
    """
    size, M, sparse = theta.U.size, theta.U.shape[1], is_sparse(optimizer)
    # the parameters after U begin where it ends
    dense = size if sparse else 0, theta.flat.size
    update_span(optimizer, clip, theta.flat, memory, gradient.flat, dense)
    if sparse:
        for u in gradient.rows:
            if not touched[u]:
                touched[u] = True
                row = u * M, (u + 1) * M
                update_span(optimizer, clip, theta.flat, memory, gradient.flat, row)
        for u in gradient.rows:
            touched[u] = False
