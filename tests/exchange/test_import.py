"""Weights of other programs become runs, in any layout and under the names that people use."""

import json
import re
import shutil

import numpy as np
import pytest
from harness import one_line_error
from safetensors.numpy import save_file
from scipy.io import savemat

from nbrnn.runs.model import Model

NAMES = ("W", "U", "V", "b", "c")


@pytest.fixture
def theta(run_folder):
    """Return the weights of a trained network by their names in the equations, and its alphabet."""
    model = Model(run_folder)
    return dict(model.checkpoint.theta), model.alphabet


def row_wise(theta):
    return {name: array.T if array.ndim == 2 else array[np.newaxis] for name, array in theta.items()}


def by_torch(theta):
    half = theta["b"] / 2
    return {
        "rnn.weight_ih_l0": theta["U"],
        "rnn.weight_hh_l0": theta["W"],
        "rnn.bias_ih_l0": half,
        "rnn.bias_hh_l0": half,
        "fc.weight": theta["V"],
        "fc.bias": theta["c"],
    }


def save(name, arrays):
    """Save arrays as their users do; return the file."""
    arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    if name.endswith(".npz"):
        np.savez(name, **arrays)
    elif name.endswith(".mat"):
        savemat(name, arrays)
    else:
        save_file(arrays, name)
    return name


WRITTEN = {
    "columns": lambda theta: theta,
    "rows": row_wise,
    "double": lambda theta: {name: array.astype(float) for name, array in theta.items()},
    "torch": by_torch,
}


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        *(("npz", written) for written in WRITTEN),
        *(("mat", written) for written in ("columns", "rows", "double")),
        *(("safetensors", written) for written in ("rows", "torch")),
    ],
)
def test_the_same_network_comes_back(nbrnn, run_folder, text, text_file, theta, kind, written):
    arrays = WRITTEN[written](theta[0])
    file = save(f"my.{kind}", arrays)
    done = nbrnn("import", file, "--text", text_file, "--out", "mine")
    layout = "row" if written == "rows" else "column"
    assert f"{layout} layout, alphabet by code point" in done.stdout
    theirs, ours = Model("mine"), Model(run_folder)
    for name, array in ours.checkpoint.theta.items():
        np.testing.assert_array_equal(theirs.checkpoint.theta[name], array)
    samples = theirs.sample(200, seed=3), ours.sample(200, seed=3, state="zero")
    assert samples[0] == samples[1]
    scores = [model.score(text) for model in (theirs, ours)]
    assert scores[0]["unigram"] == scores[1]["unigram"]
    nats = [score["model"]["nats_per_character"] for score in scores]
    assert nats[0] == pytest.approx(nats[1], abs=1e-5)


@pytest.mark.parametrize("kind", ["npz", "mat", "safetensors"])
def test_what_was_exported_goes_on_the_same(nbrnn, run_folder, kind):
    nbrnn("export", run_folder, f"m.{kind}")
    nbrnn("import", f"m.{kind}", "--out", "back")  # the alphabet is in the file
    written = [nbrnn("sample", run, "--length", "300").stdout for run in ("back", run_folder)]
    assert written[0] == written[1]


def test_an_alphabet_in_another_order(nbrnn, run_folder, text, text_file, theta, tmp_path):
    arrays, alphabet = theta
    by_occurrence = "".join(dict.fromkeys(text))
    order = [alphabet.index(character) for character in by_occurrence]
    save(
        "w.npz", {**arrays, "U": arrays["U"][:, order], "V": arrays["V"][order], "c": arrays["c"][order]}
    )
    assert "alphabet by first occurrence" in nbrnn("import", "w.npz", "--text", text_file).stdout
    (tmp_path / "a.txt").write_text(by_occurrence + "\n")
    (tmp_path / "a.json").write_text(json.dumps(list(by_occurrence)))
    for file in ("a.txt", "a.json"):
        nbrnn("import", "w.npz", "--alphabet", file, "--out", file[2:])
        assert Model(file[2:]).sample(50, prime="J") == Model("results/w").sample(50, prime="J")
    table = nbrnn("score", "txt", text_file).stdout
    assert "uniform" in table
    assert "unigram" not in table  # nothing was counted
    (tmp_path / "wrong.txt").write_text("".join(sorted(alphabet, reverse=True)))
    done = nbrnn("import", "w.npz", "--text", text_file, "--alphabet", "wrong.txt", "--out", "wrong")
    assert "worse than the unigram baseline" in done.stderr


