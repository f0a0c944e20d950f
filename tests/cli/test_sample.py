"""How samples are shown: at once on a terminal, at several temperatures, to a file as they are."""

import json
import re

import pytest
from harness import one_line_error

from nbrnn.cli.sample import print_below, show
from nbrnn.escaping import visible, visible_pieces
from nbrnn.runs.model import Model
from nbrnn.runs.sampling import sample_in_pieces


def test_pieces_are_the_text(run_folder):
    model = Model(run_folder)
    for piece in (1, 7, 1000):
        found = list(sample_in_pieces(model.checkpoint, 30, seed=2, prime="Jane", piece_length=piece))
        assert "".join(found) == model.sample(30, seed=2, prime="Jane")
        assert len(found) == -(-30 // piece)


@pytest.mark.parametrize("cut", range(8))
def test_a_text_in_pieces_looks_as_in_one(cut):
    text = "a\r\r\nb\rc\r"
    assert "".join(visible_pieces([text[:cut], text[cut:]])) == visible(text) == "a\nb\\rc"
    assert "".join(visible_pieces(text)) == visible(text)


def test_several_temperatures_below_each_other(nbrnn, run_folder):
    command = ("sample", run_folder, "--length", "40", "--prime", "Ja")
    alone = {t: nbrnn(*command, "--temperature", t).stdout for t in ("0.3", "1")}
    done = nbrnn(*command, "--temperature", "0.3,1")
    assert done.stdout == f"temperature 0.3:\n\n{alone['0.3']}\ntemperature 1:\n\n{alone['1']}"
    document = json.loads(nbrnn(*command, "--temperature", "0.3,1", "--json").stdout)
    assert set(document) == {"prime", "samples", "update", "seed"}
    samples = [("Ja" + s["text"] + "\n", s["temperature"]) for s in document["samples"]]
    assert samples == [(alone["0.3"], 0.3), (alone["1"], 1)]
    one = json.loads(nbrnn(*command, "--temperature", "0.3", "--json").stdout)
    assert set(one) == {"prime", "text", "update", "seed"}
    for bad in ("", "0.3,", "0.3;1", "0.3,-1", "nan"):
        assert "--temperature" in one_line_error(nbrnn(*command, "--temperature", bad, code=2))


def test_columns_side_by_side(capsys):
    texts = [["one two three ", "four five\n", "six"], ["x" * 45, "\ny"], ["日本語" * 8]]
    show(["a", "b", "c"], texts, 100)
    lines = capsys.readouterr().out.splitlines()
    columns = [[line[start : start + 31].rstrip() for line in lines] for start in (0, 34)]
    assert columns[0] == ["a", "", "one two three four five", "six", ""]
    assert columns[1] == ["b", "", "x" * 31, "x" * 14, "y"]
    assert [line[68:].strip() for line in lines] == ["c", "", "日本語" * 5, "日本語" * 3, ""]
    show(["a", "b", "c"], texts, 80)  # too narrow
    assert "a:\n\none two three four five\nsix\n\nb:\n\nxxx" in capsys.readouterr().out


def test_a_sample_is_printed_while_it_is_generated(capsys):
    seen = []

    def slow(text):
        for character in text:
            seen.append(capsys.readouterr().out)
            yield character

    print_below(["a"], [slow("abc")])
    assert seen == ["", "a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 100])
def test_on_a_terminal(on_terminal, run_folder, columns):
    model = Model(run_folder)
    sample = ["sample", run_folder, "--length", "120", "--temperature", "0.5,1"]
    seen = on_terminal(*sample, columns=columns)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", seen.replace("\r\n", "\n"))  # without colours
    assert (":" in shown.splitlines()[0]) == (columns == 40)
    if columns == 40:
        for temperature in (0.5, 1):
            assert visible(model.sample(120, temperature=temperature)) in shown
    else:
        left = " ".join(line[:48].strip() for line in shown.splitlines()[2:])
        assert "".join(left.split()) == "".join(model.sample(120, temperature=0.5).split())
