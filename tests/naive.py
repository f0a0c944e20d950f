"""The whole algorithm once more, slow and obvious, in NumPy float64. Imports nothing of nbrnn.

Shapes as in the equations: W (m, m), U (m, K), V (K, m), b (m,), c (K,).
"""

import numpy as np


def forward(theta, x, y, h):
    """Return the loss of a window, its states h_0 ... h_T and its probabilities p_1 ... p_T."""
    loss, hs, ps = 0.0, [h], []
    for t in range(len(x)):
        a = theta["W"] @ hs[t] + theta["U"][:, x[t]] + theta["b"]
        hs.append(np.tanh(a))
        o = theta["V"] @ hs[t + 1] + theta["c"]
        e = np.exp(o - o.max())
        ps.append(e / e.sum())
        loss -= np.log(ps[t][y[t]])
    return loss, hs, ps


def gradients(theta, x, y, h):
    """Return the loss, its gradient by back-propagation, and the last state."""
    loss, hs, ps = forward(theta, x, y, h)
    grad = {name: np.zeros_like(array) for name, array in theta.items()}
    da_next = np.zeros_like(h)
    for t in reversed(range(len(x))):
        do = ps[t].copy()
        do[y[t]] -= 1
        grad["V"] += np.outer(do, hs[t + 1])
        grad["c"] += do
        dh = theta["V"].T @ do + theta["W"].T @ da_next
        da = dh * (1 - hs[t + 1] ** 2)
        grad["W"] += np.outer(da, hs[t])
        grad["U"][:, x[t]] += da
        grad["b"] += da
        da_next = da
    return loss, grad, hs[-1]


def train(theta, codes, updates, T=25, eta=0.1, epsilon=1e-8, clip=5.0):
    """Train theta in place; return AdaGrad's memory, each update's loss and smooth loss, and h."""
    memory = {name: np.zeros_like(array) for name, array in theta.items()}
    losses, smooths = [], []
    m = len(theta["b"])
    e, h = 0, np.zeros(m)
    for _ in range(updates):
        if e > len(codes) - T - 1:
            e, h = 0, np.zeros(m)
        loss, grad, h = gradients(theta, codes[e : e + T], codes[e + 1 : e + T + 1], h)
        for name, g in grad.items():
            g = np.clip(g, -clip, clip)
            memory[name] += g * g
            theta[name] -= eta * g / np.sqrt(memory[name] + epsilon)
        losses.append(loss)
        smooths.append(0.999 * smooths[-1] + 0.001 * loss if smooths else loss)
        e += T
    return memory, losses, smooths, h
