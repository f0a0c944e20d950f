"""Every compiled function of the package: forward, backward, AdaGrad, and what they are made of.

The names are those of the equations, for one window of T characters x with their successors y:

    a_t = W h_{t-1} + U x_t + b      h_t = tanh(a_t)      o_t = V h_t + c      p_t = softmax(o_t)
    L = -sum_t log p_t[y_t]          G += g*g             theta -= eta * g / sqrt(G + eps)

Shapes, with m hidden units, M = m rounded up to whole cache lines, K characters:

    W (m, M)   U (K, M)   V (K, M)   b (M,)   c (K,)      one row of U and of V per character
    h (T+1, M)   p (T, K)   da (T, M)                     h[0] is the state before the window

Columns m..M stay exactly zero: they start at zero and their gradient is zero.
`theta`, `G` and `grad` are named tuples (flat, U, W, V, b, c) of one contiguous buffer and the views
into it that follow each other in this order; `work` is one of (h, p, da, losses, touched).
The caller allocates, a kernel fills.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from nbrnn.network.simd import (
    HAS_AVX512,
    add_sums,
    lanes,
    larger,
    largest,
    load,
    reciprocal_root,
    smaller,
    spread,
    store,
    sum_of_rows,
    zeros,
)

# Without nnan and ninf: the check for divergence relies on NaN and infinity.
FAST = {"contract", "reassoc", "nsz", "arcp"}
jit = njit(nogil=True, error_model="numpy", fastmath=FAST)
# For short loops that are called often: to hand over arrays takes as long as such a loop.
jit_inline = njit(nogil=True, error_model="numpy", fastmath=FAST, forceinline=True)
# For tanh and exp, without reassoc: it would undo the reduction in two steps.
jit_in_order = njit(nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
# Written out where it is called, before that is compiled: costs neither a call nor a compilation.
jit_expand = njit(nogil=True, error_model="numpy", inline="always")

SMOOTHING = 0.999  # of the smooth loss, an exponential average over updates
LOOK_EVERY = 100  # updates between two looks at the smooth loss: for the best model and the metrics


# ---------------------------------------------------------------- elementary functions
#
# exp(x) = 2^k (1 + q) with k = round(x / ln 2), r = x - k ln 2 and q = exp(r) - 1, a polynomial.
# Without branches, so that a loop over an array becomes vector instructions. ln 2 is taken off in
# two steps (Cody and Waite, Software Manual for the Elementary Functions, 1980), the first exact.


def power_of_two(k):
    """Return 2**k for a whole number k in floating point, within the normal range."""
    return np.exp2(k)


@overload(power_of_two)
def _power_of_two(k):  # pragma: no cover (only the compiler calls it)
    """Put k into the exponent bits: vectorises, unlike exp2."""
    if k == types.float32:
        return lambda k: np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    return lambda k: np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)


@jit_in_order
def exp_reduced(x, real):
    """Return (2^k, q) with exp(x) = 2^k (1 + q); `real` is the type of x."""
    k = np.rint(x * real(1.4426950408889634))
    r = (x - k * real(0.693145751953125)) - k * real(1.4286068203094172e-06)
    # exp(r) - 1 = r + r^2 / 2! + r^3 / 3! + ..., |r| < 0.35: 7 terms serve float32, 13 float64
    q = real(1 / 5040)
    if real(1) + real(1e-10) > real(1):  # known to the compiler: float32 has no trace of it
        q = r * real(1 / 6227020800) + real(1 / 479001600)
        q = r * q + real(1 / 39916800)
        q = r * q + real(1 / 3628800)
        q = r * q + real(1 / 362880)
        q = r * q + real(1 / 40320)
        q = r * q + real(1 / 5040)
    q = r * q + real(1 / 720)
    q = r * q + real(1 / 120)
    q = r * q + real(1 / 24)
    q = r * q + real(1 / 6)
    q = r * q + real(1 / 2)
    q = r * q + real(1)
    return power_of_two(k), r * q


@jit_in_order
def exp(a):
    """Replace each a <= 0 by exp(a), where that is no normal number by about the smallest of them.

    Largest error: 1.2 ulp in float32, over all numbers; 1.1 in float64, over a sample of millions.
    """
    real = a.dtype.type
    lowest = np.log(np.finfo(a.dtype).tiny)
    for i in range(a.size):
        x = a[i]
        x = lowest if x < lowest else x  # a comparison, not max(): it keeps a NaN
        scale, q = exp_reduced(x, real)
        a[i] = scale + scale * q


@jit_in_order
def tanh(a):
    """Replace each a by tanh(a) = e / (e + 2) with e = exp(2a) - 1.

    Largest error: 3.2 ulp in float32, over all numbers; 2.8 in float64, over a sample of millions.
    """
    real = a.dtype.type
    for i in range(a.size):
        x = a[i]  # tanh is 1 to the last bit of float64 from 20 on
        x = real(20) if x > real(20) else x
        x = real(-20) if x < real(-20) else x
        scale, q = exp_reduced(x + x, real)
        e = scale * q + (scale - real(1))
        a[i] = e / (e + real(2))


@jit
def copy(source, target):
    """Copy a flat array. By slice assignment it takes Numba five times as long to compile."""
    for i in range(source.size):
        target[i] = source[i]


@jit
def clear(target):
    """Set a flat array to zero."""
    for i in range(target.size):
        target[i] = 0


# ---------------------------------------------------------------- products
#
# Each keeps a block of numbers in registers while it goes along a sum. Blocks of ROWS rows serve a
# matrix and a vector, of 5 x 2 vectors two matrices: measured against others in results/LOG.md.
# A row is given by its matrix and index: to slice it out would cost as much as to go along it.
# A matrix that exceeds the first-level cache is gone through upwards and downwards in turn: what was
# read last is then still there.

ROWS = 20 if HAS_AVX512 else 12  # of the 32 or 16 registers that the processor has


@jit_inline
def add_matvecs(C, i, A, B, l, n, upwards):
    """C[i + t] += A B[l + t] for t < n, through the rows of A upwards or downwards."""
    blocks = A.shape[0] // ROWS
    for block in range(blocks):
        k = ROWS * (block if upwards else blocks - 1 - block)
        for t in range(n):
            add_dots(ROWS, C, i + t, A, k, B, l + t)
    k = ROWS * blocks
    while k + 4 <= A.shape[0]:
        for t in range(n):
            add_dots(4, C, i + t, A, k, B, l + t)
        k += 4
    for rest in range(k, A.shape[0]):
        for t in range(n):
            add_dots(1, C, i + t, A, rest, B, l + t)


@jit_expand
def add_dots(rows, C, i, A, k, B, l):
    """C[i, k:] += A[k:] B[l], for so many rows of A."""
    s = zeros(A, rows, 1)
    for j in range(0, A.shape[1], lanes(A)):
        s += load(A, k, j, rows, 1) * load(B, l, j, 1, 1)
    add_sums(C, i, k, s)


@jit_expand
def add_vecmat(C, i, B, l, A, upwards):
    """C[i] += B[l] A, which is A^T B[l], through the rows of A upwards or downwards."""
    blocks = A.shape[0] // ROWS
    for n in range(blocks):
        k = ROWS * (n if upwards else blocks - 1 - n)
        add_rows(ROWS, C, i, B, l, A, k)
    rest = ROWS * blocks
    while rest + 4 <= A.shape[0]:
        add_rows(4, C, i, B, l, A, rest)
        rest += 4
    for k in range(rest, A.shape[0]):
        add_rows(1, C, i, B, l, A, k)


@jit_expand
def add_rows(rows, C, i, B, l, A, k):
    """C[i] += B[l, k:] A[k:], for so many rows of A."""
    x = spread(B, l, k, rows)
    for j in range(0, A.shape[1], lanes(A)):
        store(load(C, i, j, 1, 1) + sum_of_rows(x * load(A, k, j, rows, 1)), C, i, j)


@jit
def matmul(C, A, B):
    """C = A B; A may be a transposed view."""
    I, J = C.shape
    L = lanes(B)
    if I < 5:
        for i in range(I):
            for j in range(0, J, L):
                matmul_block(1, 1, C, A, i, B, j)
    else:
        for first in range(0, I, 5):
            i = min(first, I - 5)  # the last rows are done with some of those before them
            for j in range(0, J - L, 2 * L):
                matmul_block(5, 2, C, A, i, B, j)
            if J // L % 2:
                matmul_block(5, 1, C, A, i, B, J - L)


@jit_expand
def matmul_block(rows, columns, C, A, i, B, j):
    """C[i:, j:] = A[i:] B[:, j:], for so many rows, and so many columns of vectors."""
    c, transposed = zeros(B, rows, columns), A.T
    for k in range(B.shape[0]):
        c += spread(transposed, k, i, rows) * load(B, k, j, 1, columns)
    store(c, C, i, j)


# ---------------------------------------------------------------- the network


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
def maximum(o):
    """Return the largest number of a row, or NaN where that comes first."""
    L = lanes(o)
    whole = o.size // L * L
    tops = spread(o, 0, 0, 1)
    for k in range(0, whole, L):
        tops = larger(tops, load(o, 0, k, 1, 1))
    top = largest(tops)
    for k in range(whole, o.size):
        top = larger(top, o[k])
    return top


@jit
def softmax_loss(p, y, losses):
    """Replace logits p by softmax(p) - onehot(y), the gradient of the loss; losses[t] is step t's."""
    real = p.dtype.type
    for t in range(y.size):
        o = p[t]
        top = maximum(o)
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
        share = real(1) / total
        for k in range(o.size):
            o[k] *= share
        o[y[t]] -= real(1)


