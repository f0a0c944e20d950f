"""Forward, the loss and back-propagation against automatic differentiation and the naive program."""

import naive
import numpy as np
import pytest
from small_training import Setup, distance

from nbrnn.network import training_kernels
from nbrnn.network.buffers import set_states_before, window_work
from nbrnn.network.layout import NAMES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("m", "T"),  # no unit to spare and many, one character and many, remainders of all products
    [(1, 1), (1, 25), (5, 2), (32, 2), (33, 1), (33, 25), (100, 1), (100, 25)],
)
def test_loss_and_gradients_are_those_of_automatic_differentiation(corpus, m, T):
    import jax  # here, because it takes seconds; not optional

    jax.config.update("jax_enable_x64", True)
    np_ = jax.numpy
    setup = Setup(corpus, m, T, sigma=0.3 if m < 50 else 0.1)
    x, y = setup.codes[:T], setup.codes[1 : T + 1]
    h0 = np.random.default_rng(0).uniform(-1, 1, m)

    def loss_of(theta):
        h, loss = h0, 0.0
        for t in range(T):
            h = np_.tanh(theta["W"] @ h + theta["U"][:, x[t]] + theta["b"])
            loss -= jax.nn.log_softmax(theta["V"] @ h + theta["c"])[y[t]]
        return loss

    rng = np.random.default_rng(2)
    theta = {k: v + 0.1 * rng.standard_normal(v.shape) for k, v in setup.named(setup.theta).items()}
    expected_loss, expected = jax.value_and_grad(loss_of)(theta)
    loss, grad = kernel_gradient(setup, theta, h0, x, y)
    assert loss == pytest.approx(float(expected_loss), rel=1e-12)
    for name in NAMES:
        assert distance(grad[name], np.asarray(expected[name])) < 1e-10


def kernel_gradient(setup, theta, h0, x, y):
    """Return the loss of a window, which may be shorter than those before, and its gradient."""
    window = window_work(setup.layout, len(x))
    set_states_before(window, h0[None, None, None])
    codes, packed, scale = np.append(x, y[-1]), setup.layout.pack(theta), setup.layout.dtype.type(1)
    loss = training_kernels.loss_gradient(packed, setup.gradient, window, codes, np.zeros(1, int), scale)
    return loss, setup.named(setup.gradient)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_gradient_used_again_holds_nothing_of_the_window_before(corpus, dtype):
    setup = Setup(corpus, 13, 9, dtype)
    theta, h0 = setup.named(setup.theta), np.full(13, 0.5)
    for start, length in ((0, 9), (50, 9), (200, 4), (90, 9), (300, 1), (17, 9)):
        x, y = (setup.codes[n : n + length] for n in (start, start + 1))
        loss, actual = kernel_gradient(setup, theta, h0, x, y)
        naive_loss, expected, _ = naive.gradients(theta, x, y, h0)
        others = np.setdiff1d(np.arange(setup.layout.K), x)
        assert not actual["U"][:, others].any()
        assert set(x) <= set(setup.gradient.rows)
        tolerance = {"float64": 1e-12, "float32": 1e-4}[dtype]
        assert loss == pytest.approx(naive_loss, rel=tolerance)
        for name in NAMES:
            assert np.allclose(actual[name], expected[name], rtol=0, atol=tolerance)
