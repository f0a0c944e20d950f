"""What Python calls: whole trainings, evaluations and samples, many updates or characters a call.

The caller allocates, a kernel fills. Buffers, Plan, Carry, History and Sampling are those of `layout`;
characters are int32.
"""

from typing import Any

import numpy as np

from nbrnn.network.batches import batch_backward
from nbrnn.network.layout import BatchWork, Carry
from nbrnn.network.optimizers import at, update_parameters
from nbrnn.network.rnn import forward, softmax_loss
from nbrnn.network.simd.exp_tanh import copy, exp
from nbrnn.network.simd.jit import jit
from nbrnn.network.windows import (
    backward_of_one,
    copy_states,
    loss_of_one,
    loss_of_several,
    uncount_padding,
)

SMOOTHING = 0.999  # of the smooth loss, an exponential average over updates


def train(
    buffers: Any, optimizer: Any, clip: Any, scale: Any, codes: Any, plan: Any, carry: Any, history: Any
) -> Any:
    """Train for as many updates as history holds, or until the loss diverges; return the carry.

    codes (N,) is the text, of which plan says what each update reads. The loss of an update is `scale`
    times the sum of its characters' losses. optimizer, clip and scale are numbers in theta's precision.
    work.h[0] is the state to start from, and in the end the state to continue from. best and best_state
    are overwritten with theta and work.h[0] whenever an evaluation finds a lower smooth loss.

    A loss counts as diverged when it is not finite, or so large that logits of that size cannot resolve
    a difference of one nat in their precision.
    """
    one_or_several = choice(buffers.work)
    return train_windows(buffers, optimizer, clip, scale, codes, plan, carry, history, *one_or_several)


def choice(work: Any) -> Any:
    """Return what makes a kernel one for this kind of work: its arguments `one` and `several`.

    One is True, the other None: Numba prunes branches on None arguments before type inference. To choose
    by the type of work in overloaded functions takes 2 s longer, as those are compiled alone first.
    """
    return (None, True) if isinstance(work, BatchWork) else (True, None)


@jit
def train_windows(buffers, optimizer, clip, scale, codes, plan, carry, history, one, several):
    """Do what `train` says, for the kind of work that `choice` says."""
    theta, memory, gradient, work = buffers.theta, buffers.memory, buffers.gradient, buffers.work
    best, best_state, touched = buffers.best, buffers.best_state, buffers.work.touched
    losses, smooths, looks = history.losses, history.smooths, history.looks
    real = theta.flat.dtype.type
    max_loss = work.losses.size / np.finfo(theta.flat.dtype).eps
    update, smooth, look = carry.update, carry.smooth, 0
    best_smooth, best_update = carry.best_smooth, carry.best_update
    for n in range(losses.size):
        starts, fresh, loss = plan.starts[n], plan.fresh[n], 0.0
        if one is not None:
            loss = loss_of_one(theta, work, codes, starts, fresh, scale)
        if several is not None:
            loss = loss_of_several(theta, work, codes, starts, fresh, scale)
        if not loss <= max_loss:
            break
        if plan.end >= 0:
            loss -= uncount_padding(work, codes, starts, plan.end)
        if one is not None:
            backward_of_one(theta, gradient, work, codes, starts)
            copy(work.h[-1], work.h[0])
        if several is not None:
            batch_backward(theta, gradient, work)
            copy_states(work.h[-1], work.h[0])
        now = at(optimizer, plan.eta[n], update + 1, real)
        update_parameters(now, clip, theta, memory, gradient, touched)
        loss *= scale
        smooth = loss if update == 0 else SMOOTHING * smooth + (1 - SMOOTHING) * loss
        update += 1
        losses[n] = loss
        smooths[n] = smooth
        if look < looks.size and update == looks[look]:
            look += 1
            if smooth < best_smooth:
                best_smooth, best_update = smooth, update
                copy(theta.flat, best)
                if one is not None:
                    copy(work.h[0], best_state)
                if several is not None:
                    copy_states(work.h[0], best_state)
    return Carry(update, smooth, best_smooth, best_update)


def loss_gradient(theta: Any, gradient: Any, work: Any, codes: Any, starts: Any, scale: Any) -> Any:
    """Fill gradient with that of a batch's loss, from work.h[0] on; return the loss.

    As `train` does it: `starts` (B,) are where the windows begin in codes (N,).
    """
    return windows_gradient(theta, gradient, work, codes, starts, scale, *choice(work))