@jit_expand
def backward(theta, grad, x, h, do, da):
    """Fill grad by back-propagation through the window; do (T, K) is the gradient of the logits."""
    backward_states(theta, h, do, da)
    weight_gradients(grad, x, h, do, da)


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
def weight_gradients(grad, x, h, do, da):
    """Fill grad with the sums over t of do_t h_t^T, da_t h_{t-1}^T, da_t x_t^T, da_t and do_t.

    Of grad.U only the rows of the characters in x are written: all others are zero.
    """
    _, dU, dW, dV, db, dc = grad
    m, K = dW.shape[0], dV.shape[0]
    # slices of columns, as in backward_states, so that Numba compiles one matmul for strided arrays
    matmul(dV, do[:, :K].T, h[1:])
    matmul(dW, da[:, :m].T, h[:-1])
    clear(db)
    clear(dc)
    for t in range(x.size):
        clear(dU[x[t]])
    for t in range(x.size):
        u = x[t]  # outside of the loop: an index that may be negative would keep it scalar
        for j in range(db.size):
            db[j] += da[t, j]
        for j in range(db.size):
            dU[u, j] += da[t, j]
        for k in range(dc.size):
            dc[k] += do[t, k]


@jit_expand
def adagrad_step(theta, G, g, eta, epsilon, clip):
    """Return theta and G after a step along g, clipped to [-clip, clip]: numbers, or blocks of them.

    Duchi, Hazan and Singer, JMLR 12 (2011), 2121-2159, with epsilon inside the root.
    """
    g = smaller(larger(g, -clip), clip)
    G = G + g * g
    return theta - eta * g * reciprocal_root(G + epsilon), G


