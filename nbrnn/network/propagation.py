"""Forward and back through all layers, in one window or in B windows at once.

Layer l reads characters (l = 0, as rows of U) or the states of the layer below. All layers are of one
type, so that a loop over them is compiled once. The gradient that work.p holds beside the logits is
that of `scale` times the loss. Work, BatchWork and LayerWork are those of `buffers`.
"""

from nbrnn.network.cells.dispatch import BATCH, WINDOW
from nbrnn.network.dropout import drop, drop_back
from nbrnn.network.readout import (
    add_up_rows,
    batch_logits,
    batch_loss,
    batch_readout_backward,
    logits,
    readout_backward,
    softmax_loss,
)
from nbrnn.network.simd.exp_tanh import clear, copy
from nbrnn.network.simd.jit import jit_expand, overload_inline
from nbrnn.network.simd.matmul import (
    FIRST,
    add_matmul,
    add_matvecs,
    add_outer_products,
    matmul,
    sum_of_rows,
    transpose,
)
from nbrnn.network.simd.vector_ops import lanes, load, store

through_time, back_through_time, recurrent_gradients = WINDOW
batch_through_time, batch_back_through_time, batch_recurrent_gradients = BATCH


def above_the_first(function):
    """Make a function of (layers, work, n, ...) one that is left out of a network of one layer.

    The number of layers is part of the type of `layers`, and known when a kernel is compiled.
    """

    def in_network(layers, work, n, argument):
        return function(layers, work, n, argument)

    @overload_inline(in_network, strict=False)
    def _in_network(layers, work, n, argument):  # pragma: no cover (only the compiler calls it)
        return function if len(layers) > 1 else lambda layers, work, n, argument: None

    return in_network


# ---------------------------------------------------------------- the states before a window


@jit_expand
def reset_states(work, is_reset):
    """Set the states before those windows to zero that is_reset (B,) names."""
    for layer in work.layers:
        for state in range(layer.s.shape[0]):
            for b in range(is_reset.size):
                if is_reset[b]:
                    clear(layer.s[state, b])


@jit_expand
def carry_states_over(work, T, B):
    """Make the states after T characters those before the next windows."""
    for layer in work.layers:
        for state in range(layer.s.shape[0]):
            for b in range(B):
                copy(layer.s[state, T * B + b], layer.s[state, b])


@jit_expand
def copy_states(work, states):
    """Copy the states before the windows into `states` (layers, states of a cell, B, M)."""
    for n in range(len(work.layers)):
        for state in range(states.shape[1]):
            for b in range(states.shape[2]):
                copy(work.layers[n].s[state, b], states[n, state, b])


# ---------------------------------------------------------------- one window


@jit_expand
def forward(theta, work, x):
    """Fill the states of all layers and the logits (into work.p) for x, up to T characters."""
    for n in range(len(theta.layers)):
        layer, own = theta.layers[n], work.layers[n]
        read_states(theta.layers, work, n, x.size)
        through_time(layer, own, (x, n == 0))
        drop(work.dropout, own, n, work.update[0])
    logits(theta, work.layers[-1].x, work.p[: x.size])


@above_the_first
def read_states(layers, work, n, T):
    """Fill z of layer n with U x_t + b, for T steps x of the layer below."""
    if n == 0:
        return
    layer, own, x = layers[n], work.layers[n], work.layers[n - 1].x
    for gate in range(layer.b.shape[0]):
        U, b = layer.U[gate], layer.b[gate]
        matmul(own.z[gate, :T], x[:T, : U.shape[0]], U)
        for t in range(T):
            a = own.z[gate, t]
            for j in range(a.size):
                a[j] += b[j]


@jit_expand
def window_loss(theta, work, codes, starts, scale):
    """Return the sum of the losses of the window that begins at starts[0]."""
    start, T = starts[0], work.p.shape[0]
    forward(theta, work, codes[start : start + T])
    softmax_loss(work.p, codes[start + 1 : start + T + 1], work.losses, scale)
    loss = 0.0
    for t in range(T):
        loss += work.losses[t]
    return loss


@jit_expand
def window_backward(theta, gradient, work, codes, starts):
    """Fill gradient by back-propagation through the window."""
    start, T = starts[0], work.p.shape[0]
    top = work.layers[-1]
    readout_backward(theta, gradient, work.p, top.x, top.dh)
    for n in range(len(theta.layers) - 1, -1, -1):
        layer, own, of_layer = theta.layers[n], work.layers[n], gradient.layers[n]
        drop_back(work.dropout, own, n, work.update[0])
        back_through_time(layer, own, T)
        recurrent_gradients(layer, own, of_layer)
        if n == 0:
            character_gradients(of_layer, own, gradient.rows, codes[start : start + T])
        state_gradients(theta.layers, work, n, of_layer)


@jit_expand
def character_gradients(gradient, work, rows, x):
    """Fill db with the sum over t of dz_t, and dU with that of dz_t x_t^T.

    All rows of dU of characters outside x are zero: those of the window before, `rows`, are cleared.
    """
    for gate in range(gradient.b.shape[0]):
        dU, db, dz = gradient.U[gate], gradient.b[gate], work.dz[gate]
        clear(db)
        for u in rows:
            clear(dU[u])
        for t in range(x.size):
            u = x[t]  # outside of the loop: an index that may be negative would keep it scalar
            for j in range(db.size):
                db[j] += dz[t, j]
            for j in range(db.size):
                dU[u, j] += dz[t, j]
    for t in range(x.size):
        rows[t] = x[t]


