"""The readout and the loss, which all cells share: o_t = V h_t + c, p_t = softmax(o_t), -log p_t[y_t].

First over one window, then over B windows at once. h holds the states of the top layer, step by step,
padded as `layout` says.
"""

import numpy as np

from nbrnn.network.simd.exp_tanh import clear, copy, exp
from nbrnn.network.simd.jit import jit, jit_expand
from nbrnn.network.simd.matmul import (
    FIRST,
    add_matmul,
    add_matvecs,
    add_outer_products,
    matmul,
    sum_of_rows,
    transpose,
)
from nbrnn.network.simd.vector_ops import (
    add_row_sums,
    broadcast,
    lanes,
    load,
    maximum,
    reduce_max,
    store,
    zeros,
)

# ---------------------------------------------------------------- one window


@jit_expand
def logits(theta, h, o):
    """Fill o (T, K) with o_t = V h_t + c, for the states h (>= T, M)."""
    for t in range(o.shape[0]):
        copy(theta.c, o[t])
    add_matvecs(o, 0, theta.V, h, 0, o.shape[0], True)


@jit_expand
def max_logit(o):
    """Return the largest number of a row, or NaN where that comes first."""
    L = lanes(o)
    whole = o.size // L * L
    tops = broadcast(o, 0, 0, 1)
    for k in range(0, whole, L):
        tops = maximum(tops, load(o, 0, k, 1, 1))
    top = reduce_max(tops)
    for k in range(whole, o.size):
        top = maximum(top, o[k])
    return top


@jit
def softmax_loss(p, y, losses, scale):
    """Replace logits p by the gradient of the loss, scale (softmax(p) - onehot(y)).

    losses[t] is step t's loss, without the scale; p (T, K), and scale in its precision.
    """
    real = p.dtype.type
    for t in range(y.size):
        o = p[t]
        top = max_logit(o)
        for k in range(o.size):
            o[k] -= top
        losses[t] = -o[y[t]]
    exp(p.reshape(-1))
    for t in range(y.size):
        o = p[t]
        total = real(0)
        for k in range(o.size):
            total += o[k]
        losses[t] += np.log(total)
        share = scale / total
        for k in range(o.size):
            o[k] *= share
        o[y[t]] -= scale


@jit_expand
def readout_backward(theta, gradient, do, h, dh):
    """Fill dh with V^T do_t, dV with the sum over t of do_t h_t^T, dc with that of do_t; h (T, M)."""
    dV, dc = gradient.V, gradient.c
    K = dV.shape[0]
    # slices of columns, so that Numba compiles one matmul for strided arrays
    matmul(dh, do[:, :K], theta.V)
    matmul(dV, do[:, :K].T, h)
    add_up_rows(dc, do)


@jit_expand
def add_up_rows(out, A):
    """Fill out (J,) with the sum of the rows of A (I, >= J)."""
    clear(out)
    for i in range(A.shape[0]):
        for j in range(out.size):
            out[j] += A[i, j]


# ---------------------------------------------------------------- B windows at once


@jit_expand
def batch_logits(theta, work, h):
    """Fill work.p with O_t = H_t V^T + c."""
    o, L = work.p, lanes(work.p)
    transpose(work.VT, theta.V)
    copy(theta.c, work.c)
    for k in range(0, o.shape[1], L):
        bias = load(work.c, 0, k, 1, 1)
        for n in range(o.shape[0]):
            store(bias, o, n, k)
    add_matmul(o, FIRST, h, FIRST, o.shape[0], work.VT)


@jit_expand
def batch_loss(work, scale):
    """Replace the logits by the gradient of the scaled loss; return the sum of all losses.

    Columns K to P are 0 then: the numbers that `inside` takes away would be smaller than normal ones.
    """
    p, y, losses, inside, totals = work.p, work.y, work.losses, work.inside, work.totals
    (rows, P), L = p.shape, lanes(p)
    for row in range(rows):
        tops = load(p, row, 0, 1, 1)
        for k in range(L, P, L):
            tops = maximum(tops, load(p, row, k, 1, 1))
        top = reduce_max(tops)
        for k in range(0, P, L):
            store(load(p, row, k, 1, 1) - top, p, row, k)
        losses[row] = -p[row, y[row]]
    exp(p.reshape(-1))
    clear(totals)
    whole = rows // 8 * 8
    for row in range(0, whole, 8):
        s = zeros(p, 8, 1)
        for k in range(0, P, L):
            s += load(p, row, k, 8, 1) * load(inside, 0, k, 1, 1)
        add_row_sums(totals, 0, row, s)
    for row in range(whole, rows):
        s = zeros(p, 1, 1)
        for k in range(0, P, L):
            s += load(p, row, k, 1, 1) * load(inside, 0, k, 1, 1)
        add_row_sums(totals, 0, row, s)
    loss = 0.0
    for row in range(rows):
        losses[row] += np.log(totals[row])
        loss += losses[row]
        share = scale / totals[row]
        for k in range(0, P, L):
            store(load(p, row, k, 1, 1) * (load(inside, 0, k, 1, 1) * share), p, row, k)
        p[row, y[row]] -= scale
    return loss


@jit_expand
def batch_readout_backward(theta, gradient, work, h, dh):
    """Fill dh with dO_t V, dV with the sum over t of dO_t^T H_t, and dc."""
    dV, do = gradient.V, work.p
    clear(dh.reshape(-1))
    add_matmul(dh, FIRST, do, FIRST, do.shape[0], theta.V)
    clear(dV.reshape(-1))
    add_outer_products(dV, do, FIRST, h, FIRST, do.shape[0])
    sum_of_rows(work.dc, do)
    copy(work.dc[: gradient.c.size], gradient.c)
