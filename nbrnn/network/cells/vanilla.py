"""The vanilla cell: h_t = tanh(W h_{t-1} + U x_t + b). Elman, Cognitive Science 14 (1990), 179-211."""

from nbrnn.network.cells.passes import Passes, windows
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


def step(layer, work, t):
    """h_t = tanh(z_t + W h_{t-1})."""
    h, z = work.s[0], work.z[0]
    add_matvecs(z, t, layer.W[0], h, t, 1, t % 2 == 0)
    tanh(z[t])


def step_back(layer, work, t):
    """dz_t = (1 - h_t^2) (dh_t + W^T dz_{t+1})."""
    z, dz = work.z[0], work.dz[0]
    if t + 1 < dz.shape[0]:
        add_vecmat(dz, t, dz, t + 1, layer.W[0], t % 2 == 0)
    d, state, one = dz[t], z[t], dz.dtype.type(1)
    for j in range(d.size):
        d[j] *= one - state[j] * state[j]


def gradients(layer, work, gradient):
    """dW is the sum over t of dz_t h_{t-1}^T."""
    dW, dz, h = gradient.W[0], work.dz[0], work.s[0]
    # slices of columns, so that Numba compiles one matmul for strided arrays
    matmul(dW, dz[:, : dW.shape[0]].T, h[:-1])


# ---------------------------------------------------------------- B windows at once
# The same with a row for each window: row t B + b of z (T B, M) is step t of window b.


def batch_step(layer, work, t):
    """H_t = tanh(Z_t + H_{t-1} W^T)."""
    h, z, B = work.s[0], work.z[0], windows(work)
    row = t * B
    add_matmul(z, row, h, row, B, work.WT[0])
    tanh(z[row : row + B].ravel())


def batch_step_back(layer, work, t):
    """dZ_t = (1 - H_t^2) (dH_t + dZ_{t+1} W)."""
    z, dz, B, L = work.z[0], work.dz[0], windows(work), lanes(work.dz)
    first, one = t * B, dz.dtype.type(1)
    if first + B < dz.shape[0]:
        add_matmul(dz, first, dz, first + B, B, layer.W[0])
    for row in range(first, first + B):
        for j in range(0, dz.shape[1], L):
            state = load(z, row, j, 1, 1)
            store(load(dz, row, j, 1, 1) * (one - state * state), dz, row, j)


def batch_gradients(layer, work, gradient):
    """dW is the sum over t of dZ_t^T H_{t-1}."""
    dW, dz = gradient.W[0], work.dz[0]
    clear(dW.ravel())
    add_outer_products(dW, dz, FIRST, work.s[0], FIRST, dz.shape[0])


WINDOW = Passes(step, step_back, gradients)
BATCH = Passes(batch_step, batch_step_back, batch_gradients)
