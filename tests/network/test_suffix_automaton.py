"""Which passages of a sample occur in a text, against a search for each of them."""

import numpy as np
import pytest

from nbrnn.network.suffix_automaton import Automaton, copied_lengths

pytestmark = pytest.mark.nojit


def naive_lengths(sample, text):
    """Return for each character how long a passage that ends with it is in the text."""
    lengths = []
    for end in range(1, len(sample) + 1):
        found = (n for n in range(end, -1, -1) if sample[end - n : end] in text)
        lengths.append(next(found))
    return lengths


def lengths_of(sample, text, K):
    lengths = np.full(len(sample), -1, np.int32)
    arrays = (np.array([ord(c) - ord("a") for c in each], np.int32) for each in (sample, text))
    copied_lengths(Automaton.empty(len(sample), K), *arrays, lengths)
    return list(lengths)


@pytest.mark.parametrize("K", [1, 2, 3, 5, 26])
def test_all_lengths_are_those_of_a_search(K):
    rng = np.random.default_rng(K)
    for M, N in rng.integers(1, 40, (30, 2)):
        sample, text = ("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz")[:K], n)) for n in (M, N))
        assert lengths_of(sample, text, K) == naive_lengths(sample, text), (sample, text)


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        ("a" * 30, "b" * 30 + "a" * 7),
        ("ab" * 20, "ba" * 30),
        ("abcbc", "bcbcb"),
        ("abcabcabd" * 3, "abcabdabcabc"),
        ("zz", "abc"),
        ("a", ""),
    ],
)
def test_what_repeats_itself_and_what_is_nowhere(sample, text):
    assert lengths_of(sample, text, 26) == naive_lengths(sample, text)
