"""Faults planted in a student's program are named, and right programs are left in peace."""

import naive
import numpy as np
import pytest
import student

from nbrnn.checks.check import check
from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import forward, gradient, signals
from nbrnn.errors import CheckError, ConfigError
from nbrnn.network.params import NAMES

SINGLE = {**student.FORWARD, **student.GRADIENT, **student.LOSS}
PAIRS = [
    ("h0 ignored", "no next"),
    ("W.T forward", "sign"),
    ("softmax axis", "dW transposed"),
    ("no tanh'", "dV of h_{t-1}"),
    ("no tanh' to next", "grads mean"),
    ("no next", "db axis"),
    ("W for W.T", "loss bits"),
    ("dW of h_t", "dV of h_{t-1}"),
    ("truncated", "two calls"),
    ("y shifted", "no tanh'"),
]


def arrays(faults=(), layout="column", m=5, K=7, T=10, B=1, seed=0, one_hot=False, dtype=float, **keep):
    theta, codes, h0 = student.exercise(m, K, T, B, seed, dtype=dtype)
    answers = student.run(theta, codes, h0, faults)
    kept = [
        each if keep.get(name, True) else None
        for name, each in zip(("loss", "grads", "P", "H"), answers, strict=True)
    ]
    return student.saved(theta, codes, h0, kept, layout, one_hot)


def test_the_reference_is_the_naive_algorithm():
    theta, codes, h0 = student.exercise(6, 9, 12)
    plain = {name: array.squeeze() for name, array in theta.items()}
    loss, expected, last = naive.gradients(plain, codes[0, :-1], codes[0, 1:], h0[:, 0])
    eye = np.eye(9)
    problem = Problem(plain, eye[codes[0, :-1], None], eye[codes[0, 1:], None], h0.T, mean=False)
    at = forward(problem)
    back = signals(problem, at)
    assert at.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(at.H[-1, 0], last, rtol=1e-12)
    for name in NAMES:
        np.testing.assert_allclose(
            gradient(name, problem, at, back), expected[name], rtol=1e-10, atol=1e-13
        )


@pytest.mark.parametrize(("fault", "cause"), SINGLE.items(), ids=list(SINGLE))
def test_a_single_fault_is_named(fault, cause):
    for layout, one_hot in (("column", False), ("row", True)):
        report = check(arrays((fault,), layout, one_hot=one_hot))
        assert report.causes == [cause]
        assert not report.is_right
    if fault not in student.LOSS and not fault.startswith("y "):
        alone = check(arrays((fault,), loss=False, P=False, H=False), loss="sum")
        assert alone.causes == [cause]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("m", "K", "T", "layout", "every"),
    [(10, 10, 10, "column", 1), (10, 12, 25, "row", 1), (100, 80, 25, "column", 4)],
)
def test_so_it_is_in_other_sizes(m, K, T, layout, every):
    for fault, cause in list(SINGLE.items())[::every]:
        assert check(arrays((fault,), layout, m, K, T, seed=m + 1)).causes == [cause], fault


@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_of_two_faults_both_are_named(pair):
    report = check(arrays(pair, "row"), loss="sum")
    assert set(report.causes) == {SINGLE[fault] for fault in pair}


@pytest.mark.slow
def test_right_programs_are_right():
    for seed in range(100):
        m, K, T, B = (
            int(np.random.default_rng(seed).choice(n)) for n in ((2, 5, 8), (3, 5), (2, 5, 9), (1, 2))
        )
        dtype = (np.float64, np.float32)[seed % 2]
        faults = ("mean",) if seed % 3 == 0 else ()
        given = arrays(faults, ("column", "row")[seed // 2 % 2], m, K, T, B, seed, dtype=dtype)
        report = check(given)
        assert report.is_right, (seed, report)
        if seed % 2 and T > 2:
            assert any(row.verdict == "right, in float32" for row in report.rows)


def test_the_sum_and_the_mean_are_right_unless_one_is_asked_for():
    given = arrays(("mean",))
    assert check(given).is_right
    assert check(given, loss="mean").is_right
    assert check(given, loss="sum").causes == ["factor 1/T"]
    assert check(given, preset="dd2424-2025").is_right


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "rmsprop"])
def test_faults_of_a_step(optimizer):
    theta, codes, h0 = student.exercise(5, 7, 10)
    eta = 0.1 if optimizer == "adagrad" else 0.001
    for fault, cause in {"": None, **student.STEP[optimizer]}.items():
        n = 2 if fault == "memory lost" else 1
        clip = 0.5 if "clip" in fault else 5.0
        after = student.steps(theta, codes, h0, optimizer, eta, n, (fault,), clip)
        given = {**arrays(), **{f"{name}_new": array for name, array in after.items()}}
        report = check(given, after=n, optimizer=optimizer, clip=clip)
        assert report.causes == ([cause] if cause else []), fault


