"""The page: what it says was asked, how far the runs are, how much it holds; pictures and LaTeX."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from recorded import falling, record

from nbrnn.plots import BLACK, BLUE, GREEN, GREY, ORANGE
from nbrnn.reports.catalogue import TABLES
from nbrnn.reports.curves import Curves, spread
from nbrnn.reports.figures import default_of, figures, tips
from nbrnn.reports.heading import Asked, asked, fixed, progress, title
from nbrnn.reports.latex import latex, latex_table
from nbrnn.reports.markdown import markdown, markdown_table
from nbrnn.reports.page import data_tables, number, page, script
from nbrnn.reports.pictures import inline
from nbrnn.reports.report import drawn
from nbrnn.reports.tables import results_of
from nbrnn.storage.schemas import SweepRequest
from nbrnn.storage.sweep_folder import SweepFolder

NOTHING = Asked([], set())


def sweep_over(*sigmas, seeds=3, epochs=4, seconds=1.0, **settings):
    """Return results of runs over sigma, better the smaller it is."""
    rng = np.random.default_rng(0)
    return [
        record(loss, curves=falling(loss, epochs, seconds), sigma=sigma, seed=seed, **settings)
        for sigma in sigmas
        for seed in range(seeds)
        for loss in [40 + 10 * sigma + rng.normal(0, 0.1)]
    ]


# ---------------------------------------------------------------- what was asked


def test_the_title_says_text_and_what_was_swept(tmp_path):
    results = results_of(sweep_over(0.1, 0.2) + sweep_over(0.1, 0.2, hidden=20), [])
    assert title(results) == "a: hidden and sigma"
    shared = dict(setting.split(" ", 1) for setting in fixed(results).split(", "))
    assert shared["seq_length"] == "25"
    assert not {"sigma", "hidden", "seed", "beta1", "updates"} & set(shared)
    assert title(results_of(sweep_over(0.1), [])) == "a: one configuration"


def test_runs_without_settings_share_none():
    imported = record(None, "imported", curves=(([],) * 4, {"score_best": 2.0}), name="a")
    results = results_of([imported], [])
    assert "Fixed: " not in page(results, {}, {}, NOTHING, 0)
    assert "Fixed: " in page(results_of(sweep_over(0.1), []), {}, {}, NOTHING, 0)


def test_commands_and_all_runs_are_those_of_the_sweep(tmp_path, corpus):
    folder = SweepFolder(tmp_path)
    for number_, words in enumerate(
        (["/bin/nbrnn", "sweep", "my text"], ["/x/nbrnn/__main__.py"], ["a.py"], [""])
    ):
        ids = [f"run{number_}", "both"]
        folder.add_request(
            SweepRequest(
                corpus=corpus.describe(), settings={}, seeds=[number_], random=None, sweep_seed=None,
                runs=ids, command=words,
            )
        )  # fmt: skip
    found = asked([tmp_path, tmp_path / "nothing"])
    assert found == Asked(
        ["nbrnn sweep 'my text'", "python -m nbrnn", "a.py", "''"],
        {"run0", "run1", "run2", "run3", "both"},
    )


def test_progress_counts_runs_that_have_not_begun():
    under_way = record(None, "running", sigma=0.3, epochs=None, updates=100)
    under_way = record(None, "running", curves=(([],) * 4, {"updates": 25}), sigma=0.3, updates=100)
    runs = [*sweep_over(0.1, 0.2, seeds=1), record(None, "failed", sigma=0.4), under_way]
    results = results_of(runs, [])
    found = progress(results, Asked([], {"later", "even later", results.runs["run_id"][0]}))
    assert (found.ended, found.runs, found.waiting, found.done) == (3, 6, 2, 3.25)
    (run,) = found.under_way
    assert (run.status, run.updates, run.length) == ("running", 25, 100)
    assert "sigma 0.3" in run.name
    text = page(results, {}, {}, Asked(["nbrnn sweep"], {"later"}), 10)
    assert '<progress max="100" value="25">' in text
    assert "3 of 5 runs ended, 1 under way, 1 not begun" in text
    assert "<code>nbrnn sweep</code>" in text
    assert "<h2>Progress" not in page(results_of(runs[:2], []), {}, {}, NOTHING, 0)


def test_dropped_and_unreadable_runs_are_not_waited_for():
    dropped = record(None, "dropped", curves=(([],) * 4, {"updates": 25}), sigma=0.3, updates=100)
    results = results_of([*sweep_over(0.1, 0.2, seeds=1), dropped], ["one is damaged"])
    ids = set(results.runs["run_id"])
    found = progress(results, Asked([], {*ids, "damaged"}))
    assert (found.ended, found.runs, found.waiting, found.under_way) == (3, 3, 0, [])
    assert progress(results, Asked([], {*ids, "damaged", "later"})).waiting == 1
    assert progress(results, NOTHING).waiting == 0


def test_nothing_that_a_file_says_is_markup():
    evil = "<script>alert(1)</script><b onclick=x>"
    runs = [record(1.0, name=evil, sigma=s) for s in (0.1, 0.2)]
    text = page(
        results_of(runs, [evil]), {}, {evil: ([evil], [(evil, [evil])])}, Asked([evil], set()), 0
    )
    assert evil not in text
    assert "<b onclick" not in text
    assert text.count("<script") == 1


@pytest.fixture
def another_library(monkeypatch):
    """Let the package of the library have one that exports otherwise."""
    made = (data_tables, script)
    monkeypatch.setattr("nbrnn.reports.page.library", lambda suffix: "export default function f() {}")
    for function in made:
        function.cache_clear()
    yield
    for function in made:
        function.cache_clear()


def test_the_page_does_without_a_library_that_exports_otherwise(another_library):
    text = page(results_of(sweep_over(0.1, 0.2), []), {}, {}, NOTHING, 0)
    assert '<script type="module">const DataTable = null;' in text
    assert "export" not in script()
    assert "Tables do not sort" in text
    assert "Tables by DataTables" not in text


# ---------------------------------------------------------------- pictures


def test_the_best_three_and_the_default_stand_out():
    results = results_of(sweep_over(0.01, 0.02, 0.03, 0.1, 0.2, 0.3), [])
    assert default_of(results) == "sigma 0.1"
    loss = dict(figures(results))["loss"].axes[0]
    colours = {line.get_label(): line.get_color() for line in loss.lines}
    expected = [BLUE, ORANGE, GREEN, BLACK, GREY, GREY]
    assert [colours[name] for name in results.configurations["setting"]] == expected
    named = {text.get_text().split("\n")[0]: text for text in loss.texts}
    assert set(named) == {"sigma 0.01", "sigma 0.02", "sigma 0.03", "sigma 0.1"}
    assert "(default)" in named["sigma 0.1"].get_text()


def test_epochs_are_drawn_where_there_are_enough():
    results = results_of(sweep_over(0.1, 0.2), [])
    axes = dict(figures(results))["loss"].axes[0]
    assert axes.get_xlabel() == "epochs"
    means = np.mean([r.summary.epoch_mean_loss for r in results.records[:3]], axis=0)
    (line,) = (line for line in axes.lines if line.get_label() == "sigma 0.1")
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata() == pytest.approx(means)
    axes = dict(figures(results_of(sweep_over(0.1, 0.2, epochs=2), [])))["loss"].axes[0]
    assert axes.get_xlabel() == "updates"


def test_bands_are_standard_errors():
    losses = np.random.default_rng(0).normal(size=(5, 3))
    error = Curves(np.arange(3), losses).error
    assert error == pytest.approx([np.std(column, ddof=1) / 5**0.5 for column in losses.T])
    assert Curves(np.arange(3), losses[:1]).error.tolist() == [0, 0, 0]


def test_seconds_are_drawn_where_speeds_differ_by_a_fifth():
    for factor, there in ((1.1, False), (1.3, True)):
        runs = sweep_over(0.1) + sweep_over(0.2, seconds=factor)
        assert ("seconds" in dict(figures(results_of(runs, [])))) is there


def test_three_settings_have_facets_and_a_random_search_lines():
    values = itertools.product((50, 100, 200, 300), (0.1, 0.01), (0.1, 0.05, 0.2))
    facets = [record(h + s + e, hidden=h, sigma=s, eta=e) for h, s, e in values]
    heat = dict(figures(results_of(facets, [])))["heat"]
    assert [axes.get_title() for axes in heat.axes[:2]] == ["sigma 0.01", "sigma 0.1"]
    assert heat.axes[0].images[0].get_array()[1].tolist() == [
        h + 0.01 + 0.1 for h in (50, 100, 200, 300)
    ]
    rng = np.random.default_rng(0)
    drawn_ = [record(rng.normal(), sigma=s, eta=e) for s, e in rng.uniform(0.01, 1, (12, 2)).tolist()]
    assert {"parallel"} == {"heat", "parallel"} & set(dict(figures(results_of(drawn_, []))))


def test_a_curve_tells_its_own_configuration_where_others_have_none():
    runs = [*sweep_over(0.1), *(record(30.0, sigma=0.01, seed=seed) for seed in range(3))]
    results = results_of([*runs, *sweep_over(0.2, seconds=2.0)], [])
    assert results.configurations["setting"].tolist() == ["sigma 0.01", "sigma 0.1", "sigma 0.2"]
    told, drawn_ = tips(results), dict(figures(results))
    for name in ("loss", "seconds"):
        curves = [line for line in drawn_[name].axes[0].lines if line.get_gid()]
        assert len(curves) == 2
        assert all(told[line.get_gid()] == line.get_label() for line in curves)


def test_names_do_not_overlap_and_stay_inside():
    places = spread([0.1, 0.11, 0.12, 0.99], [0.1, 0.1, 0.2, 0.1])
    assert places == pytest.approx([0.1, 0.2, 0.35, 0.95])


def test_a_picture_in_the_page_follows_its_colours_and_has_ids_of_its_own():
    figure = dict(figures(results_of(sweep_over(0.1, 0.2, seeds=5), [])))["best"]
    tips = [f"<{i}> & so on" for i in range(5)]
    text = inline(drawn(figure, "svg"), "best", 'a "label"', {"runs-0": tips, "runs-1": ["too few"]})
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == 'a "label"'
    assert "#000000" not in text
    assert "var(--card)" in text
    assert [title_.text for title_ in root.iter("title")] == tips
    assert all(e.get("id").startswith("best-") for e in root.iter() if e.get("id"))


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("cell", "value"),
    [("42.7", "42.7"), ("1e-08", "1e-08"), ("195,223", "195223"), ("< 0.001", "0.001"), ("-", ""),
     ("-1.5 to 2", "-1.5"), ("0.97 (0.9 to 1)", "0.97"), ("adam", ""), ("0a3f", ""), ("12%", "12"),
     ("1/8 of the updates", ""), ("2024-notes", ""), ("1,000/2", "")],
)  # fmt: skip
def test_cells_are_sorted_by_the_number_that_they_begin_with(cell, value):
    assert number(cell) == value


def test_every_table_is_there_in_latex_and_markdown():
    results = results_of(sweep_over(0.1, 0.2), [])
    for table in TABLES:
        texts = [text for text in table.texts(results) if text.rows]
        assert texts or table.name == "lengths"  # two configurations have no ranking
        cells = [row for text in texts for row in (text.columns, *text.rows)]
        in_latex, in_markdown = latex(table, results), markdown(table, results)
        lines = [line for line in in_latex.splitlines() if line.endswith(r" \\")]
        plain = [line.replace(r"\textmu{}", "µ").replace(r"\textless{}", "<") for line in lines]
        found = [re.sub(r"\\([&%$#_{}])", r"\1", line)[:-3].split(" & ") for line in plain]
        assert found == cells
        assert in_latex.count(r"\begin{") == in_latex.count(r"\end{") >= len(texts)
        rows = [line for line in in_markdown.splitlines() if line.startswith("| ")]
        assert [line[2:-2].replace("&lt;", "<").split(" | ") for line in rows] == cells


def test_markdown_escapes_what_it_would_read():
    cells = ["*a* **b** `c`", "![x](http://example.org/x.png)", "_d_ e_f <i>|", r"\*"]
    row = markdown_table(["text"] * 4, [cells]).splitlines()[-1]
    assert row == (
        r"| \*a\* \*\*b\*\* \`c\` | !\[x\](http://example.org/x.png) | \_d\_ e_f &lt;i&gt;\| | \\\* |"
    )


def test_latex_escapes_what_it_would_read():
    text = latex_table(["a_b", "c"], [["50 % of $x^2$ & {y} \\ ~#", "1"]] * 41)
    assert r"a\_b & c \\" in text
    assert (
        r"50 \% of \$x\textasciicircum{}2\$ \& \{y\} \textbackslash{} \textasciitilde{}\# & 1 \\" in text
    )
    assert text.startswith(r"\begin{longtable}{lr}")


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
    results = results_of(runs, [])
    pictures = {name: drawn(figure, "svg") for name, figure in figures(results)}
    assert set(pictures) == {"loss", "best", "heat", "seconds"}
    text = page(results, pictures, {}, NOTHING, 0)
    assert len(text.encode()) < 2_000_000
    assert "The first 400 of 4,950 rows; comparison.csv has all." in text
