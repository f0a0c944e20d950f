"""`nbrnn train`: what it prints, keeps, takes and refuses."""

import json
import os
import re
import shutil

import naive
import numpy as np
import pytest
from harness import bits, one_line_error
from safetensors.numpy import load_file

FAST = ["--hidden", "5", "--updates", "300"]


def test_train_prints_one_json_document(nbrnn, text_file, tmp_path):
    done = nbrnn("train", text_file, *FAST, "--json")
    document = json.loads(done.stdout)
    assert document["status"] == "finished"
    assert document["updates"] == 300
    folder = tmp_path / document["folder"]
    assert json.loads((folder / "summary.json").read_text()).items() <= document.items()
    assert folder.parent.name == "results"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "best.safetensors", "best.txt", "config.json", "env.json", "last.safetensors",
        "loss.png", "metrics.csv", "ngrams.safetensors", "samples.jsonl", "summary.json",
    ]  # fmt: skip
    assert len((folder / "best.txt").read_text()) == 1000
    again = nbrnn("train", text_file, *FAST, "--json")
    assert json.loads(again.stdout) == document
    assert "Training" not in again.stderr
    assert ": already finished; to train longer: " in again.stderr
    (hint,) = re.findall(r"to train longer: nbrnn (train --resume \S+) --epochs N", again.stderr)
    longer = json.loads(nbrnn(*hint.split(), "--epochs", "2", "--json").stdout)
    assert (longer["status"], longer["epochs"]) == ("finished", 2)
    assert nbrnn("train", text_file, *FAST, "--force", "-q").stderr == ""


@pytest.mark.usefixtures("without_pictures")
def test_quiet_says_nothing(nbrnn, text_file):
    done = nbrnn("train", text_file, *FAST, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.usefixtures("without_pictures")
def test_a_stranger_can_train_from_the_start_that_zero_updates_write(nbrnn, text, text_file, tmp_path):
    options = ["train", text_file, "--hidden", "20", "--dtype", "float64", "--quiet"]
    nbrnn(*options, "--updates", "0", "--out", "a")
    nbrnn(*options, "--updates", "300", "--out", "b")
    start, end = (load_file(tmp_path / name / "last.safetensors") for name in "ab")
    theta = {name: start[name] for name in "WUVbc"}
    alphabet = sorted(set(text))
    codes = [alphabet.index(character) for character in text]
    memory, _, smooths, h = naive.train(theta, codes, 300)
    for name in "WUVbc":
        assert np.abs(end[name] - theta[name]).max() < 1e-9
        assert np.abs(end[f"adagrad.{name}"] - memory[name]).max() < 1e-9 * memory[name].max()
    assert np.abs(end["h_prev"] - h).max() < 1e-9
    summary = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert summary["smooth_loss_final"] == pytest.approx(smooths[-1], abs=1e-9)
    nbrnn(*options, "--updates", "300", "--out", "a")  # the longer run goes on from the shorter


@pytest.mark.usefixtures("without_pictures")
def test_standard_input(nbrnn, text, text_file, tmp_path):
    nbrnn("train", "-", *FAST, "--out", "piped", "-q", input=text)
    nbrnn("train", text_file, *FAST, "--out", "named", "-q")
    same = ["last.safetensors", "samples.jsonl"]
    assert bits(tmp_path / "piped", same) == bits(tmp_path / "named", same)
    more = ["train", "--resume", "piped", "--updates", "400", "-q"]
    assert "standard input" in one_line_error(nbrnn(*more, code=2))
    nbrnn("train", "-", *more[1:], input=text)


def test_resume_takes_the_length_only(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *FAST, "--out", "run", "-q")
    line = one_line_error(nbrnn("train", "--resume", "run", "--eta", "0.2", code=2))
    assert "with --eta 0.1: leave --eta out" in line
    document = json.loads(nbrnn("train", "--resume", "run", "--epochs", "2", "--json").stdout)
    assert document["epochs"] == 2
    nbrnn("train", text_file, *FAST[:2], "--epochs", "2", "--out", "scratch", "-q")
    anew = ["loss.png", "best.txt"]  # made for the longer run
    assert bits(tmp_path / "run", anew) == bits(tmp_path / "scratch", anew)


@pytest.mark.usefixtures("without_pictures")
def test_diverging_is_exit_code_1(nbrnn, text_file):
    done = nbrnn("train", text_file, *FAST, "--eta", "1e30", "--json", code=1)
    document = json.loads(done.stdout)
    assert document["status"] == "diverged"
    assert f"update {document['diverged_at']}" in done.stderr
    assert done.stderr.endswith("; try a smaller --eta (it was 1e+30)\n")
    again = nbrnn("train", text_file, *FAST, "--eta", "1e30", code=1)
    assert ": already diverged; to train again: --force" in again.stderr


@pytest.mark.parametrize("name", ["a$b^$c.txt", "红楼梦.txt", b"nov\xe9l.txt", "-x.txt", "a b.txt"])
def test_file_names_of_all_kinds(nbrnn, text_file, tmp_path, name):
    path = os.fsdecode(name)
    shutil.copy(text_file, tmp_path / path)
    nbrnn("train", "-q", "--updates", "10", "--hidden", "3", "--", path)
    (folder,) = (tmp_path / "results").iterdir()
    assert (folder / "loss.png").exists()
    nbrnn("train", "-q", "--resume", folder, "--updates", "20")
