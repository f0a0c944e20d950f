"""How is a file written whole or not at all, and read without trust?

One rule for links: the folder that a user names may be one, or lie behind one, since results may be on
another disk. Below it nothing is written through a link, symbolic or hard, nor into a pipe or a device;
what is read may be a link, but to a regular file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import msgspec

from nbrnn.errors import StoreError, WriteError

T = TypeVar("T")

PARTIAL = ".tmp"  # at the end of the name of a file that is being written
MOST_JSON = 2**26  # bytes of one document; an alphabet of a million characters has some 10 million
MOST_LINES = 2**30  # bytes of a file that grows with the run
MOST_SEALED = 2**36  # bytes of a file of arrays

# What using values that anybody may have written can raise.
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

# On other systems than POSIX there are none of these; links and pipes are no files there.
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


# ---------------------------------------------------------------- writing


def is_there(path: Path) -> bool:
    """Whether there is anything of this name, be it a link that leads nowhere."""
    return os.path.lexists(path)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a WriteError that names the file."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a file by what `write` writes, whole or not at all. Raises WriteError.

    A link in its place is replaced, not followed.
    """
    with write_errors(path):
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}{PARTIAL}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def is_unfinished(entry: str, name: str) -> bool:
    """Whether an entry of a folder is what a killed process left of the file called `name`."""
    # the first version wrote without the random part
    return re.fullmatch(rf"{re.escape(name)}(\.[0-9a-f]{{16}})?{re.escape(PARTIAL)}", entry) is not None


def delete(path: Path) -> None:
    """Delete a file, if it is there. Raises WriteError."""
    with write_errors(path):
        path.unlink(missing_ok=True)


def delete_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Delete what a killed process was in the middle of writing of these files. Raises WriteError."""
    names = list(names)
    for entry in list(folder.iterdir()):
        if any(is_unfinished(entry.name, name) for name in names):
            delete(entry)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system lets a folder be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file by these bytes. Raises WriteError."""
    write_atomically(path, lambda file: file.write(data))


def write_json(path: Path, value: Any) -> None:
    """Replace a file by a value as JSON, for people to read. Raises WriteError."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        data = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    write_bytes(path, data)


def append(path: Path, data: bytes) -> None:
    """Add bytes to the end of a regular file, durably. Raises WriteError.

    A file that has other names becomes a copy of its own first, as in a backup made of hard links.
    """
    if not data:
        return
    with write_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | NO_WAIT | NO_LINK)
        with os.fdopen(descriptor, "ab") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            if status.st_nlink > 1:
                write_bytes(path, read_bytes(path, MOST_LINES) + data)
                return
            file.write(data)
            file.flush()
            os.fsync(descriptor)


# ---------------------------------------------------------------- reading


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file for reading: a pipe or a device would never end. Raises StoreError."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | NO_WAIT)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise StoreError(f"{path} is damaged: it is not a regular file")
            yield file
    except FileNotFoundError:
        raise StoreError(f"there is no {path}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most so many bytes. Raises StoreError."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size  # a sparse file may claim more than there is memory
        if size > most:
            raise StoreError(f"{path} is too large to be read: it has more than {most:,} bytes")
        return file.read(size)


def read_json(path: Path, type_: type[T]) -> T:
    """Return the value of this type in a JSON file. Raises StoreError."""
    return decoded(path, read_bytes(path, MOST_JSON), type_)


def decoded(path: Path, data: bytes, type_: type[T]) -> T:
    """Return the value of this type in JSON that was read from a file. Raises StoreError."""
    try:
        try:
            return msgspec.json.decode(data, type=type_)
        except msgspec.DecodeError:
            # a file name that is not UTF-8, kept as lone surrogates, which msgspec refuses
            if b"\\ud" not in data:
                raise
            return msgspec.convert(json.loads(data, parse_constant=refuse), type_)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: {error}") from None


def refuse(constant: str) -> NoReturn:
    """Raise ValueError for NaN and the infinities, which are no JSON."""
    raise ValueError(f"{constant} is no number")


def read_lines(path: Path) -> list[bytes]:
    """Return the whole lines of a file that grows, without one that is being written.

    Raises StoreError.
    """
    lines = read_bytes(path, MOST_LINES).splitlines(keepends=True)
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines
