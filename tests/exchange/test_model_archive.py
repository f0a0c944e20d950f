"""A model in one file: it does what the run does, says what the run was, and is not trusted."""

import json
import zipfile

import numpy as np
import pytest
from harness import one_line_error

from nbrnn import Model
from nbrnn.errors import StoreError
from nbrnn.exchange.export import share
from nbrnn.storage.model_archive import open_run
from nbrnn.storage.run_folder import RunFolder


@pytest.fixture(scope="module")
def file(run_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "moor.nbrnn"
    share(RunFolder(run_folder), path, "public *domain*")
    return path


def test_it_does_what_the_run_does(file, run_folder, tmp_path):
    ours, theirs = Model(file), Model(run_folder)
    assert ours.sample(300, seed=3) == theirs.sample(300, seed=3)
    assert ours.score("the old house on the moor") == theirs.score("the old house on the moor")
    assert all(np.array_equal(ours.weights[name], array) for name, array in theirs.weights.items())
    assert ours.config == theirs.config
    assert ours.summary == theirs.summary
    share(ours.folder, tmp_path / "moor.nbrnn", "public *domain*")
    assert (tmp_path / "moor.nbrnn").read_bytes() == file.read_bytes()


def test_commands_take_it(nbrnn, run_folder, tmp_path):
    nbrnn("export", str(run_folder), "moor.nbrnn", "--licence", "CC0")
    text = tmp_path / "text.txt"
    text.write_text("the old house on the moor stood alone")
    for command, *arguments in (["sample", "--length", "50"], ["score", "text.txt", "--json"]):
        packed = nbrnn(command, "moor.nbrnn", *arguments)
        assert packed.stdout == nbrnn(command, str(run_folder), *arguments).stdout
    assert nbrnn("show", "moor.nbrnn").stdout.startswith("moor.nbrnn: finished, ")
    error = nbrnn("sample", "moor.nbrnn", "--checkpoint", "last", code=2).stderr
    assert "moor.nbrnn holds only the best model: leave --checkpoint out" in error
    for wrong in (["x.nbrnn", "--layout", "row"], ["x.npz", "--licence", "CC0"]):
        nbrnn("export", str(run_folder), *wrong, code=2)
        assert not (tmp_path / wrong[0]).exists()


def test_the_card_says_what_the_run_was_but_not_where(file, run_folder, text_file):
    with zipfile.ZipFile(file) as archive:
        card = archive.read("README.md").decode()
        everything = b"".join(archive.read(name) for name in archive.namelist())
    summary = json.loads((run_folder / "summary.json").read_text())
    assert "# moor\n" in card
    assert r"Licence: public \*domain\*." in card
    assert f"| {summary['score_best']:.3f} | {summary['score_unigram']:.3f} |" in card
    assert f"| {summary['nats_per_character_best']:.3f} | - |" in card
    assert "--hidden 20" in card
    assert str(text_file.parent).encode() not in everything


def rewritten(file, to, change):
    """Write the archive again with its members changed by a function of their names."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return to


@pytest.mark.parametrize(
    "member", ["config.json", "summary.json", "best.safetensors", "ngrams.safetensors"]
)
@pytest.mark.parametrize("kind", ["missing", "damaged"])
def test_a_damaged_file_is_refused(file, tmp_path, member, kind):
    damaged = rewritten(
        file,
        tmp_path / "moor.nbrnn",
        lambda name, data: (
            data if name != member else None if kind == "missing" else data[:-9] + b"1" * 9
        ),
    )
    named = f"{damaged}/{member}" if kind == "damaged" else f"{damaged}"
    with pytest.raises(StoreError, match=named) as refused:
        open_run(damaged)
    assert "another folder" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive at all"])
def test_what_is_no_archive_is_refused(tmp_path, data):
    (tmp_path / "moor.nbrnn").write_bytes(data)
    with pytest.raises(StoreError, match="damaged, or not a model file"):
        Model(tmp_path / "moor.nbrnn")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_another_compression_is_refused(file, tmp_path, method):
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(tmp_path / "m.nbrnn", "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(StoreError, match="damaged, or not a model file"):
        Model(tmp_path / "m.nbrnn")


def test_it_holds_no_training_to_continue(nbrnn, file, tmp_path):
    shouting = tmp_path / "M.NBRNN"
    shouting.write_bytes(file.read_bytes())
    for option in ("--resume", "--from"):
        line = one_line_error(nbrnn("train", option, shouting, code=2))
        assert f"M.NBRNN holds only a model: start a new run from it with --init-from {shouting}" in line


def test_members_with_other_names_are_left_alone(file, tmp_path):
    grown = rewritten(file, tmp_path / "moor.nbrnn", lambda name, data: data)
    with zipfile.ZipFile(grown, "a") as archive:
        archive.writestr("../outside.txt", "x")
    assert Model(grown).folder.file_names() == Model(file).folder.file_names()
    assert not (tmp_path.parent / "outside.txt").exists()
