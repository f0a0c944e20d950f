"""How the measurements are shown: a page of tables, and pictures."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from nbrnn.report.markdown import markdown_table
from nbrnn.run_plots import BLUE, COLOURS, GREY, plain, save
from nbrnn.storage.safe_files import write_atomically

Row = Mapping[str, Any]


def write(document: Mapping[str, Any], folder: Path) -> None:
    """Write bench.json, README.md and the pictures of what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = figures(document)
    texts = {
        "bench.json": json.dumps(document, indent=2) + "\n",
        "README.md": "\n\n".join(paragraphs(document, set(pictures))) + "\n",
    }
    for name, text in texts.items():
        write_atomically(folder / name, lambda file, text=text: file.write(text.encode()))
    for name, figure in pictures.items():
        write_atomically(folder / f"{name}.png", lambda file, figure=figure: save(figure, file, "png"))


# ---------------------------------------------------------------- tables


def speed_table(rows: Sequence[Row]) -> str:
    """Return times and ratios, a row for each program, both precisions side by side."""
    found = {(program(row), row["dtype"]): row for row in rows if "missing" not in row}

    def cells(name: str) -> Iterator[str]:
        for dtype in ("float32", "float64"):
            row = found.get((name, dtype))
            yield f"{row['microseconds']:.0f}" if row else ""
            yield f"{row['times_nbrnn']:.2g}" if row and "times_nbrnn" in row else ""

    names = dict.fromkeys(name for name, _ in found)
    columns = ["one core unless said, m = 100, T = 25, K = 80"]
    columns += ["float32: µs per update", "times nbrnn's", "float64: µs per update", "times nbrnn's"]
    return markdown_table(columns, [[name, *cells(name)] for name in names])


def program(row: Row) -> str:
    """Return a contestant's name without its precision."""
    return row["name"].removesuffix(", float64")


def phases_of(rows: Sequence[Row], dtype: str) -> list[Row]:
    """Return the phases that were measured in a precision, the whole update last."""
    return [row for row in rows if row["dtype"] == dtype and "phase" in row]


def with_phases(rows: Sequence[Row]) -> list[str]:
    """Return the precisions whose phases were measured."""
    return list(dict.fromkeys(row["dtype"] for row in rows if "phase" in row))


def limit_table(rows: Sequence[Row], dtype: str) -> str:
    """Return each phase's time beside what the core's peaks allow."""
    columns = [f"{dtype}, µs per update", "nbrnn", "at the core's peaks", "ratio"]
    numbers = ("microseconds", "limit", "ratio")
    phases = phases_of(rows, dtype)
    return markdown_table(columns, [[p["phase"], *(f"{p[n]:.3g}" for n in numbers)] for p in phases])


def peaks_sentence(rows: Sequence[Row], dtype: str) -> str:
    """Return the core's peaks in words."""
    (peaks,) = (row for row in rows if row["dtype"] == dtype and "flops" in row)
    return (
        f"{dtype}: {peaks['flops'] / 1e9:.0f} GFLOP/s in registers; "
        f"{peaks['first_level_bytes'] / 1e9:.0f} GB/s from the first-level cache, "
        f"{peaks['W_bytes'] / 1e9:.0f} GB/s reading a matrix as large as W; "
        f"{peaks['streamed_numbers'] / 1e9:.1f} billion numbers a second through AdaGrad's reads and "
        f"writes, {peaks['roots'] / 1e9:.1f} billion reciprocal roots."
    )


def three_digits(number: float) -> str:
    """Return a number with three digits, or all before the point."""
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"


CELLS = {
    "microseconds": "{:.3g}",
    "times_nbrnn": "({:.2g})",
    "times_products": "{:.2f}",
    "gflops": "{:.0f}",
}


def batches_table(rows: Sequence[Row]) -> str:
    """Return times and ratios over B, a row for each program, and what the core's products take."""
    found = {(row["name"], row["batch"]): row for row in rows if "missing" not in row}
    sizes = list(dict.fromkeys(row["batch"] for row in rows))

    def cells(name: str, *numbers: str) -> Iterator[str]:
        for batch in sizes:
            row = found.get((name, batch), {})
            yield " ".join(CELLS[number].format(row[number]) for number in numbers if number in row)

    columns = [
        "µs per character (times nbrnn's), one core, float32",
        *(f"B = {batch}" for batch in sizes),
    ]
    names = dict.fromkeys(name for name, _ in found)
    lines = [[name, *cells(name, "microseconds", "times_nbrnn")] for name in names]
    lines.append(["nbrnn, times the products alone", *cells("nbrnn", "times_products")])
    lines.append(["their rate, GFLOP/s", *cells("products alone", "gflops")])
    return markdown_table(columns, lines)


