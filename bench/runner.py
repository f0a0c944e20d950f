"""Implementations side by side: checked, then timed in turn."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from bench.expected import expected_losses
from bench.problem import Problem

CHECKED_UPDATES = 100
# Largest relative difference of a loss from the naive program's, with eta = 0.01: with 0.1 a difference
# in the last digit grows tenfold at each update, and no two programs agree after thirty.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
CALM_ETA = 0.01


@dataclass(frozen=True)
class Contestant:
    """An implementation in one precision, on one core or with as many threads as it likes."""

    name: str
    module: str
    dtype: str = "float32"
    core: str = "one"  # or "any"
    batches: str = ""  # the module that trains on windows at once
    trains: bool = True  # otherwise there are no losses to check


CONTESTANTS = [
    Contestant("nbrnn", "nbrnn_kernels", batches="nbrnn_kernels"),
    Contestant("nbrnn, float64", "nbrnn_kernels", "float64"),
    Contestant("C", "c_loop"),
    Contestant("C, float64", "c_loop", "float64"),
    Contestant("JAX", "jax_loop", batches="jax_batches"),
    Contestant("JAX, all cores", "jax_loop", core="any"),
    Contestant("NumPy, best", "numpy_best", batches="numpy_batches"),
    Contestant("NumPy, best, float64", "numpy_best", "float64"),
    Contestant("NumPy, textbook", "numpy_textbook"),
    Contestant("NumPy, textbook, float64", "numpy_textbook", "float64"),
    Contestant("PyTorch, eager", "torch_eager", batches="torch_batches"),
    Contestant("PyTorch, compiled", "torch_compiled", batches="torch_compiled_batches"),
]
PRODUCT = Contestant("products alone", "numpy_product", trains=False)


def in_batches(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Return those that can train on windows at once, with the module that does so."""
    return [
        replace(contestant, module=contestant.batches)
        for contestant in contestants
        if contestant.batches
    ]


@dataclass
class Result:
    """What came out for one contestant: times in microseconds per update, one for each turn."""

    contestant: Contestant
    first_update_seconds: float = 0.0
    difference: float = 0.0  # from the naive program
    times: list[float] = field(default_factory=list)
    missing: str = ""

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.times)


class Process:
    """A contestant at work."""

    def __init__(self, contestant: Contestant, problem: Problem) -> None:
        command = [sys.executable, "-m", "bench.worker", contestant.module, contestant.core]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.problem = replace(problem, dtype=contestant.dtype)

    def ask(self, question: str) -> dict:
        """Return the answer to a question."""
        self.child.stdin.write(question + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise RuntimeError(f"{' '.join(self.child.args)} ended")  # its error is on stderr
        return json.loads(answer)

    def start(self, **changes) -> dict:
        """Begin anew."""
        return self.ask("start " + json.dumps(asdict(replace(self.problem, **changes))))

    def end(self) -> None:
        """End the process."""
        self.child.communicate()


def compare(
    contestants: Sequence[Contestant],
    problem: Problem,
    turns: int,
    seconds: float,
    checked: int = CHECKED_UPDATES,
    calm_eta: float = CALM_ETA,
) -> list[Result]:
    """Check each contestant over so many updates, then time all in turn, so many seconds a turn."""
    results = [Result(contestant) for contestant in contestants]
    processes = {}
    for result in results:
        process = Process(result.contestant, problem)
        if result.contestant.trains:
            result.difference, result.first_update_seconds, result.missing = check(
                process, checked, calm_eta
            )
        if result.missing or not turns:
            process.end()
        else:
            process.start()
            processes[result.contestant] = process
    counts = {}
    for contestant, process in processes.items():  # also what makes them warm
        process.ask("time 20")  # compiles
        once = process.ask("time 20")["seconds"] / 20
        counts[contestant] = max(20, int(seconds / once))
        process.ask(f"time {counts[contestant]}")
    for _ in range(turns):
        for result in results:
            if not result.missing:
                count = counts[result.contestant]
                spent = processes[result.contestant].ask(f"time {count}")["seconds"]
                result.times.append(spent / count * 1e6)
    for process in processes.values():
        process.end()
    return results


def check(process: Process, checked: int, calm_eta: float) -> tuple[float, float, str]:
    """Return the largest difference of a loss, the seconds to the first update, and what is missing.

    Raises ValueError for a contestant that does something else than the naive program.
    """
    # Large networks with large weights are chaotic within a single window.
    sigma = min(process.problem.sigma, 1 / math.sqrt(process.problem.m))
    calm = {"eta": min(process.problem.eta, calm_eta), "sigma": sigma}
    answer = process.start(**calm)
    if "missing" in answer:
        return 0.0, 0.0, answer["missing"]
    problem = replace(process.problem, **calm)
    expected = expected_losses(problem, checked)
    losses = answer["answer"] + process.ask(f"losses {checked - 1}")["answer"]
    difference = float(np.max(np.abs(np.array(losses) / expected - 1)))
    if not difference <= TOLERANCE[problem.dtype]:
        raise ValueError(f"{process.child.args}: losses differ by {difference:.1e}")
    return difference, answer["seconds"], ""
