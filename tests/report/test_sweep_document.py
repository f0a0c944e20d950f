"""The report of a sweep: what was asked for, how far it is, how much the page holds."""

import re

import numpy as np
import pytest
from recorded import falling, record, sweep_over

from nbrnn.analysis.result_tables import results_of
from nbrnn.report.html import render_html
from nbrnn.report.latex import latex_table
from nbrnn.report.markdown import render_markdown
from nbrnn.report.reproducibility import reproducibility, seed_text
from nbrnn.report.sweep_document import (
    Request,
    fixed_settings,
    progress,
    read_request,
    sweep_document,
    title_of,
)
from nbrnn.report.sweep_report import contents_of
from nbrnn.report.table_registry import TABLES
from nbrnn.storage.schemas import Environment, SweepRequest
from nbrnn.storage.sweep_folder import SweepFolder

NOTHING = Request([], set())


def page(runs, request=NOTHING, unreadable=(), refresh=0):
    return render_html(sweep_document(results_of(runs, list(unreadable)), request, {}, {}), refresh)


def test_the_title_says_text_and_what_was_swept():
    results = results_of(sweep_over(0.1, 0.2, clip=1) + sweep_over(0.1, 0.2, clip=1, hidden=20), [])
    assert title_of(results) == "a: hidden and sigma"
    assert fixed_settings(results) == "epochs 7, clip 1"  # of what all share, that which is no default
    assert title_of(results_of(sweep_over(0.1), [])) == "a: one configuration"
    imported = record(None, "imported", curves=(([],) * 4, {"score_best": 2.0}), name="a")
    assert fixed_settings(results_of([imported], [])) == ""


def test_commands_and_all_runs_are_those_of_the_sweep(tmp_path, corpus):
    folder = SweepFolder(tmp_path)
    for number, words in enumerate(
        (["/bin/nbrnn", "sweep", "my text"], ["/x/nbrnn/__main__.py"], ["a.py"], [""])
    ):
        ids = [f"run{number}", "both"]
        folder.add_request(
            SweepRequest(
                corpus=corpus.describe(), settings={}, seeds=[number], random=None, sweep_seed=None,
                runs=ids, command=words,
            )
        )  # fmt: skip
    assert read_request([tmp_path, tmp_path / "nothing"]) == Request(
        ["nbrnn sweep 'my text'", "python -m nbrnn", "a.py", "''"],
        {"run0", "run1", "run2", "run3", "both"},
    )


def test_progress_counts_runs_that_have_not_started():
    running = record(None, "running", curves=(([],) * 4, {"updates": 25}), sigma=0.3, updates=100)
    runs = [*sweep_over(0.1, 0.2, seeds=1), record(None, "failed", sigma=0.4), running]
    results = results_of(runs, [])
    request = Request(["nbrnn sweep"], {"later", "even later", results.runs["run_id"][0]})
    overall, fold = progress(results, request)
    assert overall.text == "3 of 6 runs ended, 1 in progress, 2 not started"
    assert (overall.done, overall.total) == (3.25, 6)
    (bar,) = fold.blocks
    assert bar.text == "updates 100, sigma 0.3, seed 0: running, 25 of 100 updates"
    text = page(runs, request, refresh=10)
    assert '<progress max="100" value="25">' in text
    assert "<code>nbrnn sweep</code>" in text
    assert 'http-equiv="refresh" content="10"' in text
    assert progress(results_of(runs[:2], []), NOTHING) == []


def test_dropped_and_unreadable_runs_are_not_waited_for():
    dropped = record(None, "dropped", curves=(([],) * 4, {"updates": 25}), sigma=0.3, updates=100)
    results = results_of([*sweep_over(0.1, 0.2, seeds=1), dropped], ["one is damaged"])
    ids = set(results.runs["run_id"])
    assert progress(results, Request([], {*ids, "damaged"})) == progress(results, NOTHING) == []
    (overall,) = progress(results, Request([], {*ids, "damaged", "later"}))
    assert overall.text.endswith("0 in progress, 1 not started")


def test_names_and_problems_are_no_markup():
    evil = "<script>alert(1)</script>\x1b\u202e"
    text = page([record(1.0, name=evil, sigma=s) for s in (0.1, 0.2)], Request([evil], set()), [evil])
    assert text.count("<script") == 1
    assert not {"\x1b", "\u202e"} & set(text)


def test_every_table_is_there_in_latex_and_markdown():
    results = results_of(sweep_over(0.1, 0.2), [])
    for spec in TABLES:
        tables = spec.tables(results)
        assert tables
        assert {f"{table.name}.tex" for table in tables} <= set(spec.files)
        cells = [row for table in tables for row in (table.columns, *table.rows)]
        in_latex = "".join(map(latex_table, tables))
        lines = [line for line in in_latex.splitlines() if re.search(r"(?<!\}) \\\\$", line)]
        plain = [line.replace(r"\textmu{}", "µ").replace(r"\textless{}", "<") for line in lines]
        found = [re.sub(r"\\([&%$#_{}])", r"\1", line)[:-3].split(" & ") for line in plain]
        assert found == [list(row) for row in cells]
        in_markdown = render_markdown(spec.document(results))
        rows = [line for line in in_markdown.splitlines() if line.startswith("| ")]
        assert [line[2:-2].replace("&lt;", "<").split(" | ") for line in rows] == found


def test_versions_processors_seeds_are_told():
    start = Environment(
        nbrnn="1.0", python="3.11", numpy="2.0", numba="0.61", llvm="20", cpu="EPYC",
        cpu_target="znver4", cpus=2, platform="Linux", git_commit="0123456789", command=[], started="",
    )  # fmt: skip
    first, _ = reproducibility([start, None, start], [2, 0, 1])
    assert first == (
        "Trained with nbrnn 1.0 (01234567), Python 3.11, NumPy 2.0, Numba 0.61, LLVM 20, "
        "on EPYC (znver4), with the seeds 0 to 2."
    )
    assert reproducibility([None], [0]) == []
    assert [seed_text(seeds) for seeds in ([4], [1, 3], range(0, 40, 2))] == [
        "seed 4", "the seeds 1, 3", "the seeds 0, 2, 4, 6, 8, 10, 12, 14, 16, 18 and 10 more"
    ]  # fmt: skip


@pytest.mark.slow
def test_the_page_of_a_hundred_configurations_is_below_two_megabytes():
    rng = np.random.default_rng(0)
    runs = [
        record(loss, curves=falling(loss, 4, eta * 10), sigma=sigma, eta=eta, seed=seed)
        for sigma in np.linspace(0.01, 0.3, 10).tolist()
        for eta in np.linspace(0.02, 0.2, 10).tolist()
        for seed in range(4)
        for loss in [40 + sigma + eta + rng.normal(0, 0.1)]
    ]
    contents = contents_of(results_of(runs, []), NOTHING, 0)
    assert {f"{name}.png" for name in ("loss", "best", "heat", "seconds")} <= set(contents)
    text = contents["index.html"]
    assert len(text.encode()) < 2_000_000
    assert "The first 400 of 4,950 rows; comparison.csv has all." in text
