"""What changed between two sets of runs of the same configurations."""

import json
import re
import shutil

import numpy as np
import pytest
from harness import DATA
from recorded import grid, record

from nbrnn.analysis.baseline_diff import changes_of
from nbrnn.analysis.comparison_text import two_digits
from nbrnn.analysis.rank_statistics import shift_of
from nbrnn.errors import StoreError


def test_what_changed():
    means = {(s, 0.1): 40 for s in (0.1, 0.01, 0.3)}
    old, new = grid(means), grid({**means, (0.01, 0.1): 35, (0.5, 0.1): 40}, seed=1)
    change = changes_of(new, old)
    assert re.match(
        r"The smooth loss of the best model \(nats per window\) changed by "
        r"-\d.* over 3 configurations \(",
        change.sentences[0],
    )
    assert change.sentences[1].startswith("sigma 0.01: -")
    assert change.sentences[2] == "2 of 3 configurations show no significant change."
    assert "Only in the new runs: 1 configuration." in change.sentences
    row = change.table.set_index("setting").loc["sigma 0.01"]
    assert (row["n"], row["n_new"], row["n_old"]) == (8, 8, 8)
    assert row["mean_difference"] == pytest.approx(row["mean_new"] - row["mean_old"])
    assert "Nothing changed" in changes_of(old, old).sentences[0]


def test_configurations_may_have_different_seeds():
    rng = np.random.default_rng(0)
    of_seed = rng.normal(0, 5, (2, 8))  # which runs of both configurations have in common
    places = [(s, n) for s in (0.1, 0.01) for n in range(8)]
    old, new = (
        [record(40 + own[n] + rng.normal(0, 0.1), sigma=s, seed=n) for s, n in places] for own in of_seed
    )
    losses = [[one.summary.smooth_loss_best for one in records] for records in (new, old)]
    a, b = np.reshape(losses, (2, 2, 8))
    a[0, :2] = b[0, :2] = a[1, 3:6] = b[1, 3:6] = np.nan
    shift = shift_of(list(zip(a, b, strict=True)))
    (sentence, *_) = changes_of(new[2:11] + new[14:], old[2:11] + old[14:]).sentences
    assert all(two_digits(end) in sentence for end in (shift.low, shift.high))


def test_of_another_text():
    old = grid({(0.1, 0.1): 40, (0.01, 0.1): 45})
    new = [
        record(one.summary.smooth_loss_best + 3, text="b", sigma=one.config.sigma, seed=one.config.seed)
        for one in old
    ]
    change = changes_of(new, old, paired=True)
    assert change.table["mean_difference"].tolist() == pytest.approx([3, 3])
    assert "Text: b (bbbbbb) instead of a (aaaaaa)." in change.sentences
    with pytest.raises(StoreError, match="no configuration has finished runs on both sides"):
        changes_of([record(1.0, hidden=7)], old)


def test_compare_against(nbrnn, tmp_path):
    for name in ("new", "old"):
        shutil.copytree(DATA / "sweep", tmp_path / name)
    done = nbrnn("compare", "new", "--against", "old")
    assert done.stdout.startswith("Nothing changed: ")
    summary = next((tmp_path / "new" / "runs").iterdir()) / "summary.json"
    content = json.loads(summary.read_text())
    summary.write_text(json.dumps({**content, "smooth_loss_best": content["smooth_loss_best"] + 1}))
    rows = json.loads(nbrnn("compare", "new", "--against", "old", "--json").stdout)
    assert sorted(row["same"] for row in rows)[0] is False
