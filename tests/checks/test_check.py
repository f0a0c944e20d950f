"""Right programs are right, wrong ones are wrong, and a cause is named only where it is proven."""

import naive
import numpy as np
import pytest
import student

from nbrnn.checks.case import case
from nbrnn.checks.check import check
from nbrnn.checks.equations import compute
from nbrnn.checks.ladder import of_codes
from nbrnn.checks.report import apart
from nbrnn.checks.training_and_sampling import smooth_series
from nbrnn.config import RunConfig
from nbrnn.errors import CheckError, ConfigError
from nbrnn.network.layout import NAMES

SINGLE = {**student.FORWARD, **student.GRADIENT, **student.LOSS}


def arrays(faults=(), layout="column", m=5, K=7, T=10, B=1, seed=0, one_hot=False, dtype=float, **keep):
    theta, codes, h0 = student.exercise(m, K, T, B, seed, dtype=dtype)
    answers = student.run(theta, codes, h0, faults)
    kept = [
        each if keep.get(name, True) else None
        for name, each in zip(("loss", "grads", "P", "H"), answers, strict=True)
    ]
    return student.saved(theta, codes, h0, kept, layout, one_hot)


def signals():
    """Return the program's own do, dh and da (rows are units, columns steps), beside its states."""
    theta, codes, h0 = student.exercise(5, 7, 10)
    _, _, (P,), (H,) = student.run(theta, codes, h0)
    dO = P - np.eye(7)[codes[0, 1:]].T
    dH, dA = np.zeros((5, 10)), np.zeros((5, 10))
    for t in reversed(range(10)):
        dH[:, t] = theta["V"].T @ dO[:, t] + (theta["W"].T @ dA[:, t + 1] if t < 9 else 0)
        dA[:, t] = dH[:, t] * (1 - H[:, t] ** 2)
    return {"dO": dO, "dH": dH, "dA": dA}, np.hstack([h0, H])


# ---------------------------------------------------------------- the reference


def test_the_reference_is_the_naive_algorithm():
    theta, codes, h0 = student.exercise(6, 9, 12)
    plain = {name: array.squeeze() for name, array in theta.items()}
    loss, expected, last = naive.gradients(plain, codes[0, :-1], codes[0, 1:], h0[:, 0])
    found = compute(of_codes(plain, codes.T, h0.T))
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-12)
    np.testing.assert_allclose(found["h_last"][0], last, rtol=1e-12)
    for name in NAMES:
        np.testing.assert_allclose(found[f"d{name}"], expected[name], rtol=1e-10, atol=1e-13)


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(("fault", "cause"), SINGLE.items(), ids=list(SINGLE))
def test_a_single_fault(fault, cause):
    for layout, one_hot in (("column", False), ("row", True)):
        report = check(arrays((fault,), layout, one_hot=one_hot))
        assert report.is_right == (cause == "right")
        assert report.causes[:1] == ([] if cause == "right" else [cause])
        assert all(finding.follows for finding in report.findings[1:])


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "rmsprop"])
def test_faults_of_a_step(optimizer):
    theta, codes, h0 = student.exercise(5, 7, 10)
    eta = 0.1 if optimizer == "adagrad" else 0.001
    for fault, cause in {"": None, **student.STEP[optimizer]}.items():
        n = 2 if fault == "memory lost" else 1
        clip = 0.5 if "clip" in fault else 5.0
        after = student.steps(theta, codes, h0, optimizer, eta, n, (fault,), clip)
        given = {**arrays(), **{f"{name}_new": array for name, array in after.items()}}
        report = check(given, after=n, optimizer=optimizer, clip=clip, eta=eta)
        assert report.causes == ([cause] if cause else []), fault


@pytest.mark.parametrize("fault", [None, *student.SERIES])
def test_faults_of_the_smooth_loss(fault):
    losses = 75 * np.exp(-np.arange(300) / 200) + np.random.default_rng(0).normal(size=300)
    given = {"losses": losses, "smooth_loss": student.smoothed(losses, 25, fault)}
    assert check(given, seq_length=25).causes == ([student.SERIES[fault]] if fault else [])


