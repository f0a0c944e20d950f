"""What Python calls to train: many updates a call, the gradient of one, and numerical derivatives.

The caller allocates, a kernel fills. Buffers, Plan, Carry and History are those of `buffers`; characters
are int32.
"""

from typing import Any

import numpy as np

from nbrnn.network.buffers import BatchWork, Carry
from nbrnn.network.optimizers import at, limit_norm, update_parameters
from nbrnn.network.propagation import (
    batch_windows_backward,
    batch_windows_loss,
    carry_states_over,
    copy_states,
    forward,
    reset_states,
    uncount_padding,
    window_backward,
    window_loss,
)
from nbrnn.network.readout import softmax_loss
from nbrnn.network.simd.exp_tanh import copy
from nbrnn.network.simd.jit import jit, jit_allocating, jit_expand

SMOOTHING = 0.999  # of the smooth loss, an exponential average over updates


def train(
    buffers: Any,
    optimizer: Any,
    clip: Any,
    scale: Any,
    codes: Any,
    plan: Any,
    carry: Any,
    history: Any,
    norm: Any = None,
) -> Any:
    """Train for as many updates as history holds, or until the loss diverges; return the carry.

    codes (N,) is the text, of which plan says what each update reads. The loss of an update is `scale`
    times the sum of its characters' losses. optimizer, clip and scale are numbers in theta's precision,
    and so is norm, which the norm of the whole gradient is scaled to where it is larger, before `clip`.
    work holds the states to start from, and in the end those to continue from. best and best_state are
    overwritten with theta and these states whenever an evaluation finds a lower smooth loss.

    A loss counts as diverged when it is not finite, or so large that logits of that size cannot resolve
    a difference of one nat in their precision.
    """
    kernel = train_batch if isinstance(buffers.work, BatchWork) else train_window
    return kernel(buffers, optimizer, clip, scale, codes, plan, carry, history, norm)


@jit
def train_window(buffers, optimizer, clip, scale, codes, plan, carry, history, norm):
    """Do what `train` says, with one window an update."""
    loss_of, backward = window_loss, window_backward
    return updates(loss_of, backward, buffers, optimizer, clip, scale, codes, plan, carry, history, norm)


@jit
def train_batch(buffers, optimizer, clip, scale, codes, plan, carry, history, norm):
    """Do what `train` says, with several windows an update."""
    loss_of, backward = batch_windows_loss, batch_windows_backward
    return updates(loss_of, backward, buffers, optimizer, clip, scale, codes, plan, carry, history, norm)


@jit_expand
def updates(loss_of, backward, buffers, optimizer, clip, scale, codes, plan, carry, history, norm):
    """Do what `train` says, by these functions, which are written out here, too."""
    theta, memory, gradient, work = buffers.theta, buffers.memory, buffers.gradient, buffers.work
    losses, smooths, evaluations = history.losses, history.smooths, history.evaluations
    real = theta.flat.dtype.type
    T, B = work.losses.size // plan.starts.shape[1], plan.starts.shape[1]
    max_loss = work.losses.size / np.finfo(theta.flat.dtype).eps
    update, smooth, evaluation = carry.update, carry.smooth, 0
    best_smooth, best_update = carry.best_smooth, carry.best_update
    for n in range(losses.size):
        starts = plan.starts[n]
        work.update[0] = update
        reset_states(work, plan.reset[n])
        loss = loss_of(theta, work, codes, starts, scale)
        if not loss <= max_loss:
            break
        if plan.end >= 0:
            loss -= uncount_padding(work, codes, starts, plan.end)
        backward(theta, gradient, work, codes, starts)
        carry_states_over(work, T, B)
        limit_norm(norm, gradient.flat)
        now = at(optimizer, plan.eta[n], update + 1, real)
        update_parameters(now, clip, theta, memory, gradient, work.touched)
        loss *= scale
        smooth = loss if update == 0 else SMOOTHING * smooth + (1 - SMOOTHING) * loss
        update += 1
        losses[n] = loss
        smooths[n] = smooth
        if evaluation < evaluations.size and update == evaluations[evaluation]:
            evaluation += 1
            if smooth < best_smooth:
                best_smooth, best_update = smooth, update
                copy(theta.flat, buffers.best)
                copy_states(work, buffers.best_state)
    return Carry(update, smooth, best_smooth, best_update)


def loss_gradient(
    theta: Any, gradient: Any, work: Any, codes: Any, starts: Any, scale: Any, end: int = -1
) -> Any:
    """Fill gradient with that of a batch's loss, from the states in work on; return the loss.

    As `train` does it: `starts` (B,) are where the windows begin in codes (N,), `end` is that of a Plan.
    """
    kernel = batch_gradient if isinstance(work, BatchWork) else window_gradient
    return kernel(theta, gradient, work, codes, starts, scale, end)


@jit
def window_gradient(theta, gradient, work, codes, starts, scale, end):
    """Do what `loss_gradient` says, for one window."""
    loss_of, backward = window_loss, window_backward
    return gradient_by(loss_of, backward, theta, gradient, work, codes, starts, scale, end)


@jit
def batch_gradient(theta, gradient, work, codes, starts, scale, end):
    """Do what `loss_gradient` says, for several windows."""
    loss_of, backward = batch_windows_loss, batch_windows_backward
    return gradient_by(loss_of, backward, theta, gradient, work, codes, starts, scale, end)


@jit_expand
def gradient_by(loss_of, backward, theta, gradient, work, codes, starts, scale, end):
    """Do what `loss_gradient` says, by these functions."""
    loss = loss_of(theta, work, codes, starts, scale)
    if end >= 0:
        loss -= uncount_padding(work, codes, starts, end)
    backward(theta, gradient, work, codes, starts)
    return loss * scale


@jit_allocating
def numerical_gradient(theta, work, codes, indices, step, out):
    """Fill out[n] with the derivative of a window's loss for the parameter theta.flat[indices[n]].

    codes (T+1,) are the window's characters and the one after them; work holds the states before.
    Fourth-order centred differences (Abramowitz and Stegun, 1964, 25.3.6):
    f' = (8 (f(+s) - f(-s)) - (f(+2s) - f(-2s))) / 12s. The differences are taken at each of the
    window's steps before they are added up, which keeps the digits that the sum would round away.
    """
    flat, losses = theta.flat, work.losses
    x, y = codes[:-1], codes[1:]
    for n in range(indices.size):
        i = indices[n]
        value = flat[i]
        difference = np.zeros(x.size)
        for shift, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            flat[i] = value + shift * step
            forward(theta, work, x)
            softmax_loss(work.p, y, losses, flat.dtype.type(1))
            for t in range(x.size):
                difference[t] += weight * losses[t]
        flat[i] = value
        out[n] = difference.sum() / (12 * step)
