"""What Python calls of a trained network: the loss of a text, its logits, and samples.

Sampling is that of `buffers`; characters are int32; work is a Work, which holds the states to start
from, and in the end those after the last character read.
"""

from nbrnn.network.propagation import carry_states_over, forward
from nbrnn.network.readout import softmax_loss
from nbrnn.network.simd.exp_tanh import exp
from nbrnn.network.simd.jit import jit


@jit
def evaluate(theta, work, codes):
    """Return the loss over all of codes[1:], codes (N,), in windows that carry over their states."""
    p = work.p
    T = p.shape[0]
    total = 0.0
    for start in range(0, codes.size - 1, T):
        x = codes[start : min(start + T, codes.size - 1)]
        y = codes[start + 1 : start + 1 + x.size]
        forward(theta, work, x)
        softmax_loss(p[: x.size], y, work.losses, p.dtype.type(1))
        for t in range(x.size):
            total += work.losses[t]
        carry_states_over(work, x.size, 1)
    return total


@jit
def read(theta, work, x):
    """Leave in work.p the logits after each of up to T characters of x."""
    forward(theta, work, x)
    carry_states_over(work, x.size, 1)


@jit
def sample(theta, work, prime, uniforms, sampling, text):
    """Fill text with what follows the characters of prime, each one drawn and then fed back.

    work is for windows of one character; the last character of text is not read. uniforms in [0, 1)
    decide, one per character.
    """
    x = prime[:1]
    for n in range(1 - prime.size, text.size):  # below 0 all characters of prime but the last are read
        forward(theta, work, x)
        carry_states_over(work, 1, 1)
        if n < 0:
            x = prime[prime.size + n : prime.size + n + 1]
        else:
            text[n] = draw(work.p[0], uniforms[n], sampling)
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
