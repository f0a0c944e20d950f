"""The pictures of many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbrnn.analysis.effects import sort_key
from nbrnn.analysis.result_tables import Results, column_of
from nbrnn.analysis.run_records import RunRecord
from nbrnn.config import SETTINGS
from nbrnn.naming import PER_CHARACTER
from nbrnn.report import dot_plots, heatmaps
from nbrnn.report.curves import Curves, curves_figure
from nbrnn.report.table_registry import setting_cells
from nbrnn.storage.schemas import COMPLETE, DROPPED
from nbrnn.typing import Array

MAX_TRIED = 5  # configurations in the picture of the expected best
MIN_TRIES = 3  # 1, 2 and 3 runs, of twelve
RUNS_PER_TRY = 4  # below which the best of several is that of the same few runs
MIN_EPOCHS = 3  # whose means are a curve
MAX_POINTS = 400  # of a curve
MAX_CURVES = 100  # in one picture
MAX_ALL_POINTS = 3000  # of all its curves
STARTED = ("running", "interrupted", "diverged", DROPPED)  # drawn where no run is finished
MIN_SPEED_RATIO = 1.2  # from which on a picture against seconds says more than one against updates
MIN_FILLED = 0.5  # of all combinations, from which on a heat map is drawn
HEATMAP_SETTINGS = (2, 3)

BANDS = (
    "The mean of each configuration's seeds, with a band of one standard error; the best three "
    "configurations and the default are named, and those beyond the picture; the others are grey."
)
EPOCHS = f"The mean training loss of each epoch. {BANDS}"
CAPTIONS = {
    "loss": f"The smooth loss against updates. {BANDS}",
    "held_out": f"The validation loss against updates. {BANDS}",
    "best": "The {best} of every run, a dot each, below the median of its configuration with the "
    "95 % confidence interval of that median (from six seeds on).",
    "tries": "The expected {best} of the best of several runs, for the "
    "configurations that are not significantly worse than the best.",
    "heat": "The median {best} over the settings that were swept.",
    "slices": "The median {best} of each configuration against its value of each setting.",
    "seconds": f"The smooth loss against seconds of training, at the mean speed of each. {BANDS}",
}


def caption(results: Results, name: str) -> str:
    """Return what a picture shows, in words."""
    words = EPOCHS if name == "loss" and by_epochs(results) else CAPTIONS[name]
    count = len(results.configurations)
    limits = {"best": dot_plots.MAX_ROWS, **dict.fromkeys(("loss", "held_out", "seconds"), MAX_CURVES)}
    limit = limits.get(name, count)
    rest = f" The best {limit} of {count:,} configurations are shown." if limit < count else ""
    return words.format(best=results.best.words) + rest


def figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Return the pictures of these results, by name."""
    default = default_of(results)
    colours = dot_plots.colours_of(results.configurations["setting"].tolist(), default)

    def curves(lines: dict[str, Curves], axis: str, label: str) -> Figure:
        return curves_figure(lines, colours, axis, label, default)

    smooth = curves_of(results, lambda r: (r.updates, r.smooth_losses * r.scale(results.unit)))
    label = f"smooth loss ({results.unit})"
    if by_epochs(results) and (means := curves_of(results, lambda r: epoch_means(r, results.unit))):
        yield "loss", curves(means, "epochs", f"training loss ({results.unit})")
    elif smooth:
        yield "loss", curves(smooth, "updates", label)
    if held_out := curves_of(results, lambda r: (r.evaluations, r.validation_losses)):
        yield "held_out", curves(held_out, "updates", f"validation loss ({PER_CHARACTER})")
    if results.findings.names:
        yield from figures_of_best(results, colours)
    seconds = seconds_per_update(results)
    timed = {n: Curves(c.x * seconds[n], c.losses) for n, c in smooth.items() if n in seconds}
    speeds = [seconds[name] for name in timed]
    if speeds and max(speeds) >= MIN_SPEED_RATIO * min(speeds):
        yield "seconds", curves(timed, "seconds of training on one core", label)


def figures_of_best(results: Results, colours: dict[str, str]) -> Iterator[tuple[str, Figure]]:
    """Return the pictures of the measure that ranks configurations."""
    column, label = results.best.column, results.label(results.best)
    finished = finished_configurations(results)
    runs = best_runs(results)
    losses = {name: runs.loc[[name], column].to_numpy(float) for name in finished["setting"]}
    ends = finished[[f"{column}_{end}" for end in ("median", "ci_low", "ci_high")]]
    intervals = dict(zip(finished["setting"], ends.itertuples(index=False, name=None), strict=True))
    yield "best", dot_plots.dots_figure(losses, intervals, colours, label, setting_cells(results))
    if expected := expected_bests(results):
        yield "tries", dot_plots.tries_figure(expected, colours, label)
    columns = [  # those that all configurations with a loss have
        name
        for name in map(column_of, results.swept)
        if finished[name].notna().all() and finished[name].nunique() > 1
    ]
    if len(columns) < min(HEATMAP_SETTINGS):
        return
    medians, settings = ends.iloc[:, 0].to_numpy(float), finished[columns].astype(object)
    values = {name: sorted(set(settings[name]), key=sort_key) for name in columns}
    values = dict(sorted(values.items(), key=lambda item: len(item[1])))  # facets come first
    every = pd.MultiIndex.from_product(list(values.values()))
    one_each = not settings.duplicated().any()
    if len(columns) in HEATMAP_SETTINGS and one_each and len(settings) >= MIN_FILLED * len(every):
        index = pd.MultiIndex.from_frame(settings[list(values)])
        table = pd.Series(medians, index).reindex(every).to_numpy()
        sizes = [len(of_setting) for of_setting in values.values()]
        yield "heat", heatmaps.heat_figure(table.reshape(sizes), values, label)
    else:
        yield "slices", heatmaps.slices_figure(settings, medians, label)


