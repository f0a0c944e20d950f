"""Read text as people have it: files, folders and pipes, in any encoding, also compressed."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, NamedTuple

from nbrnn import available_memory, portable
from nbrnn.errors import CorpusError
from nbrnn.text_detection import check_kind, encoding_hint

CHUNK_SIZE = 2**20  # bytes that are read at once
PIPE_TIMEOUT = 10.0  # seconds to wait for somebody who writes into a pipe
MEMORY_PER_BYTE = 20  # peak memory of reading a text, in bytes for each byte of it
MAX_UNPACKED = 2**30  # bytes of a compressed text
MAX_FILES = 100_000  # in a folder
SEPARATOR = "\n"  # between the texts of several files
STDIN = "-"
UTF_8 = "utf-8"  # as `codec_name` calls it
UNKNOWN_ENCODING = "Python knows no such encoding; try utf-8, latin-1 or utf-16"
MAX_ZEROS = 0.2  # share of zero bytes in UTF-8

BYTE_ORDER_MARKS = {  # the longer ones first: that of UTF-32 begins like that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
PACKINGS: dict[str, tuple[bytes, Callable[..., Any]]] = {  # how the data begin, and what unpacks them
    "gzip": (rb"\x1f\x8b", gzip.open),
    "bzip2": (rb"BZh.1AY&SY", bz2.open),  # a text may begin with BZh
    "xz": (rb"\xfd7zXZ\x00", lzma.open),
}
UNPACKING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError)


class Decoded(NamedTuple):
    """The text of a file, and the encoding that it was in."""

    text: str
    encoding: str


def label_of(source: str) -> str:
    """Return what messages call a source."""
    return "standard input" if source == STDIN else source


class UnknownEncodingError(CorpusError):
    """An encoding that Python does not have, or that does not turn bytes into text."""

    def __init__(self, encoding: object) -> None:
        super().__init__(f"--encoding {encoding}: {UNKNOWN_ENCODING}")


def codec_name(encoding: str | None) -> str:
    """Return Python's name of an encoding, by default UTF-8. Raises CorpusError if there is none."""
    try:
        return codecs.lookup(UTF_8 if encoding is None else encoding).name
    except (LookupError, ValueError, TypeError):  # ValueError: a zero byte in its name
        raise UnknownEncodingError(encoding) from None


def read_file(source: str, encoding: str, known: Iterable[str] = ()) -> Decoded:
    """Return the text of a file, of all files in a folder, of a pipe, or of standard input (`-`).

    Text is strictly decoded, by its byte order mark where it has one and `encoding` is UTF-8. The files
    of a folder are joined by SEPARATOR, sorted by their paths; hidden ones are left out. `known` are
    other names that a user may have meant. Raises CorpusError, also for a text too long for the memory.
    """
    if not source:
        raise CorpusError("the name of the text is empty: give a text file")
    try:
        if source != STDIN and os.path.isdir(source):
            texts = (decoded(path, read_bytes(path), encoding).text for path in files_in(source))
            return Decoded(joined(texts), encoding)
        return decoded(source, read_bytes(source), encoding)
    except FileNotFoundError:
        raise CorpusError(no_such_file(source, known)) from None
    except OSError as error:
        raise CorpusError(f"cannot read {source}: {error.strerror}") from None
    except ValueError:  # a zero byte
        raise CorpusError(f"{source!r} cannot be the name of a file") from None


def joined(texts: Iterable[str]) -> str:
    """Return several texts as one. Raises CorpusError if memory is short."""
    parts: list[str] = []
    most, length = affordable_bytes(), 0
    for text in texts:
        parts.append(text)
        length += len(text)
        if length > most:
            raise CorpusError(f"the texts are too long: the free memory holds {most:,.0f} characters")
    return SEPARATOR.join(parts)


def affordable_bytes() -> float:
    """Return how many bytes a text may have at most."""
    return available_memory.available() / MEMORY_PER_BYTE


def no_such_file(source: str, known: Iterable[str] = ()) -> str:
    """Return a message that a file does not exist, with a similar name where there is one."""
    known, (folder, name) = list(known), os.path.split(source)
    try:
        there = [entry for entry in os.listdir(folder or ".") if not entry.startswith(".")]
    except OSError:
        there = []
    by_lower_case = {entry.lower(): os.path.join(folder, entry) for entry in sorted(there)}
    by_lower_case |= {} if folder else {entry: entry for entry in known}
    near = get_close_matches(name.lower(), by_lower_case, 1)
    if near:
        return f"{source}: no such file; did you mean {by_lower_case[near[0]]}?"
    return f"{source}: no such file" + (f", nor a known corpus ({', '.join(known)})" if known else "")


