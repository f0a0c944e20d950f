"""What units follow: features of a text, by hand, and correlations against NumPy's."""

import numpy as np
import pytest

from nbrnn.analysis.unit_features import FEATURES, correlate_features

TEXT = '“Oh (no [a] yes)”, he\nsaid. "So." It is.\r\n\r\n“Open\n\nshut.\n'
# The text cut into pieces that do not and pieces that do have a feature, in turn.
PIECES = {
    "quotes": '|“Oh (no [a] yes)|”, he\nsaid. |"So.|" It is.\r\n\r\n|“Open\n|\nshut.\n',
    "brackets": '“Oh |(no [a] yes|)”, he\nsaid. "So." It is.\r\n\r\n“Open\n\nshut.\n',
    "spaces": '“Oh| |(no| |[a]| |yes)”,| |he|\n|said.| |"So."| |It| |is.|\r\n\r\n|“Open|\n\n|shut.|\n',
    "sentence starts": '“|O|h (no [a] yes)”, he\nsaid. "|S|o." |I|t is.\r\n\r\n“|O|pen\n\n|s|hut.\n',
}


def test_features_are_what_one_marks_by_hand():
    for name, pieces in PIECES.items():
        assert pieces.replace("|", "") == TEXT
        marks = [n % 2 for n, piece in enumerate(pieces.split("|")) for _ in piece]
        assert FEATURES[name](TEXT).tolist() == marks, name
    positions = [n for line in TEXT.splitlines(keepends=True) for n in range(1, len(line) + 1)]
    assert FEATURES["position in line"](TEXT).tolist() == [
        0 if character == "\n" else n for character, n in zip(TEXT, positions, strict=True)
    ]


def test_correlations_and_chance_are_those_of_numpy():
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list('ab c.\n"('), 300))
    states = np.concatenate([rng.uniform(-1, 1, (3, 300)), np.full((1, 300), 0.25)])
    states[1] += 2 * FEATURES["quotes"](text)
    found = correlate_features(text, states)
    for n, (name, feature) in enumerate(FEATURES.items()):
        assert found.features[n] == name
        values = feature(text)
        shifted = [
            [np.corrcoef(np.roll(values, s), unit)[0, 1] for unit in states[:3]] for s in range(300)
        ]
        assert found.correlations[n, :3] == pytest.approx(shifted[0], abs=1e-12)
        assert found.correlations[n, 3] == 0
        largest = np.abs(shifted[30:271]).max(axis=1)
        assert found.chance[n] == pytest.approx(np.quantile(largest, 0.95), abs=1e-12)
    quotes = list(FEATURES).index("quotes")
    assert found.excess[quotes].argmax() == 1
    assert found.excess[quotes, 1] > 1


@pytest.mark.parametrize("text", ["a", "ab", "\n\n"])
def test_short_and_constant_texts_follow_nothing(text):
    found = correlate_features(text, np.zeros((2, len(text))))
    assert not found.correlations.any()
    assert not found.excess.any()


def test_what_a_text_has_not_is_left_out():
    found = correlate_features("ab\ncd\n", np.zeros((2, 6)))
    assert found.features == ["position in line", "spaces", "sentence starts"]
