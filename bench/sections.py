"""What is measured: speed, its limit, batches, scaling, parallel sweeps, start-up, a whole training."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.numpy_product import FLOPS
from bench.problem import IN_BATCHES, Problem
from bench.runner import CONTESTANTS, PRODUCT, Contestant, Result, compare, in_batches


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    turns: int
    seconds: float  # of each turn
    sweep_updates: int


FULL, QUICK = Effort(15, 0.5, 40_000), Effort(5, 0.2, 10_000)
SIZES = {"m": (25, 50, 100, 200, 400, 1000), "T": (10, 25, 50, 100, 200), "K": (30, 80, 200, 600, 2000)}
BATCHES = (1, 8, 32, 128)
GROWTHS = [(letter, sizes, Problem()) for letter, sizes in SIZES.items()] + [
    ("m", SIZES["m"], IN_BATCHES)
]
SCALED = ("nbrnn", "NumPy, best", "JAX")
TWENTY_EPOCHS = 886_020  # of a text of 1,107,525 characters and some more, in windows of 25
ROOT = Path(__file__).parent.parent


def checks(contestants: Sequence[Contestant], _: Effort) -> list[dict[str, Any]]:
    """Return how far each contestant is from the naive program; raises ValueError if too far."""
    one, several = replace(Problem(), T=7), replace(IN_BATCHES, T=5, batch=3)  # JAX unrolls a window
    rows = []
    for problem, those in ((one, contestants), (several, in_batches(contestants))):
        for result in compare(those, problem, 0, 0):
            row = {"name": result.contestant.name, "batch": problem.batch}
            rows.append({**row, "difference": result.difference, "missing": result.missing})
    return rows


def speed(contestants: Sequence[Contestant], effort: Effort) -> list[dict[str, Any]]:
    """Return for each contestant its time per update, and how many times that of nbrnn's it is.

    The ratio is the median over turns of the ratio within a turn, against nbrnn in the same precision.
    """
    results = compare(contestants, Problem(), effort.turns, effort.seconds)
    times = {result.contestant.name: result.times for result in results}
    rows = []
    for result in results:
        name, dtype = result.contestant.name, result.contestant.dtype
        row: dict[str, Any] = {"name": name, "dtype": dtype, "core": result.contestant.core}
        if result.missing:
            rows.append({**row, "missing": result.missing})
            continue
        row["microseconds"] = result.median
        row["quartiles"] = statistics.quantiles(result.times, n=4)[::2]
        row["difference"] = result.difference
        row["first_update_seconds"] = result.first_update_seconds
        ours = times.get("nbrnn" if dtype == "float32" else "nbrnn, float64")
        if ours:
            row["times_nbrnn"] = median_ratio(result.times, ours)
        rows.append(row)
    return rows


def batches(contestants: Sequence[Contestant], effort: Effort) -> list[dict[str, Any]]:
    """Return the time per character over B, beside that of nbrnn and that of the products alone.

    The products alone: those of an update, at the rate that products of large matrices have in the
    same turn. Ratios are medians over turns, as in `speed`.
    """
    rows = []
    for B in BATCHES:
        problem = replace(IN_BATCHES, batch=B)
        those = [*in_batches(contestants), PRODUCT]
        results = compare(those, problem, effort.turns, effort.seconds, checked=10)
        rows += [{"batch": B, **row} for row in batch_rows(problem, results)]
    return rows


def batch_rows(problem: Problem, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the rows of one B. The last result is that of the products."""
    *programs, product = results
    flops = 2 * 3 * problem.m * (problem.m + problem.K)  # of a character: forward, and twice backward
    times = {
        result.contestant.name: [t / (problem.T * problem.batch) for t in result.times]
        for result in programs
        if not result.missing
    }
    times[product.contestant.name] = limit = [flops * t / FLOPS for t in product.times]
    rows: list[dict[str, Any]] = []
    for result in results:
        row: dict[str, Any] = {"name": result.contestant.name}
        if result.missing:
            rows.append({**row, "missing": result.missing})
            continue
        ours = times[row["name"]]
        row["microseconds"] = statistics.median(ours)
        if result is product:
            row["gflops"] = FLOPS / product.median / 1e3
        else:
            row["difference"] = result.difference
            row["times_products"] = median_ratio(ours, limit)
        if "nbrnn" in times:
            row["times_nbrnn"] = median_ratio(ours, times["nbrnn"])
        rows.append(row)
    return rows


def median_ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """Return the median over turns of the ratio within a turn."""
    return statistics.median(time / other for time, other in zip(times, others, strict=True))


def scaling(contestants: Sequence[Contestant], effort: Effort) -> list[dict[str, Any]]:
    """Return the time over m, T and K, each alone, and the exponent by which it grows.

    Per update, and for m once more per character, in batches.
    """
    chosen = [contestant for contestant in contestants if contestant.name in SCALED]
    rows = []
    for letter, sizes, start in GROWTHS:
        several = start.batch > 1
        unit = start.T * start.batch if several else 1
        found: dict[str, list[float]] = {contestant.name: [] for contestant in chosen}
        for size in sizes:
            problem = replace(start, **{letter: size})
            those, checked = (in_batches(chosen), 3) if several else (chosen, 5)
            for result in compare(those, problem, 3, effort.seconds, checked=checked, calm_eta=1e-4):
                time = result.median if result.times else math.nan
                found[result.contestant.name].append(time / unit)
        for name, times in found.items():
            exponent = math.log(times[-1] / times[0]) / math.log(sizes[-1] / sizes[0])
            rows.append(
                {
                    "letter": letter,
                    "batch": start.batch,
                    "per": "character" if several else "update",
                    "sizes": sizes,
                    "name": name,
                    "microseconds": times,
                    "exponent": exponent,
                }
            )
    return rows