@jit
def windows_gradient(theta, gradient, work, codes, starts, scale, one, several):
    """Do what `loss_gradient` says, for the kind of work that `choice` says."""
    fresh, loss = np.zeros(starts.size, np.bool_), 0.0
    if one is not None:
        loss = loss_of_one(theta, work, codes, starts, fresh, scale)
        backward_of_one(theta, gradient, work, codes, starts)
    if several is not None:
        loss = loss_of_several(theta, work, codes, starts, fresh, scale)
        batch_backward(theta, gradient, work)
    return loss * scale


@jit
def evaluate(theta, work, codes):
    """Return the loss over all of codes[1:], in windows that carry over their last state.

    codes (N,); work.h[0] is the state before the first.
    """
    h, p = work.h, work.p
    T = p.shape[0]
    total = 0.0
    for start in range(0, codes.size - 1, T):
        x = codes[start : min(start + T, codes.size - 1)]
        y = codes[start + 1 : start + 1 + x.size]
        forward(theta, x, h[: x.size + 1], p[: x.size])
        softmax_loss(p[: x.size], y, work.losses, p.dtype.type(1))
        for t in range(x.size):
            total += work.losses[t]
        copy(h[x.size], h[0])
    return total


@jit
def numerical_gradient(theta, work, codes, indices, step, out):
    """Fill out[n] with the derivative of a window's loss for the parameter theta.flat[indices[n]].

    codes (T+1,) are the window's characters and the one after them; work.h[0] is the state before.
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
            forward(theta, x, work.h, work.p)
            softmax_loss(work.p, y, losses, flat.dtype.type(1))
            for t in range(x.size):
                difference[t] += weight * losses[t]
        flat[i] = value
        out[n] = difference.sum() / (12 * step)


@jit
def sample(theta, h, prime, uniforms, sampling, text):
    """Fill text with what follows the characters of prime, each one drawn and then fed back.

    h (2, M), padded: h[0] is the state before prime, and in the end that before the last character of
    text. uniforms in [0, 1) decide, one per character.
    """
    K = theta.c.size
    p = np.empty((1, K), theta.c.dtype)
    x = prime[:1]
    for n in range(1 - prime.size, text.size):  # below 0 all characters of prime but the last are read
        forward(theta, x, h, p)
        copy(h[1], h[0])
        if n < 0:
            x = prime[prime.size + n : prime.size + n + 1]
        else:
            text[n] = draw(p[0], uniforms[n], sampling)
            x = text[n : n + 1]


@jit
def draw(o, uniform, sampling):
    """Return one character drawn by its logit in o (K,), which is overwritten."""
    temperature, top_k, top_p = sampling.temperature, sampling.top_k, sampling.top_p
    likeliest = argmax(o)
    if temperature == 0:
        return likeliest
    max_logit = o[likeliest]
    for k in range(o.size):
        o[k] = (o[k] - max_logit) / temperature
    exp(o)
    if top_k > 0:
        keep_likeliest(o, top_k, 1.0)
    if top_p < 1:
        keep_likeliest(o, o.size, top_p)
    mass = 0.0
    for k in range(o.size):
        mass += o[k]
    threshold = uniform * mass
    last = 0
    for k in range(o.size):
        if o[k] > 0:
            last = k
            threshold -= o[k]
            if threshold < 0:
                break
    return last


@jit
def keep_likeliest(weights, most, share):
    """Set all weights to zero but the `most` largest, and of these the fewest with that share."""
    mass = 0.0
    for k in range(weights.size):
        mass += weights[k]
    threshold = share * mass
    kept_mass, kept = 0.0, 0
    while kept < most and kept_mass < threshold:
        k = argmax(weights)
        if weights[k] <= 0:
            break
        kept_mass += weights[k]
        weights[k] = -weights[k]  # kept ones are marked by their sign
        kept += 1
    for k in range(weights.size):
        weights[k] = -weights[k] if weights[k] < 0 else 0


@jit
def argmax(a):
    """Return the index of the first largest number. To compile Numba's own takes five times as long."""
    largest = 0
    for k in range(1, a.size):
        if a[k] > a[largest]:
            largest = k
    return largest
