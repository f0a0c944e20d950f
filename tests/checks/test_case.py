"""Exercises and files: what is written is known again, what is no file of arrays is said to be none."""

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import student
from harness import one_line_error
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


@pytest.mark.parametrize("kind", ["npz", "mat"])
@pytest.mark.parametrize("options", [["--layout", "row"], ["--preset", "dd2424-2025"]])
def test_a_solved_ladder_is_right(nbrnn, kind, options):
    nbrnn("case", f"ladder.{kind}", "--hidden", "5", "--seq-length", "8", *options)
    report = json.loads(nbrnn("check", f"ladder.{kind}", "--json").stdout)
    assert report["right"]
    assert set(report["points"].values()) == {1}
    assert len(report["points"]) == 16
    assert report["not_checked"] == ["sampling"]


def test_the_name_of_the_text_covers_no_part_of_a_program(nbrnn):
    Path("train-windows.txt").write_text("a text of some words, more than once " * 9)
    nbrnn("case", "case.npz", "train-windows.txt")
    caveat = json.loads(nbrnn("check", "case.npz", "--json").stdout)["not_checked"]
    assert caveat[0] == "several windows at once"
    assert any(part.startswith("the state carried over") for part in caveat)


def solved(case, faults=()):
    """Return what the student's program makes of a window in columns."""
    theta = {name: case[name] for name in "WUVbc"}
    codes = np.append(case["X"].argmax(0), case["Y"].argmax(0)[-1])[None]
    loss, grads, P, H = student.run(theta, codes, case["h0"], faults)
    return loss, P[0], H[0], grads


def answered(path, to, faults=()):
    """Save a ladder with the answers of the student's program."""
    ladder = dict(np.load(path))
    for rung in dict.fromkeys(name.partition(".")[0] for name in ladder if name.endswith(".X")):
        given = {
            name.removeprefix(f"{rung}."): a for name, a in ladder.items() if name.startswith(f"{rung}.")
        }
        if given["X"].ndim == 2:
            loss, _, _, grads = solved(given, faults)
            ladder |= {f"{rung}.loss": loss, **{f"{rung}.d{name}": a for name, a in grads.items()}}
    np.savez(to, **ladder)


def test_the_first_exercise_that_fails_is_named(nbrnn):
    nbrnn("case", "ladder.npz", "--blind")
    answered("ladder.npz", "mine.npz", ("no next",))
    done = nbrnn("check", "mine.npz", code=1).stdout
    assert "two steps                         WRONG: two_steps.dW" not in done
    assert (
        "1. Right up to 'one step from another h_0'; in 'two steps' dW, dU, db: what comes back" in done
    )
    assert re.search("Not checked: several windows at once; the optimizer's steps", done)


def test_a_class_in_one_table(nbrnn):
    nbrnn("case", "ladder.npz", "--blind")
    for name, faults in (("ann", ()), ("bob", ("no tanh'",)), ("=cy", ("dW of h_t",))):
        answered("ladder.npz", f"{name}.npz", faults)
    Path("dan.npz").write_bytes(b"PK")
    files = [f"{name}.npz" for name in ("ann", "bob", "=cy", "dan")]
    done = nbrnn("check", *files, "--case", "ladder.npz", "--table", "grades.csv", code=1).stdout
    assert "the derivative of tanh" in done
    rows = {
        row["submission"]: row for row in csv.DictReader(Path("grades.csv").read_text().splitlines())
    }
    assert [row["points"] for row in rows.values()] == ["9", "0", "0", "0"]
    assert rows["ann.npz"]["two_steps"] == "1"
    assert rows["ann.npz"]["windows"] == ""
    assert "'=cy.npz" in rows
    assert "damaged" in rows["dan.npz"]["first fault"]
    plain = json.loads(nbrnn("check", *files, "--json", code=1).stdout)["submissions"]
    assert plain["ann.npz"]["right"]
    assert "damaged" in plain["dan.npz"]["error"]
    assert nbrnn("check", "ann.npz", "dan.npz", code=2).stdout


def test_a_submission_is_of_the_teachers_exercise(nbrnn):
    nbrnn("case", "ladder.npz", "--blind")
    nbrnn("case", "other-ladder.npz", "--ladder", "--blind", "--seed", "1")
    answered("other-ladder.npz", "mine.npz")
    done = nbrnn("check", "mine.npz", "--case", "ladder.npz", code=2)
    assert "is not the exercise's" in one_line_error(done)


def in_matlab(code, backward, forward):
    """Run the lines of MATLAB as Python; they are a loop over the structs of a file."""
    assert code.count("\n") == 8
    assert "save('mine.mat', '-struct', 'ladder', '-v7')" in code
    ladder = loadmat("ladder.mat", struct_as_record=False, squeeze_me=False)
    for name, holder in ladder.items():
        if np.ndim(holder) != 2 or not hasattr(holder[0, 0], "X") or holder[0, 0].X.ndim > 2:
            continue
        r = vars(holder[0, 0])
        r = SimpleNamespace(**{key: array for key, array in r.items() if not key.startswith("_")})
        r.loss, r.P, r.H = forward(r, r.X, r.Y, r.h0)
        r.grads = backward(r, r.X, r.Y, r.h0, r.P, r.H)
        ladder[name] = vars(r)
    ladder = {name: value for name, value in ladder.items() if not name.startswith("__")}
    for name, value in ladder.items():
        if np.ndim(value) == 2 and value.dtype == object:
            inner = vars(value[0, 0])
            ladder[name] = {key: array for key, array in inner.items() if not key.startswith("_")}
    savemat("mine.mat", ladder)


def test_the_code_for_matlab(nbrnn):
    """Structs, numbers as double, indices that count from 1."""
    nbrnn("case", "ladder.mat", "--blind")
    (code,) = re.findall(r"```matlab\n(.*?)```", PAGE, re.DOTALL)
    for faults, exit_code in (((), 0), (("sign",), 1)):
        in_matlab(
            code,
            forward=lambda r, *_: solved(vars(r))[:3],
            backward=lambda r, *_, f=faults: solved(vars(r), f)[3],
        )
        done = nbrnn("check", "mine.mat", code=exit_code).stdout
        assert ("the sign is wrong" if faults else "right: ") in done


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
    savemat("cell.mat", {"grads": np.array([np.ones(3), np.ones(2)], object)})
    np.savez("empty.npz")
    np.save("W.npy", np.ones(3))
    for name, said in [
        ("object.npz", r"RNN is an object array.* np.savez\(FILE, \*\*RNN\)"),
        ("cell.mat", "grads is a cell.* a struct of matrices instead: save"),
        ("empty.npz", "holds no arrays"),
        ("none.npz", "no such file: none.npz"),
        ("W.npy", "can hold only one array: save all in one file"),
    ]:
        assert re.search(said, one_line_error(nbrnn("check", name, code=2)))


def test_an_exercise_replaces_no_answers(nbrnn, text_file):
    nbrnn("case", "case.npz", text_file)
    before = Path("case.npz").read_bytes()
    assert "exists already" in one_line_error(nbrnn("case", "case.npz", text_file, code=2))
    assert Path("case.npz").read_bytes() == before
