"""Whole programs with the faults that published solutions of the assignment have, in their styles.

Own code; only what goes wrong, and what is saved under which names, is as it was seen. A program of 2025
keeps columns, takes the mean and steps with Adam; one of 2017 has the sum, signals in rows, clipping and
AdaGrad, and saves structs as MATLAB does. Imports nothing of nbrnn.
"""

import numpy as np

# By fault: the edition of the program; what nbrnn should call it in a file, None where it is none; and
# by hand the first exercise of the ladder that it must fail, None where only a file can show it.
UNNAMED = "no name"
SEEN = {
    "none": (2025, None, None),
    "log(p + 1e-12)": (2025, None, None),
    # In one step h_1 stands in the place of h_0: what the gradients read as h_1 is 0.
    "h_t is written where h_{t-1} stands": (2025, "every step but the first from 0", "one_step"),
    "dW of a column of zeros for h_0": (2025, "h_0 ignored in it", "other_state"),
    "h0 is saved after it is overwritten": (2025, "another h_0", None),
    "loss is computed after the step": (2025, UNNAMED, None),
    "mean loss, summed gradients": (2025, "factor T", "two_steps"),
    "dictionary copied, arrays updated in place": (2025, "not updated", None),
    "b and c are not updated": (2025, "not updated", "one_update"),
    "t counts epochs": (2025, "t stays at 1", "two_updates"),
    "none, struct": (2017, None, None),
    # Its clip is 0.5, which gradients of 1 exceed.
    "clipped by norm": (2017, "clipped by norm", "one_update"),
    "epsilon outside the root": (2017, "epsilon on the other side of the root", "one_update"),
    "a decaying memory, called AdaGrad": (2017, "optimizer", "one_update"),
    "plain gradient": (2017, "plain gradient", "one_update"),
    "tanh' of tanh(h)": (2017, "tanh' of tanh(h)", "one_step"),
    "h0 of the window before": (2017, "another h_0", "other_state"),
}
SMOOTH = {
    "none": None,
    "begins at 0": "begun at 0",
    "0.99 and 0.01": "weights",
    "first loss smoothed in": None,
    "sum, then mean": "begun as a sum",
    "begins with the loss of the epoch before": "begun elsewhere",
}


