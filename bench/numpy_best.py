"""NumPy as fast as we could write it: products over all steps at once, in place, one flat buffer.

Rows are cut out beforehand, and G starts at epsilon: both cost more than the arithmetic of a step.
"""

import numpy as np

from bench.problem import Problem


def views(flat, m, K):
    """Return U (K, m), W (m, m), V (K, m), b (m,), c (K,) in a flat buffer."""
    ends = np.cumsum([K * m, m * m, K * m, m, K])
    parts = np.split(flat, ends[:-1])
    shapes = ((K, m), (m, m), (K, m), (m,), (K,))
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    m, K, T = problem.m, problem.K, problem.T
    eta, epsilon, clip = problem.eta, problem.epsilon, problem.clip
    codes, named = problem.codes, problem.theta
    dtype = named["W"].dtype
    size = 2 * K * m + m * m + m + K
    theta, G, grad, scratch = (np.zeros(size, dtype) for _ in range(4))
    U, W, V, b, c = views(theta, m, K)
    U[...], W[...], V[...] = named["U"].T, named["W"], named["V"]
    dU, dW, dV, db, dc = views(grad, m, K)
    h, a = np.zeros((T + 1, m), dtype), np.zeros((T, m), dtype)
    da, product = np.zeros((T, m), dtype), np.zeros(m, dtype)
    p, onehot = np.zeros((T, K), dtype), np.eye(K, dtype=dtype)
    steps = np.arange(T)
    G += epsilon
    e = 0
    states, rows, gradients = list(h), list(a), list(da)
    forward = list(zip(states[:-1], rows, states[1:], strict=True))
    backward = list(zip(gradients[:0:-1], gradients[-2::-1], rows[-2::-1], strict=True))
    add, dot, multiply, tanh = np.add, np.dot, np.multiply, np.tanh

    def train(updates):
        nonlocal e
        losses = np.empty(updates)
        for n in range(updates):
            if e > codes.size - T - 1:
                e = 0
                h[0] = 0
            x, y = codes[e : e + T], codes[e + 1 : e + T + 1]
            U.take(x, 0, a)
            add(a, b, a)
            for before, inputs, after in forward:
                dot(W, before, product)
                add(product, inputs, product)
                tanh(product, after)
            np.dot(h[1:], V.T, out=p)
            p[...] += c
            p[...] -= p.max(axis=1, keepdims=True)
            target = p[steps, y]
            np.exp(p, out=p)
            total = p.sum(axis=1, keepdims=True)
            losses[n] = np.log(total).sum() - target.sum()
            p[...] /= total
            p[steps, y] -= 1
            np.dot(p.T, h[1:], out=dV)
            np.sum(p, axis=0, out=dc)
            np.dot(p, V, out=da)
            np.multiply(h[1:], h[1:], out=a)
            np.subtract(1, a, out=a)
            da[-1] *= a[-1]
            for after, d, slope in backward:
                dot(after, W, product)
                add(d, product, d)
                multiply(d, slope, d)
            np.dot(da.T, h[:-1], out=dW)
            np.dot(onehot[x].T, da, out=dU)
            np.sum(da, axis=0, out=db)
            np.maximum(grad, -clip, out=grad)
            np.minimum(grad, clip, out=grad)
            np.multiply(grad, grad, out=scratch)
            np.add(G, scratch, out=G)
            np.sqrt(G, out=scratch)
            np.divide(grad, scratch, out=scratch)
            np.multiply(scratch, eta, out=scratch)
            np.subtract(theta, scratch, out=theta)
            h[0] = h[T]
            e += T
        return losses

    return train
