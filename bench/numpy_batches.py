"""NumPy as fast as we could write it for windows at once: in place, products over all rows at once.

The gradient of U is a product with a matrix of zeros and ones: where it is large a sparse one, by SciPy.
"""

import math

import numpy as np
from scipy.sparse import csc_array

from bench.numpy_best import views
from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    m, K, T, B = problem.m, problem.K, problem.T, problem.batch
    streams, per_epoch, named = problem.streams, problem.updates_per_epoch, problem.theta
    beta1, beta2, eta, epsilon = problem.beta1, problem.beta2, problem.eta, problem.epsilon
    scale, dtype, rows = problem.scale, named["W"].dtype, T * B
    size = 2 * K * m + m * m + m + K
    theta, mean, square, grad, scratch = (np.zeros(size, dtype) for _ in range(5))
    U, W, V, b, c = views(theta, m, K)
    U[...], W[...], V[...] = named["U"].T, named["W"], named["V"]
    dU, dW, dV, db, dc = views(grad, m, K)
    h, a, da = (np.zeros((T + steps, B, m), dtype) for steps in (1, 0, 0))
    after, before, inputs, slopes = (x.reshape(rows, m) for x in (h[1:], h[:-1], a, da))
    p, ones = np.zeros((rows, K), dtype), np.ones(rows, dtype)
    onehot, columns = np.eye(K, dtype=dtype), np.arange(rows + 1)
    product, column, row = np.zeros((B, m), dtype), np.zeros((rows, 1), dtype), np.arange(rows)
    number, transposed = 0, np.zeros((m, m), dtype)
    states, additions, gradients = list(h), list(a), list(da)
    forward = list(zip(states[:-1], additions, states[1:], strict=True))
    backward = list(zip(gradients[:0:-1], gradients[-2::-1], additions[-2::-1], strict=True))
    add, dot, multiply, tanh = np.add, np.dot, np.multiply, np.tanh

    def train(updates):
        nonlocal number
        losses = np.empty(updates)
        for n in range(updates):
            place = number % per_epoch
            if place == 0:
                h[0] = 0
            number += 1
            text = streams[place * T : (place + 1) * T + 1]
            x, y = text[:-1].ravel(), text[1:].ravel()
            U.take(x, 0, inputs)
            add(inputs, b, inputs)
            transposed[...] = W.T
            for earlier, addition, later in forward:
                dot(earlier, transposed, product)
                add(product, addition, product)
                tanh(product, later)
            dot(after, V.T, out=p)
            add(p, c, p)
            np.max(p, axis=1, keepdims=True, out=column)
            np.subtract(p, column, p)
            target = p[row, y].sum()
            np.exp(p, out=p)
            np.sum(p, axis=1, keepdims=True, out=column)
            losses[n] = scale * (np.log(column).sum() - target)
            np.divide(scale, column, column)
            multiply(p, column, p)
            p[row, y] -= scale
            dot(p.T, after, out=dV)
            dot(ones, p, out=dc)
            dot(p, V, out=slopes)
            multiply(after, after, inputs)
            np.subtract(1, inputs, inputs)
            multiply(da[-1], a[-1], da[-1])
            for later, earlier, slope in backward:
                dot(later, W, product)
                add(earlier, product, earlier)
                multiply(earlier, slope, earlier)
            dot(slopes.T, before, out=dW)
            if rows < 500:
                dot(onehot[x].T, slopes, out=dU)
            else:
                dU[...] = csc_array((ones, x, columns), shape=(K, rows)) @ slopes
            dot(ones, slopes, out=db)
            root = math.sqrt(1 - beta2**number)
            np.subtract(grad, mean, scratch)
            multiply(scratch, 1 - beta1, scratch)
            add(mean, scratch, mean)
            multiply(grad, grad, grad)
            np.subtract(grad, square, grad)
            multiply(grad, 1 - beta2, grad)
            add(square, grad, square)
            np.sqrt(square, grad)
            add(grad, epsilon * root, grad)
            np.divide(mean, grad, grad)
            multiply(grad, eta * root / (1 - beta1**number), grad)
            np.subtract(theta, grad, theta)
            h[0] = h[T]
        return losses

    return train
