"""A text that a user and a model write in turn, over a pipe and on a terminal."""

import re

import pytest
from harness import one_line_error

from nbrnn.runs.model import Model


@pytest.fixture
def turn(run_folder):
    """Return a function that draws what the model adds to a text."""
    model = Model(run_folder)
    return lambda text, seed=0, length=30, **options: model.sample(
        length, prime=text, seed=seed, **options
    )


def session(nbrnn, run_folder, *lines):
    """Return what the program prints when these lines are typed."""
    return nbrnn("write", run_folder, "--length", "30", input="".join(f"{line}\n" for line in lines))


def test_each_turn_continues_the_whole_text(nbrnn, run_folder, turn):
    done = session(nbrnn, run_folder, "Jane", "", " said")
    first = "Jane" + turn("Jane")
    second = turn(first, seed=1)
    third = " said" + turn(first + second + " said", seed=2)
    assert done.stdout == f"{first}\n{second}\n{third}\n"
    assert done.stderr == ""


def test_commands_change_what_is_drawn(nbrnn, run_folder, turn):
    lines = ["/temperature 0.5", "/len 12", "/top-p 0.9", "/top-k 3", "Jane", "/undo", "/top-k 0", "Ja"]
    done = session(nbrnn, run_folder, *lines)
    options = {"length": 12, "temperature": 0.5, "top_p": 0.9}
    first, second = turn("Jane", top_k=3, **options), turn("Ja", seed=1, **options)
    assert done.stdout == f"Jane{first}\n\nJa{second}\n"  # an empty text after the undo
    changed = ["temperature 0.5", "length 12", "top-p 0.9", "top-k 3", "top-k 0"]
    assert done.stderr.splitlines() == changed


def test_a_text_is_saved_once_and_begun_anew(nbrnn, run_folder, turn, tmp_path):
    done = session(
        nbrnn, run_folder, "Jane", "/save a.txt", "/save a.txt", "/new", "/text", "/quit", "on"
    )
    assert (tmp_path / "a.txt").read_text() == "Jane" + turn("Jane")
    assert done.stdout == f"Jane{turn('Jane')}\n\n"
    saved, again, new = done.stderr.splitlines()
    assert saved == "34 characters in a.txt"
    assert again == "nbrnn: a.txt is there already: give the name of a new file"
    assert new == "new text"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/undo", "there is nothing to undo"),
        ("/temp -1", "/temperature must be at least 0 (got -1.0)"),
        ("/length two", "/length must be a whole number (got 'two')"),
        ("/top-p 2", "/top-p must be at most 1 (got 2.0)"),
        ("/jump", "no such command: /jump (/help lists them)"),
        ("/save", "/save needs the name of a new file: /save story.txt"),
        ("/save no/such", "cannot write no/such: No such file or directory"),
        ("Zür", "the model does not know 'Z' 'ü'"),
        (r"in\nin", r"the model does not know '\n'"),
        ("//", "the model does not know '/'"),
    ],
)
def test_a_mistake_is_one_line_and_ends_nothing(nbrnn, run_folder, turn, line, message):
    done = session(nbrnn, run_folder, line, "Jane")
    assert done.stderr == f"nbrnn: {message}\n"
    assert done.stdout == f"Jane{turn('Jane')}\n"


def test_other_names_for_the_same(nbrnn, run_folder):
    prompt = ("--prompt", "Jane", "--length", "30")
    assert (
        nbrnn("generate", run_folder, *prompt).stdout
        == nbrnn("sample", run_folder, "--prime", "Jane", "--length", "30").stdout
    )
    written = nbrnn("write", run_folder, *prompt, input="on\n").stdout
    assert nbrnn("sample", run_folder, "--interactive", *prompt, input="on\n").stdout == written
    wrong = nbrnn("sample", run_folder, "--interactive", "--json", code=2)
    assert "--interactive" in one_line_error(wrong)
    wrong = nbrnn("write", run_folder, "--temperature", "-1", code=2, input="")
    assert "--temperature must be at least 0" in one_line_error(wrong)


def test_a_session_on_a_terminal(on_terminal, run_folder, turn):
    typed = "Jane\n/undo\n/quit\n"
    seen = re.sub(
        r"\x1b\[[^a-z]*[a-z]", "", on_terminal("write", run_folder, "--length", "30", typed=typed)
    )
    assert "/help lists the commands" in seen
    assert f"Jane{turn('Jane')}" in seen
    assert "> " in seen
