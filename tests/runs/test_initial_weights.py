"""Runs that start from the weights of an earlier one, on another text."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from harness import bits, made_up_text, one_line_error

import nbrnn
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError
from nbrnn.runs.initial_weights import weights_sha256
from nbrnn.runs.model import Model
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_pictures")

OTHER = "Zoë saw the old moor. " * 40  # in the made-up text there are no Z, ë and w is rare
START = ["--updates", "0", "--sample-every", "0"]


@pytest.fixture
def other_file(tmp_path):
    (tmp_path / "other.txt").write_text(OTHER)
    return tmp_path / "other.txt"


def test_weights_are_mapped_by_character(nbrnn, run_folder, other_file, tmp_path):
    done = nbrnn("train", other_file, "--init-from", run_folder, *START, "--out", "start")
    old, new = Model(run_folder).checkpoint, RunFolder(tmp_path / "start").read_model("last")
    nbrnn("train", other_file, "--hidden", "20", *START, "--out", "random", "-q")
    random = RunFolder(tmp_path / "random").read_model("last")
    for name in ("W", "b"):
        np.testing.assert_array_equal(new.theta[name], old.theta[name])
    for k, character in enumerate(new.alphabet):
        source, j = (old, old.alphabet.find(character)) if character in old.alphabet else (random, k)
        np.testing.assert_array_equal(new.theta["U"][:, k], source.theta["U"][:, j])
        np.testing.assert_array_equal(new.theta["V"][k], source.theta["V"][j])
        assert new.theta["c"][k] == source.theta["c"][j]
    shared = sorted(set(OTHER) & set(old.alphabet))
    assert f"{len(shared)} characters have their weights; 2 are new: 'Z' 'ë'; " in done.stderr
    dropped = sorted(set(old.alphabet) - set(OTHER))
    assert f"; {len(dropped)} are dropped: {' '.join(map(repr, dropped[:10]))} ...\n" in done.stderr


def test_the_weights_are_part_of_the_identity(nbrnn, run_folder, text_file, tmp_path):
    train = ["train", text_file, "--init-from", run_folder, "--updates", "150", "-q"]
    nbrnn(*train)
    (folder,) = (tmp_path / "results").iterdir()
    config, _ = RunFolder(folder).read_config()
    assert config == RunConfig(
        updates=150, hidden=20, init_from=weights_sha256(Model(run_folder).checkpoint)
    )
    before = bits(folder)
    moved = shutil.copytree(run_folder, tmp_path / "moved")
    nbrnn(*train[:3], moved, *train[4:])  # the same weights, wherever they are
    assert bits(folder) == before
    nbrnn("train", "--resume", folder, "--updates", "300", "-q")  # without them
    nbrnn(*train[:4], "--updates", "300", "-q", "--out", "whole")
    assert bits(folder) == bits(tmp_path / "whole")
    nbrnn("train", text_file, "--init-from", folder, "--updates", "150", "-q")
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_the_same_text_is_learnt_on(run_folder, corpus, tmp_path):
    config = RunConfig(updates=100, hidden=20)
    weights = Model(run_folder).checkpoint
    start = RunConfig(updates=100, hidden=20, init_from=weights_sha256(weights))
    scratch = run(config, corpus, tmp_path / "scratch")
    further = run(start, corpus, tmp_path / "further", initial=weights)
    assert further.smooth_loss_final < scratch.smooth_loss_final / 2
    assert further.best_update == 100  # not the first, by the luck of one window
    longer = run(replace(start, updates=1500), corpus, tmp_path / "longer", initial=weights)
    assert longer.best_update >= 1000
    with pytest.raises(ConfigError, match="with --init-from and without --resume"):
        run(start, corpus, tmp_path / "none")
    with pytest.raises(ConfigError, match="with --init-from and without --resume"):
        run(config, corpus, tmp_path / "none", initial=weights)


def test_imported_weights_are_trained_further(nbrnn, run_folder, text_file, other_file, tmp_path):
    nbrnn("export", run_folder, "w.npz")
    nbrnn("import", "w.npz", "--text", text_file, "--out", "imported")
    for source, out in (("imported", "a"), (run_folder, "b")):
        nbrnn("train", other_file, "--init-from", source, "--updates", "50", "--out", out, "-q")
    a, b = (RunFolder(tmp_path / name).read_model("last").theta for name in "ab")
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_from_python(run_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = Corpus.from_text(made_up_text(500, seed=3), "other")
    config = RunConfig(hidden=20, updates=10)
    model = nbrnn.run(config, text, init_from=run_folder, quiet=True)
    assert model.config.init_from == weights_sha256(Model(run_folder).checkpoint)
    with pytest.raises(ConfigError, match=r"network of --init-from .20.: leave --hidden out"):
        nbrnn.run(RunConfig(hidden=5, updates=10), text, init_from=run_folder, quiet=True)
    same = nbrnn.run(RunConfig(updates=10), text, init_from=run_folder, quiet=True)
    assert same.config == model.config


def test_what_does_not_go_together_is_one_line(nbrnn, run_folder, text_file):
    line = one_line_error(nbrnn("train", "--resume", run_folder, "--init-from", run_folder, code=2))
    assert "--init-from starts a new run, --resume continues one" in line
    line = one_line_error(nbrnn("train", text_file, "--init-from", "nowhere", code=2))
    assert "there is no run 'nowhere': nbrnn show lists runs" in line
    again = ["train", text_file, "--init-from", run_folder, "--hidden", "5", "--updates", "5"]
    assert "leave --hidden out" in one_line_error(nbrnn(*again, code=2))


def test_a_run_that_cannot_be_extended_is_started_again(nbrnn, text_file):
    train = ["train", text_file, "--hidden", "5", "--schedule", "linear", "--sample-every", "0"]
    nbrnn(*train, "--updates", "50", "--out", "run", "-q")
    line = one_line_error(nbrnn(*train, "--updates", "80", "--out", "run", code=2))
    _, _, command = line.partition("from its weights: nbrnn ")
    assert command.split()[-2:] == ["--out", "NEW"]
    nbrnn(*command.split(), "-q")
    assert RunFolder("NEW").read_summary().updates == 80
    assert RunFolder("NEW").read_config()[0].schedule == "linear"


def test_a_copy_onto_itself_is_told_how_to_be_longer(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, "--hidden", "5", "--updates", "50", "-q")
    (folder,) = (tmp_path / "results").iterdir()
    line = one_line_error(nbrnn("train", "--from", folder, code=2))
    assert "itself: give another folder with --out, or continue the run: " in line
    _, _, command = line.partition("continue the run: nbrnn ")
    nbrnn(*command.split(), "--updates", "60", "-q")
