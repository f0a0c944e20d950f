"""What operating systems do differently."""

import errno
import os
import platform

import pytest

from nbrnn import portable
from nbrnn.errors import WriteError
from nbrnn.storage.folder_locks import locked
from nbrnn.storage.safe_files import append, write_bytes


@pytest.fixture
def busy(monkeypatch):
    """Return a function that lets so many attempts to replace a file fail, as where it is open."""

    def call(times):
        left, replace = iter(range(times)), os.replace

        def refuse(source, target):
            if next(left, None) is not None:
                raise PermissionError(errno.EACCES, "Permission denied")
            replace(source, target)

        monkeypatch.setattr(portable.os, "replace", refuse)

    return call


def test_a_file_is_replaced_as_soon_as_nobody_has_it_open(busy, tmp_path, monkeypatch):
    monkeypatch.setattr(portable, "REPLACE_SECONDS", 60)
    busy(3)
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_file_that_stays_open_is_an_error(busy, tmp_path, monkeypatch):
    monkeypatch.setattr(portable, "REPLACE_SECONDS", 0)
    busy(10**9)
    with pytest.raises(WriteError, match="file: Permission denied"):
        write_bytes(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


def test_macos_writes_the_cache_of_the_drive_too(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(portable, "F_FULLFSYNC", 51)
    monkeypatch.setattr(portable, "fcntl", lambda *arguments: calls.append(arguments), raising=False)
    monkeypatch.setattr(portable.os, "fsync", lambda descriptor: calls.append("fsync"))
    portable.sync(3)

    def unsupported(*arguments):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(portable, "fcntl", unsupported)
    portable.sync(3)
    assert calls == [(3, 51), "fsync"]


def test_nothing_is_appended_through_a_link_where_open_follows_them(tmp_path, monkeypatch):
    monkeypatch.setattr(portable, "NO_FOLLOW", 0)
    (tmp_path / "outside").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(WriteError, match="it is a link"):
        append(tmp_path / "link", b"text")
    assert (tmp_path / "outside").read_text() == "precious"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_one_line(number, tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(WriteError, match="on a file system without locks: give a folder"),
        locked(tmp_path),
    ):
        pass


def test_a_folder_is_no_file_where_it_cannot_be_opened(tmp_path, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(portable.os, "open", refuse)
    with pytest.raises(IsADirectoryError):
        portable.open_to_read(str(tmp_path), os.O_RDONLY)
    portable.sync_folder(tmp_path)


def test_the_name_of_the_processor(monkeypatch):
    assert portable.processor_name()
    monkeypatch.setattr(portable.Path, "read_text", lambda path: "processor: 0\nmodel name\t: Zen 5\n")
    assert portable.processor_name() == "Zen 5" or platform.system() == "Darwin"
    monkeypatch.setattr(portable.Path, "read_text", lambda path: "")
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6")
    assert portable.processor_name() == "Intel64 Family 6" or platform.system() == "Darwin"
