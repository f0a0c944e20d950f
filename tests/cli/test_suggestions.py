"""What is said to those who type what there is not, or what means something else than it seems."""

import os
import shlex

import pytest
import typer
from harness import one_line_error

from nbrnn import corpus
from nbrnn.cli.main import app
from nbrnn.cli.suggestions import CORPORA, SYNONYMS

pytestmark = pytest.mark.usefixtures("without_pictures", "without_figures")

FAST = ["--hidden", "5", "--updates", "300"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train --lr 0.1", "no such option: --lr; it is --eta here"),
        ("train --learning_rate=0.1", "no such option: --learning_rate; it is --eta here"),
        ("sweep --n-hidden 5,10", "no such option: --n-hidden; it is --hidden here"),
        ("sample run --temp 2", "no such option: --temp; it is --temperature here"),
        (
            "train --eta 0,1",
            "--eta '0,1' is a list: train takes one number, with a point for decimals; ",
        ),
        ("train --hidden 1,000", "is a list: train takes one whole number, without commas; lists are"),
        ("train --sigma=0.01,0.1", "--sigma '0.01,0.1' is a list: train takes one number, with a point"),
        (
            "train --dtype float32,float64",
            "--dtype 'float32,float64' is a list: train takes one value; lists are for nbrnn sweep",
        ),
        ("book.txt", "the command is missing: nbrnn train book.txt"),
        ("brontes --epochs 2", "the command is missing: nbrnn train brontes --epochs 2"),
        ("--epochs 2", "the command is missing: nbrnn train --epochs 2"),
        ("train --eta 0.1 --eta 0.2", "--eta is given more than once: lists are for nbrnn sweep"),
        (
            "sweep --seeds 1 --seed 2",
            "--seeds or --seed is given more than once: separate values by commas",
        ),
        ("sample run --length 1 --length 2", "--length is given more than once: leave out all but one"),
        ("train brontes --encoding nonsense", "--encoding nonsense: Python knows no such encoding"),
    ],
)
def test_a_hint_is_the_one_line(nbrnn, tmp_path, words, said):
    (tmp_path / "book.txt").write_text("a text")
    assert said in one_line_error(nbrnn(*shlex.split(words), code=2))


@pytest.mark.slow
def test_an_encoding_of_a_known_corpus_is_refused_before_anything_is_read(nbrnn, run_folder):
    score = ["score", run_folder, "federalist", "--replace-unknown", "t", "--json"]
    line = one_line_error(nbrnn(*score, "--encoding", "latin-1", code=2))
    assert "federalist comes with nbrnn, in UTF-8: leave out --encoding" in line
    assert nbrnn(*score, "--encoding", "UTF8").stdout == nbrnn(*score).stdout


def test_an_error_without_a_hint_says_where_the_options_are(nbrnn):
    assert "train --help" in one_line_error(nbrnn("train", "--nonsense", "1", code=2))
    assert "'train'" in one_line_error(nbrnn("trian", code=2))
    assert one_line_error(nbrnn("train", "--hiden", "5", code=2)).endswith("did you mean --hidden?")


def test_flags_and_folders_may_come_more_than_once(nbrnn, run_folder):
    nbrnn("report", "-q", "-q", run_folder, run_folder, "--out", "report")


def test_no_synonym_is_an_option_and_each_means_one():
    commands = typer.main.get_command(app).commands.values()
    options = {name for command in commands for option in command.params for name in option.opts}
    assert not set(SYNONYMS) & options
    assert set(SYNONYMS.values()) <= options


def test_the_known_corpora_are_those_of_the_corpus_module():
    assert tuple(corpus.KNOWN) == CORPORA


@pytest.mark.slow
def test_one_number_is_one_seed(nbrnn, text_file):
    sweep = ["sweep", text_file, *FAST, "--dry-run", "--json"]
    said = nbrnn(*sweep, "--seeds", "3").stderr.splitlines()
    assert "--seeds 3 is one seed; for 3 seeds give --seeds 0:2" in said
    for clear in ("0", "1", "3,4", "0:3"):
        assert "for" not in nbrnn(*sweep, "--seeds", clear).stderr
    assert nbrnn(*sweep, "--seeds", "3", "--quiet").stderr == ""


def test_a_text_that_has_moved(nbrnn, text, tmp_path):
    old, new = tmp_path / "old.txt", tmp_path / "new place.txt"
    old.write_text(text, encoding="utf-16")
    nbrnn("train", "old.txt", "--encoding", "utf-16", *FAST, "--out", "run", "-q")
    old.rename(new)
    line = one_line_error(nbrnn("train", "--resume", "run", "--updates", "400", code=2))
    assert f"no such file: {old}; if the text has moved: nbrnn train NEWPATH --resume run" in line
    nbrnn("train", new, "--resume", "run", "--updates", "400", "-q")
    assert os.path.exists(tmp_path / "run" / "best.txt")
