"""Files: whole or not at all, damaged ones refused, the same bytes for the same content."""

import errno
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from nbrnn.config import RunConfig
from nbrnn.errors import StoreError, WriteError
from nbrnn.runs.run import run
from nbrnn.storage import checksummed_arrays, safe_files
from nbrnn.storage.checkpoint import Checkpoint, TrainingState, read_checkpoint
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.run_logs import LOGS, METRICS, SAMPLES, VALIDATION
from nbrnn.storage.schemas import MetricsRow, Sample, ValidationRow

M, ALPHABET = 3, "\n\x1faé𝄞"
K = len(ALPHABET)


@pytest.fixture
def checkpoint():
    rng = np.random.default_rng(0)
    shapes = {"W": (M, M), "U": (M, K), "V": (K, M), "b": (M,), "c": (K,)}
    arrays = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    return Checkpoint(
        config=RunConfig(hidden=M),
        corpus_sha256="0" * 64,
        alphabet=ALPHABET,
        first_character="é",
        update=300,
        epoch=0,
        position=7500,
        smooth_loss=12.345678901234567,
        theta=arrays,
        memory={"adagrad": {name: array + 1 for name, array in arrays.items()}},
        states={"h_prev": rng.random(M, np.float32)},
        state=TrainingState(
            best_smooth_loss=12.25,
            best_update=200,
            epoch_loss_sum=1e5 / 3,
            epoch_mean_loss=[50.5],
            rng=np.random.PCG64(1).state,
        ),
    )


@pytest.fixture
def path(checkpoint, tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_checkpoint("last", checkpoint)
    return tmp_path / "last.safetensors"


def assert_same(a, b):
    assert a.metadata() == b.metadata()
    assert a.arrays().keys() == b.arrays().keys()
    for name, array in a.arrays().items():
        assert array.dtype == b.arrays()[name].dtype
        assert np.array_equal(array, b.arrays()[name])


def test_a_checkpoint_comes_back_as_it_was(checkpoint, path):
    assert_same(read_checkpoint(path, "last"), checkpoint)


def test_a_best_checkpoint_has_the_parameters_only(checkpoint, tmp_path):
    best = replace(checkpoint, memory={}, states={}, state=None)
    RunFolder(tmp_path).write_checkpoint("best", best)
    assert_same(RunFolder(tmp_path).read_checkpoint("best"), best)
    with pytest.raises(StoreError):
        read_checkpoint(tmp_path / "best.safetensors", "last")


def test_any_reader_of_safetensors_gets_the_arrays_and_the_metadata(checkpoint, path):
    arrays = load_file(path)
    assert set(arrays) == {
        *"WUVbc", "h_prev", *(f"adagrad.{name}" for name in "WUVbc")
    }  # fmt: skip
    assert np.array_equal(arrays["U"], checkpoint.theta["U"])
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert metadata["alphabet"] == ALPHABET
    assert json.loads(metadata["config"])["hidden"] == M
    for name in ("update", "epoch", "position", "smooth_loss", "best_smooth_loss", "rng", "sha256"):
        assert name in metadata


def test_a_transposed_view_is_written_as_it_is_meant(tmp_path):
    array = np.arange(6.0).reshape(2, 3).T
    safe_files.write_atomically(
        tmp_path / "a", lambda file: checksummed_arrays.write_safetensors(file, {"a": array}, {})
    )
    assert np.array_equal(load_file(tmp_path / "a")["a"], array)


# ---------------------------------------------------------------- damage


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(StoreError):
        read_checkpoint(path, "last")


def test_a_file_cut_short_or_longer_or_with_other_bytes_for_the_same_header_is_refused(path):
    data = path.read_bytes()
    refused(path, data + b"\0")
    assert rb"\u001f" in data
    refused(path, data.replace(rb"\u001f", rb"\u001F"))
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    for length in [*range(header + 1), *rng.integers(header, len(data), 200)]:
        refused(path, data[:length])


def test_any_flipped_bit_is_found(path):
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    anywhere = rng.integers(0, 8 * len(data), 250)
    for bit in [*anywhere, *rng.integers(0, 8 * header, 250)]:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        refused(path, bytes(flipped))


def with_header(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (2**62).to_bytes(8, "little") + b"{}",
        (99_000_000).to_bytes(8, "little") + b" " * 1000,
        with_header({}),
        with_header({"__metadata__": {}}),
        with_header(b"[" * 100_000),
        with_header({"__metadata__": {"config": "[" * 100_000, "alphabet": "ab"}}),
        with_header({"__metadata__": {"config": "9" * 10_000, "alphabet": "ab"}}),
        with_header({"W": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"\0" * 4),
        b"\x80\x04N.",  # a pickle
    ],
)
@pytest.mark.timeout(60)  # a file that names a huge size costs neither time nor memory
def test_hostile_files_are_refused(tmp_path, data):
    refused(tmp_path / "last.safetensors", data)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1", "expected object, got int"),
        (b"{}", "it lacks update"),
        (b'{"update": 1, "epoch": 0, "text": 1}', "expected str, got int in text"),
        (b"{", "Input data was truncated"),
    ],
)
def test_what_is_damaged_is_named_without_quotes(line, reason):
    with pytest.raises(StoreError, match=f"^log is damaged: {reason}; restore from a copy"):
        safe_files.decode_json("log", line, Sample)


