"""How much is copied, against a search for every passage."""

import math

import numpy as np
import pytest
from harness import made_up_text

from nbrnn.analysis.text_overlap import text_overlap
from nbrnn.corpus import Corpus, encode

TEXT = made_up_text(3000)
CORPUS = Corpus.from_text(TEXT, "made-up")
OTHERS = {
    "a passage of it": TEXT[1000:1200],
    "other words": made_up_text(400, seed=1),
    "backwards": TEXT[300:0:-1],
    "one character": TEXT[5],
    "what no text has": "((((1(((",
}


@pytest.fixture(scope="module")
def found():
    texts = {name: encode(text, CORPUS.alphabet) for name, text in OTHERS.items()}
    return text_overlap(texts, CORPUS.codes, len(CORPUS.alphabet))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("n", [1, 2, 5, 10, 20])
def test_shares_are_those_of_a_search(found, name, n):
    text = OTHERS[name]
    passages = [text[start : start + n] for start in range(len(text) - n + 1)]
    if passages:
        expected = sum(passage in TEXT for passage in passages) / len(passages)
        assert found[name].share(n) == pytest.approx(expected, abs=1e-15)
    else:
        assert math.isnan(found[name].share(n))


@pytest.mark.parametrize("name", OTHERS)
def test_the_longest_passage_is_that_of_a_search(found, name):
    text, it = OTHERS[name], found[name]
    longest = max(
        (text[a:b] for a in range(len(text)) for b in range(a + 1, len(text) + 1) if text[a:b] in TEXT),
        key=len,
        default="",
    )
    assert it.longest == len(longest)
    passage = text[it.begin : it.begin + it.longest]
    assert TEXT.find(passage) == it.place


def test_a_text_in_which_nothing_occurs():
    nothing = text_overlap({"": np.zeros(5, np.int32)}, np.ones(7, np.int32), 2)[""]
    assert (nothing.longest, nothing.share(1), nothing.place) == (0, 0, 0)
