"""The answer in words, in a dozen lines on a terminal."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harness import csv_rows
from recorded import grid, record

from nbrnn.analysis.findings import effects_table
from nbrnn.analysis.result_tables import results_of
from nbrnn.cli.reports import MAX_LINES, print_first_lines
from nbrnn.report.markdown import render_markdown
from nbrnn.report.sweep_answer import answers
from nbrnn.report.table_registry import TABLES
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import SweepRequest
from nbrnn.storage.sweep_folder import SweepFolder

EFFECTS = next(table for table in TABLES if table.name == "effects")
SIGMA = Path(__file__).parents[2] / "results" / "sigma" / "7-epochs" / "runs.csv"


def said(records, paired=False):
    return answers(results_of(records, [], paired))


def test_the_answer_to_the_400_runs():
    runs = [
        record(
            float(row["smooth_loss_best"]),
            sigma=float(row["sigma"]),
            epsilon=float(row["epsilon"]),
            seed=int(row["seed"]),
        )
        for row in csv_rows(SIGMA)
    ]
    text = said(runs)
    assert text[:3] == [
        "Best: sigma 0.03, epsilon 1: median smooth loss of the best model 42.01 nats per window "
        "(50 seeds; 95 % CI, as the best of 8: 41.13 to 43.13).",
        "Not significantly worse: sigma 0.01, epsilon 1 (42.06).",
        "Significantly worse: 6 of 8 configurations; the best of them is sigma 0.1, epsilon 1 (43.88).",
    ]
    assert "epsilon: the loss is lowest at 1, 1.0 (0.50 to 1.7) higher at 1e-08." in text
    (interaction,) = (line for line in text if line.startswith("epsilon and sigma interact"))
    assert interaction == (
        "epsilon and sigma interact: epsilon 1 instead of 1e-08 changes the smooth loss of the best "
        "model by -3.2 (-4.1 to -2.4) at sigma 0.03, and by 0.65 (0.25 to 1.2) at sigma 0.3."
    )
    assert "epsilon: the best value is the largest tried. Try --epsilon 3.2,10" in text
    assert "The best of 5 runs of the best configuration reaches about 39.80." in text
    assert any(
        line.endswith("with a power of 80 % takes more than 1,000 seeds for each.") for line in text
    )
    assert not any("same seed" in line for line in text)  # they correlate by 0.02


def test_one_is_best_and_settings_add_up():
    means = {(s, e): 40 + 5 * (s == 0.1) + 3 * (e == 0.1) for s in (0.1, 0.01) for e in (0.1, 0.05)}
    text = said(grid(means))
    assert text[0].startswith("Best: eta 0.05, sigma 0.01: median smooth loss of the best model ")
    assert text[1].startswith("Significantly worse: all others; the best of them is eta 0.1, sigma 0.01")
    assert re.match(
        r"sigma: the loss is lowest at 0.01, [45]\S* \(\S+ to \S+\) higher at 0.1\.", text[2]
    )
    assert re.match(r"eta: the loss is lowest at 0.05, [23]\S* \(\S+ to \S+\) higher at 0.1\.", text[3])
    assert not any("interact" in line for line in text)


def test_what_cannot_be_told_is_said():
    means = {(s, 0.1): 40 for s in (0.1, 0.01)}
    text = said(grid(means, seed=1))
    assert text[1].startswith("Not significantly worse: ")
    assert re.fullmatch(
        r"To detect a difference of 0\.40 nats \(1 % of the loss\) from the best with a power of 80 %, "
        r"plan about \d+ seeds for each beforehand\.",
        text[2],
    )
    few = "Too few seeds to judge which configurations are worse: use --seeds 0:4 or more."
    assert said(grid(means, seeds=1))[1] == said(grid(means, seeds=4))[1] == few
    assert not any("power" in line for line in said(grid(means, seeds=4)))
    assert said([record(None, status="running")]) == ["No run has finished yet."]
    assert len(said(grid({(0.1, 0.1): 40}))) == 1


def test_the_smallest_difference_of_interest_decides_how_many_seeds():
    results = results_of(grid({(s, 0.1): 40 for s in (0.1, 0.01)}), [])
    results.smallest_difference = 5.0
    enough = "8 seeds each detect a difference of 5.0 nats from the best with a power of 80 %."
    assert enough in answers(results)


def test_repeated_reports_are_counted():
    results = results_of(grid({(s, 0.1): 40 for s in (0.1, 0.01)}), [])
    results.analyses = [3, 5, 8]
    assert any(
        re.match(
            r"This report was made 3 times .* \(3, 5, 8\)\. .* in up to 1\d% instead of [56]%\.$", line
        )
        for line in answers(results)
    )
    results.analyses = [8]
    assert not any("Reported" in line for line in answers(results))


def test_what_is_far_off_and_what_is_identical_is_named():
    runs = grid({(s, e): 40 + 9 * s for s in (0.1, 0.3) for e in (0.1, 0.2)})
    text = said(runs)
    runs[0] = record(500.0, sigma=0.1, eta=0.1, seed=0)
    far = said(runs)
    assert (
        "Far off the other runs: eta 0.1, sigma 0.1, seed 0 (500.00, higher). Medians and ranks are "
        "used here." in far
    )
    assert not any("Far off" in line for line in text)
    twice = [replace(one, config=replace(one.config, eta=0.7)) for one in runs[:8]]
    alike = "Bit-identical, counted as one: eta 0.1, sigma 0.1 = eta 0.7, sigma 0.1."
    assert said([*runs, *twice])[0].endswith(alike)


def test_the_command_beyond_an_edge_is_that_of_the_sweep(tmp_path):
    command = ["nbrnn", "sweep", "a.txt", "--eta", "0.1,0.2,0.4", "--name", "x y"]
    folder = SweepFolder(tmp_path)
    parts = {"settings": {}, "seeds": [0], "random": None, "sweep_seed": None, "runs": []}
    folder.write_requests([SweepRequest(corpus=record(1.0).corpus, command=command, **parts)])
    runs = [
        replace(one, folder=RunFolder(tmp_path / "runs" / "a"))
        for one in grid({(0.1, eta): 40 - 20 * eta for eta in (0.1, 0.2, 0.4)})
    ]
    assert (
        "eta: the best value is the largest tried. Try nbrnn sweep a.txt --eta 0.8,1.6 --name 'x y'"
        in said(runs)
    )


def test_seeds_may_be_unequal_and_runs_fail():
    runs = grid({(0.1, 0.1): 40, (0.01, 0.1): 45, (0.3, 0.1): 50})
    runs = runs[2:] + [record(None, status="diverged", sigma=0.1, eta=0.1, seed=seed) for seed in (0, 1)]
    runs += [record(None, status="diverged", sigma=1.0, eta=0.1, seed=0)]
    text = said(runs)
    assert text[0].startswith("Best: sigma 0.1: ")
    assert "6 seeds" in text[0]
    assert text[1].startswith("Significantly worse: all others; the best of them is sigma 0.01")
    results = results_of(runs, [])
    by_name = results.configurations.set_index("setting")
    assert by_name["may_be_best"].to_dict() == {
        "sigma 0.1": True, "sigma 0.01": False, "sigma 0.3": False, "sigma 1": False,
    }  # fmt: skip


def test_too_few_seeds_of_one_configuration_are_said_to_be():
    runs = grid({(0.1, 0.1): 40, (0.01, 0.1): 45, (0.3, 0.1): 60})[:19]
    _, worse, few, *_ = said(runs)
    assert worse.startswith("Significantly worse: 1 of 3 configurations")
    assert few.startswith("Too few seeds to judge: sigma 0.3 (")


def test_seeds_that_have_something_in_common():
    rng = np.random.default_rng(0)
    seeds = rng.normal(0, 5, 8)
    runs = [
        record(40 + sigma * 10 + seeds[n] + rng.normal(0, 0.2), sigma=sigma, seed=n)
        for sigma in (0.1, 0.3)
        for n in range(8)
    ]
    assert said(runs)[1].startswith("Not significantly worse: ")
    assert said(runs)[-1] == (
        "Runs with the same seed correlate by 1.00: --paired would find smaller differences in new runs."
    )
    paired = said(runs, paired=True)
    assert paired[1].startswith("Significantly worse: sigma 0.3 (")
    assert paired[-1] == "Runs with the same seed correlate by 1.00."


def test_a_dozen_lines_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    texts = ["word " * 40, "short", *(f"line {n}" for n in range(20))]
    print_first_lines(texts, "the tables")
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[-1]) == (MAX_LINES, "More: the tables")
    assert max(map(len, lines)) <= 80
    print_first_lines(texts[1 : MAX_LINES + 1], "the tables")
    assert len(capsys.readouterr().out.splitlines()) == MAX_LINES


def search(count):
    """Return runs of so many configurations at random, best in the middle of eta; sigma does nothing."""
    rng = np.random.default_rng(0)
    return [
        record(40 + 9 * abs(np.log10(eta) + 1) + rng.normal(0, 0.1), eta=eta, sigma=sigma, seed=seed)
        for eta, sigma in zip(10 ** rng.uniform(-2, 0, count), rng.uniform(0, 1, count), strict=True)
        for seed in range(2)
    ]


def rank_lines(records=None, results=None):
    """Return the sentences on ranks and on the forest behind their shares."""
    lines = answers(results or results_of(records, []))
    place = next(
        i for i, line in enumerate(lines) if line.startswith("Share of the variance of the ranks")
    )
    return lines[place : place + 2]


@pytest.mark.slow
def test_of_a_random_search_a_forest_tells_shares():
    pytest.importorskip("sklearn")
    results = results_of(search(60), [])
    shares, forest = rank_lines(results=results)
    eta = re.fullmatch(
        r"Share of the variance of the ranks that a random forest predicts: eta (\d+)% "
        r"\(best: the middle third\); sigma \d+% \(p = 0\.\d\d, not significant\)\.",
        shares,
    )[1]
    r_squared = re.fullmatch(
        r"Shares by fANOVA over a random forest over 60 configurations \(out-of-bag R² (0\.\d\d)\)\.",
        forest,
    )[1]
    assert min(int(eta) / 100, float(r_squared)) > 0.9
    table = effects_table(results.findings)
    assert set(table["method"]) == {"fanova"}
    assert table["kind"].tolist() == ["main effect"] * 6 + ["interaction"]
    assert (table["name"].iloc[-1], table["share"].iloc[-1] < 0.1) == ("eta by sigma", True)
    note, *_, last, _ = (x for x in render_markdown(EFFECTS.document(results)).splitlines()[2:] if x)
    assert note.startswith("Shares of the variance of the ranks of 60 configurations, by fANOVA")
    assert re.fullmatch(r"\| eta by sigma( \| -){6} \| \d% \|", last)
    assert rank_lines(search(40))[1].endswith(", rough with so few configurations.")


def test_without_scikit_learn_a_random_search_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    shares, hint = rank_lines(search(20))
    assert shares.startswith("Share of the variance of the ranks: eta ")
    assert hint == 'Interactions need fANOVA (pip install ".[importance]" in a clone of nbrnn).'
    assert not any("fANOVA" in line for line in said(search(8)))


def test_a_forest_that_predicts_nothing_tells_no_shares():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(1)
    runs = [record(rng.normal(), eta=eta, sigma=rng.uniform(), seed=0) for eta in rng.uniform(1, 2, 30)]
    assert re.fullmatch(
        r"fANOVA adds nothing: a random forest over 30 configurations \(out-of-bag R² -0\.\d\d\) "
        r"predicts nothing\.",
        rank_lines(runs)[1],
    )


def test_two_settings_that_matter_together_are_named():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(2)
    runs = [
        record(40 + eta * sigma, eta=1.5 + eta, sigma=1.5 + sigma, seed=0)
        for eta, sigma in rng.uniform(-1, 1, (60, 2))
    ]
    forest = rank_lines(runs)[1]
    assert re.match(r"Jointly, beyond each alone: eta with sigma \d\d%; by fANOVA over a random", forest)