def tips(results: Results) -> dict[str, str | list[str]]:
    """Return the tips of each curve and of each dot, by the id that it has in the pictures."""
    names = results.configurations["setting"].tolist()
    tips: dict[str, str | list[str]] = {f"curve-{i}": name for i, name in enumerate(names)}
    column, runs = results.best.column, best_runs(results)
    for row, name in enumerate(finished_configurations(results)["setting"][: dot_plots.MAX_ROWS]):
        dots = runs.loc[[name], [column, "seed", "run_id"]].itertuples(index=False)
        tips[f"runs-{row}"] = [f"{value:.5g}, seed {seed}: {name}\n{run}" for value, seed, run in dots]
    return tips


def finished_configurations(results: Results) -> pd.DataFrame:
    """Return the rows of the configurations that have a finished run, as they are drawn."""
    table = results.configurations
    return table[table[f"{results.best.column}_mean"].notna()]


def best_runs(results: Results) -> pd.DataFrame:
    """Return the finished runs, by the name of their configuration."""
    runs = results.compared
    finished = runs["status"].isin(COMPLETE) & runs[results.best.column].notna()
    return runs[finished].set_index("setting")


def default_of(results: Results) -> str | None:
    """Return the configuration whose settings all have their defaults, but for its length."""
    swept = [name for name in results.swept if name not in ("epochs", "updates")]
    for record, name in zip(results.records, results.runs["setting"], strict=True):
        values = vars(record.config)
        if swept and all(values[s] == SETTINGS[s].default_in(values) for s in swept):
            return str(name)
    return None


def expected_bests(results: Results) -> dict[str, tuple[Array, Array]]:
    """Return the expected best of several runs where two configurations have enough of them."""
    table = results.findings.tries
    curves = {}
    for name in results.findings.may_be_best[:MAX_TRIED]:
        rows = table[(table["setting"] == name) & (table["n"] >= RUNS_PER_TRY * table["tries"])]
        if len(rows) >= MIN_TRIES:
            curves[name] = rows["tries"].to_numpy(float), rows["expected_best"].to_numpy(float)
    return curves if len(curves) > 1 else {}


# ---------------------------------------------------------------- curves


def curves_of(
    results: Results, curve_of: Callable[[RunRecord], tuple[Array, Array]]
) -> dict[str, Curves]:
    """Return the curves of each configuration: of finished runs, or else of started ones."""
    curves: dict[str, Curves] = {}
    names = results.configurations["setting"].tolist()
    shown = [*names[:MAX_CURVES], *({default_of(results)} & set(names[MAX_CURVES:]))]
    max_points = min(MAX_POINTS, MAX_ALL_POINTS // len(shown))
    groups = dict(list(results.runs[["setting", "status"]].groupby("setting", sort=False)))
    for name in shown:
        statuses = groups[name]["status"]
        finished = statuses[statuses.isin(COMPLETE)]
        chosen = finished if len(finished) else statuses[statuses.isin(STARTED)]
        series = [curve_of(results.records[i]) for i in chosen.index]
        if common := common_part(series, max_points):
            curves[str(name)] = common
    return curves


def epoch_means(record: RunRecord, unit: str) -> tuple[Array, Array]:
    """Return the mean losses of the whole epochs of a run, from 1."""
    means = np.array(record.summary.epoch_mean_loss) * record.scale(unit)
    return np.arange(1, len(means) + 1), means


def by_epochs(results: Results) -> bool:
    """Whether all finished runs have enough epochs that their means are a curve."""
    summaries = [record.summary for record in results.records]
    finished = [len(s.epoch_mean_loss) for s in summaries if s.status == "finished"]
    return min(finished, default=0) >= MIN_EPOCHS


def seconds_per_update(results: Results) -> dict[str, float]:
    """Return the mean time of an update of each configuration's finished runs, or of started ones."""
    runs = results.runs[(results.runs["updates"] > 0) & (results.runs["seconds"] > 0)]
    known = runs.assign(each=runs["seconds"] / runs["updates"], done=runs["status"].isin(COMPLETE))
    means = known.groupby(["setting", "done"])["each"].mean().reset_index()  # the finished ones last
    return dict(zip(means["setting"], means["each"], strict=True))


def common_part(series: Sequence[tuple[Array, Array]], max_points: int) -> Curves | None:
    """Return curves, of places and losses, as far as all of them go; None where there is none."""
    started = [(x, losses) for x, losses in series if x.size]
    if not started:
        return None
    shortest = min(x.size for x, _ in started)
    step = -(-shortest // max_points)
    points = np.unique(np.append(np.arange(0, shortest, step), shortest - 1))
    return Curves(started[0][0][points], np.array([losses[points] for _, losses in started]))