def test_no_cause_is_named_for_a_wrong_entry_of_a_large_network(corpus):
    for hidden, sigma in ((10, 1.0), (50, 0.5)):
        given = case(corpus, RunConfig(hidden=hidden, sigma=sigma))
        assert check(given).is_right
        given["grads_W"][3, 4] += np.abs(given["grads_W"]).max() if hidden == 50 else 1
        report = check(given)
        assert report.causes == [None]
        assert "only in row 4; most at (4, 5)" in report.findings[0].sentence
        assert "No known mistake explains it" in report.findings[0].sentence


@pytest.mark.parametrize("epsilon", [2.2e-16, 1e-12, 1e-10, 1e-7])
def test_epsilon_is_fitted(corpus, epsilon):
    given = case(corpus, RunConfig(hidden=5, seq_length=5, epsilon=epsilon))
    assert check(given).is_right
    del given["case"]  # which says what epsilon is
    assert check(given, epsilon=epsilon).is_right
    report = check(given)  # nobody said what it should be
    assert report.is_right
    assert f"epsilon is {epsilon:.3g}, the settings say 1e-08: --epsilon {epsilon:.3g}" in str(report)
    report = check(given, epsilon=1e-8)
    assert report.causes == ["epsilon"]
    assert f"--epsilon {epsilon:.3g}" in report.findings[0].sentence


def test_names_that_the_old_catalogue_lacked():
    own, H = signals()
    given = arrays()
    wrong = own["dA"] @ np.hstack([H[:, -1:], H[:, 1:-1]]).T
    assert check({**given, "grads_W": wrong}).causes == ["h_T for h_0"]
    report = check({**given, "P": own["dO"]})
    assert report.causes == ["P minus Y for P"]
    assert "in place" in report.findings[0].sentence
    theta, codes, h0 = student.exercise(5, 7, 10)
    after = student.steps(theta, codes, h0, "adagrad", 0.1, 5)
    report = check({**given, **{f"{name}_new": array for name, array in after.items()}})
    assert "5 steps instead of 1: --after 5" in report.findings[0].sentence


def test_relu_is_refused():
    theta, codes, h0 = student.exercise(5, 7, 10)
    H = [h0]
    for k in codes[0, :-1]:
        H.append(np.maximum(0, theta["W"] @ H[-1] + theta["U"][:, [k]] + theta["b"]))
    with pytest.raises(CheckError, match="a ReLU network"):
        check({**arrays(), "H": np.hstack(H[1:])})


# ---------------------------------------------------------------- intermediate arrays


def test_the_first_line_that_does_not_follow_is_the_fault():
    own, H = signals()
    assert check({**arrays(), **own}).is_right
    assert check({**arrays(), **{name: array[:, ::-1] for name, array in own.items()}}).is_right
    assert check({**arrays(), "dO": own["dO"] / 10}).is_right  # divided by T here, and not later
    assert check({**arrays(), "dh": own["dH"][:, 0], "dy": own["dO"][:, :1]}).is_right  # left of a loop
    wrong = {**own, "dA": own["dA"] * np.linspace(1, 2, 5)[:, None]}
    report = check({**arrays(grads=False), **wrong, "grads_W": wrong["dA"] @ H[:, :-1].T})
    assert report.findings[0].arrays == ("dA",)
    assert len(report.findings) == 1  # dW follows from this dA
    assert "da_t = (1 - h_t^2) * dh_t. No known" in report.findings[0].sentence
    assert [row.verdict for row in report.rows if row.name == "grads_W"] == ["follows from the above"]


# ---------------------------------------------------------------- right variants


