"""PyTorch on windows at once, compiled: their loss, forward and backward; Adam in one kernel."""

import numpy as np
import torch

from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    torch.set_num_threads(1)
    dtype = getattr(torch, problem.dtype)
    streams, per_epoch = torch.from_numpy(problem.streams).long(), problem.updates_per_epoch
    T, B = problem.T, problem.batch
    theta = {name: torch.from_numpy(array) for name, array in problem.theta.items()}
    theta["U"] = theta["U"].T.contiguous()  # (K, m): a character is a row
    parameters = [p.requires_grad_() for p in theta.values()]
    betas = problem.beta1, problem.beta2
    optimiser = torch.optim.Adam(parameters, problem.eta, betas, problem.epsilon, fused=True)

    @torch.compile
    def loss_of(W, U, V, b, c, x, y, h):
        states = []
        for a in torch.nn.functional.embedding(x, U) + b:
            h = torch.tanh(h @ W.T + a)
            states.append(h)
        scores = torch.cat(states) @ V.T + c
        return torch.nn.functional.cross_entropy(scores, y.flatten()), h

    first = torch.zeros(B, problem.m, dtype=dtype)
    try:
        loss_of(**theta, x=streams[:T], y=streams[1 : T + 1], h=first)[0].backward()
    except Exception as error:  # no compiler, or one that it cannot use
        raise ImportError(f"PyTorch cannot compile: {str(error).splitlines()[0]}") from error
    number, h = 0, first

    def train(updates):
        nonlocal number, h
        losses = np.empty(updates)
        for n in range(updates):
            place = number % per_epoch
            if place == 0:
                h = first
            number += 1
            text = streams[place * T : (place + 1) * T + 1]
            optimiser.zero_grad()
            loss, h = loss_of(**theta, x=text[:-1], y=text[1:], h=h)
            loss.backward()
            optimiser.step()
            h = h.detach()
            losses[n] = loss.item()
        return losses

    return train
