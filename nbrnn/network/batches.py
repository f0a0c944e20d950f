"""The network over B windows of T characters at once: forward, its loss, and back-propagation.

The equations of `rnn`, with a row for each window: the recurrences are products of matrices.

    A_t = H_{t-1} W^T + U x_t + b      H_t = tanh(A_t)      O_t = H_t V^T + c

theta is a Parameters, gradient a Gradient, and work a BatchWork, whose rows are padded as `layout` says.
"""

import numpy as np

from nbrnn.network.simd.exp_tanh import clear, copy, exp, tanh
from nbrnn.network.simd.jit import jit_expand
from nbrnn.network.simd.matmul import add_matmul, add_outer_products, transpose
from nbrnn.network.simd.vector_ops import (
    add_row_sums,
    lanes,
    load,
    maximum,
    reduce_max,
    store,
    sum_rows,
    zeros,
)

# The first row. To Numba a literal 0 is a type of its own, for which it compiles a product once more.
FIRST = np.intp(0)


@jit_expand
def read_windows(work, codes, starts):
    """Fill x with the characters of the windows that begin at starts (B,), y with their successors."""
    B = starts.size
    for t in range(work.x.size // B):
        for b in range(B):
            work.x[t * B + b] = codes[starts[b] + t]
            work.y[t * B + b] = codes[starts[b] + t + 1]


@jit_expand
def batch_forward(theta, work):
    """Fill h[1:] and the logits O_t (into p), from h[0], for the characters x."""
    U, b, x, o = theta.U, theta.b, work.x, work.p
    (steps, B, M), L = work.h.shape, lanes(b)
    h = work.h.reshape(steps * B, M)
    transpose(work.WT, theta.W)
    transpose(work.VT, theta.V)
    copy(theta.c, work.c)
    for row in range(B, steps * B, B):
        for j in range(0, M, L):
            bias = load(b, 0, j, 1, 1)
            for w in range(B):
                store(load(U, x[row - B + w], j, 1, 1) + bias, h, row + w, j)
        add_matmul(h, row, h, row - B, B, work.WT)
        tanh(h[row : row + B].ravel())
    for k in range(0, o.shape[1], L):
        bias = load(work.c, 0, k, 1, 1)
        for row in range(o.shape[0]):
            store(bias, o, row, k)
    add_matmul(o, FIRST, h, B, o.shape[0], work.VT)


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
    exp(p.ravel())
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
def batch_backward_states(theta, work):
    """Fill da with da_t = (1 - h_t^2) (do_t V + da_{t+1} W)."""
    (T, B, M), L = work.da.shape, lanes(work.da)
    rows, one = T * B, work.da.dtype.type(1)
    h, da = work.h.reshape(rows + B, M), work.da.reshape(rows, M)
    clear(da.ravel())
    add_matmul(da, FIRST, work.p, FIRST, rows, theta.V)
    for first in range(rows - B, -1, -B):
        if first < rows - B:
            add_matmul(da, first, da, first + B, B, theta.W)
        for row in range(first, first + B):
            for j in range(0, M, L):
                state = load(h, row + B, j, 1, 1)
                store(load(da, row, j, 1, 1) * (one - state * state), da, row, j)


@jit_expand
def batch_backward(theta, gradient, work):
    """Fill gradient by back-propagation through all windows, and da on the way.

    Of gradient.U all rows of characters outside x are zero: those of the windows before are cleared.
    """
    dU, dW, dV, db, dc = gradient.U, gradient.W, gradient.V, gradient.b, gradient.c
    do, x, L = work.p, work.x, lanes(gradient.U)
    T, B, M = work.da.shape
    rows = T * B
    batch_backward_states(theta, work)
    h, da = work.h.reshape(rows + B, M), work.da.reshape(rows, M)
    clear(dV.ravel())
    clear(dW.ravel())
    add_outer_products(dV, do, FIRST, h, B, rows)
    add_outer_products(dW, da, FIRST, h, FIRST, rows)
    for u in gradient.rows:
        clear(dU[u])
    for row in range(rows):
        u = x[row]
        gradient.rows[row] = u
        for j in range(0, M, L):
            store(load(dU, u, j, 1, 1) + load(da, row, j, 1, 1), dU, u, j)
    sum_of_rows(db, dU)  # as each row of da is in one of them
    sum_of_rows(work.dc, do)
    copy(work.dc[: dc.size], dc)


@jit_expand
def sum_of_rows(out, A):
    """Fill out (J,) with the sum of the rows of A (I, J), with J padded."""
    (I, J), L = A.shape, lanes(A)
    whole = I // 8 * 8
    for j in range(0, J, L):
        s = zeros(A, 1, 1)
        for i in range(0, whole, 8):
            s += sum_rows(load(A, i, j, 8, 1))
        for i in range(whole, I):
            s += load(A, i, j, 1, 1)
        store(s, out, 0, j)
