"""A student's program in plain NumPy, with a switch for each mistake. Imports nothing of nbrnn.

Column by column, as in the equations; `saved` turns everything for who computes in rows.
"""

import numpy as np

# What nbrnn should call each mistake, None where it has no name, "right" where it is no fault.
# "grads mean" is called by what the loss is beside the gradients.
FORWARD = {
    "h0 ignored": "h_0 ignored",
    "W.T forward": "W transposed",
    "no b": "b left out",
    "softmax axis": "softmax over time",
    "y shifted": "targets late",
    "y is x": "targets are x",
    "one-hot as index": "y read as indices",
}
GRADIENT = {
    "grads mean": "factor T",
    "sign": "factor -1",
    "two calls": "factor 2",
    "dW transposed": "transposed",
    "dW of h_t": "h_t for h_{t-1}",
    "dV of h_{t-1}": "h_{t-1} for h_t",
    "dW without h0": "h_0 ignored in it",
    "no tanh'": "tanh' missing",
    "no tanh' to next": "tanh' missing in the next step's term",
    "1 - h": "tanh' without the square",
    "no next": "next step missing",
    "next added up": "next steps added up",
    "W for W.T": "W for its transpose",
    "last step": "only the last step",
    "last loss": "only the last loss",
    "overwritten": "only the first step",
    "truncated": None,
    "clip value": "right",
    "clip norm": "right",
    "db axis": None,
    "dc axis": None,
    "y shifted in gradient": "targets late",
    "no softmax'": "softmax' missing",
}
LOSS = {"loss mean": "factor 1/T", "loss bits": "factor bits"}
STEP = {
    "adagrad": {
        "epsilon outside": "epsilon on the other side of the root",
        "not clipped": "not clipped",
        "clipped by norm": "clipped by norm",
        "eta twice": "eta",
        "uphill": "uphill",
        "memory lost": "memory not kept",
    },
    "adam": {
        "epsilon inside": "epsilon on the other side of the root",
        "no bias correction": "no bias correction",
        "t off by one": "t off by one",
        "eta twice": "eta",
        "memory lost": "memory not kept",
    },
    "rmsprop": {"epsilon outside": "epsilon on the other side of the root"},
}
SERIES = {"from 0": "begun at 0", "sum then mean": "begun as a sum", "late": "a step late"}


