"""PyTorch, compiled: a window's loss as one graph, forward and backward, and the step of AdaGrad."""

import numpy as np
import torch

from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    torch.set_num_threads(1)
    dtype = getattr(torch, problem.dtype)
    codes, T = torch.from_numpy(problem.codes).long(), problem.T
    theta = {name: torch.from_numpy(array).requires_grad_() for name, array in problem.theta.items()}
    parameters = list(theta.values())
    memory = [torch.zeros_like(p) for p in parameters]

    @torch.compile
    def loss_of(W, U, V, b, c, x, y, h):
        states = []
        for a in U.T[x] + b:
            h = torch.tanh(W @ h + a)
            states.append(h)
        scores = torch.stack(states) @ V.T + c
        return torch.nn.functional.cross_entropy(scores, y, reduction="sum"), h

    @torch.compile
    def descend(parameters, memory, gradients):
        for p, G, gradient in zip(parameters, memory, gradients, strict=True):
            g = gradient.clamp(-problem.clip, problem.clip)
            G.add_(g * g)
            p.sub_(problem.eta * g / torch.sqrt(G + problem.epsilon))

    first = torch.zeros(problem.m, dtype=dtype)
    try:
        torch.autograd.grad(loss_of(**theta, x=codes[:T], y=codes[1 : T + 1], h=first)[0], parameters)
    except Exception as error:  # no compiler, or one that it cannot use
        raise ImportError(f"PyTorch cannot compile: {str(error).splitlines()[0]}") from error
    e, h = 0, first

    def train(updates):
        nonlocal e, h
        losses = np.empty(updates)
        for n in range(updates):
            if e > codes.numel() - T - 1:
                e, h = 0, first
            loss, h = loss_of(**theta, x=codes[e : e + T], y=codes[e + 1 : e + T + 1], h=h)
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                descend(parameters, memory, gradients)
            h = h.detach()
            losses[n] = loss.item()
            e += T
        return losses

    return train