def softmax(o):
    e = np.exp(o - o.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


def forward(net, X, Y, h0, fault):
    """Return the mean loss, states h_0 to h_T as columns, and probabilities."""
    T = X.shape[1]
    h, p = np.zeros((len(h0), T + 1)), np.zeros(X.shape)
    h[:, :1] = h0
    now = 0 if fault == "h_t is written where h_{t-1} stands" else 1
    for t in range(T):
        a = net["W"] @ h[:, t : t + 1] + net["U"] @ X[:, t : t + 1] + net["b"]
        h[:, t + now : t + now + 1] = np.tanh(a)
        p[:, t : t + 1] = softmax(net["V"] @ h[:, t + now : t + now + 1] + net["c"])
    least = 1e-12 if fault == "log(p + 1e-12)" else 0
    return -np.log((Y * p).sum(0) + least).sum() / T, h, p


def backward(net, X, Y, h, p, fault):
    """Return the gradients as dU ... and their mean over the window."""
    T, following = X.shape[1], 0
    grads = {f"d{name}": np.zeros_like(array) for name, array in net.items()}
    for t in reversed(range(T)):
        g, h_t, before = p[:, [t]] - Y[:, [t]], h[:, [t + 1]], h[:, [t]]
        if fault == "dW of a column of zeros for h_0" and t == 0:
            before = np.zeros_like(before)
        da = (net["V"].T @ g + following) * (1 - h_t**2)
        following = net["W"].T @ da
        for name, change in (("V", g @ h_t.T), ("c", g), ("W", da @ before.T), ("b", da)):
            grads[f"d{name}"] += change
        grads["dU"] += da @ X[:, [t]].T
    scale = 1 if fault == "mean loss, summed gradients" else T
    return {name: array / scale for name, array in grads.items()}


def adam(net, grads, moments, t, fault):
    for name, array in net.items():
        m, v = moments[name]
        m += 0.1 * (grads[f"d{name}"] - m)
        v += 0.001 * (grads[f"d{name}"] ** 2 - v)
        if fault == "b and c are not updated" and name in "bc":
            continue
        array -= 0.001 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def program_of_2025(theta, codes, h0, fault, steps=2):
    """Return what is saved after so many steps on one window."""
    X, Y = (np.eye(len(theta["c"]))[each].T for each in (codes[:-1], codes[1:]))
    net = {name: array.copy() for name, array in theta.items()}
    loss, h, p = forward(net, X, Y, h0, fault)
    grads = backward(net, X, Y, h, p, fault)
    before = net.copy()
    if fault != "dictionary copied, arrays updated in place":
        before = {name: array.copy() for name, array in net.items()}
    moments = {name: (np.zeros_like(array), np.zeros_like(array)) for name, array in net.items()}
    for t in range(1, steps + 1):
        again = backward(net, X, Y, *forward(net, X, Y, h0, fault)[1:], fault)
        adam(net, again, moments, 1 if fault == "t counts epochs" else t, fault)
        if fault == "loss is computed after the step" and t == 1:
            loss = forward(net, X, Y, h0, fault)[0]
    if fault == "h0 is saved after it is overwritten":
        h0 = h[:, -1:]
    after = {f"{name}_new": array for name, array in net.items()}
    return {**before, "X": X, "Y": Y, "hprev": h0, "loss": loss, "h": h, "p": p, **grads, **after}


def window_of_2017(theta, X, Y, h0, fault):
    """Return the summed loss, probabilities, states and gradients; signals lie in rows."""
    own = np.tanh(h0[::-1]) if fault == "h0 of the window before" else h0
    loss, h, p = forward(theta, X, Y, own, fault)
    T = X.shape[1]
    slope = 1 - (np.tanh(h[:, 1:]) if fault == "tanh' of tanh(h)" else h[:, 1:]).T ** 2
    g = -(Y - p).T
    da = np.zeros((T, len(h0)))
    for t in reversed(range(T)):
        da[t] = (g[t] @ theta["V"] + (da[t + 1] @ theta["W"] if t < T - 1 else 0)) * slope[t]
    grads = {"W": da.T @ h[:, :-1].T, "U": da.T @ X.T, "V": g.T @ h[:, 1:].T}
    grads |= {"b": da.sum(0)[:, None], "c": g.sum(0)[:, None]}
    return {"loss": loss * T, "p": p, "h": h, "grads": grads}


def adagrad(theta, grads, memory, fault):
    """Return the parameters after a step; the memory is changed in place."""
    after, norm = {}, np.sqrt(sum((array**2).sum() for array in grads.values()))
    for name, array in theta.items():
        clipped = np.clip(grads[name], -0.5, 0.5)
        if fault == "clipped by norm":
            clipped = grads[name] * min(1, 0.5 / norm)
        decays = fault == "a decaying memory, called AdaGrad"
        memory[name] = memory[name] * (0.9 if decays else 1) + clipped**2 * (0.1 if decays else 1)
        root = np.sqrt(memory[name] + 1e-8)
        if fault == "epsilon outside the root":
            root = np.sqrt(memory[name]) + 1e-8
        after[name] = array - 0.1 * clipped / (1 if fault == "plain gradient" else root)
    return after


def program_of_2017(theta, codes, h0, fault):
    """Return what is saved after one step: structs, vectors in columns, numbers as double."""
    X, Y = (np.eye(len(theta["c"]))[each].T for each in (codes[:-1], codes[1:]))
    answers = window_of_2017(theta, X, Y, h0, fault)
    after = adagrad(theta, answers["grads"], dict.fromkeys(theta, 0), fault)
    return {"RNN": theta, "X": X, "Y": Y, "h0": h0, **answers, "RNN_new": after}


def functions(fault):
    """Return the functions of a program: those of a window and of steps."""

    def window(theta, X, Y, h0):
        if SEEN[fault][0] == 2017:
            return window_of_2017(theta, X, Y, h0, fault)
        loss, h, p = forward(theta, X, Y, h0, fault)
        return {"loss": loss, "h": h, "p": p, **backward(theta, X, Y, h, p, fault)}

    def step(theta, gradients):
        memory = dict.fromkeys(theta, 0)
        moments = {name: (np.zeros_like(array), np.zeros_like(array)) for name, array in theta.items()}
        for t, grads in enumerate(gradients, 1):
            if SEEN[fault][0] == 2017:
                theta = adagrad(theta, grads, memory, fault)
            else:
                named = {f"d{name}": array for name, array in grads.items()}
                adam(theta, named, moments, 1 if fault == "t counts epochs" else t, fault)
        return theta

    return window, step


def training(fault, T=25):
    """Return the losses of a training and its smooth loss."""
    rng = np.random.default_rng(0)
    losses = 3 * T * np.exp(-np.arange(400) / 200) + rng.normal(size=400)
    start = {"begins at 0": 0.0, "sum, then mean": losses[0], "first loss smoothed in": losses[0]}
    value = start.get(fault, losses[0] * (2 if fault.startswith("begins with") else 1))
    if fault == "sum, then mean":
        losses = losses / T
    keep = 0.99 if fault == "0.99 and 0.01" else 0.999
    smooth = []
    for update, loss in enumerate(losses):
        if update or fault in start:
            value = keep * value + (1 - keep) * loss
        smooth.append(value)
    return {"loss": losses, "smoothLoss": np.array(smooth)}
