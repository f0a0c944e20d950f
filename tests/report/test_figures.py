"""The pictures of many runs: which are drawn, of what, and what they name."""

import itertools

import numpy as np
import pytest
from recorded import falling, record, sweep_over

from nbrnn.analysis.result_tables import results_of
from nbrnn.report.curves import Curves, curves_figure
from nbrnn.report.dot_plots import colours_of, tries_figure
from nbrnn.report.figures import default_of, figures, tips
from nbrnn.report.heatmaps import heat_figure
from nbrnn.run_plots import BLACK, BLUE, GREEN, GREY, ORANGE


def drawn(runs):
    return dict(figures(results_of(runs, [])))


def test_the_best_three_and_the_default_stand_out():
    results = results_of(sweep_over(0.01, 0.02, 0.03, 0.1, 0.2, 0.3), [])
    assert default_of(results) == "sigma 0.1"
    figure = dict(figures(results))["loss"]
    loss = figure.axes[0]
    colours = {line.get_label(): line.get_color() for line in loss.lines}
    expected = [BLUE, ORANGE, GREEN, BLACK, GREY, GREY]
    assert [colours[name] for name in results.configurations["setting"]] == expected
    named = [text.get_text() for text in figure.legends[0].texts]
    assert named == ["sigma 0.01", "sigma 0.02", "sigma 0.03", "sigma 0.1\n(default)"]


def test_a_curve_that_blows_up_is_named_above_the_picture():
    ends = {"a": 40.0, "b": 41.0, "eta 1e+30": 1e6, "c": 42.0, "d": 1e9}
    curves = {n: Curves(np.arange(30.0), np.linspace(50, end, 30)[None]) for n, end in ends.items()}
    figure = curves_figure(curves, colours_of(list(curves), None), "updates", "loss", None)
    axes = figure.axes[0]
    assert axes.get_ylim()[1] < 60
    assert axes.get_title(loc="left") == "↑ beyond: eta 1e+30\n    d"
    named = {text.get_text() for text in figure.legends[0].texts}
    assert named == {"a", "b"}  # the best three stand out


def test_a_diverged_configuration_has_its_curve():
    diverged = [record(None, "diverged", curves=falling(90.0, 1), sigma=9.0)]
    lines = drawn([*sweep_over(0.1, 0.2, epochs=2), *diverged])["loss"].axes[0].lines
    assert "sigma 9" in {line.get_label() for line in lines}


def test_epochs_are_drawn_where_there_are_enough():
    results = results_of(sweep_over(0.1, 0.2), [])
    axes = dict(figures(results))["loss"].axes[0]
    assert axes.get_xlabel() == "epochs"
    means = np.mean([r.summary.epoch_mean_loss for r in results.records[:3]], axis=0)
    (line,) = (line for line in axes.lines if line.get_label() == "sigma 0.1")
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata() == pytest.approx(means)
    assert drawn(sweep_over(0.1, 0.2, epochs=2))["loss"].axes[0].get_xlabel() == "updates"


def test_bands_are_standard_errors():
    losses = np.random.default_rng(0).normal(size=(5, 3))
    error = Curves(np.arange(3), losses).error
    assert error == pytest.approx([np.std(column, ddof=1) / 5**0.5 for column in losses.T])
    assert Curves(np.arange(3), losses[:1]).error.tolist() == [0, 0, 0]


def test_seconds_are_drawn_where_speeds_differ_by_a_fifth():
    for factor, there in ((1.1, False), (1.3, True)):
        assert ("seconds" in drawn(sweep_over(0.1) + sweep_over(0.2, seconds=factor))) is there


def test_three_settings_have_facets_and_a_random_search_slices():
    values = itertools.product((50, 100, 200, 300), (0.1, 0.01), (0.1, 0.05, 0.2))
    heat = drawn([record(h + s + e, hidden=h, sigma=s, eta=e) for h, s, e in values])["heat"]
    assert [axes.get_title() for axes in heat.axes[:2]] == ["sigma 0.01", "sigma 0.1"]
    assert heat.axes[0].images[0].get_array()[1].tolist() == [
        h + 0.01 + 0.1 for h in (50, 100, 200, 300)
    ]
    rng = np.random.default_rng(0)
    search = [record(rng.normal(), sigma=s, eta=e) for s, e in rng.uniform(0.01, 1, (12, 2)).tolist()]
    pictures = drawn(search)
    assert "heat" not in pictures
    for axes, name in zip(pictures["slices"].axes, ("eta", "sigma"), strict=True):
        values = [getattr(run.config, name) for run in search]
        assert axes.get_xlabel() == name
        assert sorted(axes.lines[0].get_xdata()) == sorted(values)


def test_the_best_of_several_runs_is_drawn_where_there_are_enough():
    def grid(seeds):
        rng = np.random.default_rng(1)
        return [record(40 + rng.normal(), sigma=s, seed=n) for s in (0.1, 0.01) for n in range(seeds)]

    assert list(drawn(grid(20))) == ["best", "tries"]
    assert list(drawn(grid(4))) == ["best"]


@pytest.mark.parametrize("kind", ["heat", "tries"])
def test_long_labels_fit_their_picture(kind):
    label = "validation loss of the best model (nats per character)"
    if kind == "heat":
        figure = heat_figure(np.eye(2), {"eta": [0.1, 0.2], "sigma": [1, 2]}, label)
        text = figure.axes[1].yaxis.label
    else:
        figure = tries_figure({"a": (np.arange(1, 4), np.ones((3, 3)))}, {"a": BLUE}, label)
        text = figure.axes[0].yaxis.label
    figure.draw_without_rendering()
    box = text.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= figure.bbox.y1


def test_a_curve_tells_its_own_configuration_where_others_have_none():
    runs = [*sweep_over(0.1), *(record(30.0, sigma=0.01, seed=seed) for seed in range(3))]
    results = results_of([*runs, *sweep_over(0.2, seconds=2.0)], [])
    assert results.configurations["setting"].tolist() == ["sigma 0.01", "sigma 0.1", "sigma 0.2"]
    names, pictures = tips(results), dict(figures(results))
    for name in ("loss", "seconds"):
        curves = [line for line in pictures[name].axes[0].lines if line.get_gid()]
        assert len(curves) == 2
        assert all(names[line.get_gid()] == line.get_label() for line in curves)
