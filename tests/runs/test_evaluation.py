"""The loss on any text, and the baselines, against slow counting."""

import itertools
import math
from collections import Counter

import naive
import numpy as np
import pytest

from nbrnn.corpus import encode
from nbrnn.errors import CorpusError
from nbrnn.runs.evaluation import score
from nbrnn.storage.run_folder import RunFolder

OTHER = "Jane stood on the old moor; it was so old, the house!"


def test_all_models_are_scored_as_slow_counting_says(run_folder, text):
    folder = RunFolder(run_folder)
    model = folder.read_checkpoint("best")
    codes = encode(OTHER, model.alphabet)
    scores = score(model, codes, folder.read_ngrams())
    N, K = len(OTHER), len(set(text))
    theta = {name: array.astype(float) for name, array in model.theta.items()}
    loss, _, _ = naive.forward(theta, codes[:-1], codes[1:], np.zeros(20))
    single, double, first = Counter(text), Counter(itertools.pairwise(text)), Counter(text[:-1])
    pairs = list(itertools.pairwise(OTHER))
    expected = {
        "model": loss / (N - 1),
        "uniform": math.log(K),
        "unigram": -sum(math.log(single[b] / len(text)) for _, b in pairs) / (N - 1),
        "bigram": -sum(math.log((double[pair] + 1) / (first[pair[0]] + K)) for pair in pairs) / (N - 1),
    }
    for name, nats in expected.items():
        assert scores[name]["nats_per_character"] == pytest.approx(nats, rel=1e-6), name
        assert scores[name]["bits_per_character"] == pytest.approx(nats / math.log(2), rel=1e-6)
        assert scores[name]["perplexity"] == pytest.approx(math.exp(nats), rel=1e-5)
        assert scores[name]["per_window"] == pytest.approx(25 * nats, rel=1e-6)


def test_a_text_of_one_character_has_no_score(run_folder):
    folder = RunFolder(run_folder)
    model = folder.read_checkpoint("best")
    with pytest.raises(CorpusError, match="two characters"):
        score(model, encode("J", model.alphabet), folder.read_ngrams())
