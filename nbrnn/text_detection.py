"""Say what a file is that is no text in UTF-8: its kind by its first bytes, an encoding that may fit."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from nbrnn.errors import CorpusError

EXAMINED = 2**16  # bytes by which an encoding is guessed
MAX_CONTROLS = 0.1  # share of control characters in a text

# What is frequent beyond ASCII in texts in an encoding, and which share of it at least.
WESTERN = "\u201c\u201d\u2018\u2019\u201e\xab\xbb\u2013\u2014\u2026\xb0\xa3éèêëàáâäåæçíîïñóôöøùúûüß"
FREQUENT = {
    "cp1252": (WESTERN, 0.6),
    "latin-1": (WESTERN, 0.6),
    "mac-roman": (WESTERN, 0.6),
    "cp1250": ("ąćęłńóśźżáčďéěíňřšťúůýžőűäöüß", 0.6),
    "cp1251": ("оеаинтсрвлкмдпу", 0.6),
    "koi8-r": ("оеаинтсрвлкмдпу", 0.6),
    "cp1253": ("αοιετσνηυρπκμλς", 0.6),
    "shift_jis": ("のにはをがたでてとしれさいるな", 0.15),
    "euc_jp": ("のにはをがたでてとしれさいるな", 0.15),
    "euc_kr": ("이다는가을에의하고를은지도한로", 0.1),
    "gb18030": ("的一是不了在有人我他这个们来上\uff0c。", 0.05),
    "big5": ("的一是不了在有人我他這個們來上\uff0c。", 0.05),
}  # fmt: skip
LATIN = ("cp1252", "latin-1", "mac-roman", "cp1250")
MAX_BEYOND = 0.3  # share of a text in Latin letters that is beyond ASCII


class Kind(NamedTuple):
    """A kind of file that is no text: how it begins, what it is called, what to do."""

    begins: bytes
    name: str
    advice: str
    contains: bytes = b""


UNPACK = "unpack it and give the text files"
SAVE = "save it as plain text and give that"
NO_TEXT = "give a text file"
ZERO = b"\x00"  # in no text
ZIP, OPEN_DOCUMENT = b"PK\x03\x04", b"application/vnd.oasis.opendocument"
KINDS = (  # the first that fits
    Kind(ZIP, "an EPUB book", "convert it: ebook-convert BOOK.epub BOOK.txt", b"application/epub"),
    Kind(ZIP, "a Word document", SAVE, b"word/document.xml"),
    Kind(ZIP, "an OpenDocument text", SAVE, OPEN_DOCUMENT),
    Kind(ZIP, "a zip archive", UNPACK),
    Kind(b"%PDF-", "a PDF document", "convert it: pdftotext FILE.pdf FILE.txt"),
    Kind(b"{\\rtf", "an RTF document", SAVE),
    Kind(b"\xd0\xcf\x11\xe0", "an old Office document", SAVE),
    Kind(b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    Kind(b"Rar!\x1a", "a RAR archive", UNPACK),
    Kind(b"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    Kind(b"\x89PNG", "a PNG picture", NO_TEXT),
    Kind(b"\xff\xd8\xff", "a JPEG picture", NO_TEXT),
    Kind(b"GIF8", "a GIF picture", NO_TEXT, ZERO),
    Kind(b"\x7fELF", "a program", NO_TEXT),
    Kind(b"SQLite format 3\x00", "an SQLite database", "export its text first"),
    Kind(b"PAR1", "a Parquet table", "export its text first", ZERO),
    Kind(b"\x93NUMPY", "a NumPy array", NO_TEXT),
)
TAR_MAGIC, TAR_PLACE = b"ustar", slice(257, 262)


def check_kind(label: str, data: bytes | bytearray) -> None:
    """Raise CorpusError if data begin like a file that is no text."""
    for kind in KINDS:
        if data.startswith(kind.begins) and kind.contains in data:
            raise CorpusError(f"{label} is {kind.name}: {kind.advice}")
    if data[TAR_PLACE] == TAR_MAGIC and ZERO in data:
        raise CorpusError(f"{label} is a tar archive: {UNPACK}")


def encoding_hint(data: bytes) -> str:
    """Return what to do with data that are not UTF-8: give an encoding that fits, or another file."""
    data = data[:EXAMINED]
    zeros = [data[offset::4].count(0) / max(1, len(data[offset::4])) for offset in range(4)]
    wide = {
        "utf-32-le": min(zeros[2], zeros[3]),
        "utf-32-be": min(zeros[0], zeros[1]),
        "utf-16-le": min(zeros[1], zeros[3]),
        "utf-16-be": min(zeros[0], zeros[2]),
    }
    for encoding, share in wide.items():
        if share > 0.5 and is_text(data[: len(data) // 4 * 4].decode(encoding, "replace")):
            return f"{encoding} may fit: add --encoding {encoding}"
    scores = {encoding: fit(data, encoding) for encoding in FREQUENT}
    best = max(scores, key=lambda encoding: scores[encoding])
    if not is_text(data.decode("cp1252", "replace")):
        return "it is binary data: give a text file"
    if scores[best] < 1:
        return "name its encoding: --encoding NAME"
    return f"{best} may fit: add --encoding {best}"


def is_text(text: str) -> bool:
    """Return whether few characters of a text are control characters."""
    controls = sum(unicodedata.category(c) == "Cc" and c not in "\t\n\r\f" for c in text)
    return controls <= MAX_CONTROLS * len(text)


def fit(data: bytes, encoding: str) -> float:
    """Return how well an encoding fits: 1 or more if enough of its frequent characters are there."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4:  # else the examined part ends within a character
            return 0.0
        text = data[: error.start].decode(encoding)
    beyond, (frequent, share) = [c for c in text if not c.isascii()], FREQUENT[encoding]
    if encoding in LATIN and len(beyond) > MAX_BEYOND * len(text):
        return 0.0
    return sum(c in frequent for c in beyond) / max(1, len(beyond)) / share