def exercise(m, K, T, B=1, seed=0, sigma=0.3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = {"W": (m, m), "U": (m, K), "V": (K, m), "b": (m, 1), "c": (K, 1)}
    theta = {name: sigma * rng.standard_normal(shape) for name, shape in shapes.items()}
    theta["W"] *= min(1, 1 / (sigma * m**0.5))
    codes = rng.integers(0, K, (B, T + 1))
    h0 = rng.uniform(-1, 1, (m, B))
    return {name: array.astype(dtype) for name, array in theta.items()}, codes, h0.astype(dtype)


def run(theta, codes, h0, faults=(), clip=5.0, n=3):
    """Return loss, P (B, K, T), H (B, m, T) and gradients."""
    B, T = len(codes), codes.shape[1] - 1
    loss, grads, P, H = 0.0, {name: np.zeros_like(a) for name, a in theta.items()}, [], []
    for k in range(B):
        one = window(theta, codes[k], h0[:, k : k + 1], faults, n)
        loss += one[0]
        for name, g in one[1].items():
            grads[name] = grads[name] + g if grads[name].shape == g.shape else g
        P.append(one[2])
        H.append(one[3])
    scale = 1 if "windows summed" in faults else 1 / B
    loss *= scale * (1 / T if "loss mean" in faults or "mean" in faults else 1)
    if "loss bits" in faults:
        loss /= np.log(2)
    factor = scale * (1 / T if "grads mean" in faults or "mean" in faults else 1)
    factor *= (-1 if "sign" in faults else 1) * (2 if "two calls" in faults else 1)
    grads = {name: (factor * g).astype(g.dtype) for name, g in grads.items()}
    if "clip value" in faults:
        grads = {name: np.clip(g, -clip / 10, clip / 10) for name, g in grads.items()}
    if "clip norm" in faults:
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        grads = {name: g * min(1, 1.5 / norm) for name, g in grads.items()}
    return loss, grads, np.array(P), np.array(H)


def window(theta, codes, h, faults, n):
    W, U, V, b, c = (theta[name] for name in "WUVbc")
    K, T = len(c), len(codes) - 1
    X, Y = np.eye(K, dtype=W.dtype)[codes[:-1]].T, np.eye(K, dtype=W.dtype)[codes[1:]].T
    if "h0 ignored" in faults:
        h = 0 * h
    H, O = [h], []
    for t in range(T):
        a = (W.T if "W.T forward" in faults else W) @ H[-1] + U @ X[:, t : t + 1]
        H.append(np.tanh(a if "no b" in faults else a + b))
        O.append(V @ H[-1] + c)
    O, H = np.hstack(O), np.hstack(H)
    axis = 1 if "softmax axis" in faults else 0
    E = np.exp(O if "no maximum" in faults else O - O.max(axis, keepdims=True))
    P = E / E.sum(axis, keepdims=True)
    if "y shifted" in faults:
        Y = np.roll(Y, 1, axis=1)
    if "y is x" in faults:
        Y = X
    if "one-hot as index" in faults:
        index = Y.astype(int)
        loss = -sum(np.log(P[index[:, t], t]).sum() for t in range(T))
    else:
        loss = -np.log((P * Y).sum(0)).sum()
    if "y shifted in gradient" in faults:
        Y = np.roll(Y, 1, axis=1)
    G = P - Y
    if "one-hot as index" in faults:
        G = P.copy()
        for t in range(T):
            G[index[:, t], t] -= 1
    if "no softmax'" in faults:
        G = -Y / P
    if "last loss" in faults:
        G[:, :-1] = 0
    return loss, backward(theta, X, H, G, faults, n), P, H[:, 1:]


def backward(theta, X, H, G, faults, n):
    W, V = theta["W"], theta["V"]
    T, following = X.shape[1], 0
    grads = {name: np.zeros_like(array) for name, array in theta.items()}
    per_step = []
    for t in reversed(range(T)):
        dh = V.T @ G[:, t : t + 1]
        if "truncated" in faults:
            for s in range(t, max(-1, t - n - 1), -1):  # each loss on its own, n steps back
                da = dh * (1 - H[:, s + 1 : s + 2] ** 2)
                add(grads, per_step, da, X[:, s : s + 1], H[:, s : s + 1])
                dh = W.T @ da
            grads["V"] += G[:, t : t + 1] @ H[:, t + 1 : t + 2].T
            grads["c"] += G[:, t : t + 1]
            continue
        if t < T - 1 and "no next" not in faults:
            dh = dh + (W if "W for W.T" in faults else W.T) @ following
        slope = 1 - H[:, t + 1 : t + 2] ** (1 if "1 - h" in faults else 2)
        da = dh if "no tanh'" in faults else dh * slope
        following = (following if "next added up" in faults else 0) + (
            dh if "no tanh' to next" in faults else da
        )
        before = H[:, t + 1 : t + 2] if "dW of h_t" in faults else H[:, t : t + 1]
        if "dW without h0" in faults and t == 0:
            before = 0 * before
        if "last step" in faults and t == T - 2:
            break
        if "overwritten" in faults:
            grads = {name: np.zeros_like(array) for name, array in theta.items()}
        add(grads, per_step, da, X[:, t : t + 1], before)
        after = H[:, t : t + 1] if "dV of h_{t-1}" in faults else H[:, t + 1 : t + 2]
        grads["V"] += G[:, t : t + 1] @ after.T
        grads["c"] += G[:, t : t + 1]
    if "dW transposed" in faults:
        grads["W"] = grads["W"].T
    if "db axis" in faults:
        grads["b"] = np.hstack(per_step[::-1]).sum(0)
    if "dc axis" in faults:
        grads["c"] = G.sum(0)
    return grads


def add(grads, per_step, da, x, before):
    grads["W"] += da @ before.T
    grads["U"] += da @ x.T
    grads["b"] += da
    per_step.append(da)


def steps(theta, codes, h0, optimizer, eta, n=1, faults=(), clip=5.0, epsilon=1e-8, loss="sum"):
    """Return the parameters after n steps on the same window."""
    theta = dict(theta)
    first = {name: np.zeros_like(a) for name, a in theta.items()}
    second = {name: np.zeros_like(a) for name, a in theta.items()}
    beta1, beta2 = 0.9, 0.999 if optimizer == "adam" else 0.9
    for t in range(1, n + 1):
        _, grads, _, _ = run(theta, codes, h0, ("mean",) if loss == "mean" else ())
        if "clipped by norm" in faults:
            norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
            grads = {name: g * min(1, clip / norm) for name, g in grads.items()}
        elif "not clipped" not in faults and clip:
            grads = {name: np.clip(g, -clip, clip) for name, g in grads.items()}
        if "memory lost" in faults:
            first = {name: 0 * a for name, a in first.items()}
            second = {name: 0 * a for name, a in second.items()}
        for name, g in grads.items():
            if optimizer == "adagrad":
                second[name] = second[name] + g**2
            else:
                second[name] = beta2 * second[name] + (1 - beta2) * g**2
            direction, root = g, second[name]
            if optimizer == "adam":
                first[name] = beta1 * first[name] + (1 - beta1) * g
                direction, k = first[name], t + ("t off by one" in faults)
                if "no bias correction" not in faults:
                    direction, root = direction / (1 - beta1**k), root / (1 - beta2**k)
            outside = "epsilon outside" in faults or (
                optimizer == "adam" and "epsilon inside" not in faults
            )
            root = np.sqrt(root) + epsilon if outside else np.sqrt(root + epsilon)
            change = eta * direction / root * (eta if "eta twice" in faults else 1)
            change = -change if "uphill" in faults else change
            theta[name] = (theta[name] - change).astype(g.dtype)
    return theta


def smoothed(losses, T, fault=None):
    """Return the smooth series, and the losses as the program keeps them."""
    smooth = []
    value = losses[0]
    if fault == "from 0":
        value = 0.0
    for i, loss in enumerate(losses):
        if fault == "late":
            smooth.append(value)
        if i > 0 or fault == "from 0":
            value = 0.999 * value + 0.001 * loss
        if fault == "sum then mean" and i == 0:
            value = T * loss
        if fault != "late":
            smooth.append(value)
    return np.array(smooth)


def saved(theta, codes, h0, answers, layout="column", one_hot=False):
    """Return everything as a program in this layout saves it."""
    K, B = len(theta["c"]), len(codes)
    loss, grads, P, H = answers
    arrays = dict(theta)
    x, y = codes[:, :-1], codes[:, 1:]
    if one_hot:
        arrays["X"], arrays["Y"] = (np.moveaxis(np.eye(K)[z], 0, -1).swapaxes(0, 1) for z in (x, y))
        if B == 1:
            arrays["X"], arrays["Y"] = arrays["X"][..., 0], arrays["Y"][..., 0]
    else:
        arrays |= {"x": x.squeeze(), "y": y.squeeze()}
    arrays["h0"] = h0
    if loss is not None:
        arrays["loss"] = loss
    for name, array in (("P", P), ("H", H)):
        if array is not None:
            arrays[name] = array[0] if B == 1 else np.moveaxis(array, 0, -1)
    arrays |= {f"grads_{name}": array for name, array in (grads or {}).items()}
    if layout == "row":
        arrays = {name: np.asarray(a).T if name not in "xy" else a for name, a in arrays.items()}
    return arrays
