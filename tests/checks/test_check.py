"""Faults planted in a student's program are named, and right programs are left in peace."""

from dataclasses import replace

import naive
import numpy as np
import pytest
import student

from nbrnn.checks.answers import apart
from nbrnn.checks.check import check
from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import DERIVABLE, DERIVED, forward, gradient, signals
from nbrnn.errors import CheckError, ConfigError
from nbrnn.network.layout import NAMES

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
    ("sign", "two calls"),
    ("sign", "clip value"),
    ("sign", "clip norm"),
    ("grads mean", "two calls"),
    ("dW transposed", "dW of h_t"),
    ("dW of h_t", "last step"),
    ("last loss", "truncated"),
    ("loss mean", "loss bits"),
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


@pytest.mark.parametrize(
    "fault", [*sorted(DERIVABLE), "h_0 ignored", "softmax twice", "log missing", "y read as K indices"]
)
def test_of_a_wrong_forward_pass_the_derivative_is_known(fault):
    """What automatic differentiation gives of it, by numerical differences."""
    theta, codes, h0 = student.exercise(4, 5, 6)
    plain = {name: array.squeeze() for name, array in theta.items()}
    eye = np.eye(5)
    problem = Problem(plain, eye[codes[0, :-1], None], eye[codes[0, 1:], None], h0.T, mean=True)
    at = forward(problem, (fault,))
    back = signals(problem, at, (fault, DERIVED))
    for name in NAMES:
        expected = np.empty_like(plain[name])
        for index in np.ndindex(expected.shape):
            losses = []
            for step in (1e-5, -1e-5):
                other = plain[name].copy()
                other[index] += step
                losses.append(forward(replace(problem, theta={**plain, name: other}), (fault,)).loss)
            expected[index] = (losses[0] - losses[1]) / 2e-5
        np.testing.assert_allclose(gradient(name, problem, at, back), expected, atol=1e-7, rtol=1e-6)


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
    ("m", "K", "T", "layout", "seed", "every"),
    [
        (10, 10, 10, "column", 11, 4),  # by their shapes arrays may be anything
        (10, 12, 25, "row", 11, 1),
        (10, 40, 25, "column", 2, 8),  # indices may count from 1: the text lacks the first character
        (100, 80, 25, "column", 5, 1),
    ],
)
def test_so_it_is_in_other_sizes(m, K, T, layout, seed, every):
    for fault, cause in list(SINGLE.items())[::every]:
        assert check(arrays((fault,), layout, m, K, T, seed=seed)).causes == [cause], fault


@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_of_two_faults_both_are_named(pair):
    report = check(arrays(pair, "row"), loss="sum")
    assert set(report.causes) == {SINGLE[fault] for fault in pair}


def test_a_gradient_that_nothing_is_added_to():
    given = arrays()
    given["grads_b"][:] = 0
    (finding,) = check(given).findings
    assert finding.cause == "zero"
    assert "grads_b: 0 everywhere" in finding.sentence