def throughput(_: Sequence[Contestant], effort: Effort) -> list[dict[str, Any]]:
    """Return the updates per second of sweeps by threads over the number of jobs.

    `overhead` is what the jobs' time has beside the runs' own training, from the first run's start
    to the last one's end; pictures and the report come after that.
    """
    rows = []
    cores = len(os.sched_getaffinity(0))
    for jobs in range(1, cores + 1):
        with tempfile.TemporaryDirectory() as folder:
            seeds = f"0:{10 * jobs - 1}"
            lists = ["--updates", str(effort.sweep_updates), "--seeds", seeds, "--jobs", str(jobs)]
            document = json.loads(
                nbrnn("sweep", *lists, "--out", f"{folder}/sweep", "--json", "--quiet")
            )
        training = sum(run["seconds"] for run in document["runs"])
        updates = sum(run["updates"] for run in document["runs"])
        rows.append(
            {
                "jobs": jobs,
                "updates_per_second": updates / document["seconds"],
                "overhead": jobs * document["seconds"] / training - 1,
            }
        )
    for row in rows:
        row["efficiency"] = row["updates_per_second"] / rows[0]["updates_per_second"] / row["jobs"]
    return rows


def startup(_: Sequence[Contestant], effort: Effort) -> dict[str, float]:
    """Return seconds: of --help, and until the first update is on disk, cold and warm."""

    def help_seconds() -> float:
        begun = time.perf_counter()
        nbrnn("--help")
        return time.perf_counter() - begun

    def first_update(**environment: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            metrics = Path(folder) / "run" / "metrics.csv"
            command = program("train", "--updates", "1", "--quiet", "--out", str(metrics.parent))
            begun = time.perf_counter()
            with subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
            ) as run:
                while run.poll() is None and not has_a_row(metrics):
                    time.sleep(0.002)
                seconds = time.perf_counter() - begun
            if run.returncode:
                raise RuntimeError("a run failed")
            return seconds

    with tempfile.TemporaryDirectory() as cache:
        cold = first_update(NUMBA_CACHE_DIR=cache)
    return {
        "help": statistics.median(help_seconds() for _ in range(effort.turns)),
        "cold_update": cold,
        "warm_update": statistics.median(first_update() for _ in range(effort.turns)),
    }


def has_a_row(table: Path) -> bool:
    """Is there anything below the head of a CSV file?"""
    return table.exists() and table.read_text().count("\n") > 1


def stopwatch(_: Sequence[Contestant], effort: Effort) -> dict[str, float]:
    """Return the seconds of 20 epochs of 1.1 million characters, alone and two side by side.

    The text is brontes, for as many updates; on a single core the two share it.
    """
    words = ["train", "--updates", str(TWENTY_EPOCHS), "--quiet"]
    cores = (sorted(os.sched_getaffinity(0)) * 2)[:2]

    def seconds(together: Sequence[int]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            runs = [
                subprocess.Popen(
                    ["taskset", "-c", str(core), *program(*words, "--out", f"{folder}/{place}")],
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                )
                for place, core in enumerate(together)
            ]
            statuses = [run.wait() for run in runs]
            if any(statuses):
                raise RuntimeError("a run failed")
            return time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as folder:  # what it compiles is kept
        nbrnn("train", "--updates", "1", "--quiet", "--out", f"{folder}/run")
    return {"updates": TWENTY_EPOCHS, "alone": seconds(cores[:1]), "side_by_side": seconds(cores)}


def program(*arguments: str) -> list[str]:
    """Return the command that runs the program, in the folder ROOT."""
    return [sys.executable, "-m", "nbrnn", *arguments]


def nbrnn(*arguments: str, **environment: str) -> str:
    """Run the program and return what it prints."""
    environment = {**os.environ, **environment}
    command = program(*arguments)
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    return done.stdout


def limit(_: Sequence[Contestant], effort: Effort) -> list[dict[str, Any]]:
    """Return the core's peaks, and nbrnn's phases beside the time that they would take at these."""
    rows = []
    for dtype in ("float32", "float64"):
        command = [sys.executable, "-m", "bench.limit", dtype]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            rows.append({"dtype": dtype, "missing": done.stderr.strip().rpartition("\n")[2]})
            continue
        document = json.loads(done.stdout)
        rows.append({"dtype": dtype, **document["peaks"]})
        rows += [{"dtype": dtype, **phase} for phase in document["phases"]]
    return rows


SECTIONS = {
    "speed": speed,
    "limit": limit,
    "batches": batches,
    "scaling": scaling,
    "throughput": throughput,
    "startup": startup,
    "stopwatch": stopwatch,
}
LONG = ("batches", "scaling", "stopwatch")  # left out of a quick measurement


def chosen(only: str) -> list[Contestant]:
    """Return the contestants whose names begin with one of the words of a comma list; all of none."""
    words = [word.strip().lower() for word in only.split(",") if word.strip()]
    return [c for c in CONTESTANTS if not words or any(c.name.lower().startswith(w) for w in words)]
