"""NumPy as the course teaches it: a dictionary of arrays, one step after the other."""

import numpy as np

from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    theta, codes, T = problem.theta, problem.codes, problem.T
    memory = {name: np.zeros_like(array) for name, array in theta.items()}
    e, h = 0, np.zeros_like(theta["b"])

    def train(updates):
        nonlocal e, h
        losses = np.empty(updates)
        for n in range(updates):
            if e > codes.size - T - 1:
                e, h = 0, np.zeros_like(h)
            x, y = codes[e : e + T], codes[e + 1 : e + T + 1]
            losses[n], grad, h = gradients(theta, x, y, h)
            for name, g in grad.items():
                np.clip(g, -problem.clip, problem.clip, out=g)
                memory[name] += g * g
                theta[name] -= problem.eta * g / np.sqrt(memory[name] + problem.epsilon)
            e += T
        return losses

    return train


def gradients(theta, x, y, h):
    """Return the loss of a window, the gradient, and the last state."""
    W, U, V, b, c = (theta[name] for name in "WUVbc")
    T = len(x)
    hs, ps, loss = [h], [], 0.0
    for t in range(T):
        hs.append(np.tanh(W @ hs[t] + U[:, x[t]] + b))
        o = V @ hs[t + 1] + c
        p = np.exp(o - o.max())
        ps.append(p / p.sum())
        loss -= np.log(ps[t][y[t]])
    grad = {name: np.zeros_like(array) for name, array in theta.items()}
    da = np.zeros_like(h)
    for t in reversed(range(T)):
        do = ps[t]
        do[y[t]] -= 1
        grad["V"] += np.outer(do, hs[t + 1])
        grad["c"] += do
        da = (V.T @ do + W.T @ da) * (1 - hs[t + 1] ** 2)
        grad["W"] += np.outer(da, hs[t])
        grad["U"][:, x[t]] += da
        grad["b"] += da
    return loss, grad, hs[-1]