def scaling_table(rows: Sequence[Row], kind: tuple[str, int]) -> str:
    """Return the times over one size."""
    chosen = [row for row in rows if growth(row) == kind]
    columns = [scaling_title(chosen[0]), *map(str, chosen[0]["sizes"]), "exponent"]
    return markdown_table(
        columns,
        [
            [row["name"], *map(three_digits, row["microseconds"]), f"{row['exponent']:.2f}"]
            for row in chosen
        ],
    )


def growth(row: Row) -> tuple[str, int]:
    """Return which size grows, and on how many windows at once."""
    return row["letter"], row["batch"]


def scaling_title(row: Row) -> str:
    """Return what a table of times over one size shows."""
    per = "µs per update" if row["per"] == "update" else "µs per character"
    return f"{per} over {row['letter']}" + (f", B = {row['batch']}" if row["batch"] > 1 else "")


def paragraphs(document: Mapping[str, Any], pictures: Collection[str]) -> Iterator[str]:
    """Return the page, for the sections that were measured and the pictures that there are."""
    machine = document["machine"]
    yield "# Benchmarks"
    versions = ", ".join(f"{name} {machine[name]}" for name in ("nbrnn", "python", "numpy", "numba"))
    yield (
        f"Made by `python -m bench` on {machine['cpu']} ({machine['cpu_target']}), "
        f"{machine['cpus']} cores. {versions}. "
        "How it is measured: [bench/](../../bench/README.md); all numbers: [bench.json](bench.json). "
        "Where other loads share a machine, ratios are what counts."
    )
    if "speed" in document:
        yield "## Speed"
        if "speed" in pictures:
            yield "![Updates per second of each program](speed.png)"
        yield speed_table(document["speed"])
        missing = [f"{row['name']}: {row['missing']}" for row in document["speed"] if "missing" in row]
        yield from missing
    if "limit" in pictures:
        yield "## The core's limit"
        yield "![Each phase beside what the core's peaks allow](limit.png)"
        for dtype in with_phases(document["limit"]):
            yield limit_table(document["limit"], dtype)
            yield peaks_sentence(document["limit"], dtype)
    if "batches" in pictures:
        yield "## Windows at once"
        yield "![Time per character over the windows of an update](batches.png)"
        yield (
            "Adam, no clipping, m = 100, T = 25, K = 80. The products alone: those of an update, at the "
            "rate that NumPy's product of two matrices of 1000 x 1000 has in the same minute."
        )
        yield batches_table(document["batches"])
        missing = [f"{row['name']}: {row['missing']}" for row in document["batches"] if "missing" in row]
        yield from dict.fromkeys(missing)
    if "scaling" in pictures:
        yield "## Sizes"
        yield "![Time over m, T and K](scaling.png)"
        for kind in dict.fromkeys(map(growth, document["scaling"])):
            yield scaling_table(document["scaling"], kind)
    if "throughput" in document:
        yield "## Sweeps"
        yield markdown_table(
            ["jobs", "updates per second", "efficiency", "time beside the training"],
            [
                [
                    str(row["jobs"]),
                    f"{row['updates_per_second']:,.0f}",
                    f"{row['efficiency']:.0%}",
                    f"{row['overhead']:.1%}",
                ]
                for row in document["throughput"]
            ],
        )
    if "startup" in document:
        yield "## Start"
        start = document["startup"]
        yield (
            f"`nbrnn --help` takes {start['help']:.2f} s; a training has done its first update after "
            f"{start['warm_update']:.1f} s, nothing compiled yet, after {start['cold_update']:.1f} s."
        )
    if "stopwatch" in document:
        yield "## By the stopwatch"
        watch = document["stopwatch"]
        yield (
            f"`nbrnn train --updates {watch['updates']}`, as many as 20 epochs of a text of 1.1 million "
            "characters have, on brontes, from the shell, with everything but the first compilation: "
            f"{watch['alone']:.1f} s on one core; two of them side by side "
            f"{watch['side_by_side']:.1f} s."
        )


# ---------------------------------------------------------------- pictures


def figures(document: Mapping[str, Any]) -> dict[str, Figure]:
    """Return the pictures of what was measured, by name."""
    pictures = {}
    if chosen := float32_times(document):
        pictures["speed"] = speed_figure(chosen)
    if with_phases(document.get("limit", ())):
        pictures["limit"] = limit_figure(document["limit"])
    if any("missing" not in row for row in document.get("batches", ())):
        pictures["batches"] = batches_figure(document["batches"])
    if document.get("scaling"):
        pictures["scaling"] = scaling_figure(document["scaling"])
    return pictures


