"""The importance of settings, against variances in closed form and over all combinations."""

import sys
from itertools import combinations, product

import numpy as np
import pytest

from nbrnn.analysis.effects import effects_of
from nbrnn.analysis.setting_importance import codes_of, importance_of

UNKNOWN = {"a": [0.1, 0.2] * 10, "b": list(range(20))}


def decomposed(table, weights):
    """Return the shares of axes and pairs of them in the variance of a table, by its marginal means."""

    def mean_over(axes):
        found = table
        for axis in sorted(axes, reverse=True):
            found = np.average(found, axis=axis, weights=weights[axis])
        return found

    def variance_of(kept):
        means, volume = mean_over(set(range(table.ndim)) - set(kept)), 1.0
        for axis in kept:
            volume = np.multiply.outer(volume, weights[axis])
        return float(((means - mean_over(range(table.ndim))) ** 2 * volume).sum())

    total = variance_of(range(table.ndim))
    alone = [variance_of([axis]) / total for axis in range(table.ndim)]
    pairs = list(combinations(range(table.ndim), 2))
    return alone, [variance_of(pair) / total - alone[pair[0]] - alone[pair[1]] for pair in pairs]


def test_of_a_known_function_the_shares_are_its_own():
    pytest.importorskip("sklearn")
    axes = {
        "eta": np.geomspace(1e-4, 1, 12).tolist(),
        "clip": [1.0, 5.0, 10.0, "none"],
        "hidden": range(9),
    }
    rows = list(product(*axes.values()))
    of = {name: [row[place] for row in rows] for place, name in enumerate(axes)}
    response = [2 * np.log10(eta) + 4 * (clip == "none") * (hidden - 4) for eta, clip, hidden in rows]
    table = np.reshape(response, (12, 4, 9))
    alone, together = decomposed(table, [np.full(size, 1 / size) for size in table.shape])
    found = importance_of(of, np.array(response))
    assert list(found.alone.values()) == pytest.approx(alone, abs=0.04)
    assert list(found.together.values()) == pytest.approx(together, abs=0.05)
    assert min(alone[0], together[2]) > 0.15  # it is about something
    assert (found.configurations, found.r_squared > 0.9) == (432, True)


def test_neither_order_nor_scale_changes_a_share():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(1)
    response, eta = rng.normal(size=(2, 60))
    words = rng.choice(["x", "y", "z"], 60).tolist()
    found = importance_of({"eta": eta.tolist(), "order": words}, response)
    mixed = rng.permutation(60)
    values = {"eta": np.exp(eta[mixed]).tolist(), "order": [words[i] for i in mixed]}
    assert importance_of(values, response[mixed]) == found


def test_words_and_numbers_are_told_apart_and_many_numbers_are_grouped():
    assert codes_of(["none", 1.0, 5.0, "none", 2.0]).tolist() == [0, 2, 4, 0, 3]
    assert codes_of(["sgd", "adam", "sgd"]).tolist() == [1, 0, 1]
    assert len(set(codes_of(range(100)))) == 13


def test_what_cannot_be_known(monkeypatch):
    response = np.arange(20.0)
    assert importance_of({"a": UNKNOWN["a"]}, response) is None
    assert importance_of(UNKNOWN, np.ones(20)) is None
    assert importance_of({name: column[:9] for name, column in UNKNOWN.items()}, response[:9]) is None
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    assert importance_of(UNKNOWN, response) is None


def drawn(count, loss, seed=0):
    """Return the effects of four settings, as of a random search, of which the first two matter."""
    rng = np.random.default_rng(seed)
    settings = rng.uniform(size=(4, count))
    losses = [np.array([value, value + 0.01]) for value in loss(*settings[:2], rng.normal(size=count))]
    return effects_of(dict(zip("abcd", settings.tolist(), strict=True)), losses)


@pytest.mark.slow
def test_a_forest_says_what_a_random_search_knows():
    pytest.importorskip("sklearn")
    one = drawn(50, lambda a, b, noise: (a - 0.5) ** 2 + 1e-3 * noise)
    a, *others = one.main
    assert (one.method, a.method, a.levels[0], a.p < 0.01) == ("fanova", "fanova", "middle", True)
    assert a.share > 0.85
    assert max(other.share for other in others) < 0.1
    two = drawn(100, lambda a, b, noise: (a - 0.5) * (b - 0.5))
    (pair, share), *_ = two.together
    assert (pair, share > 0.3) == (("a", "b"), True)  # it is 1, of which a forest finds the larger part
    none = drawn(50, lambda a, b, noise: noise)
    assert (none.method, none.importance.r_squared < 0, none.together) == ("ranks", True, [])
    far = drawn(50, lambda a, b, noise: (a - 0.5) ** 2 + 100 * (b > 0.98))  # one loss is far off
    assert far.main[0].share > 0.7
    assert far.main[1].share < 0.2
