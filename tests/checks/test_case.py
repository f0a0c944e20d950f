"""Exercises and files: what is written is known again, what is no file of arrays is said to be none."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import student
from harness import import_interop, one_line_error
from safetensors.numpy import save_file
from scipy.io import loadmat, savemat

PAGE = (Path(__file__).parents[2] / "docs" / "tutorials" / "students.md").read_text()


@pytest.mark.parametrize("kind", ["npz", "mat"])
@pytest.mark.parametrize(
    "options", [[], ["--layout", "row", "--batch", "3"], ["--preset", "dd2424-2025"]]
)
def test_a_solved_case_is_right(nbrnn, text_file, kind, options):
    nbrnn("case", f"case.{kind}", text_file, "--hidden", "6", "--seq-length", "8", *options)
    report = json.loads(nbrnn("check", f"case.{kind}", "--json").stdout)
    assert report["right"]
    assert len(report["rows"]) == 13
    assert "the exercise with seed 0" in report["notes"][0]


def solved(case, faults=()):
    """Return what the student's program makes of a case in columns."""
    theta = {name: case[name] for name in "WUVbc"}
    codes = np.append(case["X"].argmax(0), case["Y"].argmax(0)[-1])[None]
    loss, grads, P, H = student.run(theta, codes, case["h0"], faults)
    return loss, P[0], H[0], grads


def test_the_code_for_numpy(nbrnn, text_file):
    nbrnn("case", "case.npz", text_file, "--blind", "--layout", "column")
    code, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for faults, exit_code in (((), 0), (("no next",), 1)):
        case = dict(np.load("case.npz"))
        *answers, grads = solved(case, faults)
        exec(code, {"forward": lambda *_, a=answers: a, "backward": lambda *_, g=grads: g})
        done = nbrnn("check", "mine.npz", code=exit_code).stdout
        assert ("the next step's term is missing" in done) == bool(faults)


@pytest.mark.interop
def test_the_code_for_torch(nbrnn, text_file):
    _, code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    compile(code, "page", "exec")
    nbrnn("case", "case.npz", text_file, "--blind", "--layout", "row")
    assert np.load("case.npz")["y"].dtype == np.int64  # the only integers that torch takes for targets
    import_interop("torch")
    exec(code, {})
    assert "right: 6 arrays agree" in nbrnn("check", "mine.npz").stdout
    exec(code.replace("tanh(h @", "tanh(h.detach() @"), {})
    done = nbrnn("check", "mine.npz", code=1).stdout
    assert "the next step's term is missing" in done


def struct(*pairs):
    return SimpleNamespace(**dict(zip(pairs[::2], pairs[1::2], strict=True)))


def in_matlab(code, **functions):
    """Run lines of MATLAB that are Python but for comments and what is assigned to several names."""
    values = {"struct": struct, "load": lambda name: SimpleNamespace(**loadmat(name)), **functions}

    def save(name, *names):
        kept = {each: values[each] for each in names if each != "-v7"}
        savemat(name, {n: vars(a) if isinstance(a, SimpleNamespace) else a for n, a in kept.items()})

    exec(re.sub(r"(?m)^\[(.*?)\] =", r"\1 =", code.replace("%", "#")), values | {"save": save}, values)


def test_the_code_for_matlab(nbrnn, text_file):
    """Structs, numbers as double, indices that count from 1."""
    nbrnn("case", "case.mat", text_file, "--blind")
    (code,) = re.findall(r"```matlab\n(.*?)```", PAGE, re.DOTALL)
    case = loadmat("case.mat")
    for faults, exit_code in (((), 0), (("sign",), 1)):
        *answers, grads = solved(case, faults)
        in_matlab(
            code,
            forward=lambda RNN, X, Y, h0, a=answers: a,
            backward=lambda RNN, X, Y, h0, P, H, g=grads: SimpleNamespace(**g),
        )
        done = nbrnn("check", "mine.mat", code=exit_code).stdout
        assert ("the sign is wrong" if faults else "right: 8 arrays agree") in done
    indices = {name: case[name] for name in ("x", "y", "h0", *"WUVbc")}
    savemat("mine.mat", {**indices, "loss": answers[0], "dW": -grads["W"].T})
    assert "dW is transposed" in nbrnn("check", "mine.mat", code=1).stdout


def test_answers_alone_with_the_case(nbrnn, text_file):
    nbrnn("case", "case.npz", text_file, "--blind")
    case = dict(np.load("case.npz"))
    loss, _, _, grads = solved(case, ("sign",))
    own = {"loss": np.array([loss]), **{f"d{name}": g.copy() for name, g in grads.items()}}
    save_file(own, "mine.safetensors")
    done = nbrnn("check", "mine.safetensors", "--case", "case.npz", code=1).stdout
    assert "the sign is wrong" in done
    np.savez("mine.npz", **{**case, "W": case["W"] * 0.9}, loss=loss)
    assert "changed in place" in nbrnn("check", "mine.npz", code=1).stdout


def test_the_mean_is_right_unless_the_sum_is_asked_for(nbrnn, text_file):
    nbrnn("case", "case.npz", text_file, "--blind")
    case = dict(np.load("case.npz"))
    for options, code in (((), 0), (("--loss", "sum"), 1)):
        loss, P, _, grads = solved(case, ("mean",))
        np.savez("mine.npz", **case, loss=loss, P=P, **{f"d{n}": g for n, g in grads.items()})
        done = nbrnn("check", "mine.npz", *options, code=code).stdout
        assert ("a mean over the T characters" in done) == bool(code)


def test_files_without_arrays_of_numbers(nbrnn):
    np.savez("object.npz", RNN={"W": np.ones(3)}, allow_pickle=True)
    np.savez("empty.npz")
    for name, said in [
        ("object.npz", r"RNN is an object array.* np.savez\(FILE, \*\*RNN\)"),
        ("empty.npz", "holds no arrays"),
        ("none.npz", "no such file: none.npz"),
    ]:
        assert re.search(said, one_line_error(nbrnn("check", name, code=2)))


def test_an_exercise_replaces_no_answers(nbrnn, text_file):
    nbrnn("case", "case.npz", text_file)
    before = Path("case.npz").read_bytes()
    assert "exists already" in one_line_error(nbrnn("case", "case.npz", text_file, code=2))
    assert Path("case.npz").read_bytes() == before
