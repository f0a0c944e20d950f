"""Runs on several parts of a text: what counts as independent, and how often intervals hold."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from harness import csv_rows, no_pictures, one_line_error
from scipy.stats import binomtest

from nbrnn.analysis.measures import MEASURES
from nbrnn.analysis.pairwise import compare_pair
from nbrnn.analysis.result_tables import configurations_table, part_means, read_results, read_runs
from nbrnn.report.sweep_report import report
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import sweep

LISTS = {
    "updates": "100", "hidden": "5", "sample_every": "0", "seed": "0:1", "sigma": "0.01,0.5",
    "validation": "0.1", "test": "0.1", "fold": "0,3,5:8", "validate_every": "50",
}  # fmt: skip
LOSS = next(measure for measure in MEASURES if measure.column == "validation_best")


@pytest.fixture
def folder(corpus, tmp_path):
    with no_pictures():
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "sweep"))
    return tmp_path / "sweep"


def of_six(sample):
    """Return the median of six numbers, and its 95 % interval, which contains all of them."""
    return [np.median(sample), min(sample), max(sample)]


def test_each_part_counts_once_and_differences_are_taken_part_by_part(folder):
    results = read_results([folder])
    runs = results.runs
    means = runs.groupby(["setting", "fold"])["validation_best"].mean()
    assert len(runs) == 24
    for row in results.configurations.to_dict("records"):
        own = means[row["setting"]].to_numpy()
        found = [row[f"validation_best_{name}"] for name in ("median", "ci_low", "ci_high")]
        assert found == pytest.approx(of_six(own))
        assert row["n"] == 6
    (row,) = results.comparison.query("measure == 'validation_best'").to_dict("records")
    a, b = means[row["a"]].to_numpy(), means[row["b"]].to_numpy()
    assert [row[name] for name in ("shift", "ci_low", "ci_high")] == pytest.approx(of_six(a - b))
    assert row["p"] == pytest.approx(binomtest(int((a < b).sum()), 6).pvalue)
    assert "6 parts" in row["sentence"]
    assert results.swept == ["sigma"]


def everything_shown(written):
    texts = [(written.folder / name).read_text(errors="replace") for name in written.files]
    return "\n".join([*texts, json.dumps(written.document())])


@pytest.mark.usefixtures("without_figures")
def test_the_test_part_is_hidden_until_it_is_revealed(folder):
    requests = (folder / "sweep.json").read_bytes()
    losses = {str(record.summary.test_best) for record in read_results([folder]).records}
    assert len(losses) == 24
    hidden = report([folder])
    assert not any(loss in everything_shown(hidden) for loss in losses)
    assert "The test loss is hidden (--reveal-test)." in hidden.page.read_text()
    assert not [name for name in read_runs(folder) if name.startswith("test_")]
    order = [row["setting"] for row in csv_rows(folder / "report" / "settings.csv")]
    assert not (folder / "test_reveals.jsonl").exists()

    shown = report([folder], reveal_test=True)
    assert {row["test_best"] for row in csv_rows(folder / "report" / "runs.csv")} == losses
    settings = csv_rows(folder / "report" / "settings.csv")
    assert [row["setting"] for row in settings] == order
    assert all(float(row["test_best_mean"]) > 0 for row in settings)
    assert "it was revealed 1 time so far, first on 20" in shown.page.read_text()

    assert read_runs(folder, reveal_test=True)["test_final"].notna().all()
    lines = (folder / "test_reveals.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert all(re.match(r"20\d\d-\d\d-\d\dT", json.loads(line)["date"]) for line in lines)
    assert (folder / "sweep.json").read_bytes() == requests
    assert not any(loss in everything_shown(report([folder])) for loss in losses)


@pytest.mark.usefixtures("without_figures")
def test_commands_hide_and_reveal_it(nbrnn, corpus, text_file, tmp_path):
    settings = [value for name in LISTS for value in ("--" + name.replace("_", "-"), LISTS[name])]
    swept = json.loads(nbrnn("sweep", text_file, *settings, "--out", "s", "--json").stdout)
    assert len(swept["runs"]) == 24
    assert not [name for run in swept["runs"] for name in run if name.startswith("test_")]
    assert "the test loss is hidden" in " ".join(nbrnn("compare", "s").stdout.lower().split())
    rows = json.loads(nbrnn("compare", "s", "--reveal-test", "--json").stdout)
    assert {row["measure"] for row in rows} >= {"validation_best", "test_best", "test_final"}
    assert rows[0]["measure"] == "validation_best"
    assert len((tmp_path / "s" / "test_reveals.jsonl").read_text().splitlines()) == 1
    run = next((tmp_path / "s" / "runs").iterdir())
    assert "\ntest  " in nbrnn("show", run).stdout


@pytest.mark.usefixtures("without_figures")
def test_a_test_part_is_revealed_once_in_all_sweeps_that_have_one(nbrnn, text_file, tmp_path):
    for seed, (name, parts) in enumerate(
        {"a": ["--test", 0.1], "b": ["--test", 0.1], "none": []}.items()
    ):
        few = ["--updates", 20, "--hidden", 5, "--seeds", seed, *parts]
        nbrnn("sweep", text_file, *few, "--out", name, "-q")
    assert "no run holds out a test part (--test)" in one_line_error(
        nbrnn("compare", "none", "--reveal-test", code=2)
    )
    said = nbrnn("compare", "a", "b", "none", "--reveal-test").stdout
    assert "test loss of the best model" in said
    assert "it was revealed 1 time so far" in " ".join(said.split())
    read_runs(tmp_path, reveal_test=True)
    reveals = {name: tmp_path / name / "test_reveals.jsonl" for name in ("a", "b", "none")}
    assert [len(reveals[name].read_text().splitlines()) for name in ("a", "b")] == [2, 2]
    assert not reveals["none"].exists()


# ---------------------------------------------------------------- how often intervals hold

EFFECTS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "gamma, skewness 1.1": lambda rng, size: (rng.gamma(3.3, size=size) - 3.3) / np.sqrt(3.3),
    "exponential": lambda rng, size: rng.exponential(size=size),
}
SIMULATIONS, PARTS, SEEDS = 800, 10, 3


def simulated(kind):
    """Return losses with the mean 0, in a configuration for each simulation.

    Parts differ by a deviation of 1, seeds within them by 0.5.
    """
    rng = np.random.default_rng(1)
    losses = EFFECTS[kind](rng, (SIMULATIONS, PARTS, 1)) + 0.5 * EFFECTS[kind](
        rng, (SIMULATIONS, PARTS, SEEDS)
    )
    index = pd.MultiIndex.from_product(map(range, losses.shape), names=["setting", "fold", "seed"])
    runs = pd.DataFrame({LOSS.column: losses.ravel()}, index).reset_index()
    return runs.assign(setting=runs["setting"].map(str), status="finished")


def coverage(runs):
    """Return how often the interval contains the median of all that was simulated."""
    found, truth = configurations_table(runs, [], [LOSS]), runs[LOSS.column].median()
    low, high = (found[f"{LOSS.column}_ci_{end}"] for end in ("low", "high"))
    return float(((low <= truth) & (high >= truth)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("kind", EFFECTS)
def test_intervals_over_parts_and_seeds_hold(kind):
    runs = simulated(kind)
    assert coverage(part_means(runs, [LOSS])) > 0.94
    assert coverage(runs) < 0.85  # if the runs of a part counted as independent


def test_intervals_of_differences_hold_where_parts_differ_by_exponential_effects():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(1000):
        parts = rng.exponential(3, PARTS)  # which a comparison part by part removes
        a, b = (parts + rng.exponential(size=PARTS) + rng.exponential(0.5, PARTS) for _ in "ab")
        row = compare_pair(a, b, paired=True)
        held += row["ci_low"] <= 0 <= row["ci_high"]
    assert held / 1000 > 0.94