@jit_inline
def adagrad(theta, G, grad, first, last, eta, epsilon, clip):
    """One step of AdaGrad on theta.flat[first:last] and G.flat[first:last]."""
    theta, G, grad = theta.flat, G.flat, grad.flat
    L = lanes(theta)
    rest = first + (last - first) // L * L
    for i in range(first, rest, L):
        t, s, g = load(theta, 0, i, 1, 1), load(G, 0, i, 1, 1), load(grad, 0, i, 1, 1)
        t, s = adagrad_step(t, s, g, eta, epsilon, clip)
        store(t, theta, 0, i)
        store(s, G, 0, i)
    for i in range(rest, last):
        theta[i], G[i] = adagrad_step(theta[i], G[i], grad[i], eta, epsilon, clip)


@jit_expand
def descend(theta, G, grad, x, touched, stamp, eta, epsilon, clip):
    """AdaGrad on all parameters; of U only on x's rows: where the gradient is 0 it does nothing.

    touched (K,) holds for each character the stamp of the last window that it was in.
    """
    U = theta.U  # the parameters after U begin where it ends
    adagrad(theta, G, grad, U.size, theta.flat.size, eta, epsilon, clip)
    for u in x:
        if touched[u] != stamp:
            touched[u] = stamp
            adagrad(theta, G, grad, u * U.shape[1], (u + 1) * U.shape[1], eta, epsilon, clip)


# ---------------------------------------------------------------- driving kernels


