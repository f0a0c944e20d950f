"""A program's own functions: called with the ladder, in the form that they take arrays in."""

import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import student
from harness import import_interop

import nbrnn
from nbrnn.checks.training_and_sampling import smooth_series
from nbrnn.errors import CheckError

PAGE = (Path(__file__).parents[2] / "docs" / "tutorials" / "students.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)  # a window, PyTorch, other parts, otter


def program(theta, X, Y, h0, faults=(), form=""):
    """Return what the student's functions make of a window, as they take arrays in some form."""
    if "row" in form:
        theta, X, Y, h0 = {name: a.T for name, a in theta.items()}, X.T, Y.T, h0.T
    if "flat" in form:
        theta = {name: a.reshape(len(a), -1) for name, a in theta.items()}
        h0 = h0.reshape(-1, 1)
    if "indices" in form:
        assert X.ndim == 1
        X, Y = (np.eye(len(theta["c"]))[each].T for each in (X, Y))
    loss, grads, (P,), (H,) = student.run(
        theta, np.append(X.argmax(0), Y.argmax(0)[-1])[None], h0, faults
    )
    grads = {name: g.T if "row" in form else g for name, g in grads.items()}
    return {"loss": loss, "P": P, "H": H, "grads": grads}


@pytest.mark.parametrize("form", ["", "row", "indices", "row indices", "flat", "flat indices"])
def test_the_form_of_the_arguments_is_found(form):
    report = nbrnn.check(lambda *a: program(*a, form=form))
    assert report.is_right
    assert sum(report.points.values()) == 9
    (finding,) = nbrnn.check(lambda *a: program(*a, ("no next",), form)).findings
    assert finding.rung == "two_steps"
    assert finding.cause == "next step missing"


def test_arrays_that_a_function_returns_are_known_by_their_shapes():
    def lossfun(*arguments, faults=()):  # as min-char-rnn returns them
        loss, _, H, grads = program(*arguments, faults).values()
        return loss, grads["U"], grads["W"], grads["V"], grads["b"], grads["c"], H[:, -1:]

    report = nbrnn.check(lossfun)
    assert report.is_right
    names = {row.name for row in report.rows}
    assert names == {"loss", "dU", "dW", "dV", "db", "dc", "h_last"}
    report = nbrnn.check(lambda *a: lossfun(*a, faults=("no next",)))
    assert report.causes == ["next step missing"]


RUNGS = {  # which exercise fails first
    "no tanh'": "one_step",
    "dW of h_t": "one_step",
    "h0 ignored": "other_state",
    "W.T forward": "other_state",
    "dV of h_{t-1}": "one_step",
    "overwritten": "two_steps",
    "W for W.T": "two_steps",
    "truncated": "many_steps",
    "next added up": "many_steps",
    "y shifted": "two_steps",
    "no maximum": "large_logits",
}


@pytest.mark.parametrize(("fault", "rung"), RUNGS.items())
def test_the_first_exercise_that_fails(fault, rung):
    report = nbrnn.check(lambda *a: program(*a, (fault,)))
    assert report.findings[0].rung == rung
    assert report.points[rung] == 0
    assert report.points.get("one_step") == (rung != "one_step")


def test_logits_that_overflow_are_named_and_hide_no_other_mistake():
    assert nbrnn.check(lambda *a: program(*a, ("no maximum",))).causes == ["overflow"]
    report = nbrnn.check(lambda *a: program(*a, ("no maximum", "no tanh'")))
    assert report.causes == nbrnn.check(lambda *a: program(*a, ("no tanh'",))).causes != []
    assert report.points["large_logits"] == 0


def forward(theta, X, Y, h0):
    found = program(theta, X, Y, h0)
    return found["loss"], found["P"], found["H"]


def update(theta, grads, memory, epsilon=1e-8, keep=1, clip=5):
    for name, g in grads.items():
        g = np.clip(g, -clip, clip)
        memory[name] = keep * memory[name] + g**2
        theta[name] = theta[name] - 0.1 * g / np.sqrt(memory[name] + epsilon)


OWN = {"forward": forward, "backward": lambda *a: program(*a[:4])["grads"], "update": update}


def test_the_code_for_a_window(capsys):
    assert len([line for line in CODE[0].splitlines() if line]) == 5
    exec(CODE[0], OWN.copy())
    assert "two steps                         right" in capsys.readouterr().out


def test_the_code_for_the_other_parts(capsys):
    exec(CODE[2], OWN.copy())
    assert "right: 22 arrays of 6 exercises agree" in capsys.readouterr().out


def test_the_code_for_otter_grader(monkeypatch):
    """Otter calls each case with what the student's notebook has under the names of its parameters."""
    cases = {}

    def decorator(name, points):
        return lambda function: cases.update({name: (points, function)})

    monkeypatch.setitem(sys.modules, "otter", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "otter.test_files", SimpleNamespace(test_case=decorator))
    exec(CODE[3], names := {})
    assert not names["OK_FORMAT"]
    ((points, function),) = cases.values()
    assert points == 2
    assert list(inspect.signature(function).parameters) == ["loss_and_gradients"]
    function(lambda *a: program(*a, ("mean",)))
    with pytest.raises(AssertionError, match="Right up to 'one step from another h_0'"):
        function(lambda *a: program(*a, ("mean", "no next")))


@pytest.mark.interop
def test_the_code_for_torch():
    torch = import_interop("torch")

    def my_loss(theta, X, Y, h, cut=lambda h: h):
        logits = []
        for x in X.T:
            h = torch.tanh(theta["W"] @ cut(h) + theta["U"] @ x[:, None] + theta["b"])
            logits.append(theta["V"] @ h + theta["c"])
        return torch.nn.functional.cross_entropy(torch.hstack(logits).T, Y.argmax(0))

    exec(CODE[1], found := {"my_loss": my_loss})
    assert nbrnn.check(found["loss_and_gradients"]).is_right
    exec(CODE[1], found := {"my_loss": lambda *a: my_loss(*a, cut=lambda h: h.detach())})
    assert nbrnn.check(found["loss_and_gradients"]).causes[0] == "next step missing"


STATES = {  # h_t as a program may compute it whose gradients are made by automatic differentiation
    "W transposed": lambda theta, x, h, h0: np.tanh(theta["W"].T @ h + theta["U"] @ x + theta["b"]),
    "b left out": lambda theta, x, h, h0: np.tanh(theta["W"] @ h + theta["U"] @ x),
    "state not handed on": lambda theta, x, h, h0: np.tanh(
        theta["W"] @ h0 + theta["U"] @ x + theta["b"]
    ),
    "no tanh": lambda theta, x, h, h0: theta["W"] @ h + theta["U"] @ x + theta["b"],
    None: lambda theta, x, h, h0: np.tanh(2 * theta["W"] @ h + theta["U"] @ x + theta["b"]),
}


def differentiated(theta, X, Y, h0, fault):
    """Return what a faulty forward pass and its exact derivative make, by steps of 1e-30 i."""

    def forward(theta):
        h, H, P = h0, [], []
        for x in X.T:
            h = STATES[fault](theta, x[:, None], h, h0)
            e = np.exp(theta["V"] @ h + theta["c"] - 800 * (theta["c"].real.max() > 700))
            H, P = [*H, h], [*P, e / e.sum()]
        return -np.log((np.hstack(P) * Y).sum(0)).sum(), np.hstack(H), np.hstack(P)

    grads = {name: np.zeros_like(array) for name, array in theta.items()}
    for name, g in grads.items():
        for index in np.ndindex(g.shape):
            moved = {**theta, name: theta[name].astype(complex)}
            moved[name][index] += 1e-30j
            g[index] = forward(moved)[0].imag / 1e-30
    loss, H, P = forward(theta)
    return {"loss": loss, "H": H, "P": P, "grads": grads}


@pytest.mark.parametrize("fault", STATES)
def test_right_gradients_of_a_wrong_forward_pass_have_no_name(fault):
    report = nbrnn.check(lambda *a: differentiated(*a, fault))
    first, *others = report.findings
    assert first.cause == fault
    assert first.arrays == ("H",)
    assert all(each.cause is None and each.follows for each in others)
    assert report.points.get("one_step") == (fault not in ("b left out", "no tanh"))


def other_part(name, old="", new="", **how):
    """Return a function of the page, with other code at one place or another update."""
    code = CODE[2].rpartition("print")[0]
    assert old in code
    own = {**OWN, "update": lambda *a: update(*a, **how)}
    exec(code.replace(old, new) if old else code, own)
    return own[name]


def test_steps():
    report = nbrnn.check(step=other_part("step", epsilon=1e-10))
    assert report.is_right
    assert any("epsilon is 1e-10" in note for note in report.notes)
    report = nbrnn.check(step=other_part("step", keep=0))
    assert report.causes == ["memory not kept"]
    assert report.findings[0].rung == "two_updates"
    report = nbrnn.check(step=other_part("step", clip=np.inf), clip=5)
    assert report.causes == ["not clipped"]
    assert report.points == {"one_update": 1, "clipped_update": 0, "two_updates": 1, "ten_updates": 1}


@pytest.mark.parametrize("order", ["WUVbc", "UWVbc", "cbVUW"])
def test_t_of_adam_that_advances_with_each_parameter(order):
    def adam(theta, gradients):
        m, v, t = dict.fromkeys(order, 0), dict.fromkeys(order, 0), 0
        for grads in gradients:
            for name in order:
                t += 1
                m[name] = 0.9 * m[name] + 0.1 * grads[name]
                v[name] = 0.999 * v[name] + 0.001 * grads[name] ** 2
                root = np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8
                theta[name] = theta[name] - 0.001 * m[name] / (1 - 0.9**t) / root
        return theta

    report = nbrnn.check(step=adam, preset="dd2424-2025")
    assert report.causes == ["t advances with each parameter"]
    assert set(report.findings[0].arrays) == set(order[1:])


def test_training_with_the_smooth_loss():
    def both(*arguments, factor):
        losses = np.array(other_part("train")(*arguments))
        return losses, factor * smooth_series(losses, losses[0])

    for factor, is_right in ((1, 1), (1.01, 0)):
        report = nbrnn.check(train=lambda *a, f=factor: both(*a, factor=f))
        assert report.points == {"train": 1, "smooth": is_right}


PLANTED = {
    "state not carried over": (" if e == 0 else H[:, -1:]", "", 1),
    "state not reset": ("if e == 0", "if i == 0", 3),
    "character skipped": ("len(codes) - T, T)", "len(codes) - T, T + 1)", 1),
}


@pytest.mark.parametrize(("cause", "planted"), PLANTED.items())
def test_faults_of_a_training(cause, planted):
    old, new, at = planted
    report = nbrnn.check(train=other_part("train", old, new))
    assert report.causes == [cause]
    assert f"right up to update {at}," in report.findings[0].sentence


def test_sampling(monkeypatch):
    monkeypatch.setattr(np.random, "choice", np.random.default_rng(1).choice)
    sampler = other_part("synthesize")
    assert nbrnn.check(synthesize=lambda *a: np.eye(4)[sampler(*a)].T).is_right  # one-hot columns
    for old, new, cause in (
        ("np.random.choice(len(P), p=P[:, -1])", "P[:, -1].argmax()", "argmax"),
        ("[x]", "[0]", None),
        ("h, x = H[:, -1:], ", "x = ", None),
    ):
        assert nbrnn.check(synthesize=other_part("synthesize", old, new)).causes == [cause], new


def test_what_a_function_raises_or_lacks():
    report = nbrnn.check(lambda *a: 1 / 0 if a[1][2].sum() == 5 else program(*a))
    assert [finding.cause for finding in report.findings] == ["raised"]
    assert (
        "In 'a repeated character' the function raised ZeroDivisionError" in report.findings[0].sentence
    )
    for answer, reason in (
        (lambda *a: 1 / 0, "raised ZeroDivisionError: division by zero (line"),
        (lambda *a: {"H": np.ones(3)}, "returned arrays of other shapes"),
        (lambda *a: {"loss": -1}, "returned nothing right"),
    ):
        report = nbrnn.check(lambda *a, f=answer: f() if a[1].ndim > 2 else program(*a))
        assert report.is_right
        words = "several windows at once (B > 1): your function may take one window only: it "
        assert report.not_checked[0].startswith(words + reason)
    with pytest.raises(CheckError, match=r"ZeroDivisionError: .* \(line \d+ of test_programs.py\)"):
        nbrnn.check(lambda *a: 1 / 0)
    with pytest.raises(CheckError, match="must return"):
        nbrnn.check(lambda *a: None)
    with pytest.raises(CheckError, match="step must return"):
        nbrnn.check(step=lambda theta, grads: {"W": theta["W"]})
    with pytest.raises(CheckError, match="train must return"):
        nbrnn.check(train=lambda *a: [1.0])
