"""Which pictures do the results have?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbrnn.config import SETTINGS
from nbrnn.naming import PER_CHARACTER, PER_WINDOW
from nbrnn.reports import drawings, maps
from nbrnn.reports.curves import Curves, curves_figure
from nbrnn.reports.reading import RunRecord
from nbrnn.reports.rows import rows_of, setting_cells
from nbrnn.reports.tables import Results, column_of
from nbrnn.storage.schemas import COMPLETE, DROPPED
from nbrnn.typing import Array

MOST_TRIED = 5  # configurations in the picture of the expected best
FEWEST_TRIES = 3  # 1, 2 and 3 runs, of twelve
FEWEST_EPOCHS = 3  # whose means are a curve
POINTS = 400  # of a curve in a picture
MOST_CURVES = 100  # in one
ALL_POINTS = 3000  # of all its curves
BEGUN = ("running", "interrupted", DROPPED)  # what is drawn of a configuration without finished runs
FASTER = 1.2  # times, from which on a picture against seconds says more than one against updates
WHOLE = 0.5  # of all combinations, from which on their table is no scatter of single cells
HEAT_SETTINGS = (2, 3)

STAND_OUT = "the best three configurations and the default are named, the others grey"
BANDS = f"The mean of each configuration's seeds, with a band of one standard error; {STAND_OUT}."
EPOCHS = f"The mean training loss of each epoch: the smooth loss follows the text's chapters. {BANDS}"
CAPTIONS = {
    "loss": f"The smooth loss against updates. {BANDS}",
    "held_out": f"The held-out loss against updates. {BANDS}",
    "best": "The {best} of every run, a dot each, below the mean of its configuration with the 95 % "
    "confidence interval of that mean.",
    "tries": "The {best} that the best of so many runs is expected to have, with 95 % confidence bands: "
    "of the configurations that may be the best, as far as there are four times as many runs.",
    "heat": "The mean {best} over the settings that were swept.",
    "parallel": "Each line is one configuration, through its values to its mean {best}.",
    "seconds": "The smooth loss against seconds of training, at the mean speed of each "
    f"configuration's runs. {BANDS}",
}


def caption(results: Results, name: str) -> str:
    """Return what a picture shows, in words."""
    words = EPOCHS if name == "loss" and by_epochs(results) else CAPTIONS[name]
    count = len(results.configurations)
    most = {"best": drawings.MOST_ROWS, **dict.fromkeys(("loss", "held_out", "seconds"), MOST_CURVES)}
    shown = most.get(name, count)
    rest = f" Of {count:,} configurations the best {shown} are shown." if shown < count else ""
    return words.format(best=results.best.words) + rest


def figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Return the pictures that these results have, with their names."""
    names = results.configurations["setting"].tolist()
    default = default_of(results)
    colours = drawings.colours_of(names, default)
    smooth = each(results, smooth_curves)
    means = each(results, epoch_curves) if by_epochs(results) else {}
    label = f"smooth loss ({results.unit})"
    if means:
        yield "loss", curves_figure(means, colours, "epochs", f"training loss ({results.unit})", default)
    elif smooth:
        yield "loss", curves_figure(smooth, colours, "updates", label, default)
    if held_out := each(results, held_out_curves):
        its_label = f"held-out loss ({PER_CHARACTER})"
        yield "held_out", curves_figure(held_out, colours, "updates", its_label, default)
    if results.findings.names:
        yield from figures_of_best(results, colours)
    seconds = seconds_per_update(results)
    timed = {n: Curves(c.x * seconds[n], c.losses) for n, c in smooth.items() if n in seconds}
    speeds = [seconds[name] for name in timed]
    if speeds and max(speeds) >= FASTER * min(speeds):
        yield "seconds", curves_figure(timed, colours, "seconds of training on one core", label, default)


def figures_of_best(results: Results, colours: dict[str, str]) -> Iterator[tuple[str, Figure]]:
    """Return the pictures of the measure that ranks configurations."""
    column, label = results.best.column, f"{results.best.words} ({results.unit_of(results.best)})"
    finished = finished_configurations(results)
    runs = best_runs(results)
    losses = {name: runs.loc[[name], column].to_numpy(float) for name in finished["setting"]}
    means, lows, highs = (
        finished[f"{column}_{end}"].to_numpy(float) for end in ("mean", "ci_low", "ci_high")
    )
    ends = zip(means.tolist(), lows.tolist(), highs.tolist(), strict=True)
    intervals = dict(zip(finished["setting"], ends, strict=True))
    yield "best", drawings.dots_figure(losses, intervals, colours, label, setting_cells(results))
    if bands := tries_of(results):
        yield "tries", drawings.tries_figure(bands, colours, label)
    swept = everywhere(results)
    if len(swept) < min(HEAT_SETTINGS):
        return
    named = [{c: row[c] for c in swept} for row in rows_of(finished)]
    # the facets are those of the setting with the fewest values
    scales = sorted((maps.scale_of(c, [one[c] for one in named]) for c in swept), key=by_size)
    cells = float(np.prod([len(scale.values) for scale in scales]))
    one_each = not finished.duplicated(swept).any()
    if len(swept) in HEAT_SETTINGS and one_each and len(named) >= WHOLE * cells:
        values = maps.table_over(named, means, scales)
        yield "heat", maps.heat_figure(values, scales, f"mean {label}")
    else:
        yield "parallel", maps.parallel_figure(named, means, f"mean {label}")


def by_size(scale: maps.Scale) -> int:
    """Return how many values a setting has."""
    return len(scale.values)


