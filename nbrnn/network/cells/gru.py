"""The gated recurrent unit, with the reset after the product, as cuDNN and torch have it.

    r = sigmoid(W_r h + U_r x + b_r)    n = tanh(U_n x + b_n + r * (W_n h + d_n))
    z = sigmoid(W_z h + U_z x + b_z)    h_t = (1 - z) * n + z * h,    h being h_{t-1}

Cho et al., EMNLP 2014, 1724-1734. The planes of LayerWork.z are r, z, n and q = W_n h + d_n; before a
step the first three hold what x and b contribute. Those of dz are the gradients of what goes into them.
"""

from nbrnn.network.cells.cell_interface import step_by_step, windows
from nbrnn.network.simd.exp_tanh import clear, copy, sigmoid, tanh
from nbrnn.network.simd.jit import jit_expand
from nbrnn.network.simd.matmul import (
    FIRST,
    add_matmul,
    add_matvecs,
    add_outer_products,
    add_vecmat,
    matmul,
    sum_of_rows,
)
from nbrnn.network.simd.vector_ops import lanes, load, store


@jit_expand
def candidate(z, first, last):
    """n = tanh(n + r * q), in rows first to last."""
    L = lanes(z)
    r, n, q = z[0], z[2], z[3]
    for row in range(first, last):
        for j in range(0, n.shape[1], L):
            store(load(n, row, j, 1, 1) + load(r, row, j, 1, 1) * load(q, row, j, 1, 1), n, row, j)
    tanh(n[first:last].reshape(-1))


@jit_expand
def interpolate(z, h, first, last, B):
    """h_t = n + z * (h_{t-1} - n), in rows first to last of z; h[row + B] follows h[row]."""
    L = lanes(z)
    u, n = z[1], z[2]
    for row in range(first, last):
        for j in range(0, n.shape[1], L):
            new = load(n, row, j, 1, 1)
            store(new + load(u, row, j, 1, 1) * (load(h, row, j, 1, 1) - new), h, row + B, j)


@jit_expand
def gates_back(z, h, dz, dh, first, last, B):
    """Fill dz in rows first to last, and add dh_t * z to dh_{t-1} where that is a row of dh."""
    L = lanes(z)
    one = z.dtype.type(1)
    for row in range(first, last):
        for j in range(0, dh.shape[1], L):
            r, u = load(z[0], row, j, 1, 1), load(z[1], row, j, 1, 1)
            n, d = load(z[2], row, j, 1, 1), load(dh, row, j, 1, 1)
            dn = d * (one - u) * (one - n * n)
            store(dn * load(z[3], row, j, 1, 1) * r * (one - r), dz[0], row, j)
            store(d * (load(h, row, j, 1, 1) - n) * u * (one - u), dz[1], row, j)
            store(dn, dz[2], row, j)
            store(dn * r, dz[3], row, j)
            if row >= B:
                store(load(dh, row - B, j, 1, 1) + d * u, dh, row - B, j)


# ---------------------------------------------------------------- one window


@jit_expand
def step(layer, work, t):
    """Fill h_t."""
    h, z = work.s[0], work.z
    copy(layer.d[0], z[3, t])
    for gate in range(3):
        plane = gate + gate // 2  # r, z and q
        add_matvecs(z[plane], t, layer.W[gate], h, t, 1, t % 2 == 0)
    sigmoid(z[0, t])
    sigmoid(z[1, t])
    candidate(z, t, t + 1)
    interpolate(z, h, t, t + 1, 1)


@jit_expand
def step_back(layer, work, t):
    """Fill dz_t."""
    dz, dh = work.dz, work.dh
    if t + 1 < dh.shape[0]:
        for gate in range(3):
            add_vecmat(dh, t, dz[gate + gate // 2], t + 1, layer.W[gate], t % 2 == 0)
    gates_back(work.z, work.s[0], dz, dh, t, t + 1, 1)


def gradients(layer, work, gradient):
    """dW is the sum over t of dz_t h_{t-1}^T, for the planes r, z, q; dd that of the plane q."""
    dW, dz, h = gradient.W, work.dz, work.s[0]
    for gate in range(3):
        matmul(dW[gate], dz[gate + gate // 2, :, : dW.shape[1]].T, h[:-1])
    sum_of_rows(gradient.d[0], dz[3])


# ---------------------------------------------------------------- B windows at once


@jit_expand
def batch_step(layer, work, t):
    """Fill H_t."""
    h, z, B = work.s[0], work.z, windows(work)
    first = t * B
    for row in range(first, first + B):
        copy(layer.d[0], z[3, row])
    for gate in range(3):
        add_matmul(z[gate + gate // 2], first, h, first, B, work.WT[gate])
    sigmoid(z[0, first : first + B].reshape(-1))
    sigmoid(z[1, first : first + B].reshape(-1))
    candidate(z, first, first + B)
    interpolate(z, h, first, first + B, B)


@jit_expand
def batch_step_back(layer, work, t):
    """Fill dZ_t."""
    dz, dh, B = work.dz, work.dh, windows(work)
    first = t * B
    if first + B < dh.shape[0]:
        for gate in range(3):
            add_matmul(dh, first, dz[gate + gate // 2], first + B, B, layer.W[gate])
    gates_back(work.z, work.s[0], dz, dh, first, first + B, B)


def batch_gradients(layer, work, gradient):
    """dW is the sum over t of dZ_t^T H_{t-1}, for the planes r, z, q; dd that of the plane q."""
    dW, dz = gradient.W, work.dz
    clear(dW.reshape(-1))
    for gate in range(3):
        add_outer_products(dW[gate], dz[gate + gate // 2], FIRST, work.s[0], FIRST, dz.shape[1])
    sum_of_rows(gradient.d[0], dz[3])


WINDOW = step_by_step(step, step_back, gradients)
BATCH = step_by_step(batch_step, batch_step_back, batch_gradients)
