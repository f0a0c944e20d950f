"""Every cell against torch's own modules in float64: loss, all gradients, ten steps of Adam."""

import numpy as np
import pytest
from small_training import in_order

from nbrnn.network import training_kernels
from nbrnn.network.buffers import Carry, History, training_buffers
from nbrnn.network.cells import CELLS
from nbrnn.network.layout import Layout, generator
from nbrnn.network.optimizers import Adam

m, K, T, UPDATES = 13, 11, 6, 10


@pytest.mark.interop
@pytest.mark.parametrize("B", [1, 4])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_ten_updates_are_those_of_torch(cell, layers, B):
    torch = pytest.importorskip("torch")
    layout = Layout(m, K, np.dtype(float), cell, layers)
    theta = layout.initial(generator(0, "start"), 0.3)
    module = getattr(torch.nn, CELLS[cell].torch)(K, m, layers, dtype=torch.float64)
    head = torch.nn.Linear(m, K, dtype=torch.float64)
    counterpart = {"V": head.weight, "c": head.bias}
    redundant = []  # of the second bias that torch has, all but a GRU's d
    for n in range(layers):
        for name, theirs in {"W": "weight_hh", "U": "weight_ih", "b": "bias_ih"}.items():
            counterpart[layout.in_file(name, n)] = getattr(module, f"{theirs}_l{n}")
        second = getattr(module, f"bias_hh_l{n}")
        redundant.append((second, 2 * m if cell == "gru" else second.numel()))
        if cell == "gru":
            counterpart[f"d.{n + 1}"] = second[2 * m :]
    with torch.no_grad():
        for second, _ in redundant:
            second.zero_()
        for name, array in layout.named(theta).items():
            counterpart[name].copy_(torch.from_numpy(np.array(array)))
    optimiser = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=0.01)

    codes = np.random.default_rng(0).integers(0, K, 400).astype(np.int32)
    buffers = training_buffers(layout, theta, T, memory=2, B=B)
    plan = in_order(codes, T, B, 0, UPDATES, 0.01)
    optimizer, carry, state = Adam(0.01, 0.9, 0.999, 1e-8), Carry(), None
    for n in range(UPDATES):
        windows = torch.from_numpy(codes[plan.starts[n] + np.arange(T + 1)[:, None]]).long()
        x = torch.nn.functional.one_hot(windows[:-1], K).double()
        hs, state = module(x, state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        loss = torch.nn.functional.cross_entropy(head(hs).view(T * B, K), windows[1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        for second, size in redundant:
            second.grad[:size] = 0
        expected = {name: p.grad for name, p in counterpart.items() if not name.startswith("d")}
        for layer in range(layers if cell == "gru" else 0):
            expected[f"d.{layer + 1}"] = redundant[layer][0].grad[2 * m :]
        expected = {name: grad.numpy().copy() for name, grad in expected.items()}
        optimiser.step()
        history = History.empty(1)
        one = plan._replace(**{f: getattr(plan, f)[n : n + 1] for f in ("starts", "reset", "eta")})
        carry = training_kernels.train(
            buffers, optimizer, np.inf, 1 / (T * B), codes, one, carry, history
        )
        assert history.losses[0] == pytest.approx(loss.item(), rel=1e-12)
        for name, gradient in layout.named(buffers.gradient).items():
            assert np.abs(gradient - expected[name]).max() < 1e-12
    for name, array in layout.named(buffers.theta).items():
        assert np.abs(array - counterpart[name].detach().numpy()).max() < 1e-10
