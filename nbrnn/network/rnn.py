"""The network over one window: forward, its loss, and back-propagation.

    a_t = W h_{t-1} + U x_t + b      h_t = tanh(a_t)      o_t = V h_t + c      p_t = softmax(o_t)
    L = -sum_t log p_t[y_t]

x and y (T,) are a window's characters and their successors; theta is a Parameters and gradient a
Gradient; h (T+1, M), p (T, K) and da (T, M) are those of Work, padded as `layout` says. h[0] is the
state before the window; do (T, K) is the gradient of the logits.
"""

import numpy as np

from nbrnn.network.simd.exp_tanh import clear, copy, exp, tanh
from nbrnn.network.simd.jit import jit, jit_expand
from nbrnn.network.simd.matmul import add_matvecs, add_vecmat, matmul
from nbrnn.network.simd.vector_ops import broadcast, lanes, load, maximum, reduce_max


@jit_expand
def forward(theta, x, h, p):
    """Fill h[1:] and the logits o_t = V h_t + c (into p), from h[0], for the characters x."""
    forward_states(theta, x, h)
    logits(theta, h, p)


@jit_expand
def forward_states(theta, x, h):
    """Fill h[1:] with h_t = tanh(W h_{t-1} + U x_t + b)."""
    U, W, b = theta.U, theta.W, theta.b
    for t in range(x.size):
        a, u = h[t + 1], U[x[t]]
        for j in range(a.size):
            a[j] = b[j] + u[j]
        add_matvecs(h, t + 1, W, h, t, 1, t % 2 == 0)
        tanh(a)


@jit_expand
def logits(theta, h, o):
    """Fill o with o_t = V h_t + c."""
    for t in range(o.shape[0]):
        copy(theta.c, o[t])
    add_matvecs(o, 0, theta.V, h, 1, o.shape[0], True)


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
    exp(p.ravel())
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
def backward(theta, gradient, x, h, do, da):
    """Fill gradient by back-propagation through the window, and da on the way."""
    backward_states(theta, h, do, da)
    weight_gradients(gradient, x, h, do, da)


@jit_expand
def backward_states(theta, h, do, da):
    """Fill da with da_t = (1 - h_t^2) (V^T do_t + W^T da_{t+1})."""
    one = da.dtype.type(1)
    T, K = do.shape
    matmul(da, do[:, :K], theta.V)
    for t in range(T - 1, -1, -1):
        if t < T - 1:
            add_vecmat(da, t, da, t + 1, theta.W, t % 2 == 0)
        d, state = da[t], h[t + 1]
        for j in range(d.size):
            d[j] *= one - state[j] * state[j]


@jit_expand
def weight_gradients(gradient, x, h, do, da):
    """Fill gradient with the sums over t of do_t h_t^T, da_t h_{t-1}^T, da_t x_t^T, da_t and do_t.

    Of gradient.U all rows of characters outside x are zero: those of the window before are cleared.
    """
    dU, dW, dV, db, dc = gradient.U, gradient.W, gradient.V, gradient.b, gradient.c
    m, K = dW.shape[0], dV.shape[0]
    # slices of columns, as in backward_states, so that Numba compiles one matmul for strided arrays
    matmul(dV, do[:, :K].T, h[1:])
    matmul(dW, da[:, :m].T, h[:-1])
    clear(db)
    clear(dc)
    for u in gradient.rows:
        clear(dU[u])
    for t in range(x.size):
        u = x[t]  # outside of the loop: an index that may be negative would keep it scalar
        gradient.rows[t] = u
        for j in range(db.size):
            db[j] += da[t, j]
        for j in range(db.size):
            dU[u, j] += da[t, j]
        for k in range(dc.size):
            dc[k] += do[t, k]
