"""Numba's cache: whatever is wrong with its folder, the program runs."""

import json
import os
import resource

import pytest

from nbrnn.network import compiled

CHECK = ["gradcheck", "text.txt", "--hidden", "2", "--seq-length", "3", "--json"]


@pytest.fixture
def check(nbrnn, tmp_path, text):
    """Return a function that runs a command with kernels, with a cache folder of its own."""
    (tmp_path / "text.txt").write_text(text)

    def call(cache, **options):
        done = nbrnn(*CHECK, env={**os.environ, "NUMBA_CACHE_DIR": str(cache)}, **options)
        return json.loads(done.stdout)

    return call


def files(cache):
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_a_damaged_cache_is_made_anew(check, tmp_path):
    cache = tmp_path / "cache"
    expected = check(cache)  # empty at first
    whole = files(cache)
    assert {path.suffix for path in whole} == {".nbi", ".nbc", ".json"}
    for damage in (
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
    ):
        for path in files(cache):
            damage(path)
        assert check(cache) == expected
        assert files(cache) == whole
    stamps = {path: path.stat().st_mtime_ns for path in files(cache) if path.suffix != ".json"}
    assert check(cache) == expected
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}  # loaded, not made again


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_one_zeroed_file_is_enough_to_begin_anew(check, tmp_path, suffix):
    cache = tmp_path / "cache"
    expected = check(cache)
    for path in files(cache):
        if path.suffix == suffix and "evaluate" in path.name:
            path.write_bytes(bytes(path.stat().st_size))
    assert check(cache) == expected


def test_other_sources_make_it_anew(check, tmp_path):
    cache = tmp_path / "cache"
    expected = check(cache)
    (hashes,) = (path for path in files(cache) if path.suffix == ".json")
    recorded = json.loads(hashes.read_text())
    before = {path: path.stat().st_mtime_ns for path in files(cache)}
    hashes.write_text(json.dumps({**recorded, "simd.py": "what it was in another version"}))
    assert check(cache) == expected
    assert all(path.stat().st_mtime_ns > then for path, then in before.items())


def test_a_cache_that_cannot_be_written(check, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert check(blocked)["passed"]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)  # means nothing to root, hence the case above
    assert check(closed)["passed"]


def test_a_full_disk(check, tmp_path):
    def no_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    assert check(tmp_path / "cache", preexec_fn=no_files)["passed"]


def test_no_folder_for_a_cache_at_all(monkeypatch):
    class Kernel:
        def enable_caching(self):
            raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiled.loops, "train", Kernel())
    compiled.cache_folder.cache_clear()
    assert compiled.cache_folder() is None
    with compiled.sound_cache():
        pass
    compiled.cache_folder.cache_clear()
