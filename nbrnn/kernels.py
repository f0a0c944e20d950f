"""Every compiled function of the package: forward, backward, AdaGrad, and what they are made of.

The names are those of the equations, for one window of T characters x with their successors y:

    a_t = W h_{t-1} + U x_t + b      h_t = tanh(a_t)      o_t = V h_t + c      p_t = softmax(o_t)
    L = -sum_t log p_t[y_t]          G += g*g             theta -= eta * g / sqrt(G + eps)

Shapes, with m hidden units, M = m rounded up to whole vectors of the processor, K characters:

    W (m, M)   U (K, M)   V (K, M)   b (M,)   c (K,)      one row of U and of V per character
    h (T+1, M)   p (T, K)   da (T, M)                     h[0] is the state before the window

Columns m..M stay exactly zero: they start at zero and their gradient is zero.
`theta`, `G` and `grad` are named tuples (flat, U, W, V, b, c) of one contiguous buffer and the views
into it that follow each other in this order; `work` is one of (h, p, da, losses, touched).
The caller allocates, a kernel fills.
"""

import numpy as np
from numba import config, njit, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import overload

# LLVM halves the vectors of Intel's processors with AVX-512, out of concern for clock rates that old
# ones lowered: whole ones make an update 1.3 times as fast on an Emerald Rapids. Others ignore it.
# It holds for all that this process compiles from here on.
if config.CPU_FEATURES is None and "+avx512f" in get_host_cpu_features():  # pragma: no cover
    config.CPU_FEATURES = get_host_cpu_features() + ",-prefer-256-bit"

# Without nnan and ninf: the check for divergence relies on NaN and infinity.
jit = njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})
# Without reassoc as well: it would undo the two-step reduction in tanh and exp.
jit_in_order = njit(nogil=True, error_model="numpy", fastmath={"contract"})

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
    # exp(r) - 1 = r (1 + r/2 (1 + r/3 (...))), |r| < 0.35: 7 terms serve float32, 13 float64
    q = real(1)
    if real(1) + real(1e-10) > real(1):  # known to the compiler: float32 has no trace of it
        q = real(1) + r * real(1 / 13)
        q = real(1) + r * real(1 / 12) * q
        q = real(1) + r * real(1 / 11) * q
        q = real(1) + r * real(1 / 10) * q
        q = real(1) + r * real(1 / 9) * q
        q = real(1) + r * real(1 / 8) * q
    q = real(1) + r * real(1 / 7) * q
    q = real(1) + r * real(1 / 6) * q
    q = real(1) + r * real(1 / 5) * q
    q = real(1) + r * real(1 / 4) * q
    q = real(1) + r * real(1 / 3) * q
    q = real(1) + r * real(1 / 2) * q
    return power_of_two(k), r * q


@jit_in_order
def exp(a):
    """Replace each a <= 0 by exp(a), or by the smallest normal number where exp(a) is below it."""
    real = a.dtype.type
    lowest = np.log(np.finfo(a.dtype).tiny)
    for i in range(a.size):
        x = a[i]
        x = lowest if x < lowest else x  # a comparison, not max(): it keeps a NaN
        scale, q = exp_reduced(x, real)
        a[i] = scale + scale * q


@jit_in_order
def tanh(a):
    """Replace each a by tanh(a) = e / (e + 2) with e = exp(2a) - 1."""
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
# Each works on a block of rows at a time: a block's numbers stay in registers while the inner loop
# runs along the rows.


@jit
def add_matvec(y, A, x):
    """y += A x."""
    I, J = A.shape
    i = 0
    while i + 4 <= I:
        y0, y1, y2, y3 = y[i], y[i + 1], y[i + 2], y[i + 3]
        for j in range(J):
            xj = x[j]
            y0 += A[i, j] * xj
            y1 += A[i + 1, j] * xj
            y2 += A[i + 2, j] * xj
            y3 += A[i + 3, j] * xj
        y[i], y[i + 1], y[i + 2], y[i + 3] = y0, y1, y2, y3
        i += 4
    for rest in range(i, I):
        y0 = y[rest]
        for j in range(J):
            y0 += A[rest, j] * x[j]
        y[rest] = y0


@jit
def add_vecmat(y, x, A):
    """y += x A, which is A^T x."""
    I, J = A.shape
    i = 0
    while i + 5 <= I:
        x0, x1, x2, x3, x4 = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4]
        for j in range(J):
            y[j] += (
                x0 * A[i, j] + x1 * A[i + 1, j] + x2 * A[i + 2, j] + x3 * A[i + 3, j] + x4 * A[i + 4, j]
            )
        i += 5
    for rest in range(i, I):
        x0 = x[rest]
        for j in range(J):
            y[j] += x0 * A[rest, j]


@jit
def add_matmul(C, A, B):
    """C += A B; A may be a transposed view."""
    I, L = A.shape
    i = 0
    while i + 2 <= I:
        k = 0
        while k + 5 <= L:
            a0, a1, a2, a3, a4 = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3], A[i, k + 4]
            d0, d1, d2, d3, d4 = (
                A[i + 1, k],
                A[i + 1, k + 1],
                A[i + 1, k + 2],
                A[i + 1, k + 3],
                A[i + 1, k + 4],
            )
            for j in range(B.shape[1]):
                b0, b1, b2, b3, b4 = B[k, j], B[k + 1, j], B[k + 2, j], B[k + 3, j], B[k + 4, j]
                C[i, j] += a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3 + a4 * b4
                C[i + 1, j] += d0 * b0 + d1 * b1 + d2 * b2 + d3 * b3 + d4 * b4
            k += 5
        for rest in range(k, L):
            a0, d0 = A[i, rest], A[i + 1, rest]
            for j in range(B.shape[1]):
                C[i, j] += a0 * B[rest, j]
                C[i + 1, j] += d0 * B[rest, j]
        i += 2
    if i < I:
        add_vecmat(C[i], A[i], B)