def test_square_weights_are_told_by_the_text_or_by_the_user(nbrnn, text_file, theta):
    arrays, alphabet = theta
    m, K = arrays["U"].shape
    W, U, V, b = np.zeros((K, K)), np.zeros((K, K)), np.zeros((K, K)), np.zeros(K)
    W[:m, :m], U[:m], V[:, :m], b[:m] = (arrays[name] for name in "WUVb")
    square = {"W": W, "U": U, "V": V, "b": b, "c": arrays["c"]}
    assert m < K
    save("column.npz", square)
    save("row.npz", row_wise(square))
    for layout in ("column", "row"):
        done = nbrnn("import", f"{layout}.npz", "--text", text_file)
        assert f"{layout} layout" in done.stdout
    codes = np.array([ord(character) for character in alphabet])
    save("alone.npz", {**row_wise(square), "alphabet": codes})
    assert "--layout" in one_line_error(nbrnn("import", "alone.npz", code=2))
    nbrnn("import", "alone.npz", "--layout", "row")
    assert Model("results/alone").sample(50, prime="J") == Model("results/row").sample(50, prime="J")


@pytest.mark.slow
def test_all_commands_take_it(nbrnn, run_folder, text_file, theta):
    save("w.npz", theta[0])
    nbrnn("import", "w.npz", "--text", text_file)
    document = json.loads(nbrnn("show", "w", "--json").stdout)
    assert document["summary"]["status"] == "imported"
    assert "--eta" not in nbrnn("show", "w").stdout
    assert "imported" in nbrnn("show").stdout
    assert Model("results/w")._repr_png_() is None
    shutil.copytree("results/w", "results/again")
    compared = nbrnn("compare", "w", "again", run_folder).stdout
    assert re.search(
        r"imported results/(w|again): score of the best model from h = 0 \d\.\d{3}", compared
    )
    report = json.loads(nbrnn("report", "w", "again", run_folder, "--json").stdout)
    names = {row["setting"] for row in report["settings"]}
    assert {"imported results/w", "imported results/again"} < names
    assert {row["status"] for row in report["runs"]} == {"imported", "finished"}
    for options in (["--resume", "results/w"], ["--from", "results/w"]):
        line = one_line_error(nbrnn("train", *options, "--updates", "5", code=2))
        assert "cannot be trained further" in line
        assert line.endswith("nbrnn train TEXT --init-from results/w")
    assert "holds a run already" in one_line_error(nbrnn("import", "w.npz", "--text", text_file, code=2))
    assert nbrnn("import", "w.npz", "--text", text_file, "--out", "j", "--json").stdout.startswith("{")


BAD = {
    "no array has a known name for U": lambda t: {name: t[name] for name in ("W", "V", "b", "c")},
    "together: W must be (20, 20), not (20, 19)": lambda t: {**t, "W": t["W"][:, 1:]},
    "in column layout V must be (31, 20), not (20, 31); in row layout U must": lambda t: {
        **t,
        "V": t["V"].T,
    },
    "rnn.weight_hh_l0 must be (20, 20), not (80, 20)": lambda t: {
        **by_torch(t),
        "rnn.weight_hh_l0": np.tile(t["W"], (4, 1)),
    },
    "layer 2 has no U": lambda t: {**by_torch(t), "rnn.weight_hh_l1": t["W"]},
    "may each be the output layer, V": lambda t: {**by_torch(t), "embedding.weight": t["V"]},
    "NaN or infinite": lambda t: {**t, "b": t["b"] * np.nan},
    "b must be (20,), not (1,)": lambda t: {**t, "b": t["b"][:1]},
    "several networks (best, last)": lambda t: {
        f"{g}.{n}": a for g in ("best", "last") for n, a in t.items()
    },
}


@pytest.mark.parametrize("said", BAD)
def test_weights_that_are_none_are_one_line(nbrnn, text_file, theta, tmp_path, said):
    file = save("bad.npz", BAD[said](theta[0]))
    line = one_line_error(nbrnn("import", file, "--text", text_file, code=2))
    assert said in line
    assert not (tmp_path / "results").exists()


def test_alphabets_that_do_not_fit_are_one_line(nbrnn, theta, text, tmp_path):
    save("w.npz", theta[0])
    assert "--text or --alphabet" in one_line_error(nbrnn("import", "w.npz", code=2))
    for name, content in (("few.txt", "abc"), ("twice.txt", "a" * len(theta[1])), ("no.json", "{")):
        (tmp_path / name).write_text(content)
        line = one_line_error(nbrnn("import", "w.npz", "--alphabet", name, code=2))
        assert "different characters" in line or "JSON" in line
    (tmp_path / "other.txt").write_text(text + "Z")
    (tmp_path / "a.txt").write_text(theta[1])
    command = ("import", "w.npz", "--text", "other.txt", "--alphabet", "a.txt")
    assert "'Z'" in one_line_error(nbrnn(*command, code=2))
