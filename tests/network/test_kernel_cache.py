"""The cache of compiled kernels: whatever is wrong with its folder, the program runs."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hostile_files
import pytest
from harness import run_program
from numba.core.registry import cpu_target

from nbrnn.network import kernel_cache

KEY, OTHER = ("float32", ("x86", "znver4", "+avx")), ("float64", ("x86", "znver4", "+avx"))
CODE = {"code": b"machine code" * 1000}


def zeroed(path):
    path.write_bytes(bytes(size(path)))


def cut_short(path):
    path.write_bytes(path.read_bytes()[: size(path) // 2])


def one_bit_flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def size(path):
    return path.stat().st_size


def emptied(path):
    path.write_bytes(b"")


# ---------------------------------------------------------------- files of a made-up kernel


@pytest.fixture
def kernel_files(tmp_path):
    files = kernel_cache.KernelFiles(tmp_path, "training_kernels.train-1.py311")
    files.save(KEY, CODE)
    return files


def test_a_kernel_is_loaded_as_it_was_saved(kernel_files):
    assert kernel_files.load(KEY) == CODE
    assert kernel_files.load(OTHER) is None
    kernel_files.save(OTHER, "other")
    kernel_files.save(KEY, "again")
    assert (kernel_files.load(KEY), kernel_files.load(OTHER)) == ("again", "other")
    assert len(list(kernel_files.folder.iterdir())) == 2


@pytest.mark.parametrize("damage", [zeroed, cut_short, one_bit_flipped, emptied])
def test_a_damaged_file_is_not_loaded_and_is_replaced(kernel_files, damage):
    damage(kernel_files.path(KEY))
    assert kernel_files.load(KEY) is None
    kernel_files.save(KEY, CODE)
    assert kernel_files.load(KEY) == CODE


def test_flush_deletes_the_files_of_one_kernel(kernel_files):
    other = kernel_cache.KernelFiles(kernel_files.folder, "training_kernels.sample-2.py311")
    other.save(KEY, CODE)
    kernel_files.flush()
    assert (kernel_files.load(KEY), other.load(KEY)) == (None, CODE)


def test_what_killed_processes_and_old_releases_left_is_deleted(kernel_files):
    left = [kernel_files.folder / name for name in ("a.nbc.12.tmp", "b.nbc.34.tmp", "c.nbi")]
    left.append(kernel_files.folder / "nbrnn-hashes.json")
    for path in left:
        path.write_text("")
    os.utime(left[0], (0, 0))
    kernel_files.save(KEY, CODE)
    assert [path.exists() for path in left] == [False, True, False, False]  # one may be in the making


def test_what_numba_cannot_take_back_is_compiled_again(monkeypatch):
    cache = kernel_cache.KernelCache(kernel_cache.sampling_kernels.draw.py_func)
    monkeypatch.setattr(cache._cache_file, "load", lambda key: "no kernel")
    assert cache.load_overload((), cpu_target.target_context) is None


def test_settings_of_numba_that_change_code_have_files_of_their_own(kernel_files, monkeypatch):
    monkeypatch.setattr(kernel_cache.numba.config, "BOUNDSCHECK", 1)
    assert kernel_files.load(KEY) is None


def test_what_other_sources_made_is_not_loaded(kernel_files, monkeypatch):
    monkeypatch.setattr(kernel_cache, "SOURCES", kernel_cache.SOURCES[:-1] + b"?")
    assert kernel_files.load(KEY) is None


def test_other_versions_have_files_of_their_own(kernel_files, monkeypatch):
    before = kernel_files.path(KEY)
    monkeypatch.setattr(kernel_cache, "VERSIONS", ("cpython-399", *kernel_cache.VERSIONS[1:]))
    assert kernel_files.path(KEY) != before


def test_many_save_and_load_at_once(kernel_files):
    def save_and_load(n):
        kernel_files.save(n % 3, n % 3)
        return kernel_files.load(n % 3) == n % 3

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(save_and_load, range(100)))


@pytest.mark.timeout(60)  # which only a hang takes
@pytest.mark.parametrize("kind", hostile_files.KINDS)
def test_strange_files_are_no_kernels_and_are_not_followed(kernel_files, tmp_path_factory, kind):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("precious")
    path = kernel_files.path(KEY)
    hostile_files.KINDS[kind](path, outside)
    before = hostile_files.everything_in(outside)
    if kind not in ("hard link", "unreadable file"):  # the latter root can read
        assert kernel_files.load(KEY) is None
    if "folder" in kind and not path.is_symlink():
        with pytest.raises(OSError, match="directory"):
            kernel_files.save(KEY, CODE)
    else:
        kernel_files.save(KEY, CODE)
        assert kernel_files.load(KEY) == CODE
    assert hostile_files.everything_in(outside) == before


def test_no_folder_for_a_cache_at_all(monkeypatch):
    def no_locator(py_func):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(kernel_cache, "KernelCache", no_locator)
    kernel_cache.keep_on_disk(kernel_cache.sampling_kernels.draw)
    kernel_cache.keep_on_disk(len)  # as with NUMBA_DISABLE_JIT


# ---------------------------------------------------------------- a real one, of the smallest kernel


@pytest.fixture(scope="module")
def sample(run_folder):
    """Return a function that samples from a run in a process with a cache of its own."""

    def call(cache, **options):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        return run_program("sample", run_folder, "--length", 50, env=environment, **options).stdout

    return call


@pytest.fixture
def expected(run_folder, tmp_path, monkeypatch):
    """Return the same sample by the kernels that all tests use, which are on disk then."""
    monkeypatch.chdir(tmp_path)  # with `python -m` the program in the working directory would come first
    return run_program("sample", run_folder, "--length", 50).stdout


@pytest.mark.slow
def test_a_damaged_cache_is_made_anew(sample, expected, tmp_path, monkeypatch):
    def files():
        kernel = kernel_cache.KernelCache(kernel_cache.sampling_kernels.sample.py_func)
        return kernel._cache_file.folder, sorted(kernel._cache_file.folder.glob("*.sample-*.nbc"))

    _, whole = files()
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    folder, _ = files()
    for file in whole:
        cut_short(Path(shutil.copy(file, folder)))
    assert sample(tmp_path) == expected
    pairs = zip(files()[1], whole, strict=True)
    (file,) = (file for file, good in pairs if size(file) > size(good) // 2)
    stamp = file.stat().st_mtime_ns
    assert sample(tmp_path) == expected
    assert file.stat().st_mtime_ns == stamp  # loaded, not made again


@pytest.mark.slow
def test_a_cache_that_cannot_be_written(sample, expected, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert sample(blocked) == expected
    assert sample(tmp_path / "cache", limit="-f 0") == expected  # a full disk, or no permission
