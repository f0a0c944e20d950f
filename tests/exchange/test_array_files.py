"""Files of arrays are read without trust: nothing is unpickled, nonsense is an error of one line."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from harness import one_line_error
from safetensors.numpy import save
from scipy.io import loadmat, savemat

from nbrnn.errors import NbrnnError
from nbrnn.exchange.array_files import read

ARRAYS = {
    "W": np.eye(3, dtype=np.float32),
    "U": np.arange(6.0).reshape(3, 2),
    "n": np.array([[7]], np.int64),
}


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def file_of(kind, arrays=ARRAYS):
    file = io.BytesIO()
    if kind == "safetensors":
        return save(arrays, {"alphabet": "ab"})
    (savemat if kind == "mat" else lambda f, a: np.savez_compressed(f, **a))(file, arrays)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["npz", "mat", "safetensors"])
def test_arrays_come_back(kind, tmp_path):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(file_of(kind))
    contents = read(path)
    assert set(contents.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(contents.arrays[name], array)
        assert contents.arrays[name].dtype == array.dtype
    assert contents.metadata == ({"alphabet": "ab"} if kind == "safetensors" else {})


@pytest.mark.parametrize("options", [{"do_compression": True}, {"oned_as": "column"}])
def test_matlab_as_scipy_reads_it(options, tmp_path):
    path = tmp_path / "a.mat"
    rng = np.random.default_rng(0)
    kinds = ("int8", "uint16", "float64")
    numbers = {f"n_{kind}": rng.integers(0, 9, (3, 2)).astype(kind) for kind in kinds}
    net = {"W": np.float32([[1.5]]), "inner": {"b": np.arange(3)}, "none": np.empty((0, 4))}
    others = {"chars": "a–b é", "cells": np.array([1, "a"], object), "z": np.array([1j])}
    savemat(path, {**numbers, "RNN": net, **others}, **options)
    contents = read(path)
    for name, array in loadmat(path).items():
        if name in numbers:
            np.testing.assert_array_equal(contents.arrays[name], array)
            assert contents.arrays[name].dtype == array.dtype
    assert contents.arrays["RNN.W"].tolist() == [[1.5]]
    assert contents.arrays["RNN.inner.b"].ravel().tolist() == [0, 1, 2]
    assert contents.arrays["RNN.none"].shape == (0, 4)
    assert contents.arrays["chars"].item() == "a–b é"
    assert contents.objects == ["cells", "z"]


def test_fortran_order_and_text(tmp_path):
    path = tmp_path / "a.npz"
    F = np.asfortranarray(np.arange(6).reshape(2, 3))
    np.savez(path, F=F, chars=np.array(["a", "b"]), empty=np.empty((0, 2)))
    arrays = read(path).arrays
    np.testing.assert_array_equal(arrays["F"], F)
    assert arrays["chars"].tolist() == ["a", "b"]
    assert arrays["empty"].shape == (0, 2)


def test_nothing_is_unpickled(nbrnn, tmp_path, text_file):
    np.savez("object.npz", W=np.array([Bomb()], object))
    line = one_line_error(nbrnn("import", "object.npz", "--text", text_file, code=2))
    assert "W is an object array" in line
    assert "numpy.savez" in line
    for name in ("m.pt", "m.pkl", "m.npy"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        assert "pickle" in one_line_error(nbrnn("import", name, "--text", text_file, code=2))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("kind", ["npz", "mat", "safetensors"])
def test_damage_anywhere_is_one_error(kind, tmp_path):
    data, rng = file_of(kind), np.random.default_rng(0)
    path = tmp_path / f"a.{kind}"
    for case in range(100):
        damaged = bytearray(data)
        if case % 2:
            damaged = damaged[: rng.integers(len(data))]
        else:
            damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read(path)  # what a flipped bit leaves may still be a file
        except NbrnnError as error:
            assert str(path) in str(error)


def test_sizes_that_cannot_be_are_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("W.npy", header.getvalue() + b"\0" * 80)
    with pytest.raises(NbrnnError, match="damaged"):
        read(path)
    with open(tmp_path / "sparse.npz", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(NbrnnError, match="too large"):
        read(tmp_path / "sparse.npz")


@pytest.mark.parametrize(
    ("name", "said"), [("no.npz", "there is no"), ("a.txt", "ends in"), ("folder.npz", "cannot read")]
)
def test_what_is_no_file_of_arrays(tmp_path, name, said):
    (tmp_path / "a.txt").write_text("W")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(NbrnnError, match=said):
        read(tmp_path / name)


def test_files_of_matlab_7_3_say_how_to_save(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(NbrnnError, match="-v7"):
        read(tmp_path / "a.mat")