def float32_times(document: Mapping[str, Any]) -> list[Row]:
    """Return the programs that were timed in float32, the fastest first."""
    rows = [row for row in document.get("speed", ()) if row["dtype"] == "float32"]
    timed = [row for row in rows if "microseconds" in row]
    return sorted(timed, key=lambda row: row["microseconds"])


def speed_figure(chosen: Sequence[Row]) -> Figure:
    """Return bars: updates per second in float32, and how many times nbrnn's time an update takes."""
    figure = Figure(figsize=(7, 0.55 + 0.38 * len(chosen)), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(chosen):
        ours = program(row) == "nbrnn"
        rate = 1e6 / row["microseconds"]
        axes.barh(place, rate, color=BLUE if ours else GREY, height=0.7)
        ratio = "" if ours or "times_nbrnn" not in row else f"  (nbrnn: {row['times_nbrnn']:.2g} times)"
        axes.annotate(
            f"{rate:,.0f}{ratio}", (rate, place), (4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(chosen)), [row["name"] for row in chosen])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2e6 / chosen[0]["microseconds"])
    axes.set_xlabel("updates per second in float32, one core unless said")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    bars(axes)
    return figure


def limit_figure(rows: Sequence[Row]) -> Figure:
    """Return bars: nbrnn's time for each phase, beside the time that the core's peaks allow."""
    dtypes = with_phases(rows)
    figure = Figure(figsize=(7, 0.4 + 2.1 * len(dtypes)), layout="constrained")
    grid = figure.subplots(len(dtypes), 1, squeeze=False)
    for axes, dtype in zip(grid.flat, dtypes, strict=True):
        *phases, _ = phases_of(rows, dtype)
        places = range(len(phases))
        times, limits = ([phase[name] for phase in phases] for name in ("microseconds", "limit"))
        axes.barh([p - 0.2 for p in places], times, 0.38, color=BLUE, label="nbrnn")
        axes.barh([p + 0.2 for p in places], limits, 0.38, color=GREY, label="at the core's peaks")
        for place, phase in zip(places, phases, strict=True):
            axes.annotate(
                f"{phase['ratio']:.1f}",
                (max(phase["microseconds"], phase["limit"]), place),
                (4, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(places, [phase["phase"] for phase in phases])
        axes.invert_yaxis()
        axes.margins(x=0.08)
        axes.set_xlabel(f"us of an update, {dtype} (and the ratio)")
        bars(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def bars(axes: Axes) -> None:
    """Take off what horizontal bars do not need."""
    plain(axes)
    axes.grid(False)
    axes.spines["top"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def batches_figure(rows: Sequence[Row]) -> Figure:
    """Return curves: time per character over B, on logarithmic axes, above that of the products."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    timed = [row for row in rows if "missing" not in row]
    colours = iter(COLOURS)
    for name in dict.fromkeys(row["name"] for row in timed):
        points = [(row["batch"], row["microseconds"]) for row in timed if row["name"] == name]
        is_limit = name == "products alone"
        style = (
            {"color": GREY, "linestyle": "--"} if is_limit else {"color": next(colours), "marker": "o"}
        )
        axes.loglog(*zip(*points, strict=True), label=name, **style)
    sizes = sorted({row["batch"] for row in timed})
    axes.set_xticks(sizes, map(str, sizes))
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("B, windows of an update")
    axes.set_ylabel("µs per character, one core, float32")
    plain(axes)
    axes.spines["top"].set_visible(False)
    axes.legend()
    return figure


def scaling_figure(rows: Sequence[Row]) -> Figure:
    """Return curves: time over each size, on logarithmic axes."""
    kinds = list(dict.fromkeys(map(growth, rows)))
    figure = Figure(figsize=(3 * len(kinds), 3.4), layout="constrained")
    grid = figure.subplots(1, len(kinds), squeeze=False)
    for axes, kind in zip(grid.flat, kinds, strict=True):
        chosen = [row for row in rows if growth(row) == kind]
        for row, colour in zip(chosen, COLOURS, strict=False):
            axes.loglog(row["sizes"], row["microseconds"], "o-", color=colour, label=row["name"])
        axes.set_xlabel(chosen[0]["letter"])
        axes.set_title(scaling_title(chosen[0]), fontsize=10)
        axes.set_xticks(chosen[0]["sizes"], map(str, chosen[0]["sizes"]))
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        plain(axes)
        axes.spines["top"].set_visible(False)
    figure.axes[0].legend()
    return figure
