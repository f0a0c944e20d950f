"""Write files whole or not at all, and read files without trust.

The folder that a user names may be a link, or lie behind one: results may be on another disk. Below it
nothing is written through a link, symbolic or hard, nor into a pipe or a device. What is read may be a
link, but to a regular file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import msgspec

from nbrnn import portable
from nbrnn.errors import StoreError, WriteError

T = TypeVar("T")

MAX_JSON = 2**26  # bytes of one document; an alphabet of a million characters has some 10 million
MAX_LOG = 2**30  # bytes of a file that grows with the run
MAX_ARRAYS = 2**36  # bytes of a file of arrays

RESTORE = "restore from a copy, or start again in another folder"

# What decoding and using untrusted values can raise.
DECODING_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


# ---------------------------------------------------------------- writing


def is_there(path: Path) -> bool:
    """Return whether anything has this name, also a link that leads nowhere."""
    return os.path.lexists(path)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a WriteError that names the file."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a file, or a link in its place, by what `write` writes. Raises WriteError."""
    with write_errors(path):
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
        descriptor = portable.open_to_create(temporary)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                portable.sync(file.fileno())
            portable.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        portable.sync_folder(path.parent)


def is_unfinished(entry: str, name: str) -> bool:
    """Return whether an entry of a folder is what a killed process left of the file called `name`."""
    # the first version wrote without the random part
    return re.fullmatch(rf"{re.escape(name)}(\.[0-9a-f]{{16}})?\.tmp", entry) is not None


def delete(path: Path) -> None:
    """Delete a file, if it is there. Raises WriteError."""
    with write_errors(path):
        path.unlink(missing_ok=True)


def delete_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Delete what killed processes left of files with these names. Raises WriteError."""
    names = list(names)
    for entry in os.listdir(folder):
        if any(is_unfinished(entry, name) for name in names):
            delete(folder / entry)


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


def create(path: Path) -> None:
    """Make an empty file, unless there is one. Raises WriteError."""
    with write_errors(path), suppress(FileExistsError):
        path.touch(exist_ok=False)  # which follows no link


def append(path: Path, data: bytes) -> None:
    """Add bytes to the end of a regular file, durably. Raises WriteError.

    A file that has other names becomes a copy of its own first, as in a backup made of hard links.
    """
    if not data:
        return
    with write_errors(path), os.fdopen(portable.open_to_append(path), "ab") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
        if status.st_nlink > 1:
            write_bytes(path, read_bytes(path, MAX_LOG) + data)
            return
        file.write(data)
        file.flush()
        portable.sync(file.fileno())


# ---------------------------------------------------------------- reading


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file for reading: a pipe or a device would never end. Raises StoreError."""
    try:
        with open(path, "rb", opener=portable.open_to_read) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise StoreError(f"{path} is a pipe or a device, not a file: move it away")
            yield file
    except FileNotFoundError:
        raise StoreError(f"no such file: {path}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file. Raises StoreError, also for one that is too large."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size  # a sparse file may claim more than there is memory
        if size > max_bytes:
            raise StoreError(f"{path} is too large: files of up to {max_bytes:,} bytes are read")
        return file.read(size)


def read_lines(path: Path) -> list[bytes]:
    """Return the lines of a log, without an unfinished last one. Raises StoreError."""
    lines = read_bytes(path, MAX_LOG).splitlines(keepends=True)
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines


def read_json(path: Path, type_: type[T]) -> T:
    """Return the value of this type in a JSON file. Raises StoreError."""
    return decode_json(path, read_bytes(path, MAX_JSON), type_)


def read_json_lines(path: Path, type_: type[T]) -> list[T]:
    """Return the values of this type in a log, one a line. Raises StoreError."""
    lines = enumerate(read_lines(path), 1)
    return [decode_json(f"{path}, line {number},", line, type_) for number, line in lines]


def damaged(source: Path | str, error: Exception) -> StoreError:
    """Return the error for a file, or a part of it, whose contents are not what they should be."""
    reason = str(error).replace("Object missing required field", "it lacks")
    reason = re.sub(r" - at `\$\.?", " in ", reason).replace("Expected `", "expected ")
    reason = reason.replace("`", "")  # msgspec's quotes
    return StoreError(f"{source} is damaged: {reason}; {RESTORE}")


def decode_json(source: Path | str, data: bytes, type_: type[T]) -> T:
    """Return the value of this type in JSON that was read from `source`. Raises StoreError."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        try:
            return msgspec.json.decode(data, type=type_)
        except msgspec.DecodeError:
            # a file name that is not UTF-8, kept as lone surrogates, which msgspec refuses
            if b"\\ud" not in data:
                raise
            return msgspec.convert(json.loads(data, parse_constant=refuse), type_)
    except (ValueError, RecursionError) as error:
        raise damaged(source, error) from None
