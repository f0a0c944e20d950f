"""Texts as people have them: packed, encoded, in several files, or none at all."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import sys
import tarfile
import zipfile

import pytest
from harness import made_up_text, one_line_error

from nbrnn import text_files
from nbrnn.corpus import load, load_described
from nbrnn.errors import CorpusError
from nbrnn.storage.run_folder import RunFolder

TEXT = "Émilie said: “déjà vu” – naïve café, größer.\n" * 20


def text_of(corpus):
    return "".join(corpus.alphabet[code] for code in corpus.codes)


@pytest.fixture
def written(tmp_path):
    """Return a function that writes bytes into a file and returns its path."""

    def write(data, name="text.txt"):
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_text_is_unpacked(written, pack):
    plain = load(written(TEXT.encode()))
    packed = load(written(pack(TEXT.encode()), "text.txt.gz"))
    assert text_of(packed) == TEXT
    assert (packed.sha256, packed.name) == (plain.sha256, plain.name)
    with pytest.raises(CorpusError, match=r"is a damaged .* file: get it again"):
        load(written(pack(TEXT.encode())[:-12]))
    with pytest.raises(CorpusError, match=r"is packed twice, by .*: unpack it"):
        load(written(pack(gzip.compress(TEXT.encode()))))


def test_what_unpacks_to_too_much_is_refused(written, monkeypatch):
    monkeypatch.setattr(text_files, "MAX_UNPACKED", 10_000)
    monkeypatch.setattr(text_files, "CHUNK_SIZE", 1000)
    assert len(load(written(gzip.compress(b"ab" * 5000)))) == 10_000
    with pytest.raises(CorpusError, match="unpacked it has more than 10,000 bytes"):
        load(written(gzip.compress(b"ab" * 5_000_000)))


@pytest.mark.parametrize(
    ("mark", "codec", "encoding"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
    ],
)
def test_a_byte_order_mark_says_the_encoding(written, mark, codec, encoding):
    corpus = load(written(mark + TEXT.encode(codec)))
    assert text_of(corpus) == TEXT
    assert corpus.encoding == encoding
    assert load_described(corpus.describe()).sha256 == corpus.sha256


@pytest.mark.parametrize(
    "encoding", ["cp1252", "mac-roman", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_an_encoding_that_fits_is_named(written, encoding):
    # in Latin-1 the bytes from 0x80 to 0x9f are control characters, some of which cp1252 lacks
    text = "d\xe9j\xe0 vu, na\xefve\x81\n" * 20 if encoding == "latin-1" else TEXT
    path = written(text.encode(encoding))
    with pytest.raises(CorpusError) as error:
        load(path)
    assert str(error.value).startswith(f"{path} is ")
    assert f"{encoding} may fit: add --encoding {encoding}" in str(error.value)
    assert text_of(load(path, encoding)) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        (
            "cp1250",
            "Ty jesteś jak zdrowie; ile cię trzeba cenić, ten tylko się dowie.",
        ),
        ("koi8-r", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива."),
        ("shift_jis", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
        ("euc_kr", "나는 고양이다. 이름은 아직 없다. 어디서 났는지 도무지 짐작이 가지 않는다."),
        ("gb18030", "列位看官：你道此书从何而来？说起根由虽近荒唐，细按则深有趣味。他是一个人在这里。"),
        ("big5", "列位看官：你道此書從何而來？說起根由雖近荒唐，細按則深有趣味。他是一個人在這裡。"),
    ],
)
def test_an_encoding_of_another_script_is_named(written, encoding, text):
    path = written(text.encode(encoding))
    with pytest.raises(CorpusError, match=f"; {encoding} may fit: add --encoding {encoding}\n"):
        load(path)
    assert text_of(load(path, encoding)) == text


def test_an_encoding_that_is_not_known_is_asked_for(written):
    with pytest.raises(CorpusError, match=r"; name its encoding: --encoding NAME\n"):
        load(written("กาลครั้งหนึ่งนานมาแล้ว มีกระต่ายกับเต่าอาศัยอยู่ในป่า".encode("cp874")))


def test_binary_data_are_no_text(written):
    for data in (bytes(range(256)) * 8, b"ab\0" * 500, os.urandom(5000) + b"\xff\xfe\xfd"):
        with pytest.raises(CorpusError, match="it is binary data: give a text file"):
            load(written(data))


def zipped(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "/"), content)
    return data.getvalue()


def tarred():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped(mimetype="application/epub+zip"), "is an EPUB book: convert it"),
        (zipped(word_document="", **{"word_document.xml": ""}), "is a Word document: save it as plain"),
        (zipped(mimetype="application/vnd.oasis.opendocument.text"), "is an OpenDocument text"),
        (zipped(poem="a"), "is a zip archive: unpack it and give the text files"),
        (b"%PDF-1.7\n\xe2\xe3", "is a PDF document: convert it: pdftotext"),
        (rb"{\rtf1\ansi Hello}", "is an RTF document: save it as plain text"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "is a JPEG picture: give a text file"),
        (tarred(), "is a tar archive: unpack it"),
        (gzip.compress(tarred()), "is a tar archive: unpack it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",  # which hold the time
)
def test_files_that_are_no_text_are_named(written, data, message):
    with pytest.raises(CorpusError) as error:
        load(written(data, "thing"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("begins", ["BZh is a word", "GIF87 and PAR1", "Rar! he cried"])
def test_a_text_may_begin_like_another_file(written, begins):
    assert text_of(load(written(f"{begins}\n{TEXT}".encode()))) == f"{begins}\n{TEXT}"


def test_several_files_and_folders_are_one_text(tmp_path):
    for name, text in {"b/2.txt": "four", "b/10.txt": "three", "a.txt": "two", ".git/x": "\0"}.items():
        (tmp_path / "poems" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "poems" / name).write_text(text)
    (tmp_path / "one.txt").write_text("one")
    both = load([tmp_path / "one.txt", tmp_path / "poems"])
    assert text_of(both) == "one\ntwo\nthree\nfour"
    assert both.name == "one and 1 more"
    assert text_of(load(tmp_path / "poems")) == "two\nthree\nfour"
    assert load_described(both.describe()).sha256 == both.sha256
    (tmp_path / "poems" / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(CorpusError, match=r"cover\.jpg is a JPEG picture"):
        load(tmp_path / "poems")
    with pytest.raises(CorpusError, match="standard input cannot be one of several texts"):
        load(["-", tmp_path / "one.txt"])


def test_several_files_may_be_too_long_together(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).write_text("ab" * 300)
    monkeypatch.setattr("nbrnn.available_memory.available", lambda: 20_000)
    assert len(load(tmp_path / "a")) == 600
    for sources in (tmp_path, [tmp_path / "a", tmp_path / "b"]):
        with pytest.raises(CorpusError, match="too long: the free memory holds 1,000 char"):
            load(sources)


def test_standard_input_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(CorpusError, match=r"^standard input: the text is empty"):
        load("-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"%PDF-1.4")))
    with pytest.raises(CorpusError, match=r"^standard input is a PDF document"):
        load("-")


@pytest.mark.parametrize(
    ("typed", "similar"),
    [("licences.txt", "licenses.txt"), ("sub/Moor.text", "sub/moor.txt"), ("shakespear", "shakespeare")],
)
def test_a_similar_name_is_suggested(tmp_path, monkeypatch, typed, similar):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "licenses.txt").write_text("ab")
    (tmp_path / "sub" / "moor.txt").write_text("ab")
    with pytest.raises(CorpusError) as error:
        load(typed)
    assert str(error.value) == f"{typed}: no such file; did you mean {similar}?"


# ---------------------------------------------------------------- on the command line

SMALL = ["--hidden", "5", "--updates", "20", "--sample-every", "0", "--quiet"]


@pytest.mark.usefixtures("without_pictures")
def test_a_run_on_several_files_resumes(nbrnn, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(made_up_text(300, number))
    nbrnn("train", "0.txt", "1.txt", "2.txt", *SMALL, "--out", "run")
    nbrnn("train", "--resume", "run", "--updates", "30", "--quiet")
    assert RunFolder(tmp_path / "run").read_summary().updates == 30
    assert RunFolder(tmp_path / "run").read_config()[1].characters == 902
    (tmp_path / "1.txt").write_text("another text")
    line = one_line_error(nbrnn("train", "--resume", "run", "--updates", "40", code=2))
    assert "has changed since run was trained on it: put the former text back, or start" in line
    line = one_line_error(nbrnn("train", "1.txt", "--resume", "run", "--updates", "40", code=2))
    assert "1.txt is not the text of run, which has 902 characters: leave it out, or start a new" in line
    line = one_line_error(nbrnn("train", "0.txt", "1.txt", "2.txt", *SMALL, "--out", "run", code=2))
    assert "an earlier version of this text" in line
    line = one_line_error(nbrnn("train", "run", code=2))
    assert "run is the folder of a run: give a text, or --resume run" in line
