"""PyTorch on windows at once, as its users write it: nn.RNN, a linear layer, Adam in one kernel."""

import numpy as np
import torch

from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    torch.set_num_threads(1)
    dtype = getattr(torch, problem.dtype)
    streams, per_epoch = torch.from_numpy(problem.streams).long(), problem.updates_per_epoch
    T, K, B = problem.T, problem.K, problem.batch
    theta = {name: torch.from_numpy(array) for name, array in problem.theta.items()}
    rnn = torch.nn.RNN(K, problem.m, dtype=dtype)
    head = torch.nn.Linear(problem.m, K, dtype=dtype)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(theta["W"])
        rnn.weight_ih_l0.copy_(theta["U"])
        rnn.bias_hh_l0.copy_(theta["b"])
        rnn.bias_ih_l0.zero_()
        head.weight.copy_(theta["V"])
        head.bias.copy_(theta["c"])
    rnn.bias_ih_l0.requires_grad_(False)  # the second bias that PyTorch has
    parameters = [p for p in (*rnn.parameters(), *head.parameters()) if p.requires_grad]
    betas = problem.beta1, problem.beta2
    optimiser = torch.optim.Adam(parameters, problem.eta, betas, problem.epsilon, fused=True)
    number, h = 0, torch.zeros(1, B, problem.m, dtype=dtype)

    def train(updates):
        nonlocal number, h
        losses = np.empty(updates)
        for n in range(updates):
            place = number % per_epoch
            if place == 0:
                h = torch.zeros_like(h)
            number += 1
            text = streams[place * T : (place + 1) * T + 1]
            hs, h = rnn(torch.nn.functional.one_hot(text[:-1], K).to(dtype), h)
            scores = head(hs).view(T * B, K)
            loss = torch.nn.functional.cross_entropy(scores, text[1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            h = h.detach()
            losses[n] = loss.item()
        return losses

    return train
