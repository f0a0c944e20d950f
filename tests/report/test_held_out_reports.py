"""Held-out text in reports: what ranks configurations, in which unit, and what is drawn."""

import json

import numpy as np
import pytest
from harness import no_pictures

from nbrnn.analysis.result_tables import read_results
from nbrnn.naming import PER_CHARACTER, PER_WINDOW, title, unit_of
from nbrnn.report.figures import figures
from nbrnn.run_plots import held_out_figure
from nbrnn.runs.finalize import loss_figure_of
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import sweep

SMALL = {"updates": "300", "hidden": "5", "sample_every": "0", "seed": "0:2", "sigma": "0.01,0.5"}
HELD_OUT = {**SMALL, "validation": "0.2", "validate_every": "100"}


def swept(lists, corpus, folder):
    with no_pictures():
        sweep(grid(lists), corpus, SweepFolder(folder))
    return folder


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    return swept(HELD_OUT, corpus, tmp_path_factory.mktemp("held-out"))


@pytest.fixture(scope="module")
def results(folder):
    return read_results([folder])


def test_configurations_are_ranked_by_the_held_out_loss(folder, results):
    summaries = [json.loads(path.read_text()) for path in folder.glob("runs/*/summary.json")]
    assert results.best.column == "validation_best"
    assert results.unit_of(results.best) == PER_CHARACTER
    assert sorted(results.runs["validation_best"]) == sorted(s["validation_best"] for s in summaries)
    means = results.runs.groupby("setting")["validation_best"].mean()
    assert list(results.configurations["setting"]) == list(means.sort_values().index)
    assert results.configurations["validation_best_mean"].tolist() == pytest.approx(sorted(means))
    assert results.unit == PER_WINDOW  # of the training losses, which are sums over windows
    assert results.configurations["smooth_loss_best_mean"].min() > 30
    units = results.comparison.groupby("measure")["unit"].unique()
    assert (list(units["validation_best"]), list(units["smooth_loss_best"])) == (
        [PER_CHARACTER],
        [PER_WINDOW],
    )


def test_not_all_have_one(folder, corpus, tmp_path):
    without = swept(SMALL, corpus, tmp_path / "without")
    together = read_results([folder, without])
    assert together.best.column == "smooth_loss_best"
    assert {"validation_best_mean", "smooth_loss_best_mean"} <= set(together.configurations)
    rows = together.comparison.query("measure == 'validation_best' and n_a + n_b == 3")
    assert len(rows) == 4
    for row in rows.itertuples():
        lacks = row.a if row.n_a == 0 else row.b
        assert row.sentence == (
            f"{row.a} and {row.b} cannot be compared: {lacks} has no validation loss of the best model."
        )
    alone = read_results([without])
    assert not [column for column in alone.configurations if column.startswith("validation")]


def test_its_curves_are_drawn(folder, results):
    drawn = dict(figures(results))
    axes = drawn["held_out"].axes[0]
    assert axes.get_ylabel() == "validation loss (nats per character)"
    for line in axes.lines:
        if line.get_label() in set(results.runs["setting"]):
            records = [
                record
                for record, name in zip(results.records, results.runs["setting"], strict=True)
                if name == line.get_label()
            ]
            assert line.get_xdata().tolist() == [100, 200, 300]
            expected = np.mean([record.validation_losses for record in records], axis=0)
            assert np.allclose(line.get_ydata(), expected)
    assert drawn["best"].axes[0].get_xlabel() == "validation loss of the best model (nats per character)"


def test_the_picture_of_a_run_has_both_curves_and_the_baselines(folder):
    run = RunFolder(next(folder.glob("runs/*")))
    config, corpus = run.read_config()
    summary, metrics, looks = run.read_summary(), run.read_metrics(), run.read_validation()
    axes = loss_figure_of(run).axes[0]
    training, held_out, unigram, bigram, best = axes.lines
    assert np.allclose(training.get_ydata(), metrics.smooth_loss / config.seq_length)
    assert held_out.get_xdata().tolist() == looks.update.tolist() == [100, 200, 300]
    assert held_out.get_ydata().tolist() == looks.loss.tolist()
    assert unigram.get_ydata()[0] == summary.validation_unigram
    assert bigram.get_ydata()[0] == summary.validation_bigram
    assert best.get_xdata() == [summary.best_update]
    assert best.get_ydata() == [summary.validation_best == looks.loss.min() and looks.loss.min()]
    assert axes.get_title() == title(config, corpus.name)


def test_a_run_before_its_first_look_has_a_picture():
    empty = np.empty(0), np.empty(0)
    figure = held_out_figure(empty, empty, (None, None), {}, "nothing", 199)
    assert "nats per character" in figure.axes[0].get_ylabel()


@pytest.mark.parametrize(
    ("lists", "unit"),
    [
        ({"loss": "sum"}, PER_WINDOW),
        ({"loss": "mean"}, PER_CHARACTER),
        ({"loss": "sum,mean"}, PER_CHARACTER),
        ({"seq_length": "20,25"}, PER_CHARACTER),
    ],
)
def test_losses_are_compared_in_a_unit_that_all_share(lists, unit, corpus, tmp_path):
    given = {"updates": "100", "hidden": "5", "sample_every": "0", "seed": "0", **lists}
    assert unit_of(*grid(given).experiments()) == unit
    results = read_results([swept(given, corpus, tmp_path / "sweep")])
    assert results.unit == unit
    for record, compared in zip(results.records, results.compared["smooth_loss_best"], strict=True):
        per_character = record.summary.nats_per_character_best
        window = per_character * record.config.seq_length
        assert compared == pytest.approx(window if unit == PER_WINDOW else per_character)


def test_what_follows_from_another_setting_is_no_part_of_a_name(corpus, tmp_path):
    lists = {**SMALL, "updates": "50", "sigma": "0.1", "seed": "0", "optimizer": "adagrad,adam"}
    names = set(
        read_results([swept({**lists, "beta1": "0.8,0.9"}, corpus, tmp_path / "sweep")]).runs["setting"]
    )
    assert names == {"optimizer adagrad", "optimizer adam, beta1 0.8", "optimizer adam, beta1 0.9"}
