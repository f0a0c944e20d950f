"""JAX on windows at once: the whole loop over updates compiled, the gradient by hand.

By automatic differentiation an update takes 1.6 times as long: the gradient of W is then the sum of T
small products instead of one. W and V are kept transposed.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    jax.config.update("jax_enable_x64", problem.dtype == "float64")
    m, K, T, B = problem.m, problem.K, problem.T, problem.batch
    beta1, beta2, eta, epsilon = problem.beta1, problem.beta2, problem.eta, problem.epsilon
    streams, per_epoch, scale = jnp.asarray(problem.streams), problem.updates_per_epoch, problem.scale
    named = problem.theta
    theta = {name: jnp.asarray(named[name].T.copy()) for name in "UWVbc"}
    memory = {name: (jnp.zeros_like(array), jnp.zeros_like(array)) for name, array in theta.items()}
    h, number = jnp.zeros((B, m), theta["b"].dtype), 0
    unroll = T if T <= 25 else 1

    def loss_and_gradient(theta, x, y, h):
        WT, VT = theta["W"], theta["V"]

        def forward(h, a):
            h = jnp.tanh(h @ WT + a)
            return h, h

        def backward(da, step):
            dh, slope = step
            da = (dh + da @ WT.T) * slope
            return da, da

        last, hs = jax.lax.scan(forward, h, theta["U"][x] + theta["b"], unroll=unroll)
        states, y = hs.reshape(T * B, m), y.reshape(T * B, 1)
        logits = states @ VT + theta["c"]
        logits -= logits.max(axis=1, keepdims=True)
        powers = jnp.exp(logits)
        totals = powers.sum(axis=1, keepdims=True)
        loss = scale * (jnp.log(totals).sum() - jnp.take_along_axis(logits, y, axis=1).sum())
        do = powers * (scale / totals) - scale * (jnp.arange(K) == y)
        steps = (do @ VT.T).reshape(T, B, m), 1 - hs * hs
        _, da = jax.lax.scan(backward, jnp.zeros_like(h), steps, reverse=True, unroll=unroll)
        da = da.reshape(T * B, m)
        before = jnp.concatenate([h[None], hs[:-1]]).reshape(T * B, m)
        gradient = {
            "U": jnp.zeros((K, m), da.dtype).at[x.ravel()].add(da),
            "W": before.T @ da,
            "V": states.T @ do,
            "b": da.sum(axis=0),
            "c": do.sum(axis=0),
        }
        return loss, gradient, last

    def update(state, number):
        theta, memory, h = state
        place = number % per_epoch
        h = jnp.where(place == 0, 0, h)
        text = jax.lax.dynamic_slice(streams, (place * T, 0), (T + 1, B))
        loss, gradient, h = loss_and_gradient(theta, text[:-1], text[1:], h)
        root = jnp.sqrt(-jnp.expm1(math.log(beta2) * (number + 1.0)))
        rate = eta * root / -jnp.expm1(math.log(beta1) * (number + 1.0))

        def adam(p, g, memory):
            mean, square = memory
            mean = mean + (1 - beta1) * (g - mean)
            square = square + (1 - beta2) * (g * g - square)
            return p - rate * mean / (jnp.sqrt(square) + epsilon * root), (mean, square)

        stepped = {name: adam(p, gradient[name], memory[name]) for name, p in theta.items()}
        theta, memory = ({name: pair[part] for name, pair in stepped.items()} for part in (0, 1))
        return (theta, memory, h), loss

    @partial(jax.jit, static_argnums=2, donate_argnums=0)
    def many(state, first, updates):
        return jax.lax.scan(update, state, first + jnp.arange(updates))

    state = (theta, memory, h)

    def train(updates):
        nonlocal state, number
        state, losses = many(state, number, updates)
        number += updates
        return np.asarray(losses, float)

    return train