def tips(results: Results) -> dict[str, str | list[str]]:
    """Return what is said of each curve and of each dot, by the gid that it has in the pictures."""
    names = results.configurations["setting"].tolist()
    found: dict[str, str | list[str]] = {f"curve-{i}": name for i, name in enumerate(names)}
    column, runs = results.best.column, best_runs(results)
    for row, name in enumerate(finished_configurations(results)["setting"][: drawings.MOST_ROWS]):
        its = runs.loc[[name], [column, "seed", "run_id"]].itertuples(index=False)
        found[f"runs-{row}"] = [f"{value:.5g}, seed {seed}: {name}\n{run}" for value, seed, run in its]
    return found


def finished_configurations(results: Results) -> pd.DataFrame:
    """Return the rows of the configurations that have a finished run, as they are drawn."""
    table = results.configurations
    return table[table[f"{results.best.column}_mean"].notna()]


def best_runs(results: Results) -> pd.DataFrame:
    """Return the finished runs, by the name of their configuration."""
    runs = results.compared
    finished = runs["status"].isin(COMPLETE) & runs[results.best.column].notna()
    return runs[finished].set_index("setting")


def everywhere(results: Results) -> list[str]:
    """Return the columns of the swept settings that all configurations with a loss have.

    Not those that some lack: epochs, where others count updates.
    """
    table = finished_configurations(results)
    columns = [column_of(name) for name in results.swept]
    return [c for c in columns if table[c].notna().all() and table[c].nunique() > 1]


def default_of(results: Results) -> str | None:
    """Return the configuration whose settings all have their defaults, but for its length."""
    swept = [name for name in results.swept if name not in ("epochs", "updates")]
    for record, name in zip(results.records, results.runs["setting"], strict=True):
        values = vars(record.config)
        if swept and all(values[s] == SETTINGS[s].default_in(values) for s in swept):
            return str(name)
    return None


def tries_of(results: Results) -> dict[str, tuple[Array, Array]]:
    """Return the expected best of several runs where two configurations have enough of them."""
    table = results.findings.tries.dropna(subset=["ci_low"])
    bands = {}
    for name in results.findings.may_be_best[:MOST_TRIED]:
        rows = table[table["setting"] == name]
        if len(rows) >= FEWEST_TRIES:
            values = rows[["expected_best", "ci_low", "ci_high"]].to_numpy(float).T
            bands[name] = rows["tries"].to_numpy(float), values
    return bands if len(bands) > 1 else {}


# ---------------------------------------------------------------- curves


def each(
    results: Results, curves_of: Callable[[Results, list[RunRecord]], list[tuple[Array, Array]]]
) -> dict[str, Curves]:
    """Return the curves of each configuration that has any: of finished runs, or else of those begun."""
    runs = results.runs[["setting", "status"]]
    found: dict[str, Curves] = {}
    names = results.configurations["setting"].tolist()
    shown = [*names[:MOST_CURVES], *({default_of(results)} & set(names[MOST_CURVES:]))]
    most = min(POINTS, ALL_POINTS // len(shown))
    by_name = dict(list(runs.groupby("setting", sort=False)))
    for name in shown:
        its = by_name[name]
        finished = its[its["status"].isin(COMPLETE)]
        chosen = finished if len(finished) else its[its["status"].isin(BEGUN)]
        series = curves_of(results, [results.records[i] for i in chosen.index])
        if curves := common(series, most):
            found[str(name)] = curves
    return found


def smooth_curves(results: Results, records: Sequence[RunRecord]) -> list[tuple[Array, Array]]:
    """Return the smooth losses of runs at their updates."""
    return [(record.updates, record.smooth_losses * scale(results, record)) for record in records]


def epoch_curves(results: Results, records: Sequence[RunRecord]) -> list[tuple[Array, Array]]:
    """Return the mean losses of the whole epochs of runs, from 1."""
    means = [np.array(record.summary.epoch_mean_loss) * scale(results, record) for record in records]
    return [(np.arange(1, len(mean) + 1), mean) for mean in means]


def held_out_curves(results: Results, records: Sequence[RunRecord]) -> list[tuple[Array, Array]]:
    """Return the held-out losses of runs at their updates."""
    return [(record.looks, record.held_out_losses) for record in records]


def scale(results: Results, record: RunRecord) -> float:
    """Return with what the losses of a run are multiplied, to be in the unit of these results."""
    return 1.0 if results.unit == PER_WINDOW else 1 / record.config.characters_in_loss


def by_epochs(results: Results) -> bool:
    """Whether all finished runs have enough epochs that their means are a curve."""
    summaries = [record.summary for record in results.records]
    finished = [len(s.epoch_mean_loss) for s in summaries if s.status == "finished"]
    return min(finished, default=0) >= FEWEST_EPOCHS


def seconds_per_update(results: Results) -> dict[str, float]:
    """Return the mean time of an update of each configuration's finished runs, or of those begun."""
    runs = results.runs[(results.runs["updates"] > 0) & (results.runs["seconds"] > 0)]
    known = runs.assign(each=runs["seconds"] / runs["updates"], done=runs["status"].isin(COMPLETE))
    means = known.groupby(["setting", "done"])["each"].mean().reset_index()  # the finished ones last
    return dict(zip(means["setting"], means["each"], strict=True))


def common(series: Sequence[tuple[Array, Array]], most: int) -> Curves | None:
    """Return curves, of places and losses, as far as all of them go; None where there is none.

    Of more than `most` points some are left out.
    """
    begun = [(x, losses) for x, losses in series if x.size]
    if not begun:
        return None
    shortest = min(x.size for x, _ in begun)
    step = -(-shortest // most)
    points = np.unique(np.append(np.arange(0, shortest, step), shortest - 1))
    return Curves(begun[0][0][points], np.array([losses[points] for _, losses in begun]))