def resealed(path, checkpoint, change):
    """Write a file that is right in itself, but for what `change` does to its arrays."""
    arrays, metadata = dict(checkpoint.arrays()), checkpoint.metadata()
    change(arrays, metadata)
    checksummed_arrays.write_arrays(path, arrays, metadata)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, metadata: arrays.update(extra=arrays["b"]),
        lambda arrays, metadata: arrays.update({"../../etc/passwd": arrays["b"]}),
        lambda arrays, metadata: arrays.update({"__class__": arrays["b"]}),
        lambda arrays, metadata: arrays.pop("c"),
        lambda arrays, metadata: arrays.update(W=arrays["W"][:2]),
        lambda arrays, metadata: arrays.update(W=arrays["W"].astype(np.float64)),
        lambda arrays, metadata: arrays.update(b=np.array([1, np.nan, 2], np.float32)),
        lambda arrays, metadata: arrays.update({"adagrad.b": np.array([1, np.inf, 2], np.float32)}),
        lambda arrays, metadata: metadata.update(config="{}"),
        lambda arrays, metadata: metadata.update(surprise="1"),
        lambda arrays, metadata: metadata.update(update='"many"'),
        lambda arrays, metadata: metadata.update(position="-25"),
        lambda arrays, metadata: metadata.update(smooth_loss="[]"),
        lambda arrays, metadata: metadata.update(epoch_mean_loss="7"),
        lambda arrays, metadata: metadata.update(rng="{}"),
        lambda arrays, metadata: metadata.update(first_character="Z"),
        lambda arrays, metadata: metadata.update(alphabet=ALPHABET[::-1]),
        lambda arrays, metadata: metadata.pop("rng"),
        lambda arrays, metadata: metadata.update(format="nbrnn 0"),
    ],
)
def test_sealed_but_wrong_content_is_refused(path, checkpoint, change):
    resealed(path, checkpoint, change)
    with pytest.raises(StoreError):
        read_checkpoint(path, "last")


# ---------------------------------------------------------------- writing


def test_a_full_disk_leaves_the_checkpoint_before(checkpoint, path, monkeypatch):
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left on device"):
        RunFolder(path.parent).write_checkpoint("last", replace(checkpoint, update=400))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["last.safetensors"]


def test_one_process_has_a_folder_at_a_time(tmp_path):
    folder = RunFolder(tmp_path / "run")
    other = RunFolder(folder.path).locked()
    with folder.locked(), pytest.raises(StoreError, match="another process"), other:
        pass
    with folder.locked():
        pass


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(StoreError, match="not a folder"), RunFolder(path).locked():
            pass