@pytest.mark.parametrize("fault", [None, *student.SERIES])
def test_faults_of_the_smooth_loss(fault):
    losses = 75 * np.exp(-np.arange(300) / 200) + np.random.default_rng(0).normal(size=300)
    given = {"losses": losses, "smooth_loss": student.smoothed(losses, 25, fault)}
    report = check(given, seq_length=25)
    assert report.causes == ([student.SERIES[fault]] if fault else [])


def test_a_batch_that_is_summed():
    for layout in ("column", "row"):
        assert check(arrays(layout=layout, B=3, one_hot=True)).is_right
        assert check(arrays(("windows summed",), layout, B=3)).causes == ["factor B"]


def test_what_fits_no_cause_says_where_it_begins():
    given = arrays()
    given["H"][2, 4] += 0.5
    given["grads_U"][3] *= np.linspace(1, 2, 7)
    report = check(given)
    first, second = report.findings
    assert first.cause is None
    assert "H differs from step 5 on: unit 3 is" in first.sentence
    assert "grads_U differs, only in row 4;" in second.sentence
    assert second.follows


def test_coarse_differences_are_no_fault():
    given = arrays()
    theta, codes, h0 = student.exercise(5, 7, 10)
    for name, array in theta.items():
        for index in np.ndindex(array.shape):
            more = {**theta, name: array.copy()}
            more[name][index] += 1e-3
            losses = [student.run(each, codes, h0)[0] for each in (more, theta)]
            given[f"grads_{name}"][index] = (losses[0] - losses[1]) / 1e-3
    report = check(given)
    assert report.is_right
    assert any("forward differences with a step of about 0.001" in note for note in report.notes)


SPELLINGS = [
    ("RNN.W", "grads.W"),
    ("W", "grad_W"),
    ("theta/W", "grads/W"),
    ("net_W", "dW"),
    ("Whh", "dWhh"),
    ("rnn.weight_hh_l0", "rnn.weight_hh_l0.grad"),
    ("W", "dL_dW"),
    ("params:W", "gradW"),
]


@pytest.mark.parametrize(("parameter", "gradient"), SPELLINGS)
def test_spellings(parameter, gradient):
    given = arrays()
    given[parameter], given[gradient] = given.pop("W"), given.pop("grads_W")
    report = check(given)
    assert report.is_right
    assert gradient in [row.name for row in report.rows]


def test_what_cannot_be_checked():
    given = arrays()
    with pytest.raises(CheckError, match="there is nothing to check"):
        check(arrays(loss=False, P=False, H=False, grads=False))
    for changed, said in [
        ({"W": None}, "W: not in the file"),
        ({"y": None}, "there is x, but no y"),
        ({"x": given["x"][:-1]}, "x has 9 characters, y has 10"),
        ({"x": given["x"] + 50}, "indices from"),
        ({"x": given["x"] + 0.5}, "neither indices nor one-hot"),
        ({"U": np.ones((3, 3))}, "no network has parameters of these shapes"),
        ({"W": np.full((5, 5), np.nan)}, "not finite"),
        ({"h0": np.ones(4)}, "no state of 5 units"),
        ({"RNN.W": np.ones((5, 5))}, "both taken for W"),
        ({"P": np.array([{}])}, "object array"),
    ]:
        with pytest.raises(CheckError, match=said):
            check({name: array for name, array in {**given, **changed}.items() if array is not None})
    with pytest.raises(CheckError, match="--hidden changes nothing"):
        check(given, hidden=5)
    with pytest.raises(ConfigError):
        check(given, after=0)