@jit
def add_matmul_transposed(C, A, B):
    """C += A B^T."""
    I = A.shape[0]
    K, J = B.shape
    k = 0
    while k + 4 <= K:
        i = 0
        while i + 2 <= I:
            c0, c1, c2, c3 = C[i, k], C[i, k + 1], C[i, k + 2], C[i, k + 3]
            d0, d1, d2, d3 = C[i + 1, k], C[i + 1, k + 1], C[i + 1, k + 2], C[i + 1, k + 3]
            for j in range(J):
                b0, b1, b2, b3 = B[k, j], B[k + 1, j], B[k + 2, j], B[k + 3, j]
                c0 += A[i, j] * b0
                c1 += A[i, j] * b1
                c2 += A[i, j] * b2
                c3 += A[i, j] * b3
                d0 += A[i + 1, j] * b0
                d1 += A[i + 1, j] * b1
                d2 += A[i + 1, j] * b2
                d3 += A[i + 1, j] * b3
            C[i, k], C[i, k + 1], C[i, k + 2], C[i, k + 3] = c0, c1, c2, c3
            C[i + 1, k], C[i + 1, k + 1], C[i + 1, k + 2], C[i + 1, k + 3] = d0, d1, d2, d3
            i += 2
        if i < I:
            add_matvec(C[i, k : k + 4], B[k : k + 4], A[i])
        k += 4
    for i in range(I):
        add_matvec(C[i, k:], B[k:], A[i])


# ---------------------------------------------------------------- the network


@jit
def forward(theta, x, h, p):
    """Fill h[1:] and the logits o_t = V h_t + c (into p), from h[0], for the characters x."""
    _, U, W, V, b, c = theta
    T = x.size
    for t in range(T):
        a, u = h[t + 1], U[x[t]]
        for j in range(a.size):
            a[j] = b[j] + u[j]
        add_matvec(a, W, h[t])
        tanh(a)
        copy(c, p[t])
    add_matmul_transposed(p, h[1:], V)


@jit
def softmax_loss(p, y, losses):
    """Replace logits p by softmax(p) - onehot(y), the gradient of the loss; losses[t] is step t's."""
    real = p.dtype.type
    for t in range(y.size):
        o = p[t]
        largest = o[0]
        for k in range(o.size):
            largest = o[k] if o[k] > largest else largest
        for k in range(o.size):
            o[k] -= largest
        target = o[y[t]]
        exp(o)
        total = real(0)
        for k in range(o.size):
            total += o[k]
        losses[t] = np.log(total) - target
        share = real(1) / total
        for k in range(o.size):
            o[k] *= share
        o[y[t]] -= real(1)


@jit
def backward(theta, grad, x, h, do, da):
    """Fill grad by back-propagation through the window; do (T, K) is the gradient of the logits.

    Of grad.U only the rows of the characters in x are written: all others are zero.
    """
    W, V = theta.W, theta.V
    flat, dU, dW, dV, db, dc = grad
    T = x.size
    clear(flat[dU.size :])
    for t in range(T):
        clear(dU[x[t]])
    m, K = dW.shape[0], dV.shape[0]
    # slices of columns, all three, so that Numba compiles one add_matmul for strided arrays
    add_matmul(dV, do[:, :K].T, h[1:])
    clear(da.ravel())
    add_matmul(da, do[:, :K], V)
    for t in range(T - 1, -1, -1):
        if t < T - 1:
            add_vecmat(da[t], da[t + 1], W)
        for j in range(da.shape[1]):
            da[t, j] *= da.dtype.type(1) - h[t + 1, j] * h[t + 1, j]
    add_matmul(dW, da[:, :m].T, h[:-1])
    for t in range(T):
        for j in range(db.size):
            db[j] += da[t, j]
            dU[x[t], j] += da[t, j]
        for k in range(dc.size):
            dc[k] += do[t, k]


@jit
def adagrad(theta, G, grad, eta, epsilon, clip):
    """One AdaGrad step on flat arrays, each element of the gradient first clipped to [-clip, clip].

    Duchi, Hazan and Singer, JMLR 12 (2011), 2121-2159, with epsilon inside the root.
    """
    for i in range(theta.size):
        g = grad[i]
        g = clip if g > clip else g
        g = -clip if g < -clip else g
        G[i] += g * g
        theta[i] -= eta * g / np.sqrt(G[i] + epsilon)


@jit
def descend(theta, G, grad, x, touched, stamp, eta, epsilon, clip):
    """AdaGrad on all parameters; of U only on x's rows: where the gradient is 0 it does nothing.

    touched (K,) holds for each character the stamp of the last window that it was in.
    """
    dense = theta.U.size  # where the parameters after U begin
    adagrad(theta.flat[dense:], G.flat[dense:], grad.flat[dense:], eta, epsilon, clip)
    for k in x:
        if touched[k] != stamp:
            touched[k] = stamp
            adagrad(theta.U[k], G.U[k], grad.U[k], eta, epsilon, clip)


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