def test_clearing_deletes_the_files_of_a_run_only(tmp_path, checkpoint):
    folder = RunFolder(tmp_path)
    folder.write_checkpoint("last", checkpoint)
    folder.create_logs(("metrics.csv", "samples.jsonl"))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "best.safetensors.tmp").write_text("half")
    folder.clear()
    assert os.listdir(tmp_path) == ["notes.txt"]


def written(update, text):
    return Sample(update=update, epoch=0, smooth_loss=None, text=text)


def series(folder):
    return {name: (folder / name).read_bytes() for name in LOGS}


def test_series_are_cut_after_an_update(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create_logs(LOGS)
    rows = [MetricsRow(1, 0, 1.5, 1.25), MetricsRow(100, 0, 0.1, 1 / 3)]
    samples = [written(0, "a\n\x85\u2028b"), written(100, "c")]
    looks = [ValidationRow(100, 0, 2 / 3)]
    lines = {METRICS: rows, VALIDATION: looks, SAMPLES: samples}
    added = {name: LOGS[name].encode(values) for name, values in lines.items()}
    folder.append_to_logs(added)
    before = series(folder)
    assert before == {name: LOGS[name].header + added[name] for name in LOGS}
    later = {
        METRICS: [MetricsRow(200, 0, 1.0, 1.0)],
        VALIDATION: [ValidationRow(200, 0, 0.5)],
        SAMPLES: [written(200, "d")],
    }
    folder.append_to_logs({name: LOGS[name].encode(values) for name, values in later.items()})
    for name in LOGS:
        with (tmp_path / name).open("a") as file:
            file.write("300,half a li")
    wanted = {METRICS: 2, VALIDATION: 1, SAMPLES: 2}
    kept = folder.truncate_logs(100, wanted)
    assert series(folder) == before == kept
    assert folder.read_metrics().smooth_loss.tolist() == [1.25, 1 / 3]
    assert folder.read_validation().loss.tolist() == [2 / 3]
    assert folder.read_samples()[0].text == "a\n\x85\u2028b"
    for name in LOGS:
        with pytest.raises(StoreError, match=f"{name} is incomplete"):
            folder.truncate_logs(100, {**wanted, name: wanted[name] + 1})


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": 99}', '{"schema": 1}', "[" * 100_000])
def test_a_damaged_config_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(StoreError, match=r"config\.json"):
        RunFolder(tmp_path).read_config()


def test_an_empty_alphabet_is_refused(run_folder, tmp_path):
    config = (run_folder / "config.json").read_text()
    (tmp_path / "config.json").write_text(re.sub('"alphabet": ".*"', '"alphabet": ""', config))
    with pytest.raises(StoreError, match=r"config\.json is damaged.*length"):
        RunFolder(tmp_path).read_config()


def test_a_copy_of_a_run_in_progress_has_what_grows_from_after_its_checkpoint(
    corpus, tmp_path, monkeypatch
):
    config = RunConfig(updates=400, hidden=M, sample_every=0)
    asked = iter([False] * 5)
    run(config, corpus, tmp_path / "run", stop=lambda: next(asked, True), chunk=40, draw=False)
    folder, read, goes_on = RunFolder(tmp_path / "run"), safe_files.read_bytes, iter([True])

    def read_while_it_goes_on(path, most):
        data = read(path, most)
        if path.name in ("last.safetensors", "metrics.csv") and next(goes_on, False):
            run(config, corpus, folder.path, draw=False)
        return data

    monkeypatch.setattr(safe_files, "read_bytes", read_while_it_goes_on)
    contents = folder.contents()
    monkeypatch.undo()
    copy = RunFolder(tmp_path / "copy")
    copy.path.mkdir()
    copy.write_contents(contents)
    assert run(config, corpus, copy.path, draw=False).status == "finished"


def test_only_our_unfinished_files_are_deleted(tmp_path):
    ours = ("metrics.csv.0123456789abcdef.tmp", "metrics.csv.tmp")
    for name in (*ours, "metrics.csv.mine.tmp"):
        (tmp_path / name).write_text("")
    RunFolder(tmp_path).clear_unfinished()
    assert os.listdir(tmp_path) == ["metrics.csv.mine.tmp"]
