"""Whether rankings by short runs hold: lists of lengths and the beginnings of runs say the same."""

import json

import numpy as np
import pytest
import recorded
from harness import no_pictures

from nbrnn.analysis.results import read, results_of
from nbrnn.report.summary_text import answers
from nbrnn.report.sweep_report import report
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import sweep

LISTS = {
    "updates": "100,200,800", "hidden": "5", "sample_every": "0", "seed": "0:2",
    "eta": "0.05,0.1,0.2,0.4",
}  # fmt: skip
HELD_OUT = {**LISTS, "updates": "400", "validation": "0.2", "validate_every": "100"}


def swept(lists, corpus, folder):
    with no_pictures():
        sweep(grid(lists), corpus, SweepFolder(folder))
    return read([folder])


@pytest.fixture(scope="module")
def results(corpus, tmp_path_factory):
    return swept(LISTS, corpus, tmp_path_factory.mktemp("lengths"))


def test_shorter_runs_are_the_beginnings_of_longer_ones(results):
    table = results.lengths
    assert table["configurations"].tolist() == [4] * len(table)
    assert table["runs"].tolist() == [12] * len(table)
    pairs = list(table[["by", "short", "long"]].itertuples(index=False, name=None))
    assert pairs == [
        *(("updates", 100, 200), ("updates", 100, 800), ("updates", 200, 800)),
        *(("share", 1 / 8, 1), ("share", 1 / 4, 1), ("share", 1 / 2, 1)),
    ]
    by_list, by_history = (
        table[(table["by"] == by) & (table["short"] == short) & (table["long"] == long)]
        for by, short, long in (("updates", 200, 800), ("share", 1 / 4, 1))
    )
    columns = [name for name in table if name not in ("by", "short", "long")]
    assert by_list[columns].to_numpy().tolist() == by_history[columns].to_numpy().tolist()


def test_the_numbers_are_those_of_the_runs(results):
    runs = results.runs.assign(length=results.runs["updates_wanted"])
    means = runs.pivot_table(index="eta", columns="length", values="smooth_loss_best")
    row = results.lengths[results.lengths["short"] == 200].iloc[0]
    assert row["spearman"] == pytest.approx(means[200].rank().corr(means[800].rank()))
    kept = means.sort_values(200).iloc[:2]
    assert row["half_lost"] == pytest.approx(kept[800].min() - means[800].min(), abs=1e-12)
    assert (row["measure"], row["unit"]) == ("smooth_loss_best", "nats per window")


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_the_answer_and_the_report_say_so(results):
    (sentence,) = (text for text in answers(results) if text.startswith("The ranking after"))
    row = results.lengths.iloc[1]
    expected = f"The ranking after 100 of 800 updates has a rank correlation of {row['spearman']:.2f}"
    assert sentence.startswith(f"{expected} (with new seeds {row['spearman_low']:.2f} to ")
    written = report([results.records[0].folder.path.parents[1]])
    assert "lengths.csv" in written.files
    assert len(json.loads(json.dumps(written.document()))["lengths"]) == 6
    heading = "Rankings by shorter runs"
    assert heading in written.page.read_text()
    lines = (written.folder / "answer.md").read_text().partition(heading)[2].splitlines()
    assert sum(line.startswith("| ") for line in lines) == 7


def test_held_out_losses_have_a_history_too(corpus, tmp_path):
    held_out = swept(HELD_OUT, corpus, tmp_path)
    table = held_out.lengths
    assert table["measure"].tolist() == ["validation_best"] * 2
    assert table["short"].tolist() == [1 / 4, 1 / 2]
    first = {r.config.eta: [] for r in held_out.records}
    for record in held_out.records:
        first[record.config.eta].append(record.validation_losses[record.evaluations == 100][0])
    short = np.array([np.mean(first[eta]) for eta in sorted(first)])
    long = held_out.runs.groupby("eta")["validation_best"].mean().sort_index().to_numpy()
    expected = np.corrcoef(short.argsort().argsort(), long.argsort().argsort())[0, 1]
    assert table["spearman"].iloc[0] == pytest.approx(expected)


def test_configurations_with_a_diverged_run_are_left_out():
    def table(status):
        runs = [
            recorded.record(loss, curves=recorded.falling(loss, 4), sigma=sigma, seed=seed, updates=400)
            for sigma in (0.1, 0.2, 0.3, 0.4, 0.5)
            for seed in (0, 1)
            for loss in [40 + 10 * sigma + seed]
        ]
        other = recorded.record(None, status, sigma=0.5, seed=2, updates=400)
        return results_of([*runs, other], []).lengths

    assert table("diverged")["configurations"].tolist() == [4, 4, 4]
    assert table("interrupted")["configurations"].tolist() == [5, 5, 5]


@pytest.mark.slow
def test_nothing_is_said_of_few_configurations_or_of_rates_that_know_the_end(corpus, tmp_path):
    few = swept({**LISTS, "eta": "0.1,0.2,0.4", "seed": "0"}, corpus, tmp_path / "few")
    assert few.lengths.empty
    assert not any(text.startswith("The ranking") for text in answers(few))
    falling = {**LISTS, "updates": "400", "schedule": "linear", "seed": "0"}
    assert swept(falling, corpus, tmp_path / "falling").lengths.empty
    falling["updates"] = "200,400"  # these were trained each for itself
    assert swept(falling, corpus, tmp_path / "falling").lengths["by"].tolist() == ["updates"]
