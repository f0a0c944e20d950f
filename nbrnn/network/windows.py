"""The windows of one update: one, by the kernels of `rnn`, or several, by those of `batches`.

codes (N,) is the text; the windows begin at starts (B,), from h = 0 where fresh (B,) says so, else from
the state in work.h[0]. The gradient, which work.p holds by the logits, is that of `scale` times the
loss.
"""

from nbrnn.network.batches import batch_forward, batch_loss, read_windows
from nbrnn.network.rnn import backward, forward, softmax_loss
from nbrnn.network.simd.exp_tanh import clear, copy
from nbrnn.network.simd.jit import jit_expand


@jit_expand
def loss_of_one(theta, work, codes, starts, fresh, scale):
    """Return the sum of the losses of all characters."""
    start, T = starts[0], work.p.shape[0]
    if fresh[0]:
        clear(work.h[0])
    forward(theta, codes[start : start + T], work.h, work.p)
    softmax_loss(work.p, codes[start + 1 : start + T + 1], work.losses, scale)
    loss = 0.0
    for t in range(T):
        loss += work.losses[t]
    return loss


@jit_expand
def backward_of_one(theta, gradient, work, codes, starts):
    """Fill gradient."""
    start, T = starts[0], work.p.shape[0]
    backward(theta, gradient, codes[start : start + T], work.h, work.p, work.da)


@jit_expand
def loss_of_several(theta, work, codes, starts, fresh, scale):
    """Return the sum of the losses of all characters."""
    for b in range(fresh.size):
        if fresh[b]:
            clear(work.h[0, b])
    read_windows(work, codes, starts)
    batch_forward(theta, work)
    return batch_loss(work, scale)


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


@jit_expand
def copy_states(source, target):
    """Copy the states of several windows, (B, M)."""
    for b in range(source.shape[0]):
        copy(source[b], target[b])
