"""Files of arrays are read without trust: nothing is unpickled, nonsense is an error of one line."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

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
    assert list(contents.unread) == ["cells", "z"]


def test_nothing_is_unpickled(nbrnn, tmp_path, text_file):
    np.savez("object.npz", W=np.array([Bomb()], object))
    line = one_line_error(nbrnn("import", "object.npz", "--text", text_file, code=2))
    assert "W is an object array" in line
    assert "numpy.savez" in line
    for name, said in (("m.pt", "pickle"), ("m.pkl", "pickle"), ("m.npy", "only one array")):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        assert said in one_line_error(nbrnn("import", name, "--text", text_file, code=2))
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


def zipped(*entries, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for number, entry in enumerate(entries):
            archive.writestr(f"{number}.npy", entry)
    return file.getvalue()


def npy(header, data=b"", version=1):
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def header(descr="<f8", shape="(2,)"):
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()


def zeros(size):
    """Return `size` zeros deflated, but for the checksum at their end."""
    deflate = zlib.compressobj()
    first, other = (deflate.compress(bytes(2**20)) + deflate.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + other * ((size >> 20) - 1)


def mat(element):
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + np.uint32([15, len(element)]).tobytes() + element


def declared(size):
    """Return a .npz file whose one entry says that it unpacks to another size."""
    data = bytearray(zipped(bytes(10**6)))
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(magic) + offset
        data[at : at + 4] = size.to_bytes(4, "little")
    return bytes(data)


def with_header(tensors, data=bytes(16)):
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text + data


tensor = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
HOSTILE = {
    "open bracket": ("npz", lambda: zipped(npy(b"("))),
    "open brace": ("npz", lambda: zipped(npy(b"{"))),
    "nested brackets": ("npz", lambda: zipped(npy(b"(" * 60000))),
    "no header": ("npz", lambda: zipped(b"\x93NUMPY")),
    "long header": ("npz", lambda: zipped(npy(b"{", version=2)[:8] + b"\xff\xff\xff\xff{")),
    "unknown version": ("npz", lambda: zipped(npy(header(), bytes(16), version=9))),
    "one negative size": ("npz", lambda: zipped(npy(header(shape="(-1,)"), bytes(16)))),
    "two negative sizes": ("npz", lambda: zipped(npy(header(shape="(-1, -2)"), bytes(16)))),
    "too large": ("npz", lambda: zipped(npy(header(shape="(1000000000000,)"), bytes(80)))),
    "overflowing shape": ("npz", lambda: zipped(npy(header(shape=f"({2**32}, {2**32})"), bytes(16)))),
    "no such code point": ("npz", lambda: zipped(npy(header("<U3", "(1,)"), b"\xff" * 12))),
    "half a surrogate pair": ("npz", lambda: zipped(npy(header("<U1", "(1,)"), b"\0\xd8\0\0"))),
    "declared too large": ("npz", lambda: declared(2**32 - 2)),
    "declared too small": ("npz", lambda: declared(10)),
    "another compression": ("npz", lambda: zipped(bytes(2**26), method=zipfile.ZIP_BZIP2)),
    "overlapping tensors": ("safetensors", lambda: with_header({"W": tensor, "U": tensor})),
    "tensor past the end": ("safetensors", lambda: with_header({"W": tensor}, bytes(8))),
    "metadata that is no text": ("safetensors", lambda: with_header({"__metadata__": {"a": 1}})),
    "long safetensors header": ("safetensors", lambda: (2**63).to_bytes(8, "little") + b"{}"),
    "2 MB for 2 GB": ("mat", lambda: mat(zeros(2**31))),
    "2 GB that declare a matrix": (
        "mat", lambda: mat(zlib.compress(np.uint32([14, 2**31 - 64]).tobytes() + bytes(2**20)))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_error(name, tmp_path):
    suffix, make = HOSTILE[name]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(make())
    with pytest.raises(NbrnnError, match="damaged"):
        read(path)


LIMITED = """
import resource, sys, pathlib
from nbrnn.exchange.array_files import read
size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28,) * 2)
try:
    read(pathlib.Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts memory as Linux does")
def test_bombs_are_read_in_little_memory(tmp_path):
    """In 256 MB more than the process had."""
    bombs = ["declared too large", "another compression", "2 MB for 2 GB"]
    for name in bombs:
        suffix, make = HOSTILE[name]
        (tmp_path / f"{name}.{suffix}").write_bytes(make())
    np.savez_compressed(tmp_path / "zeros.npz", W=np.zeros(3 * 2**24))  # not too large in itself
    for path in tmp_path.iterdir():
        said = "too large for the memory" if path.name == "zeros.npz" else "damaged"
        line = subprocess.check_output([sys.executable, "-c", LIMITED, path], text=True)
        assert line.startswith(f"StoreError {path} is {said}")


def test_a_sparse_file_is_too_large(tmp_path):
    with open(tmp_path / "sparse.npz", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(NbrnnError, match="too large"):
        read(tmp_path / "sparse.npz")


def test_all_versions_of_npy_and_all_types(tmp_path):
    path = tmp_path / "a.npz"
    numbers = np.array([[1.5, -2, 65504]], ">f2")
    versions = [npy(header(">f2", "(1, 3)"), numbers.tobytes(), version) for version in (1, 2, 3)]
    path.write_bytes(zipped(*versions))
    for array in read(path).arrays.values():
        np.testing.assert_array_equal(array, numbers)
    np.savez(path, F=np.asfortranarray(numbers.T), chars=np.array(["a", "b"]), empty=np.empty((0, 2)))
    arrays = read(path).arrays
    np.testing.assert_array_equal(arrays["F"], numbers.T)
    assert (arrays["chars"].tolist(), arrays["empty"].shape) == (["a", "b"], (0, 2))
    structs = np.zeros(2, [("a", "f8"), ("b", "i4")])
    np.savez(
        path, structs=structs, z=np.array([1j]), bytes=np.array([b"a"]), day=np.array(["2026"], "M8")
    )
    contents = read(path)
    assert not contents.arrays
    assert "complex128" in contents.unread["z"]
    assert list(contents.unread) == ["structs", "z", "bytes", "day"]


def test_bfloat16_is_widened_exactly(tmp_path):
    exact = np.float32([1.5, -2.0, 1.5 * 2.0**127, 2.0**-133, np.inf])  # with at most eight bits
    stored = (exact.view(np.uint32) >> 16).astype("<u2").tobytes()
    tensors = {"W": {"dtype": "BF16", "shape": [5, 1], "data_offsets": [0, 10]}}
    tensors["f8"] = {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [10, 12]}
    (tmp_path / "a.safetensors").write_bytes(with_header(tensors, stored + bytes(2)))
    contents = read(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(contents.arrays["W"], exact[:, np.newaxis])
    assert "F8_E4M3" in contents.unread["f8"]


def test_what_is_not_a_file_of_arrays(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "new.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))  # MATLAB 7.3
    said = {"no.npz": "no such file", "a.txt": "ends in", "folder.npz": "cannot read", "new.mat": "-v7"}
    for name, message in said.items():
        with pytest.raises(NbrnnError, match=message):
            read(tmp_path / name)