@jit
def train(
    theta, G, grad, best, work, codes, update, eta, epsilon, clip, smooth, best_smooth, losses, smooths
):
    """Train for losses.size updates after the first `update` ones, or until the loss diverges.

    codes (N,) is the text. losses and smooths (float64) get each update's loss and smooth loss.
    work.h[0] is the state to start from, and in the end the one to go on from. best is overwritten
    with theta whenever a look finds a lower smooth loss than best_smooth.
    Returns the number of updates done, and the best smooth loss with its update (-1: not improved).

    A loss counts as diverged when it is not finite, or so large that logits of that size can no
    longer tell one nat in the arithmetic's precision: the number then has no meaning.
    """
    h, p, da, step_losses, touched = work
    T = p.shape[0]
    windows = (codes.size - 1) // T
    largest_loss = T / np.finfo(p.dtype).eps
    best_update = -1
    for n in range(losses.size):
        start = (update + n) % windows * T
        if start == 0:
            clear(h[0])
        x, y = codes[start : start + T], codes[start + 1 : start + T + 1]
        forward(theta, x, h, p)
        softmax_loss(p, y, step_losses)
        loss = 0.0
        for t in range(T):
            loss += step_losses[t]
        if not loss <= largest_loss:
            return n, best_smooth, best_update
        backward(theta, grad, x, h, p, da)
        descend(theta, G, grad, x, touched, update + n, eta, epsilon, clip)
        copy(h[T], h[0])
        smooth = loss if update + n == 0 else SMOOTHING * smooth + (1 - SMOOTHING) * loss
        losses[n] = loss
        smooths[n] = smooth
        done = update + n + 1
        if (done == 1 or done % LOOK_EVERY == 0) and smooth < best_smooth:
            best_smooth, best_update = smooth, done
            copy(theta.flat, best.flat)
    return losses.size, best_smooth, best_update


@jit
def evaluate(theta, work, codes):
    """Return the loss over all of codes[1:], in windows that hand on their last state."""
    h, p, _, step_losses, _ = work
    T = p.shape[0]
    total = 0.0
    clear(h[0])
    for start in range(0, codes.size - 1, T):
        x = codes[start : min(start + T, codes.size - 1)]
        y = codes[start + 1 : start + 1 + x.size]
        forward(theta, x, h[: x.size + 1], p[: x.size])
        softmax_loss(p[: x.size], y, step_losses)
        for t in range(x.size):
            total += step_losses[t]
        copy(h[x.size], h[0])
    return total


@jit
def numerical_gradient(theta, indices, x, y, work, step, gradient):
    """Fill gradient[n] with the derivative of the loss for the parameter theta.flat[indices[n]].

    Fourth-order centred differences (Abramowitz and Stegun, 1964, 25.3.6):
    f' = (8 (f(+s) - f(-s)) - (f(+2s) - f(-2s))) / 12s. The differences are taken at each of the
    window's steps before they are added up, which keeps the digits that the sum would round away.
    """
    flat = theta.flat
    h, p, _, losses, _ = work
    for n in range(indices.size):
        i = indices[n]
        value = flat[i]
        difference = np.zeros(x.size)
        for shift, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            flat[i] = value + shift * step
            forward(theta, x, h, p)
            softmax_loss(p, y, losses)
            for t in range(x.size):
                difference[t] += weight * losses[t]
        flat[i] = value
        gradient[n] = difference.sum() / (12 * step)


@jit
def sample(theta, h, prime, uniforms, temperature, top_k, top_p, text):
    """Fill text with what follows the characters of prime, each one drawn and then fed back.

    h (2, M): h[0] is the state before prime; uniforms in [0, 1) decide, one per character.
    Drawn from softmax(o / temperature), cut to the top_k likeliest characters (0: all) and then to
    the fewest whose probabilities add up to top_p; temperature 0 takes the likeliest.
    """
    K = theta.c.size
    p = np.empty((1, K), theta.c.dtype)
    for n in range(prime.size - 1):
        forward(theta, prime[n : n + 1], h, p)
        copy(h[1], h[0])
    x = prime[-1:]
    for n in range(text.size):
        forward(theta, x, h, p)
        copy(h[1], h[0])
        text[n] = draw(p[0], uniforms[n], temperature, top_k, top_p)
        x = text[n : n + 1]


@jit
def draw(o, uniform, temperature, top_k, top_p):
    """Return one character drawn by its logit, which is overwritten."""
    if temperature == 0:
        return o.argmax()
    largest = o.max()
    for k in range(o.size):
        o[k] = (o[k] - largest) / temperature
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
        k = weights.argmax()
        if weights[k] <= 0:
            break
        kept_mass += weights[k]
        weights[k] = -weights[k]  # kept ones are marked by their sign
        kept += 1
    for k in range(weights.size):
        weights[k] = -weights[k] if weights[k] < 0 else 0
