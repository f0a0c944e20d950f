"""The gradients by torch, as the course has them computed since 2025, with the mistakes that are near.

Written from the description of the assignment: a function that takes X, y, h0 and a dictionary of
parameters, goes through the window, and differentiates the mean loss; in columns, where X is (K, T), and
in rows, where it is (T, K). Imports nothing of nbrnn.
"""

import numpy as np
import torch

# What nbrnn should call each mistake.
FAULTS = {
    "h0 not used": "h_0 ignored",
    "h not handed on": "state not handed on",
    "h stored too early": "h_{t-1} for h_t in o",
    "softmax along the other axis": "softmax over time",
    "y one-hot": "y read as K indices",
    "cross entropy of probabilities": "softmax twice",
    "NLLLoss of probabilities": "log missing",
    "h detached": "next step missing",
    "backward twice": "factor 2",
    "tau from the other axis": "factor T/K",
}


def gradients(X, y, h0, parameters, layout="column", fault=None):
    """Return the loss, the probabilities, the states and the gradients, all in the layout."""
    axis = 1 if layout == "column" else 0  # along which time runs
    tau = X.shape[axis]
    rnn = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    x, h = torch.from_numpy(X), torch.from_numpy(h0)
    if fault == "h0 not used":
        h = torch.zeros_like(h)
    states, first = [], h
    for t in range(tau):
        before, x_t = h, x.narrow(axis, t, 1)
        a = rnn["W"] @ h + rnn["U"] @ x_t if layout == "column" else h @ rnn["W"] + x_t @ rnn["U"]
        h = torch.tanh(a + rnn["b"])
        states.append(before if fault == "h stored too early" else h)
        if fault == "h detached":
            h = h.detach()
        if fault == "h not handed on":
            h = first
    H = torch.cat(states, axis)
    logits = rnn["V"] @ H + rnn["c"] if layout == "column" else H @ rnn["V"] + rnn["c"]
    P = torch.softmax(logits, axis if fault == "softmax along the other axis" else 1 - axis)
    loss = loss_of(P if layout == "row" else P.T, y, X.shape[1 - axis], fault)
    loss.backward(retain_graph=True)
    if fault == "backward twice":
        loss.backward()
    found = {name: parameter.grad.numpy() for name, parameter in rnn.items()}
    return loss.item(), P.detach().numpy(), H.detach().numpy(), found


def loss_of(P, y, K, fault):
    """Return the mean loss of probabilities (T, K)."""
    tau, indices = len(P), torch.from_numpy(y)
    if fault == "cross entropy of probabilities":
        return torch.nn.functional.cross_entropy(P, indices)
    if fault == "NLLLoss of probabilities":
        return torch.nn.functional.nll_loss(P, indices)
    if fault == "y one-hot":
        one_hot = torch.nn.functional.one_hot(indices, K)
        return torch.mean(-torch.log(P[torch.arange(tau)[:, None], one_hot]))
    losses = -torch.log(P[torch.arange(tau), indices])
    return losses.sum() / K if fault == "tau from the other axis" else losses.mean()


def saved(theta, codes, h0, layout="column", fault=None):
    """Return the arrays of a file that such a program saves, for parameters and states in columns."""
    if layout == "row":
        theta = {name: np.ascontiguousarray(array.T) for name, array in theta.items()}
    X = np.eye(len(theta["c"].ravel()), dtype=h0.dtype)[codes[:-1]]
    X, h0 = (X.T.copy(), h0) if layout == "column" else (X, h0.T.copy())
    y = codes[1:]
    loss, P, H, found = gradients(X, y, h0, theta, layout, fault)
    grads = {f"grads.{name}": array for name, array in found.items()}
    return {**theta, "X": X, "y": y, "h0": h0, "loss": loss, "P": P, "H": H, **grads}
