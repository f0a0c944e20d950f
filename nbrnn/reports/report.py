"""How are the runs shown: tables, samples, pictures, and one page with all of it?"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from nbrnn import plots
from nbrnn.errors import NbrnnError, StoreError
from nbrnn.network.params import Array
from nbrnn.reports.tables import MEASURES, Results, column_of, read
from nbrnn.runs.files import write_atomically
from nbrnn.runs.store import RunFolder, SweepFolder, locked

PAGE = "index.html"
POINTS = 400  # of a curve in a picture
MOST_SAMPLES = 12  # configurations whose samples are on the page; samples.md has all
MOST_SENTENCES = 30
PATIENCE = 60.0  # seconds that another report into the same folder may take

CAPTIONS = {
    "loss": "The smooth loss against updates: the mean of each configuration's seeds, with a band of "
    "one standard deviation or, for few runs, a thin line for each.",
    "best": "The best smooth loss of every run, with the mean of each configuration and the 95 % "
    "confidence interval of that mean.",
    "heat": "The mean best smooth loss over the two settings that were swept.",
    "parallel": "Each line is one configuration, through its values to its mean best smooth loss.",
    "seconds": "The smooth loss against seconds of training, at the mean speed of each "
    "configuration's runs.",
}


@dataclass
class Report:
    """What was written, and from what."""

    folder: Path
    results: Results
    files: list[str] = field(default_factory=list)

    @property
    def page(self) -> Path:
        """The page with everything."""
        return self.folder / PAGE

    def document(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; NaN is None."""
        return {
            "report": str(self.folder),
            "files": self.files,
            "unreadable": self.results.unreadable,
            **{name: plain_rows(table) for name, table in self.results.tables().items()},
        }


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table under the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, with None for what is not there."""
    return rows_of(table.astype(object).where(table.notna(), None))


def report(paths: Sequence[Path], out: Path, *, refresh: int = 0) -> Report:
    """Write tables, samples, pictures and a page about the runs in folders of sweeps and runs.

    With `refresh` the page loads itself again after so many seconds. Raises StoreError if there is
    nothing to report, WriteError if it cannot be written.
    """
    if RunFolder(out).is_run() or SweepFolder(out).is_sweep():
        raise StoreError(f"{out} is the folder of a run or a sweep: give another --out")
    results = read(paths)
    with locked(out, PATIENCE):
        return write_files(results, out, refresh)


def write_files(results: Results, out: Path, refresh: int) -> Report:
    """Write all files of a report."""
    written = Report(out, results)
    is_older_report = written.page.exists()

    def write(name: str, data: bytes) -> None:
        write_atomically(out / name, lambda file: file.write(data))
        written.files.append(name)

    for name, table in results.tables().items():
        write(f"{name}.csv", table.to_csv(index=False).encode())
    write("settings.md", configurations_markdown(results).encode())
    write("comparison.md", comparison_markdown(results).encode())
    texts = samples_of(results)
    write("samples.md", samples_markdown(texts).encode())
    pictures = {}
    for name, figure in figures(results):
        for kind in ("png", "svg"):
            image = drawn(figure, kind)
            write(f"{name}.{kind}", image)
        pictures[name] = base64.b64encode(image).decode()
    for name in set(CAPTIONS) - set(pictures) if is_older_report else ():
        for kind in ("png", "svg"):
            (out / f"{name}.{kind}").unlink(missing_ok=True)
    write(PAGE, page(results, pictures, texts, refresh).encode())
    return written


def drawn(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    plots.save(figure, file, kind)
    return file.getvalue()


# ---------------------------------------------------------------- pictures


def figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Return the pictures that these results have, with their names."""
    configurations, unit = results.configurations, results.unit
    # without those that not all runs have: epochs, where others count updates
    columns = [c for name in results.swept if configurations[c := column_of(name)].notna().all()]
    values = {row["setting"]: [row[c] for c in columns] for row in rows_of(configurations)}
    looks = plots.styles(values)
    curves = {name: curve for name in values if (curve := curves_of(results, name))}
    if curves:
        yield "loss", plots.curves_figure(curves, looks, "updates", unit)
    finished = configurations[configurations["smooth_loss_best_mean"].notna()]
    if len(finished):
        compared = results.compared[results.compared["status"] == "finished"]
        best = compared.set_index("setting")["smooth_loss_best"]
        losses = {name: best.loc[[name]].to_numpy(float) for name in finished["setting"]}
        interval = [f"smooth_loss_best_{name}" for name in ("mean", "ci_low", "ci_high")]
        intervals = {row["setting"]: tuple(row[i] for i in interval) for row in rows_of(finished)}
        yield "best", plots.dots_figure(losses, intervals, looks, unit)
        numeric = [c for c in columns if pd.api.types.is_numeric_dtype(finished[c])]
        one_each = not finished.duplicated(columns).any() if columns else False
        if len(columns) == len(numeric) == 2 and one_each:
            table = finished.pivot(index=columns[0], columns=columns[1], values=interval[0])
            rows, across = (columns[0], list(table.index)), (columns[1], list(table.columns))
            yield "heat", plots.heat_figure(table.to_numpy(float), rows, across, unit)
        if len(columns) >= 3:
            named = [{c: row[c] for c in columns} for row in rows_of(finished)]
            yield "parallel", plots.parallel_figure(named, finished[interval[0]].to_numpy(float), unit)
    if curves:
        yield "seconds", plots.curves_figure(curves, looks, "seconds", unit)


