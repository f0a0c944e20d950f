"""Tables: every number again from the files of the runs."""

import itertools
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
from harness import begin_sweep, no_pictures
from msgspec import structs
from scipy import stats as scipy_stats

from nbrnn.analysis.comparison_text import unfinished_runs
from nbrnn.analysis.pairwise import comparison_table
from nbrnn.analysis.result_tables import read_results
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import StoreError
from nbrnn.naming import configuration_names
from nbrnn.report.sweep_report import report
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.planning import plan
from nbrnn.sweeps.sweep import sweep

pytestmark = pytest.mark.usefixtures("without_pictures")

SMALL = {"epochs": "2", "hidden": "5", "sample_every": "200", "sample_length": "30"}
LISTS = {**SMALL, "sigma": "0.01,0.5", "eta": "0.1,0.02,1e30", "seed": "0:4"}


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    """Return the folder of a sweep over two settings, with some runs that diverge."""
    path = tmp_path_factory.mktemp("sweep")
    with no_pictures():
        sweep(grid(LISTS), corpus, SweepFolder(path))
    return path


@pytest.fixture(scope="module")
def results(folder):
    return read_results([folder])


def test_runs_are_what_the_folders_say(folder, results):
    assert len(results.runs) == 30
    for row in results.runs.to_dict("records"):
        run = folder / "runs" / row["run_id"]
        config, summary = (
            json.loads((run / f"{name}.json").read_text()) for name in ("config", "summary")
        )
        for name in ("hidden", "seq_length", "eta", "sigma", "epsilon", "clip", "seed", "dtype"):
            assert row[name] == config[name]
        assert (row["epochs_wanted"], row["corpus"]) == (2, "made-up")
        for name in ("status", "updates", "epochs", "best_update", "seconds", "updates_per_second"):
            assert row[name] == summary[name]
        for name in ("smooth_loss_best", "smooth_loss_final", "bits_per_character_best"):
            assert row[name] == summary[name]
        if row["status"] == "finished":
            assert row["epoch_mean_loss_last"] == summary["epoch_mean_loss"][-1]
        else:
            assert row["status"] == "diverged"
            assert math.isnan(row["epoch_mean_loss_last"])


def test_settings_are_recomputable_from_the_runs(results):
    settings = results.configurations
    assert len(settings) == 6
    assert settings["smooth_loss_best_median"].dropna().is_monotonic_increasing
    for row in settings.to_dict("records"):
        runs = results.runs[
            (results.runs["sigma"] == row["sigma"]) & (results.runs["eta"] == row["eta"])
        ]
        finished = runs[runs["status"] == "finished"]
        assert (row["n"], row["failures"], row["unfinished"]) == (
            (0, 5, 0) if row["eta"] > 1 else (5, 0, 0)
        )
        if row["n"]:
            for measure in (measure.column for measure in results.measures):
                values = finished[measure]
                assert row[f"{measure}_mean"] == pytest.approx(values.mean())
                assert row[f"{measure}_sd"] == pytest.approx(values.std())
                assert row[f"{measure}_median"] == values.median()
                assert row[f"{measure}_iqm"] == pytest.approx(scipy_stats.trim_mean(values, 0.25))
                assert (row[f"{measure}_min"], row[f"{measure}_max"]) == (values.min(), values.max())
                assert math.isnan(row[f"{measure}_ci_low"])  # of five runs none holds 95 % of the time
        assert pd.isna(row["significantly_worse"])  # five seeds are too few for three that finished
        assert row["may_be_best"] == (row["n"] > 0)


def test_differences_are_paired_by_seed_where_that_is_asked_for(folder):
    results = read_results([folder], paired=True)
    comparison = results.comparison
    assert len(comparison) == 3 * 15
    best = comparison[comparison["measure"] == "smooth_loss_best"]
    assert list(best["a"])[:5] == [results.configurations["setting"][0]] * 5
    for row in best.to_dict("records"):
        a, b = (
            results.runs[(results.runs["setting"] == row[side]) & (results.runs["status"] == "finished")]
            .sort_values("seed")["smooth_loss_best"]
            .to_numpy()
            for side in "ab"
        )
        if len(a) == len(b) == 5:
            lower = int((a < b).sum())
            assert row["p"] == pytest.approx(scipy_stats.binomtest(lower, 5).pvalue)
            assert math.isnan(row["ci_low"])
            assert row["shift"] == np.median(a - b)
            assert row["mean_difference"] == pytest.approx((a - b).mean())
            assert (row["a_lower"], row["b_lower"]) == ((a < b).sum(), (b < a).sum())
            assert row["p_holm"] >= row["p"]
        else:
            assert row["n"] == 0
            ended = [f"{row[side]} diverged with all 5 seeds" for side in "ab" if "1e+30" in row[side]]
            assert ended
            assert (
                row["sentence"] == f"{row['a']} and {row['b']} cannot be compared: {', '.join(ended)}."
            )