@pytest.mark.parametrize(
    "seeds", [range(16), pytest.param(range(16, 100), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_right_programs_are_right(seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        m, K, T, B = (int(rng.choice(n)) for n in ((2, 5, 8), (3, 5), (2, 5, 9), (1, 2)))
        dtype = (np.float64, np.float32)[seed % 2]
        faults = (("mean",), ("windows summed",), ())[seed % 3]
        report = check(arrays(faults, ("column", "row")[seed // 2 % 2], m, K, T, B, seed, dtype=dtype))
        assert report.is_right, (seed, report)
        if seed % 2 and T > 2:
            assert any(row.verdict == "right, in float32" for row in report.rows)


def test_raised_entries_are_wrong():
    """A thin slice of `python -m results.check`."""
    rng = np.random.default_rng(1)
    for seed in range(12):
        given = arrays(m=8, K=5, T=6, seed=seed)
        name = ["H", "P", "loss", *(f"grads_{n}" for n in NAMES)][seed % 8]
        array = np.array(given[name], float)
        array[tuple(rng.integers(0, n) for n in array.shape)] += (
            10 ** rng.uniform(-6, 1) * np.abs(array).max()
        )
        report = check({**given, name: array})
        assert not report.is_right
        assert report.causes == [None]


def test_what_is_no_fault():
    given = arrays()
    _, H = signals()
    assert check({**given, "H": np.hstack([H[:, 1:], H[:, :1]])}).is_right  # h_0 at index -1
    report = check(arrays(("windows summed",), B=3))
    assert report.is_right
    assert any("summed over the windows" in note for note in report.notes)
    report = check(arrays(("clip norm",)))
    assert report.is_right
    assert any("clipped to a norm of 1.5" in note for note in report.notes)
    assert check(arrays(("mean",))).is_right
    assert check(arrays(("mean",)), loss="sum").causes == ["factor 1/T"]


def test_differences_are_no_fault():
    theta, codes, h0 = student.exercise(5, 7, 10)
    given = arrays()
    for name, array in theta.items():
        for index in np.ndindex(array.shape):
            more = {**theta, name: array.copy()}
            more[name][index] += 1e-5
            losses = [student.run(each, codes, h0)[0] for each in (more, theta)]
            given[f"grads_{name}"][index] = (losses[0] - losses[1]) / 1e-5
    report = check(given)
    assert report.is_right
    assert any("numerical differences" in row.verdict for row in report.rows)


def test_losses_that_are_recorded_now_and_then():
    losses = 75 * np.exp(-np.arange(3000) / 2000) + np.random.default_rng(0).normal(size=3000)
    smooth, some = smooth_series(losses, losses[0]), slice(0, None, 100)
    given = {"losses": losses[some], "smooth_loss": smooth[some]}
    report = check({**given, "update": np.arange(1, 3001)[some]})  # as in metrics.csv
    assert report.is_right
    assert "save every update" in report.caveat()
    with pytest.raises(CheckError, match="save every update"):  # it may as well be another average
        check(given)


def test_an_ill_conditioned_exercise_is_refused():
    theta, codes, h0 = student.exercise(60, 7, 40)
    theta["W"] *= 6 / np.abs(np.linalg.eigvals(theta["W"])).max()
    theta, h0 = {name: array.astype(np.float32) for name, array in theta.items()}, h0.astype(np.float32)
    given = student.saved(theta, codes, h0, (None, student.run(theta, codes, h0)[1], None, None))
    with pytest.raises(CheckError, match="the exercise is ill-conditioned: rounding in float32"):
        check({name: array for name, array in given.items() if name not in ("grads_V", "grads_c")})


# ---------------------------------------------------------------- words


def test_what_was_not_checked_is_said():
    assert "the optimizer's steps" in check(arrays()).caveat()
    assert check(arrays()).to_dict()["not_checked"][0] == "several windows at once"
    assert "several windows" not in check(arrays(B=2)).caveat()
    given = arrays()
    given |= {f"grads_num_{name}": given[f"grads_{name}"] for name in "cbVUW"}
    names = [words[10] for words in check(given).to_dict()["not_checked"] if "another" in words]
    assert names == list("cbVUW")


def test_numbers_are_printed_with_the_digits_in_which_they_differ():
    assert apart(4.482491, 4.482492) == "4.482491 instead of 4.482492"
    assert apart(1.0, np.nextafter(1.0, 2)) == "1 instead of 1.0000000000000002"


def test_numbers_that_are_not_finite_or_huge_are_wrong():
    for number in (np.nan, np.inf, 1e200):
        given = arrays(T=5)
        given["grads_U"][1, 2] = given["H"][0, 3] = number
        report = check({**given, "loss": np.array(number)})
        assert [finding.arrays for finding in report.findings] == [("H",), ("loss",), ("U",)]
        del given["H"]
        assert "only in row 2" in check(given).findings[0].sentence


def test_what_cannot_be_checked():
    given = arrays()
    with pytest.raises(CheckError, match="nothing to check"):
        check(arrays(loss=False, P=False, H=False, grads=False))
    with pytest.raises(CheckError, match="nothing to check"):
        check({f"train.{name}": given[name] for name in "WUVbc"} | {"train.smooth": np.arange(3.0)})
    for changed, said in [
        ({"W": None}, "no array has a known name for W: save"),
        ({"y": None}, "there is x, but no y"),
        ({"x": given["x"][:-1]}, "x and y must be equally long, but x has 9 characters and y has 10"),
        ({"x": given["x"] + 50}, "indices from"),
        ({"x": np.zeros(2**25), "y": np.zeros(2**25)}, "too many to check"),
        ({"x": given["x"] + 0.5}, "neither indices nor one-hot"),
        ({"U": np.ones((3, 3))}, r"U must be \(5, 7\), not \(3, 3\)"),
        ({"W": np.full((5, 5), np.nan)}, "NaN or infinite"),
        ({"h0": np.ones(4)}, "not a state of 5 units"),
        ({"h0": np.full(5, np.inf)}, "h0 has NaN or infinite numbers"),
        ({"x": np.zeros((7, 10)), "y": np.eye(7, 10)}, "x: 10 of 10 vectors are not one-hot"),
        ({"RNN.W": np.ones((5, 5))}, "both read as W, and differ"),
        ({"P": np.array([{}])}, "object array"),
        ({"W_after": np.zeros((4, 4))}, r"W_after must have the shape of W, \(5, 5\), but has \(4, 4\)"),
    ]:
        with pytest.raises(CheckError, match=said):
            check({name: array for name, array in {**given, **changed}.items() if array is not None})
    with pytest.raises(
        CheckError, match=r"U_after must have the shape of U, \(7, 5\), but has \(5, 7\)"
    ):
        check({**arrays(layout="row"), "U_after": np.zeros((5, 7))})
    with pytest.raises(CheckError, match="--hidden changes nothing"):
        check(given, hidden=5)
    with pytest.raises(ConfigError):
        check(given, after=0)


def test_indices_that_look_like_one_hot_vectors():
    for seed in range(4):
        assert check(arrays(layout="row", m=6, K=2, T=2, B=2, seed=seed)).is_right
    theta, _, h0 = student.exercise(4, 3, 3, 2, seed=1)
    codes = np.array([[2, 0, 1, 1], [0, 1, 0, 0]])  # of which y looks like broken vectors
    assert check(student.saved(theta, codes, h0, student.run(theta, codes, h0))).is_right


SPELLINGS = [("RNN.W", "grads.W"), ("W", "grad_W"), ("theta/W", "grads/W"), ("net_W", "dW")]
SPELLINGS += [("W", "dL_dW"), ("params:W", "gradW"), ("h2h.weight", "gradient_W")]


@pytest.mark.parametrize(("parameter", "gradient"), SPELLINGS)
def test_spellings(parameter, gradient):
    given = arrays()
    given[parameter], given[gradient] = given.pop("W"), given.pop("grads_W")
    report = check(given)
    assert report.is_right
    assert gradient in [row.name for row in report.rows]


def test_a_raised_zero_is_wrong():
    """Columns of dU of characters that do not occur are 0: numerical differences leave them so."""
    given = arrays(K=15)
    absent = int(np.flatnonzero(~given["grads_U"].any(0))[0])
    given["grads_U"][2, absent] = 1e-3
    assert not check(given).is_right


def test_one_wrong_state_is_not_another_h_0():
    given = arrays(T=2, m=10)
    given["H"][6, 1] += 3
    assert check(given).causes == [None]
