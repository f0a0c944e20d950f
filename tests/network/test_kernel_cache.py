"""Numba's cache: whatever is wrong with its folder, the program runs."""

import json
import os
from contextlib import suppress

import hostile_files
import pytest
from harness import DEADLINE, run_program

from nbrnn.network import kernel_cache


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# ---------------------------------------------------------------- a made-up cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder of a cache whose files have made-up content, and a record of it."""
    monkeypatch.setattr(kernel_cache, "PATIENCE", 0)
    for name in (
        "training_kernels.train-1.py311.nbi",
        "training_kernels.train-1.py311.1.nbc",
        "training_kernels.sample-2.py311.nbi",
    ):
        (tmp_path / name).write_bytes(name.encode() * 10)
    kernel_cache.record(tmp_path)
    assert len(kernel_cache.cached(tmp_path)) == 3
    return tmp_path


def test_a_whole_cache_is_kept(folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    kernel_cache.discard_damaged(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def assert_discarded(folder):
    kernel_cache.discard_damaged(folder)
    assert kernel_cache.cached(folder) == []


@pytest.mark.parametrize("damage", [zeroed, cut_short])
@pytest.mark.parametrize("number", range(3))
def test_one_damaged_file_is_enough_to_begin_anew(folder, damage, number):
    damage(kernel_cache.cached(folder)[number])
    assert_discarded(folder)


def test_a_file_that_is_not_recorded_is_no_better(folder):
    (folder / "training_kernels.train-1.py311.2.nbc").write_bytes(b"of a process that was killed")
    assert_discarded(folder)


def test_a_file_that_is_recorded_in_a_moment_is_kept(folder, monkeypatch):
    (folder / "training_kernels.train-1.py311.2.nbc").write_bytes(b"of a process that is at work")
    monkeypatch.setattr(kernel_cache, "PATIENCE", DEADLINE)
    monkeypatch.setattr(kernel_cache.time, "sleep", lambda seconds: kernel_cache.record(folder))
    kernel_cache.discard_damaged(folder)
    assert len(kernel_cache.cached(folder)) == 4


def test_what_is_on_record_is_not_recorded_again(folder):
    before = (folder / kernel_cache.HASHES).stat().st_mtime_ns
    kernel_cache.record(folder)
    assert (folder / kernel_cache.HASHES).stat().st_mtime_ns == before


NO_DAMAGE = ("hard link", "unreadable file")  # the latter to root


@pytest.mark.timeout(60)  # which only a hang takes
@pytest.mark.parametrize("kind", [kind for kind in hostile_files.KINDS if kind not in NO_DAMAGE])
def test_strange_files_are_no_record_and_are_not_followed(folder, tmp_path_factory, kind):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("precious")
    hostile_files.KINDS[kind](folder / kernel_cache.HASHES, outside)
    before = hostile_files.everything_in(outside)
    assert_discarded(folder)
    with suppress(OSError):  # as where it is called
        kernel_cache.record(folder)
    assert hostile_files.everything_in(outside) == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "kind", [kind for kind in hostile_files.KINDS if "folder" not in kind and kind not in NO_DAMAGE]
)
def test_a_strange_file_in_the_cache_is_deleted(folder, tmp_path_factory, kind):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("precious")
    hostile_files.KINDS[kind](folder / "training_kernels.train-1.py311.nbi", outside)
    before = hostile_files.everything_in(outside)
    kernel_cache.record(folder)  # which knows no better
    kernel_cache.discard_damaged(folder)
    assert hostile_files.everything_in(outside) == before
    left = {path.name for path in kernel_cache.cached(folder)}
    harmless = kind in (
        "hard link",
        "empty file",
        "text file",
        "deep file",
        "unreadable file",
        "missing",
    )
    assert bool(left) == harmless


@pytest.mark.parametrize(
    "record", [None, b"", b"[]", b"{", b"\xff", b"{}", b'{"training_kernels.train": 1}']
)
def test_without_a_record_it_begins_anew(folder, record):
    (folder / kernel_cache.HASHES).unlink()
    if record is not None:
        (folder / kernel_cache.HASHES).write_bytes(record)
    assert_discarded(folder)


def test_other_sources_make_it_anew(folder):
    recorded = json.loads((folder / kernel_cache.HASHES).read_text())
    sources = [name for name in recorded if name.endswith(".py")]
    assert "vector_ops.py" in sources
    for name in sources:
        other = {**recorded, name: "what it was in another version"}
        (folder / kernel_cache.HASHES).write_text(json.dumps(other))
        assert_discarded(folder)


def test_no_folder_for_a_cache_at_all(monkeypatch):
    class Kernel:
        def enable_caching(self):
            raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(kernel_cache.training_kernels, "train_windows", Kernel())
    kernel_cache.cache_folder.cache_clear()
    assert kernel_cache.cache_folder() is None
    with kernel_cache.sound_cache():
        pass
    kernel_cache.cache_folder.cache_clear()


# ---------------------------------------------------------------- a real one, of the smallest kernel


@pytest.fixture(scope="module")
def sample(run_folder):
    """Return a function that samples from a run in a process with a cache of its own."""

    def call(cache, **options):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        return run_program("sample", run_folder, "--length", 50, env=environment, **options).stdout

    return call


def files(cache):
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_damaged_cache_is_made_anew(sample, tmp_path):
    cache = tmp_path / "cache"
    expected = sample(cache)  # empty at first
    whole = files(cache)
    assert {path.suffix for path in whole} == {".nbi", ".nbc", ".json"}
    for path in whole:  # each way of damage to each kind of file: above
        damage = zeroed if path.suffix == ".nbc" else cut_short
        damage(path)
    assert sample(cache) == expected
    assert files(cache) == whole
    stamps = {path: path.stat().st_mtime_ns for path in whole if path.suffix != ".json"}
    assert sample(cache) == expected
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}  # loaded, not made again


@pytest.mark.slow
def test_a_cache_that_cannot_be_written(sample, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert len(sample(blocked)) == 50
    if os.geteuid() != 0:  # no folder is closed to root
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        assert len(sample(closed)) == 50


@pytest.mark.slow
def test_a_full_disk(sample, tmp_path):
    assert len(sample(tmp_path / "cache", limit="-f 0")) == 50