def test_shifts_need_no_common_seeds(results):
    comparison = results.comparison
    best = comparison[(comparison["measure"] == "smooth_loss_best") & (comparison["n_a"] > 0)]
    for row in best[best["n_b"] > 0].to_dict("records"):
        a, b = (
            results.runs[(results.runs["setting"] == row[side]) & (results.runs["status"] == "finished")]
            .sort_values("seed")["smooth_loss_best"]
            .to_numpy()
            for side in "ab"
        )
        differences = np.sort(np.subtract.outer(a, b).ravel())
        assert row["shift"] == np.median(differences)
        assert (row["ci_low"], row["ci_high"]) == (differences[1], differences[-2])  # of 5 and 5 runs
        assert row["mean_difference"] == pytest.approx(a.mean() - b.mean())
        assert row["improvement"] == scipy_stats.mannwhitneyu(b, a).statistic / (len(a) * len(b))
        assert row["correlation"] == pytest.approx(np.corrcoef(a, b)[0, 1])
        assert f"{len(a)} seeds each" in row["sentence"]


def made_up_results(tmp_path, losses, paired=False):
    """Return results of runs whose best losses are given by setting and seed."""
    text, folder = Corpus.from_text("ab" * 100, "ab"), SweepFolder(tmp_path)
    begin_sweep(folder, text)
    for sigma, by_seed in losses.items():
        for seed, loss in by_seed.items():
            lists = {"updates": "1", "hidden": "2", "sigma": str(sigma), "seed": str(seed)}
            (job,) = plan(grid(lists), text, folder)
            summary = run(job.config, text, job.folder, draw=False)
            RunFolder(job.folder).write_summary(structs.replace(summary, smooth_loss_best=loss))
    return read_results([tmp_path], paired=paired)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (
            {0.1: dict.fromkeys(range(6), 1.0), 0.01: dict(enumerate((2.9, 4.1, 5.0, 3.0, 3.0, 3.0)))},
            "sigma 0.1: smooth loss of the best model 2.0 nats lower than sigma 0.01 "
            "(95 % CI 1.9 to 4.0, 6 paired seeds).",
        ),
        (
            {0.1: dict.fromkeys(range(6), 1.0), 0.01: dict(enumerate((2.0, 0.5, 4.0, 0.5, 3.0, 3.0)))},
            "sigma 0.1 and sigma 0.01: no significant difference "
            "(95 % CI of the shift -3.0 to 0.50, 6 paired seeds).",
        ),
        (
            {0.1: {0: 1.0}, 0.01: {0: 2.0}},
            "sigma 0.1 and sigma 0.01: too few seeds to judge (1 paired seed).",
        ),
        (
            {0.1: {0: 1.0, 1: 2.0}, 0.01: {2: 2.0, 3: 3.0}},
            "sigma 0.1 and sigma 0.01: too few seeds to judge (0 paired seeds).",
        ),
        (
            {0.1: {0: 1.0, 1: 2.0}, 0.01: {0: 1.0, 1: 2.0}},
            "sigma 0.01 and sigma 0.1: equal in 2 paired seeds.",
        ),
    ],
)
def test_sentences_of_common_seeds(tmp_path, losses, said):
    comparison = made_up_results(tmp_path, losses, paired=True).comparison
    assert comparison[comparison["measure"] == "smooth_loss_best"]["sentence"].iloc[0] == said


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (["finished", "finished"], {}),
        (["diverged"], {"a": "diverged with its only seed"}),
        (["diverged", "diverged"], {"a": "diverged with both seeds"}),
        (["failed"] * 3, {"a": "failed with all 3 seeds"}),
        (["running", "interrupted"], {"a": "unfinished with both seeds"}),
        (
            ["finished", "diverged", "running", "diverged"],
            {"a": "1 of 4 runs finished, 2 diverged, 1 unfinished"},
        ),
    ],
)
def test_how_runs_ended_is_said_of_those_that_did_not_finish(statuses, said):
    runs = pd.DataFrame({"setting": "a", "status": statuses})
    others = pd.DataFrame({"setting": "b", "status": ["finished"]})
    assert unfinished_runs(pd.concat([runs, others])) == said


def test_several_folders_and_texts(corpus, folder, run_folder, tmp_path):
    both = read_results([folder, folder / "runs" / read_results([folder]).runs["run_id"][0], run_folder])
    assert len(both.runs) == 31  # each run once
    other = Corpus.from_text("another text " * 100, "made-up")
    sweep(grid({**SMALL, "seed": "0"}), other, SweepFolder(tmp_path))
    two = read_results([folder, tmp_path])
    assert len(set(two.configurations["setting"])) == 7
    assert {name.split(",")[0] for name in two.configurations["setting"]} == {
        f"made-up {corpus.sha256[:6]}",
        f"made-up {other.sha256[:6]}",
    }


