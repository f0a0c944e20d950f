"""The whole algorithm once more, slow and obvious, in NumPy float64. Imports nothing of nbrnn.

Shapes as in the equations: W (m, m), U (m, K), V (K, m), b (m,), c (K,).
"""

import math

import numpy as np


def forward(theta, x, y, h):
    """Return the loss of a window, its states h_0 ... h_T and its probabilities p_1 ... p_T."""
    loss, hs, ps = 0.0, [h], []
    for t in range(len(x)):
        a = theta["W"] @ hs[t] + theta["U"][:, x[t]] + theta["b"]
        hs.append(np.tanh(a))
        o = theta["V"] @ hs[t + 1] + theta["c"]
        e = np.exp(o - o.max())
        ps.append(e / e.sum())
        loss -= np.log(ps[t][y[t]])
    return loss, hs, ps


def gradients(theta, x, y, h):
    """Return the loss, its gradient by back-propagation, and the last state."""
    loss, hs, ps = forward(theta, x, y, h)
    grad = zeros_like(theta)
    da_next = np.zeros_like(h)
    for t in reversed(range(len(x))):
        do = ps[t].copy()
        do[y[t]] -= 1
        grad["V"] += np.outer(do, hs[t + 1])
        grad["c"] += do
        dh = theta["V"].T @ do + theta["W"].T @ da_next
        da = dh * (1 - hs[t + 1] ** 2)
        grad["W"] += np.outer(da, hs[t])
        grad["U"][:, x[t]] += da
        grad["b"] += da
        da_next = da
    return loss, grad, hs[-1]


def sample(theta, x, h, uniforms):
    """Return the characters that are drawn after x, from the state h on."""
    found = []
    for uniform in uniforms:
        _, hs, ps = forward(theta, [x], [0], h)
        h, x = hs[-1], int(np.searchsorted(np.cumsum(ps[0]), uniform, side="right"))
        found.append(x)
    return found


def zeros_like(theta):
    return {name: np.zeros_like(array) for name, array in theta.items()}


def loss_per_character(theta, codes):
    """Return the mean loss on a text, read once from h = 0 on."""
    loss, _, _ = forward(theta, codes[:-1], codes[1:], np.zeros(len(theta["b"])))
    return loss / (len(codes) - 1)


# ---------------------------------------------------------------- cells and layers
# theta: W.1, U.1, b.1, [d.1,] W.2 ... by layer, V, c. states: for each layer the rows of its state, h
# first. masks: for each layer (T, m) what its h_t is multiplied by before it is read.


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def vanilla_step(W, U_x, b, d, state):
    (h,) = state
    return (np.tanh(W @ h + U_x + b),)


def gru_step(W, U_x, b, d, state):
    (h,) = state
    m = len(h)
    (W_r, W_z, W_n), (u_r, u_z, u_n), (b_r, b_z, b_n) = (
        (a[:m], a[m : 2 * m], a[2 * m :]) for a in (W, U_x, b)
    )
    r = sigmoid(W_r @ h + u_r + b_r)
    z = sigmoid(W_z @ h + u_z + b_z)
    n = np.tanh(u_n + b_n + r * (W_n @ h + d))
    return ((1 - z) * n + z * h,)