def curves_of(results: Results, configuration: str) -> plots.Curves | None:
    """Return the curves of a configuration's finished runs, or else of those that are on their way."""
    runs = results.runs[results.runs["setting"] == configuration]
    finished = runs[runs["status"] == "finished"]
    chosen = finished if len(finished) else runs[runs["status"].isin(["running", "interrupted"])]
    read_before: list[tuple[Array, Array]] = []
    for index in chosen.index.tolist():
        try:
            metrics = results.folders[index].read_metrics()
        except NbrnnError:
            continue
        if metrics["update"].size:
            read_before.append((metrics["update"], metrics["smooth_loss"]))
    if not read_before:
        return None
    shortest = min(update.size for update, _ in read_before)
    step = -(-shortest // POINTS)
    points = np.unique(np.append(np.arange(0, shortest, step), shortest - 1))
    scale = 1 / float(runs["seq_length"].iloc[0]) if results.per_character else 1.0
    return plots.Curves(
        updates=read_before[0][0][points],
        losses=np.array([losses[points] for _, losses in read_before]) * scale,
        seconds_per_update=float((chosen["seconds"] / chosen["updates"]).mean()),
    )


# ---------------------------------------------------------------- tables


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, all columns but the first to the right."""
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "--:|" * (len(columns) - 1)]
    for row in rows:
        cells = (html.escape(cell, quote=False).replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def configuration_rows(results: Results, measure: str) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of configurations for one measure."""
    columns = ["configuration", "seeds", "failed", "mean", "sd", "95 % CI", "median", "min", "max"]
    rows = []
    for row in rows_of(results.configurations):
        mean, sd, *rest = (
            figure_of(row[f"{measure}_{name}"], results)
            for name in ("mean", "sd", "median", "min", "max")
        )
        interval = interval_of(row[f"{measure}_ci_low"], row[f"{measure}_ci_high"], results)
        rows.append([row["setting"], str(row["n"]), str(row["failures"]), mean, sd, interval, *rest])
    return columns, rows


def figure_of(value: float, results: Results) -> str:
    """Return a loss with the digits that mean something."""
    return f"{value:.{3 if results.per_character else 2}f}" if np.isfinite(value) else "-"


def interval_of(low: float, high: float, results: Results) -> str:
    """Return a confidence interval, if there is one."""
    return f"{figure_of(low, results)} to {figure_of(high, results)}" if np.isfinite(low) else "-"


def configurations_markdown(results: Results) -> str:
    """Return settings.md."""
    parts = [
        "# Configurations",
        f"Over the finished seeds of each configuration; losses in {results.unit}.",
    ]
    for measure, name in measures_of(results).items():
        parts += [f"## {name.capitalize()}", markdown_table(*configuration_rows(results, measure))]
    return "\n\n".join(parts) + "\n"


def measures_of(results: Results) -> dict[str, str]:
    """Return the measures that some run has: a short one ends before its first epoch does."""
    return {measure: name for measure, name in MEASURES.items() if results.runs[measure].notna().any()}


METHOD = (
    "The difference is taken seed by seed, since a seed gives both configurations the same random "
    "numbers; mean and 95 % confidence interval after Student (The probable error of a mean, "
    "Biometrika 6, 1908). Each interval stands for its pair alone; p is corrected for the number of "
    "pairs after Holm (A simple sequentially rejective multiple test procedure, Scandinavian Journal of "
    "Statistics 6, 1979)."
)


def comparison_rows(results: Results, measure: str) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of differences for one measure."""
    columns = ["a", "b", "seeds", "mean", "95 % CI", "a lower", "b lower", "p (Holm)"]
    rows = []
    for row in rows_of(results.comparison[results.comparison["measure"] == measure]):
        p = row["p_holm"]
        rows.append(
            [
                row["a"],
                row["b"],
                str(row["n"]),
                figure_of(row["mean_difference"], results),
                interval_of(row["ci_low"], row["ci_high"], results),
                str(row["a_lower"]),
                str(row["b_lower"]),
                "-" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}",
            ]
        )
    return columns, rows


def sentences(results: Results, measure: str) -> list[str]:
    """Return the differences of configurations in words; all pairs, or the first of too many."""
    rows = results.comparison[results.comparison["measure"] == measure]
    return [str(text) for text in rows["sentence"]][:MOST_SENTENCES]


def comparison_markdown(results: Results) -> str:
    """Return comparison.md."""
    parts = ["# Differences between configurations", METHOD + f" Losses in {results.unit}."]
    for measure, name in measures_of(results).items():
        columns, rows = comparison_rows(results, measure)
        if rows:
            parts += [f"## {name.capitalize()}", markdown_table(columns, rows)]
            parts += [
                "\n".join(f"- {html.escape(text, quote=False)}" for text in sentences(results, measure))
            ]
    if len(parts) == 2:
        parts.append("There is one configuration only.")
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------- samples

Samples = Mapping[str, list[tuple[str, list[str]]]]  # by configuration: when, and one text for each seed


def samples_of(results: Results) -> Samples:
    """Return what each configuration's best, median and worst seed wrote: first, midway, last.

    The first row tells the seeds.
    """
    found = {}
    for configuration in results.configurations["setting"]:
        folders = results.folders_of(configuration)
        if not folders:
            continue
        seeds = list(folders)
        ranks = {"best": 0, "median": (len(seeds) - 1) // 2, "worst": len(seeds) - 1}
        chosen = {seeds[rank]: name for name, rank in reversed(ranks.items())}
        texts = {seed: three_samples(folders[seed]) for seed in reversed(chosen)}
        heads = [f"{chosen[seed]} seed, {seed}" for seed in texts]
        rows = [("", heads)]
        for updates in sorted({update for text in texts.values() for update in text}):
            row = [text.get(updates, "") for text in texts.values()]
            rows.append((f"update {updates:,}", row))
        found[configuration] = rows
    return found


def three_samples(folder: RunFolder) -> dict[int, str]:
    """Return the first, the middle and the last sample of a run by update."""
    try:
        samples = folder.read_samples()
    except NbrnnError:
        return {}
    places = {0, (len(samples) - 1) // 2, len(samples) - 1} if samples else set()
    return {samples[i]["update"]: samples[i]["text"].replace("\r", "") for i in sorted(places)}


def samples_markdown(samples: Samples) -> str:
    """Return samples.md: a table for each configuration, in HTML, since Markdown's have no line ends."""
    parts = ["# What the configurations write"]
    for configuration, ((_, heads), *rows) in samples.items():
        lines = ["<table>", "<tr><th></th>" + "".join(f"<th>{h}</th>" for h in heads) + "</tr>"]
        for when, texts in rows:
            cells = "".join(f"<td><pre>{html.escape(text)}</pre></td>" for text in texts)
            lines.append(f"<tr><td>{when}</td>{cells}</tr>")
        # an empty line would end the table
        table = re.sub(r"\n(?=[^\S\n]*\n)", "\n&nbsp;", "\n".join([*lines, "</table>"]))
        parts += [f"## {html.escape(configuration, quote=False)}", table]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------- the page


def page(results: Results, pictures: Mapping[str, str], samples: Samples, refresh: int) -> str:
    """Return the page with everything, which needs no other file."""
    environment = Environment(
        loader=PackageLoader("nbrnn.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    statuses = results.runs["status"].value_counts()
    columns = [
        *("setting", "seed", "status", "updates", "smooth_loss_best", "smooth_loss_final"),
        *("epoch_mean_loss_last", "bits_per_character_best", "seconds", "updates_per_second"),
    ]
    corpora = results.runs[["corpus", "corpus_sha256"]].drop_duplicates()
    return environment.get_template("page.html").render(
        title=" and ".join(corpora["corpus"].unique()[:3]),
        counts=", ".join(f"{count:,} {status}" for status, count in statuses.items()),
        configurations_count=len(results.configurations),
        seeds_count=results.runs["seed"].nunique(),
        unit=results.unit,
        pictures=[(CAPTIONS[name], image) for name, image in pictures.items()],
        measures=[
            (name, configuration_rows(results, measure), comparison_rows(results, measure))
            for measure, name in measures_of(results).items()
        ],
        sentences=sentences(results, "smooth_loss_best"),
        pairs=int((results.comparison["measure"] == "smooth_loss_best").sum()),
        unreadable=results.unreadable,
        method=METHOD,
        samples=dict(list(samples.items())[:MOST_SAMPLES]),
        more_samples=max(0, len(samples) - MOST_SAMPLES),
        run_columns=[column.replace("_", " ") for column in columns],
        runs=[[cell(value) for value in row] for row in results.runs[columns].itertuples(index=False)],
        refresh=refresh,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("nbrnn"),
    )


def cell(value: Any) -> str:
    """Return a cell of the table of runs."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
