"""PyTorch as its users write it: nn.RNN, a linear layer, the library's AdaGrad."""

import numpy as np
import torch

from bench.problem import Problem


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    torch.set_num_threads(1)
    dtype = getattr(torch, problem.dtype)
    codes, T = torch.from_numpy(problem.codes).long(), problem.T
    theta = {name: torch.from_numpy(array) for name, array in problem.theta.items()}
    rnn = torch.nn.RNN(problem.K, problem.m, dtype=dtype)
    head = torch.nn.Linear(problem.m, problem.K, dtype=dtype)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(theta["W"])
        rnn.weight_ih_l0.copy_(theta["U"])
        rnn.bias_hh_l0.copy_(theta["b"])
        rnn.bias_ih_l0.zero_()
        head.weight.copy_(theta["V"])
        head.bias.copy_(theta["c"])
    rnn.bias_ih_l0.requires_grad_(False)  # the second bias that PyTorch has
    parameters = [p for p in (*rnn.parameters(), *head.parameters()) if p.requires_grad]
    # PyTorch adds eps outside of the root; inside of it stands what the sum starts from
    optimiser = torch.optim.Adagrad(
        parameters, lr=problem.eta, initial_accumulator_value=problem.epsilon, eps=0
    )
    e, h = 0, torch.zeros(1, problem.m, dtype=dtype)

    def train(updates):
        nonlocal e, h
        losses = np.empty(updates)
        for n in range(updates):
            if e > codes.numel() - T - 1:
                e, h = 0, torch.zeros_like(h)
            x = torch.nn.functional.one_hot(codes[e : e + T], problem.K).to(dtype)
            hs, h = rnn(x, h)
            loss = torch.nn.functional.cross_entropy(head(hs), codes[e + 1 : e + T + 1], reduction="sum")
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_value_(parameters, problem.clip)
            optimiser.step()
            h = h.detach()
            losses[n] = loss.item()
            e += T
        return losses

    return train
