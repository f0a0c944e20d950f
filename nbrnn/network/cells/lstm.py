"""Long short-term memory.

    i = sigmoid(W_i h + U_i x + b_i)    f = sigmoid(W_f h + U_f x + b_f)
    g = tanh(W_g h + U_g x + b_g)       o = sigmoid(W_o h + U_o x + b_o)
    c_t = f * c_{t-1} + i * g           h_t = o * tanh(c_t),    h being h_{t-1}

Hochreiter and Schmidhuber, Neural Computation 9 (1997), 1735-1780; the gate f by Gers, Schmidhuber and
Cummins, Neural Computation 12 (2000), 2451-2471. The planes of LayerWork.z are i, f, g, o and tanh(c_t);
before a step the first four hold what x and b contribute. Those of dz are the gradients of what goes
into i, f, g, o, and that of c_t.
"""

from nbrnn.network.cells.cell_interface import step_by_step, windows
from nbrnn.network.simd.exp_tanh import clear, sigmoid, tanh
from nbrnn.network.simd.jit import jit_expand
from nbrnn.network.simd.matmul import (
    FIRST,
    add_matmul,
    add_matvecs,
    add_outer_products,
    add_vecmat,
    matmul,
)
from nbrnn.network.simd.vector_ops import lanes, load, store


@jit_expand
def gates_forward(z, s, first, last, B):
    """Fill c_t and h_t in rows first + B to last + B, from what goes into the gates."""
    h, c, L = s[0], s[1], lanes(z)
    for gate in (0, 1, 3):
        sigmoid(z[gate, first:last].reshape(-1))
    tanh(z[2, first:last].reshape(-1))
    for row in range(first, last):
        for j in range(0, h.shape[1], L):
            i, f, g = load(z[0], row, j, 1, 1), load(z[1], row, j, 1, 1), load(z[2], row, j, 1, 1)
            new = f * load(c, row, j, 1, 1) + i * g
            store(new, c, row + B, j)
            store(new, z[4], row, j)
    tanh(z[4, first:last].reshape(-1))
    for row in range(first, last):
        for j in range(0, h.shape[1], L):
            store(load(z[3], row, j, 1, 1) * load(z[4], row, j, 1, 1), h, row + B, j)


@jit_expand
def gates_back(z, s, dz, dh, first, last, B):
    """Fill dz in rows first to last; that of c_t comes from h_t and from c_{t+1}, where there is one."""
    c, one, L = s[1], z.dtype.type(1), lanes(z)
    for row in range(first, last):
        for j in range(0, dh.shape[1], L):
            i, f = load(z[0], row, j, 1, 1), load(z[1], row, j, 1, 1)
            g, o = load(z[2], row, j, 1, 1), load(z[3], row, j, 1, 1)
            q, d = load(z[4], row, j, 1, 1), load(dh, row, j, 1, 1)
            dc = d * o * (one - q * q)
            if row + B < dh.shape[0]:
                dc += load(dz[4], row + B, j, 1, 1) * load(z[1], row + B, j, 1, 1)
            store(dc * g * i * (one - i), dz[0], row, j)
            store(dc * load(c, row, j, 1, 1) * f * (one - f), dz[1], row, j)
            store(dc * i * (one - g * g), dz[2], row, j)
            store(d * q * o * (one - o), dz[3], row, j)
            store(dc, dz[4], row, j)


# ---------------------------------------------------------------- one window


@jit_expand
def step(layer, work, t):
    """Fill h_t and c_t."""
    for gate in range(4):
        add_matvecs(work.z[gate], t, layer.W[gate], work.s[0], t, 1, t % 2 == 0)
    gates_forward(work.z, work.s, t, t + 1, 1)


@jit_expand
def step_back(layer, work, t):
    """Fill dz_t."""
    dz, dh = work.dz, work.dh
    if t + 1 < dh.shape[0]:
        for gate in range(4):
            add_vecmat(dh, t, dz[gate], t + 1, layer.W[gate], t % 2 == 0)
    gates_back(work.z, work.s, dz, dh, t, t + 1, 1)


def gradients(layer, work, gradient):
    """dW is the sum over t of dz_t h_{t-1}^T."""
    dW = gradient.W
    for gate in range(4):
        matmul(dW[gate], work.dz[gate, :, : dW.shape[1]].T, work.s[0, :-1])


# ---------------------------------------------------------------- B windows at once


@jit_expand
def batch_step(layer, work, t):
    """Fill H_t and C_t."""
    B = windows(work)
    first = t * B
    for gate in range(4):
        add_matmul(work.z[gate], first, work.s[0], first, B, work.WT[gate])
    gates_forward(work.z, work.s, first, first + B, B)


@jit_expand
def batch_step_back(layer, work, t):
    """Fill dZ_t."""
    dz, dh, B = work.dz, work.dh, windows(work)
    first = t * B
    if first + B < dh.shape[0]:
        for gate in range(4):
            add_matmul(dh, first, dz[gate], first + B, B, layer.W[gate])
    gates_back(work.z, work.s, dz, dh, first, first + B, B)


def batch_gradients(layer, work, gradient):
    """dW is the sum over t of dZ_t^T H_{t-1}."""
    dW, dz = gradient.W, work.dz
    clear(dW.reshape(-1))
    for gate in range(4):
        add_outer_products(dW[gate], dz[gate], FIRST, work.s[0], FIRST, dz.shape[1])


WINDOW = step_by_step(step, step_back, gradients)
BATCH = step_by_step(batch_step, batch_step_back, batch_gradients)