def test_what_is_damaged_or_unfinished_is_shown_as_such(corpus, tmp_path):
    outcome = sweep(grid({**SMALL, "seed": "0:2"}), corpus, SweepFolder(tmp_path))
    first, second, _ = outcome.jobs
    (first.folder / "summary.json").write_text("{}")
    (second.folder / "summary.json").unlink()
    results = read_results([tmp_path])
    assert sorted(results.runs["status"]) == ["finished", "interrupted"]
    assert [str(first.folder / "summary.json") in problem for problem in results.unreadable] == [True]
    row = results.configurations.iloc[0]
    assert (row["n"], row["failures"], row["unfinished"]) == (1, 0, 1)
    (first.folder / "summary.json").write_text('{"status": "finished", "epoch_mean_loss": 5}')
    (second.folder / "config.json").write_text("{")
    results = read_results([tmp_path])
    assert list(results.runs["status"]) == ["finished"]
    files = [first.folder / "summary.json", second.folder / "config.json"]
    assert sorted(problem.split(" is damaged")[0] for problem in results.unreadable) == sorted(
        map(str, files)
    )


@pytest.fixture(scope="module")
def four(corpus, tmp_path_factory):
    """Return the folder of a sweep of four runs."""
    path = tmp_path_factory.mktemp("four")
    with no_pictures():
        sweep(grid({**SMALL, "sigma": "0.01,0.1", "seed": "0:1"}), corpus, SweepFolder(path))
    return path


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"schema": 1}'),
        ("config.json", "[" * 100_000),
        ("summary.json", '{"status": "done"}'),
        ("summary.json", "\x00\xff"),
        ("metrics.csv", "update,epoch,loss,smooth_loss\n1,0,x,y\n"),
        ("metrics.csv", "update,epoch,loss,smooth_loss\n1,0,90,nan\n"),
        ("metrics.csv", "update,epoch,loss,smooth_loss\n100,0,90,90\n1,0,90,90\n"),
        ("samples.jsonl", '{"update": "first", "text": 5}\n'),
        ("samples.jsonl", "nonsense\n"),
    ],
)
def test_a_damaged_run_is_left_out_with_its_reason_and_the_others_are_shown(
    nbrnn, four, tmp_path, name, content
):
    folder = shutil.copytree(four, tmp_path / "sweep")
    damaged = SweepFolder(folder).runs()[0] / name
    damaged.write_text(content)
    written = report([folder], tmp_path / "report")
    assert list(written.results.runs["status"]) == ["finished"] * 3
    assert [str(damaged) in problem for problem in written.document()["unreadable"]] == [True]
    for file in ("index.html", "settings.md"):
        assert f"Left out: {damaged}" in (tmp_path / "report" / file).read_text()
    assert f"not read, and left out: {damaged}" in nbrnn("compare", folder).stdout.replace("\n  ", " ")
    damaged.unlink()  # of a run that has ended, so that no file of it may lack
    assert len(read_results([folder]).unreadable) == (name in ("metrics.csv", "samples.jsonl"))


def test_one_text_under_two_names_counts_once(corpus, tmp_path):
    again = structs.replace(corpus, name="another name")
    lists = {**SMALL, "eta": "0.1,0.2", "seed": "0:2"}
    for text in (corpus, again):
        sweep(grid(lists), text, SweepFolder(tmp_path))
    results = read_results([tmp_path])
    assert len(results.runs) == 6
    assert results.configurations["n"].tolist() == [3, 3]


@pytest.mark.slow
def test_epochs_beside_updates(corpus, tmp_path):
    for length in ({"epochs": "1"}, {"updates": "100,0"}):
        lists = {"hidden": "2", "seed": "0:1", **length}
        sweep(grid(lists), corpus, SweepFolder(tmp_path))
    results = read_results([tmp_path])
    assert set(results.configurations["setting"]) == {"epochs 1", "updates 100", "updates 0"}
    report([tmp_path], tmp_path / "report")


def test_nothing_to_read_is_an_error(corpus, tmp_path):
    with pytest.raises(StoreError, match="is not the folder of a run or a sweep"):
        read_results([tmp_path])
    begin_sweep(SweepFolder(tmp_path), corpus)
    with pytest.raises(StoreError, match="no run has started"):
        read_results([tmp_path])


def test_too_many_settings_are_compared_with_the_best_only(results, monkeypatch):
    monkeypatch.setattr("nbrnn.analysis.pairwise.MAX_PAIRS", 10)
    settings = list(results.configurations["setting"])
    few = comparison_table(results.runs, settings, results.measures[:3], results.unit)
    assert len(few) == 3 * 5
    assert set(few["a"]) == {settings[0]}
    all_pairs = results.comparison
    for row in few[few["measure"] == "smooth_loss_best"].to_dict("records"):  # chosen out of all 15
        assert not row["p_holm"] < min(1, 11 * row["p"])
    assert len(all_pairs) == 3 * 15


def test_texts_that_share_names_are_told_apart_in_any_order():
    configs = [RunConfig(), RunConfig(), RunConfig()]
    texts = [("x", "a" * 64), ("y", "a" * 64), ("x", "b" * 64)]
    for order in itertools.permutations(texts):
        names = dict(zip(order, configuration_names(configs, order), strict=True))
        assert names["x", "a" * 64] == names["y", "a" * 64] != names["x", "b" * 64]