@pytest.mark.parametrize(
    "seeds", [range(24), pytest.param(range(24, 100), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_right_programs_are_right(seeds):
    for seed in seeds:
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


def test_indices_that_look_like_one_hot_vectors():
    """Two windows of two characters of two."""
    for seed in range(8):
        assert check(arrays(layout="row", m=6, K=2, T=2, B=2, seed=seed)).is_right
    theta, _, h0 = student.exercise(4, 3, 3, 2, seed=1)
    codes = np.array([[2, 0, 1, 1], [0, 1, 0, 0]])  # of which y looks like broken vectors
    given = student.saved(theta, codes, h0, student.run(theta, codes, h0))
    assert check(given).is_right


def test_a_batch_that_is_summed():
    for layout in ("column", "row"):
        assert check(arrays(layout=layout, B=3, one_hot=True)).is_right
        assert check(arrays(("windows summed",), layout, B=3)).causes == ["factor B"]


@pytest.mark.slow
def test_what_fits_no_cause_says_where_it_begins():
    given = arrays(T=6)
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


SPELLINGS = [("RNN.W", "grads.W"), ("W", "grad_W"), ("theta/W", "grads/W"), ("net_W", "dW")]
SPELLINGS += [("W", "dL_dW"), ("params:W", "gradW"), ("h2h.weight", "gradient_W")]
SPELLINGS += [("rnn.weight_hh_l0", "rnn.weight_hh_l0.grad")]


@pytest.mark.parametrize(("parameter", "gradient"), SPELLINGS)
def test_spellings(parameter, gradient):
    given = arrays()
    given[parameter], given[gradient] = given.pop("W"), given.pop("grads_W")
    report = check(given)
    assert report.is_right
    assert gradient in [row.name for row in report.rows]


@pytest.mark.slow
def test_numbers_that_are_not_finite_are_wrong():
    for number in (np.nan, np.inf):
        given = arrays(T=5)
        given["grads_U"][1, 2] = given["H"][0, 3] = number
        report = check({**given, "loss": np.array(number)})
        assert [finding.arrays for finding in report.findings] == [("H",), ("loss",), ("U",)]
        assert "only in row 2" in report.findings[2].sentence


def test_numbers_are_printed_with_the_digits_in_which_they_differ():
    assert apart(4.482491, 4.482492) == "4.482491 instead of 4.482492"
    assert apart(1.0, 2.0) == "1 instead of 2"
    assert apart(1.0, np.nextafter(1.0, 2)) == "1 instead of 1.0000000000000002"


def test_verdicts_have_the_numbers_of_their_findings():
    given = arrays()
    changed = {**given, **{f"{name}_new": given[name] for name in NAMES}}  # nothing is updated
    changed["grads_U"] = given["grads_U"] * 1.1
    report = check(changed)
    assert report.findings[0].cause == "not updated"
    verdicts = {row.what: row.verdict for row in report.rows}
    assert verdicts["gradient of U"] == "wrong: 2"
    assert verdicts["W after 1 step"] == "wrong: 1"
    assert report.to_dict()["rows"][0].keys() == {"name", "what", "shape", "largest", "norm", "verdict"}


def test_huge_numbers_and_an_alphabet_of_one_character_are_only_wrong():
    for m, K in ((5, 7), (2, 1)):
        given = arrays(m=m, K=K, T=3)
        given["grads_U"][0, 0] = 1e200
        given["H"][0, 0] += 1
        assert "U" in [finding.arrays[0] for finding in check(given).findings]


def test_what_is_no_probability():
    given = arrays()
    report = check({**given, "P": np.log(given["P"])})
    assert report.causes == ["log P for P"]


def test_of_parameters_after_a_step_the_shape_is_told():
    given = {**arrays(), "W_after": np.zeros((4, 4))}
    (finding,) = check(given).findings
    assert "W_after has the shape (4, 4), W has (5, 5)" in finding.sentence


def test_what_cannot_be_checked():
    given = arrays()
    with pytest.raises(CheckError, match="there is nothing to check"):
        check(arrays(loss=False, P=False, H=False, grads=False))
    for changed, said in [
        ({"W": None}, "W: not in the file"),
        ({"y": None}, "there is x, but no y"),
        ({"x": given["x"][:-1]}, "x has 9 characters, y has 10"),
        ({"x": given["x"] + 50}, "indices from"),
        ({"x": np.zeros(2**25), "y": np.zeros(2**25)}, "too many to check"),
        ({"x": given["x"] + 0.5}, "neither indices nor one-hot"),
        ({"U": np.ones((3, 3))}, "no network has parameters of these shapes"),
        ({"W": np.full((5, 5), np.nan)}, "not finite"),
        ({"h0": np.ones(4)}, "not a state of 5 units"),
        ({"h0": np.full(5, np.inf)}, "h0 holds numbers that are not finite"),
        ({"x": np.zeros((7, 10)), "y": np.eye(7, 10)}, "x: 10 of 10 vectors are not one-hot"),
        ({"U": np.full((5, 7), 1e200), "V": np.full((7, 5), 1e308)}, "loss is not finite"),
        ({"RNN.W": np.ones((5, 5))}, "both taken for W"),
        ({"P": np.array([{}])}, "object array"),
    ]:
        with pytest.raises(CheckError, match=said):
            check({name: array for name, array in {**given, **changed}.items() if array is not None})
    with pytest.raises(CheckError, match="--hidden changes nothing"):
        check(given, hidden=5)
    with pytest.raises(ConfigError):
        check(given, after=0)