def lstm_step(W, U_x, b, d, state):
    h, c = state
    m = len(h)
    a = W @ h + U_x + b
    i, f, g, o = (a[gate * m : (gate + 1) * m] for gate in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


STEPS = {"vanilla": vanilla_step, "gru": gru_step, "lstm": lstm_step}


def deep_loss(theta, cell, x, y, states, masks=None):
    """Return the loss of a window, and the states after it."""
    loss, states = 0.0, list(states)
    for t in range(len(x)):
        below = None
        for layer in range(len(states)):
            W, U, b = (theta[f"{name}.{layer + 1}"] for name in "WUb")
            U_x = U[:, x[t]] if below is None else U @ below
            d = theta.get(f"d.{layer + 1}")
            states[layer] = STEPS[cell](W, U_x, b, d, states[layer])
            below = states[layer][0] * (1 if masks is None else masks[layer][t])
        o = theta["V"] @ below + theta["c"]
        loss += np.log(np.exp(o - o.max()).sum()) + o.max() - o[y[t]]
    return loss, states


# ---------------------------------------------------------------- dropout


def philox(counter, key):
    """Return the four numbers of Philox 4x32-10 (Salmon et al., 2011), in Python's own integers."""
    a, b, c, d = counter
    k, l = key
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (second >> 32) ^ b ^ k, second % 2**32, (first >> 32) ^ d ^ l, first % 2**32
        k, l = (k + 0x9E3779B9) % 2**32, (l + 0xBB67AE85) % 2**32
    return a, b, c, d


def mask(p, seed, update, layer, size):
    """Return what `size` states, padding included, are multiplied by."""
    quarter, numbers = size // 4, []
    for i in range(quarter):
        counter = i, layer, update % 2**32, update >> 32
        numbers.append(philox(counter, (seed % 2**32, seed >> 32)))
    return np.where(np.array(numbers).T.ravel() < p * 2**32, 0, 1 / (1 - p))


# ---------------------------------------------------------------- optimizers


class AdaGrad:
    def __init__(self, theta, epsilon=1e-8, adagrad_start=0.0):
        sums = {name: np.full_like(array, adagrad_start) for name, array in theta.items()}
        self.epsilon, self.memory = epsilon, {"adagrad": sums}

    def step(self, theta, grad, eta):
        G = self.memory["adagrad"]
        for name, g in grad.items():
            G[name] += g * g
            theta[name] -= eta * g / np.sqrt(G[name] + self.epsilon)


class RMSProp:
    def __init__(self, theta, beta2=0.9, epsilon=1e-8):
        self.beta2, self.epsilon, self.memory = beta2, epsilon, {"rmsprop": zeros_like(theta)}

    def step(self, theta, grad, eta):
        G = self.memory["rmsprop"]
        for name, g in grad.items():
            G[name] = self.beta2 * G[name] + (1 - self.beta2) * g * g
            theta[name] -= eta * g / np.sqrt(G[name] + self.epsilon)


class Adam:
    """As algorithm 1 of Kingma and Ba (2015) has it."""

    def __init__(self, theta, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.beta1, self.beta2, self.epsilon, self.t = beta1, beta2, epsilon, 0
        self.memory = {"adam.m": zeros_like(theta), "adam.v": zeros_like(theta)}

    def step(self, theta, grad, eta):
        self.t += 1
        m, v = self.memory.values()
        for name, g in grad.items():
            m[name] = self.beta1 * m[name] + (1 - self.beta1) * g
            v[name] = self.beta2 * v[name] + (1 - self.beta2) * g * g
            m_hat = m[name] / (1 - self.beta1**self.t)
            v_hat = v[name] / (1 - self.beta2**self.t)
            theta[name] -= eta * m_hat / (np.sqrt(v_hat) + self.epsilon)


class SGD:
    def __init__(self, theta):
        self.memory = {}

    def step(self, theta, grad, eta):
        for name, g in grad.items():
            theta[name] -= eta * g


OPTIMIZERS = {"adagrad": AdaGrad, "rmsprop": RMSProp, "adam": Adam, "sgd": SGD}


# ---------------------------------------------------------------- training


def sequential(N, T, B):
    """Return an epoch of N characters, read by B streams that begin at equal distances in the text.

    For each update, for each of B windows: where it begins, and whether it is read from h = 0.
    """
    return [[(b * ((N - 1) // B) + n * T, n == 0) for b in range(B)] for n in range((N - 1) // (T * B))]


def rates(eta, schedule, warmup, updates):
    """Return the learning rate of each update of a run."""
    found = []
    for n in range(updates):
        through = (n - warmup) / (updates - warmup) if n >= warmup else 0.0
        if n < warmup:
            found.append(eta * (n + 1) / warmup)
        elif schedule == "linear":
            found.append(eta * (1 - through))
        elif schedule == "cosine":
            found.append(eta * (1 + math.cos(math.pi * through)) / 2)
        else:
            found.append(eta)
    return found


def follow(theta, codes, T, plan, optimizer, etas, clip=5.0, loss="sum", filled=1, h=None):
    """Train theta in place: an update for each list of windows in plan, and each learning rate.

    A window may say where it ends, if that is before T characters; `filled` is their mean share of T.
    Returns each update's loss and smooth loss, and the last states (B, m); h are those before.
    """
    losses, smooths = [], []
    h = np.zeros((len(plan[0]) if plan else 1, len(theta["b"]))) if h is None else h
    for windows, eta in zip(plan, etas, strict=True):
        total, grad = 0.0, zeros_like(theta)
        for b, (start, is_fresh, *ends) in enumerate(windows):
            before = np.zeros_like(h[b]) if is_fresh else h[b]
            end = ends[0] if ends else start + T
            x, y = codes[start:end], codes[start + 1 : end + 1]
            of_window, of_grad, h[b] = gradients(theta, x, y, before)
            total += of_window
            for name, g in of_grad.items():
                grad[name] += g
        scale = 1 / len(windows) / filled / (T if loss == "mean" else 1)
        clipped = {name: np.clip(scale * g, -clip, clip) for name, g in grad.items()}
        optimizer.step(theta, clipped, eta)
        losses.append(scale * total)
        smooths.append(0.999 * smooths[-1] + 0.001 * losses[-1] if smooths else losses[-1])
    return losses, smooths, h


def train(theta, codes, updates, T=25, eta=0.1, epsilon=1e-8, clip=5.0):
    """Train theta in place, by AdaGrad on one window after the other.

    Returns AdaGrad's memory, each update's loss and smooth loss, and h.
    """
    epoch, optimizer = sequential(len(codes), T, 1), AdaGrad(theta, epsilon)
    plan = [epoch[n % len(epoch)] for n in range(updates)]
    losses, smooths, h = follow(theta, codes, T, plan, optimizer, [eta] * updates, clip)
    return optimizer.memory["adagrad"], losses, smooths, h[0]
