"""The picture shows the numbers of the files."""

import io

import numpy as np

from nbrnn.run_plots import loss_figure, save
from nbrnn.storage.run_folder import RunFolder


def test_the_curve_the_best_point_and_both_axes(run_folder):
    folder = RunFolder(run_folder)
    metrics, summary = folder.read_metrics(), folder.read_summary()
    figure = loss_figure(
        (metrics.update, metrics.smooth_loss),
        (summary.best_update, summary.smooth_loss_best),
        "title",
        199,
        "nats per window",
    )
    curve, best = figure.axes[0].lines
    assert np.array_equal(curve.get_xdata(), metrics.update)
    assert np.array_equal(curve.get_ydata(), metrics.smooth_loss)
    assert best.get_xdata() == [summary.best_update]
    assert best.get_ydata() == [summary.smooth_loss_best]
    above = figure.axes[0].child_axes[0]
    figure.draw_without_rendering()
    assert above.get_xlim()[1] == figure.axes[0].get_xlim()[1] / 199
    assert (figure.axes[0].get_xlabel(), above.get_xlabel()) == ("updates", "epochs")
    assert "nats per window" in figure.axes[0].get_ylabel()


def test_the_plot_in_the_folder_is_the_one_of_its_metrics(run_folder):
    folder = RunFolder(run_folder)
    metrics, summary = folder.read_metrics(), folder.read_summary()
    curve, best = metrics[0::3], (summary.best_update, summary.smooth_loss_best)
    title = "made-up: m = 20, T = 25, eta = 0.1, sigma = 0.1, seed 0"
    file = io.BytesIO()
    save(loss_figure(curve, best, title, 199, "nats per window"), file, "png")
    assert (run_folder / "loss.png").read_bytes() == file.getvalue()
