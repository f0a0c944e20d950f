"""The vanilla cell: h_t = tanh(W h_{t-1} + U x_t + b). Elman, Cognitive Science 14 (1990), 179-211."""

from nbrnn.network.cells.cell_interface import Passes, read_character, read_characters, windows
from nbrnn.network.simd.exp_tanh import clear, tanh
from nbrnn.network.simd.matmul import (
    FIRST,
    add_matmul,
    add_matvecs,
    add_outer_products,
    add_vecmat,
    matmul,
)
from nbrnn.network.simd.vector_ops import lanes, load, store

# ---------------------------------------------------------------- one window
# z (T, M) are the states h[1:] themselves, and dz is dh.


def forward(layer, work, read):
    """h_t = tanh(z_t + W h_{t-1})."""
    x, is_first = read
    h, z, U, W, b = work.s[0], work.z[0], layer.U[0], layer.W[0], layer.b[0]
    for t in range(x.size):
        if is_first:
            read_character(U, b, x[t], z, t)
        add_matvecs(z, t, W, h, t, 1, t % 2 == 0)
        tanh(z[t])


def backward(layer, work, T):
    """dz_t = (1 - h_t^2) (dh_t + W^T dz_{t+1})."""
    z, dz, W, one = work.z[0], work.dz[0], layer.W[0], work.dz.dtype.type(1)
    for t in range(T - 1, -1, -1):
        if t < T - 1:
            add_vecmat(dz, t, dz, t + 1, W, t % 2 == 0)
        d, state = dz[t], z[t]
        for j in range(d.size):
            d[j] *= one - state[j] * state[j]


def gradients(layer, work, gradient):
    """dW is the sum over t of dz_t h_{t-1}^T."""
    dW, dz, h = gradient.W[0], work.dz[0], work.s[0]
    # slices of columns, so that Numba compiles one matmul for strided arrays
    matmul(dW, dz[:, : dW.shape[0]].T, h[:-1])


# ---------------------------------------------------------------- B windows at once
# The same with a row for each window: row t B + b of z (T B, M) is step t of window b.


def batch_forward(layer, work, read):
    """H_t = tanh(Z_t + H_{t-1} W^T)."""
    x, is_first = read
    h, z, U, WT, b, B = work.s[0], work.z[0], layer.U[0], work.WT[0], layer.b[0], windows(work)
    for row in range(0, x.size, B):
        if is_first:
            read_characters(U, b, x, z, row, B)
        add_matmul(z, row, h, row, B, WT)
        tanh(z[row : row + B].reshape(-1))


def batch_backward(layer, work, T):
    """dZ_t = (1 - H_t^2) (dH_t + dZ_{t+1} W)."""
    z, dz, W, B, L = work.z[0], work.dz[0], layer.W[0], windows(work), lanes(work.dz)
    one = dz.dtype.type(1)
    for first in range((T - 1) * B, -1, -B):
        if first < (T - 1) * B:
            add_matmul(dz, first, dz, first + B, B, W)
        for row in range(first, first + B):
            for j in range(0, dz.shape[1], L):
                state = load(z, row, j, 1, 1)
                store(load(dz, row, j, 1, 1) * (one - state * state), dz, row, j)


def batch_gradients(layer, work, gradient):
    """dW is the sum over t of dZ_t^T H_{t-1}."""
    dW, dz = gradient.W[0], work.dz[0]
    clear(dW.reshape(-1))
    add_outer_products(dW, dz, FIRST, work.s[0], FIRST, dz.shape[0])


WINDOW = Passes(forward, backward, gradients)
BATCH = Passes(batch_forward, batch_backward, batch_gradients)
