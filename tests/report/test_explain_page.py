"""The page of `nbrnn explain`: what it shows, and that a text cannot be more than text."""

import base64
import json
import re

import numpy as np
import pytest

from nbrnn.runs.evaluation import read
from nbrnn.storage.run_folder import RunFolder

HOSTILE = 'old</script><script>alert("moor")</script>&amp;\u202e house. '


@pytest.fixture
def page(nbrnn, run_folder, tmp_path):
    (tmp_path / "text.txt").write_text(HOSTILE * 5, encoding="utf-8")
    options = "--replace-unknown", "o", "--out", "page.html"
    nbrnn("explain", str(run_folder), "text.txt", *options)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])


def test_the_data_are_the_models(page, run_folder):
    data, model = data_of(page), RunFolder(run_folder).read_checkpoint("best")
    assert data["text"] == HOSTILE * 5
    codes = [max(0, model.alphabet.find(c)) if c in model.alphabet else model.alphabet.index("o")
             for c in data["text"]]  # fmt: skip
    reading = read(model, np.array(codes, np.int32))
    states = np.frombuffer(base64.b64decode(data["states"]), np.uint8).reshape(20, -1)
    assert np.allclose((states.T - 128.0) / 127, reading.states[0, 0], atol=0.5 / 127 + 1e-6)
    o = reading.logits.astype(float)
    p = np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
    given = p[np.arange(len(codes) - 1), codes[1:]]
    assert data["probability"][0] is None
    assert np.allclose(data["probability"][1:], given, rtol=1e-3)
    assert data["labels"] == [f"h {n}" for n in range(1, 21)]


def test_a_text_stays_a_text(page):
    assert page.count("<script") == 2
    assert "alert(" in data_of(page)["text"]
    assert re.search(r"<script type=.module.>", page)
    assert not re.search(r"(?:src|href)=.(?!data:,)", page)  # nothing is loaded
    assert "default-src 'none'" in page.replace("&#x27;", "'")


def test_wrong_usage_is_one_line(nbrnn, run_folder, tmp_path):
    (tmp_path / "text.txt").write_text("the moor")
    (tmp_path / "short.txt").write_text("o")
    run = str(run_folder)
    for arguments, words in (
        (["text.txt", "--out", "page.txt"], "page.txt: give a file that ends in .html"),
        (["short.txt"], "a text to explain needs at least two different characters"),
    ):
        assert words in nbrnn("explain", run, *arguments, code=2).stderr


KEYS = "document.getElementById('text').dispatchEvent(new KeyboardEvent('keydown', {key: 'KEY'}))"
SEEN = """[document.getElementById('about').textContent,
    document.querySelectorAll('#text span').length,
    document.querySelector('#text span').style.background !== '',
    document.querySelector('tr[aria-selected=true] button').textContent,
    document.documentElement.scrollWidth <= window.innerWidth]"""


@pytest.mark.slow
def test_mouse_and_keys_choose_characters_units_and_colours(page, browser):
    first, second = re.findall(r"<tr><td>(h \d+)</td>", page)[:2]
    down, right = (KEYS.replace("KEY", f"Arrow{side}") for side in ("Down", "Right"))
    loss = "document.querySelector('[data-by=loss]').click()"
    unselected = SEEN.replace("querySelector('tr[aria", "querySelectorAll('tr[aria").replace(
        " button').textContent", "').length"
    )
    wide, narrow = browser(page, [SEEN], widths=(1200, 400))
    moved, coloured = browser(page, [down, right, SEEN], [loss, unselected])
    characters = len(HOSTILE) * 5
    for seen in (wide, narrow):
        assert seen[0].startswith(f"Unit {first}. Character 1, o: state ")
        assert seen[1:] == [characters, True, first, True]
    assert moved[0].startswith(f"Unit {second}. Character 2, l: state ")
    assert moved[3] == second
    assert coloured[1:] == [characters, False, 0, True]  # the first character has no loss
