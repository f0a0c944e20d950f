"""The cache of compiled kernels: whatever is wrong with its folder, the program runs."""

import os
from concurrent.futures import ThreadPoolExecutor

import hostile_files
import pytest
from harness import run_program

from nbrnn.network import kernel_cache

KEY, OTHER = ("float32", ("x86", "znver4", "+avx")), ("float64", ("x86", "znver4", "+avx"))
CODE = {"code": b"machine code" * 1000}


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_bit_flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


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


def files(cache):
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_damaged_cache_is_made_anew(sample, tmp_path):
    cache = tmp_path / "cache"
    expected = sample(cache)  # empty at first
    (file,) = files(cache)
    cut_short(file)
    assert sample(cache) == expected
    assert files(cache) == [file]
    stamp = file.stat().st_mtime_ns
    assert sample(cache) == expected
    assert file.stat().st_mtime_ns == stamp  # loaded, not made again


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
