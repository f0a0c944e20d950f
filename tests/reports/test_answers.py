"""What the runs say, in words: the answer first, in a dozen lines; what changed since another time."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from recorded import grid, record

from nbrnn.cli.reports import MOST_LINES, print_first_lines
from nbrnn.errors import StoreError
from nbrnn.reports.against import changes_of
from nbrnn.reports.answers import answers
from nbrnn.reports.catalogue import TABLES
from nbrnn.reports.figures import figures
from nbrnn.reports.findings import effects_table
from nbrnn.reports.markdown import markdown
from nbrnn.reports.tables import results_of

DATA = Path(__file__).parents[1] / "data" / "0.1"
EFFECTS = next(table for table in TABLES if table.name == "effects")
SIGMA = Path(__file__).parents[2] / "results" / "sigma" / "7-epochs" / "runs.csv"


def said(records, paired=False):
    return answers(results_of(records, [], paired))


def test_the_answer_to_the_400_runs():
    with SIGMA.open() as file:
        rows = list(csv.DictReader(file))
    runs = [
        record(
            float(row["smooth_loss_best"]),
            sigma=float(row["sigma"]),
            epsilon=float(row["epsilon"]),
            seed=int(row["seed"]),
        )
        for row in rows
    ]
    text = said(runs)
    assert text[0].startswith("Best: sigma 0.03, epsilon 1: best smooth loss 42.40 nats per window")
    assert "interquartile mean" in text[0]
    assert text[1] == "May be as good: sigma 0.01, epsilon 1 (43.09); sigma 0.1, epsilon 1 (43.66)."
    assert text[2].startswith("5 of 8 are surely worse")
    effect = "epsilon: on average the loss is 1.2 lower at 1 than at 1e-08 (95 % CI 0.82 to 1.7)."
    assert effect in text
    (interaction,) = (line for line in text if line.startswith("epsilon and sigma interact"))
    assert interaction == (
        "epsilon and sigma interact: epsilon 1 instead of 1e-08 lowers the best smooth loss by 3.0 "
        "(2.1 to 3.8) at sigma 0.03, but raises it by 1.0 (0.41 to 1.6) at sigma 0.3."
    )
    assert any("If you can afford 5 runs, take sigma 0.01, epsilon 1" in line for line in text)
    assert any(
        "correlate by 0.02 in the mean of 28 pairs: --paired gains nothing" in line for line in text
    )


def test_one_is_best_and_settings_add_up():
    means = {(s, e): 40 + 5 * (s == 0.1) + 3 * (e == 0.1) for s in (0.1, 0.01) for e in (0.1, 0.05)}
    text = said(grid(means))
    assert text[0].startswith("Best: eta 0.05, sigma 0.01: best smooth loss ")
    assert text[1].startswith("All others are surely worse: nearest of them eta 0.1, sigma 0.01 (4")
    assert re.match(r"sigma: on average the loss is [45].* lower at 0.01 than at 0.1 \(95 % CI", text[2])
    assert re.match(r"eta: on average the loss is [23].* lower at 0.05 than at 0.1 ", text[3])
    assert not any("interact" in line or "more seed" in line for line in text)


def test_what_cannot_be_told_is_said():
    means = {(s, 0.1): 40 for s in (0.1, 0.01)}
    text = said(grid(means, seed=1))
    assert "May be as good" in text[1]
    assert re.match(r"About \d+ more seeds each would tell a difference of \S+ nats?", text[2])
    assert said(grid(means, seeds=1))[1] == (
        "One seed each tells nothing of chance: more, --seeds 0:3, would."
    )
    assert said([record(None, status="running")]) == ["No run has finished yet."]
    assert len(said(grid({(0.1, 0.1): 40}))) == 1


def test_seeds_may_be_unequal_and_runs_fail():
    runs = grid({(0.1, 0.1): 40, (0.01, 0.1): 45, (0.3, 0.1): 50})
    runs = runs[3:] + [record(None, status="diverged", sigma=0.1, eta=0.1, seed=seed) for seed in (0, 1)]
    runs += [record(None, status="diverged", sigma=1.0, eta=0.1, seed=0)]
    text = said(runs)
    assert text[0].startswith("Best: sigma 0.1: ")
    assert "5 seeds" in text[0]
    assert text[1].startswith("All others are surely worse: nearest of them sigma 0.01")
    results = results_of(runs, [])
    by_name = results.configurations.set_index("setting")
    assert by_name["may_be_best"].to_dict() == {
        "sigma 0.1": True, "sigma 0.01": False, "sigma 0.3": False, "sigma 1": False,
    }  # fmt: skip


def test_seeds_that_have_something_in_common():
    rng = np.random.default_rng(0)
    seeds = rng.normal(0, 5, 8)
    runs = [
        record(40 + sigma * 10 + seeds[n] + rng.normal(0, 0.2), sigma=sigma, seed=n)
        for sigma in (0.1, 0.3)
        for n in range(8)
    ]
    assert "May be as good" in said(runs)[1]
    assert re.search(r"by 1\.00 over seeds: --paired shortens intervals by \d\d%", said(runs)[-1])
    paired = said(runs, paired=True)
    assert "surely worse" in paired[1]
    assert re.search(r"over seeds: taking differences seed by seed shortens intervals by \d", paired[-1])


def test_a_dozen_lines_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    texts = ["word " * 40, "short", *(f"line {n}" for n in range(20))]
    print_first_lines(texts, "the tables")
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[-1]) == (MOST_LINES, "More: the tables")
    assert max(map(len, lines)) <= 80
    print_first_lines(texts[1 : MOST_LINES + 1], "the tables")
    assert len(capsys.readouterr().out.splitlines()) == MOST_LINES


def test_the_best_of_several_runs_is_drawn_where_there_are_enough():
    means = {(s, 0.1): 40 for s in (0.1, 0.01)}
    assert [name for name, _ in figures(results_of(grid(means, 20, 1), []))] == ["best", "tries"]
    assert [name for name, _ in figures(results_of(grid(means, 4, 1), []))] == ["best"]


# ---------------------------------------------------------------- against another time


def test_what_changed():
    means = {(s, 0.1): 40 for s in (0.1, 0.01, 0.3)}
    old, new = grid(means), grid({**means, (0.01, 0.1): 35, (0.5, 0.1): 40}, seed=1)
    change = changes_of(new, old)
    assert re.match(r"The best smooth loss \(nats per window\) changed by -\d", change.sentences[0])
    assert change.sentences[1].startswith("sigma 0.01: -")
    assert change.sentences[2] == "Of 2 of 3 configurations no change is sure."
    assert "Only in the new runs: 1 configuration." in change.sentences
    row = change.table.set_index("setting").loc["sigma 0.01"]
    assert (row["n"], row["n_new"], row["n_old"]) == (8, 8, 8)
    assert row["mean_difference"] == pytest.approx(row["mean_new"] - row["mean_old"])
    assert "Nothing changed" in changes_of(old, old).sentences[0]


def test_of_another_text():
    old = grid({(0.1, 0.1): 40, (0.01, 0.1): 45})
    new = [
        record(one.summary.smooth_loss_best + 3, text="b", sigma=one.config.sigma, seed=one.config.seed)
        for one in old
    ]
    change = changes_of(new, old, paired=True)
    assert change.table["mean_difference"].tolist() == pytest.approx([3, 3])
    assert "Text: b (bbbbbb) instead of a (aaaaaa)." in change.sentences
    with pytest.raises(StoreError, match="no configuration in common"):
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


def search(count):
    """Return runs of so many configurations at random, best in the middle of eta; sigma does nothing."""
    rng = np.random.default_rng(0)
    return [
        record(40 + 9 * abs(np.log10(eta) + 1) + rng.normal(0, 0.1), eta=eta, sigma=sigma, seed=seed)
        for eta, sigma in zip(10 ** rng.uniform(-2, 0, count), rng.uniform(0, 1, count), strict=True)
        for seed in range(2)
    ]


@pytest.mark.slow
def test_of_a_random_search_a_forest_tells_shares():
    pytest.importorskip("sklearn")
    results = results_of(search(60), [])
    (line,) = (line for line in answers(results) if "ranks of configurations" in line)
    share, r_squared = re.fullmatch(
        r"Of what a random forest predicts of the ranks of configurations "
        r"eta explains (\d+)% \(middle best\); sigma explains \d+% "
        r"\(p = 0\.\d\d, perhaps by chance\); fANOVA by a random forest over 60 configurations "
        r"\(out-of-bag R² (0\.\d\d)\)\.",
        line,
    ).groups()
    assert min(int(share) / 100, float(r_squared)) > 0.9
    table = effects_table(results.findings)
    assert set(table["method"]) == {"fanova"}
    assert table["kind"].tolist() == ["main effect"] * 6 + ["interaction"]
    assert (table["name"].iloc[-1], table["share"].iloc[-1] < 0.1) == ("eta by sigma", True)
    note, *_, last = (line for line in markdown(EFFECTS, results).splitlines()[2:] if line)
    assert note.startswith(
        "Of the ranks of 60 configurations: shares by fANOVA over a random forest (out-"
    )
    assert re.fullmatch(r"\| eta by sigma( \| -){6} \| \d% \|", last)
    (line,) = (line for line in said(search(40)) if "ranks of configurations" in line)
    assert line.endswith(", rough with so few configurations.")


def test_without_scikit_learn_a_random_search_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    (line,) = (line for line in said(search(20)) if "ranks of configurations" in line)
    assert line.startswith("Of the ranks of configurations eta explains ")
    assert line.endswith(
        'interactions are not looked at: that takes fANOVA (pip install ".[importance]" '
        "in a clone of nbrnn)."
    )
    (line,) = (line for line in said(search(8)) if "ranks of configurations" in line)
    assert line.endswith("interactions are not looked at.")


def test_a_forest_that_predicts_nothing_tells_no_shares():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(1)
    runs = [record(rng.normal(), eta=eta, sigma=rng.uniform(), seed=0) for eta in rng.uniform(1, 2, 30)]
    (line,) = (line for line in said(runs) if "ranks of configurations" in line)
    assert "; fANOVA tells no more, as a random forest over 30 configurations (out-of-bag R² -0." in line
    assert line.endswith(") predicts nothing.")


def test_two_settings_that_matter_together_are_named():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(2)
    runs = [
        record(40 + eta * sigma, eta=1.5 + eta, sigma=1.5 + sigma, seed=0)
        for eta, sigma in rng.uniform(-1, 1, (60, 2))
    ]
    (line,) = (line for line in said(runs) if "ranks of configurations" in line)
    assert re.search(
        r"; together, beyond each alone, eta with sigma \d\d%; fANOVA by a random forest over 60 ", line
    )
