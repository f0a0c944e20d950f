"""JAX: the gradient by automatic differentiation, the whole loop over updates compiled."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    jax.config.update("jax_enable_x64", problem.dtype == "float64")
    T, codes = problem.T, jnp.asarray(problem.codes)
    windows = (codes.size - 1) // T
    theta = {name: jnp.asarray(array) for name, array in problem.theta.items()}
    # G starts at epsilon, and the scan over a short window is unrolled: together 5 % faster at T = 25.
    # At T = 200 an unrolled scan takes twice as long; unrolled in parts it is slower at T = 25, too.
    unroll = T if T <= 25 else 1
    memory = jax.tree.map(lambda a: jnp.full_like(a, problem.epsilon), theta)
    h, first = jnp.zeros_like(theta["b"]), 0

    def loss_of(theta, x, y, h):
        inputs = theta["U"].T[x] + theta["b"]

        def step(h, a):
            h = jnp.tanh(theta["W"] @ h + a)
            return h, h

        last, hs = jax.lax.scan(step, h, inputs, unroll=unroll)
        logits = hs @ theta["V"].T + theta["c"]
        scores = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(scores, y[:, None], axis=1).sum(), last

    def update(state, number):
        theta, memory, h = state
        place = number % windows
        h = jnp.where(place == 0, 0, h)
        text = jax.lax.dynamic_slice(codes, (place * T,), (T + 1,))
        (loss, h), grad = jax.value_and_grad(loss_of, has_aux=True)(theta, text[:-1], text[1:], h)
        grad = jax.tree.map(lambda g: jnp.clip(g, -problem.clip, problem.clip), grad)
        memory = jax.tree.map(lambda G, g: G + g * g, memory, grad)
        theta = jax.tree.map(lambda p, g, G: p - problem.eta * g / jnp.sqrt(G), theta, grad, memory)
        return (theta, memory, h), loss

    @partial(jax.jit, static_argnums=2, donate_argnums=0)
    def many(state, first, updates):
        return jax.lax.scan(update, state, first + jnp.arange(updates))

    state = (theta, memory, h)

    def train(updates):
        nonlocal state, first
        state, losses = many(state, first, updates)
        first += updates
        return np.asarray(losses, float)

    return train