@above_the_first
def state_gradients(layers, work, n, gradient):
    """Fill db, dU with the sum over t of dz_t x_t^T, and dh of the layer below with U^T dz_t."""
    if n == 0:
        return
    own, below = work.layers[n], work.layers[n - 1]
    clear(below.dh.reshape(-1))
    for gate in range(gradient.b.shape[0]):
        dU, db, dz = gradient.U[gate], gradient.b[gate], own.dz[gate]
        matmul(dU, below.x[:, : dU.shape[0]].T, dz)
        add_up_rows(db, dz)
        add_matvecs(below.dh, 0, layers[n].U[gate], dz, 0, dz.shape[0], True)


# ---------------------------------------------------------------- B windows at once


@jit_expand
def read_windows(work, codes, starts):
    """Fill x with the characters of the windows that begin at starts (B,), y with their successors."""
    B = starts.size
    for t in range(work.x.size // B):
        for b in range(B):
            work.x[t * B + b] = codes[starts[b] + t]
            work.y[t * B + b] = codes[starts[b] + t + 1]


@above_the_first
def batch_read_states(layers, work, n, T):
    """Fill z of layer n with U x_t + b, for all steps x of the layer below."""
    if n == 0:
        return
    layer, own, x = layers[n], work.layers[n], work.layers[n - 1].x
    for gate in range(layer.b.shape[0]):
        b, z = layer.b[gate], own.z[gate]
        for j in range(0, b.size, lanes(b)):
            bias = load(b, 0, j, 1, 1)
            for row in range(z.shape[0]):
                store(bias, z, row, j)
        add_matmul(z, FIRST, x, FIRST, z.shape[0], layer.U[gate])


@jit_expand
def batch_windows_loss(theta, work, codes, starts, scale):
    """Return the sum of the losses of all windows."""
    B = starts.size
    read_windows(work, codes, starts)
    for n in range(len(theta.layers)):
        layer, own = theta.layers[n], work.layers[n]
        for gate in range(layer.W.shape[0]):
            transpose(own.WT[gate], layer.W[gate])
        batch_read_states(theta.layers, work, n, work.x.size // B)
        batch_through_time(layer, own, (work.x, n == 0))
        drop(work.dropout, own, n, work.update[0])
    batch_logits(theta, work, work.layers[-1].x)
    return batch_loss(work, scale)


@jit_expand
def batch_windows_backward(theta, gradient, work, codes, starts):
    """Fill gradient by back-propagation through all windows."""
    B = starts.size
    top = work.layers[-1]
    batch_readout_backward(theta, gradient, work, top.x, top.dh)
    for n in range(len(theta.layers) - 1, -1, -1):
        layer, own, of_layer = theta.layers[n], work.layers[n], gradient.layers[n]
        drop_back(work.dropout, own, n, work.update[0])
        batch_back_through_time(layer, own, work.x.size // B)
        batch_recurrent_gradients(layer, own, of_layer)
        if n == 0:
            batch_character_gradients(of_layer, own, gradient.rows, work.x)
        batch_state_gradients(theta.layers, work, n, of_layer)


@jit_expand
def batch_character_gradients(gradient, work, rows, x):
    """Fill db and dU, whose rows of characters outside x are zero, as `character_gradients` does."""
    for gate in range(gradient.b.shape[0]):
        dU, dz, L = gradient.U[gate], work.dz[gate], lanes(gradient.U)
        for u in rows:
            clear(dU[u])
        for row in range(x.size):
            u = x[row]
            for j in range(0, dz.shape[1], L):
                store(load(dU, u, j, 1, 1) + load(dz, row, j, 1, 1), dU, u, j)
        sum_of_rows(gradient.b[gate], dU)  # as each row of dz is in one of them
    for row in range(x.size):
        rows[row] = x[row]


@above_the_first
def batch_state_gradients(layers, work, n, gradient):
    """Fill db and dU, and dh of the layer below, as `state_gradients` does."""
    if n == 0:
        return
    layer, own, below = layers[n], work.layers[n], work.layers[n - 1]
    clear(below.dh.reshape(-1))
    clear(gradient.U.reshape(-1))
    for gate in range(gradient.b.shape[0]):
        dz = own.dz[gate]
        add_outer_products(gradient.U[gate], below.x, FIRST, dz, FIRST, dz.shape[0])
        sum_of_rows(gradient.b[gate], dz)
        transpose(own.UT[gate], layer.U[gate])
        add_matmul(below.dh, FIRST, dz, FIRST, dz.shape[0], own.UT[gate])


# ---------------------------------------------------------------- documents


@jit_expand
def uncount_padding(work, codes, starts, end):
    """Take away the gradient of the padding after documents, in work.p; return its loss, unscaled.

    There the characters `end` follow one another.
    """
    B, loss = starts.size, 0.0
    for row in range(work.losses.size):
        place = starts[row % B] + row // B
        if codes[place] == end and codes[place + 1] == end:
            loss += work.losses[row]
            clear(work.p[row])
    return loss