def files_in(folder: str) -> list[str]:
    """Return the paths of all files in and below a folder, sorted. Raises CorpusError, OSError."""

    def fail(error: OSError) -> None:
        raise error

    paths: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(place, name) for name in names if not name.startswith(".")]
        if {"config.json", "last.safetensors"} <= set(names):
            raise CorpusError(f"{place} is the folder of a run: give a text, or --resume {place}")
        if len(paths) > MAX_FILES:
            raise CorpusError(f"{folder} holds more than {MAX_FILES:,} files: give one with less")
    if not paths:
        raise CorpusError(f"{folder} is a folder without files: give a text file")
    return [str(path) for path in sorted(paths)]


# ---------------------------------------------------------------- bytes


def read_bytes(source: str) -> bytes | bytearray:
    """Return the bytes of a file, a pipe or standard input, without a compression by gzip, bzip2 or xz.

    Raises CorpusError, OSError, ValueError for a zero byte in the name.
    """
    if source == STDIN:
        if sys.stdin is None:
            raise CorpusError("standard input is closed: give a file")
        return unpacked(source, read_all(sys.stdin.buffer, source))
    with open(Path(source), "rb", opener=portable.open_to_read) as file:
        status = os.fstat(file.fileno())
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            raise CorpusError(f"{source} is neither a file nor a pipe: give a text file")
        if stat.S_ISFIFO(status.st_mode) and not portable.wait_for_writer(file, PIPE_TIMEOUT):
            raise CorpusError(f"{source} is a pipe into which no program writes")
        return unpacked(source, read_all(file, source, status.st_size))


def read_all(file: IO[bytes], source: str, size: int = 0, most: float = float("inf")) -> bytearray:
    """Return the bytes of a file of this size, or of a pipe; at most so many.

    Raises CorpusError if it has more, or if memory is short.
    """
    affordable, data = affordable_bytes(), bytearray()
    while max(size, len(data)) <= min(affordable, most):
        piece = file.read(CHUNK_SIZE)
        if not piece:
            return data
        data += piece
    if most < affordable:
        length = f"unpacked it has more than {most:,.0f} bytes"
        raise CorpusError(f"{label_of(source)}: {length}: unpack it and give that")
    limit = f"a text of more than {affordable:,.0f} bytes"
    raise CorpusError(f"{label_of(source)}: not enough memory for {limit}")


def unpacked(source: str, data: bytearray) -> bytes | bytearray:
    """Return data without their compression, if they have one. Raises CorpusError."""
    name = packing_of(data)
    if name is None:
        return data
    try:
        with PACKINGS[name][1](io.BytesIO(data)) as file:
            data = read_all(file, source, most=MAX_UNPACKED)
    except UNPACKING_ERRORS:
        raise CorpusError(f"{label_of(source)} is a damaged {name} file: get it again") from None
    if inner := packing_of(data):
        raise CorpusError(f"{label_of(source)} is packed twice, by {inner} and {name}: unpack it")
    return data


def packing_of(data: bytes | bytearray) -> str | None:
    """Return the name of the compression of these data, if they have one."""
    return next((name for name, (begins, _) in PACKINGS.items() if re.match(begins, data)), None)


# ---------------------------------------------------------------- characters


def decoded(source: str, data: bytes | bytearray, encoding: str) -> Decoded:
    """Return the text in these bytes, without a byte order mark. Raises CorpusError."""
    label = label_of(source)
    if encoding == UTF_8:
        check_kind(label, data)
        encoding = next((e for mark, e in BYTE_ORDER_MARKS.items() if data.startswith(mark)), encoding)
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        place = (
            f"the byte at index {error.start:,}" if isinstance(error, UnicodeDecodeError) else "its text"
        )
        wrong = f"{label} is not {encoding}: {place} cannot be decoded"
        if encoding != UTF_8:
            raise CorpusError(f"{wrong} (--encoding names another)") from None
        raise CorpusError(f"{wrong}; {encoding_hint(bytes(data))}") from None
    except LookupError:  # of a codec that is not for text
        raise UnknownEncodingError(encoding) from None
    if encoding == UTF_8 and data.count(0) > MAX_ZEROS * len(data):
        raise CorpusError(f"{label} is full of zero bytes; {encoding_hint(bytes(data))}")
    return Decoded(text.removeprefix("\ufeff"), encoding)
