"""Measure how often `nbrnn check` names a fault that was planted: `tox -e results`, some minutes.

The faults of tests/checks/student.py, alone and in pairs, in programs of several sizes and both layouts;
programs like those that students publish; the course's skeleton for torch, where torch is installed; and
right programs of all kinds, in which it must find nothing.
"""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from nbrnn.checks.check import check
from nbrnn.checks.report import Report
from tests.checks import published_faults, student

HERE = Path(__file__).parent / "check"

SIZES = [(5, 7, 10), (10, 12, 25), (100, 80, 25)]
LAYOUTS = ("column", "row")
PAIRS = [(SIZES[0], "column", 1), (SIZES[1], "row", 1), (SIZES[2], "column", 7)]  # the last: every nth
OUTCOMES = ("all", "first", "first, and more", "no cause", "misled")
FAULTS = {**student.FORWARD, **student.GRADIENT, **student.LOSS}
RIGHT_PROGRAMS = 1000
ETAS = {"adagrad": 0.1, "adam": 0.001, "rmsprop": 0.001}


def outcome(report: Report, wanted: set[str]) -> str:
    """Return how a report names the planted faults."""
    causes = [cause or "" for cause in report.causes]
    if set(causes) == wanted:
        return "all"
    if not causes or not causes[0]:
        return "no cause"
    if causes[0] not in wanted:
        return "misled"
    return "first, and more" if set(causes) - wanted - {""} else "first"


def exercise(m: int, K: int, T: int, B: int = 1) -> Any:
    """Return a student's exercise in which targets that are late are not just the inputs."""
    exercises = (student.exercise(m, K, T, B, seed) for seed in itertools.count(m))
    return next(each for each in exercises if (each[1][:, 0] != each[1][:, -1]).all())


# ---------------------------------------------------------------- single faults


def single(m: int, K: int, T: int, layout: str) -> Iterator[tuple[str, str, Report]]:
    """Yield each fault, its cause and the report, in programs of one size."""
    theta, codes, h0 = exercise(m, K, T)
    one_hot = layout == "row"
    for fault, cause in FAULTS.items():
        answers = student.run(theta, codes, h0, (fault,))
        yield fault, cause, check(student.saved(theta, codes, h0, answers, layout, one_hot))
        if fault in student.GRADIENT:
            alone = (None, answers[1], None, None)
            given = student.saved(theta, codes, h0, alone, layout, one_hot)
            yield fault, cause, check(given, loss="sum")
    yield from steps(theta, codes, h0, layout)
    theta, codes, h0 = exercise(m, K, T, 3)
    for fault, cause in student.BATCH.items():
        answers = student.run(theta, codes, h0, (fault,))
        yield fault, cause, check(student.saved(theta, codes, h0, answers, layout, one_hot))
    rng = np.random.default_rng(m)
    losses = 3 * T * np.exp(-np.arange(500) / 200) + rng.normal(size=500)
    for fault, cause in student.SERIES.items():
        given = {"losses": losses, "smooth": student.smoothed(losses, T, fault)}
        yield f"smooth loss {fault}", cause, check(given, seq_length=T)


def steps(theta: Any, codes: Any, h0: Any, layout: str) -> Iterator[tuple[str, str, Report]]:
    """Yield each fault of an optimizer, its cause and the report."""
    for optimizer, faults in student.STEP.items():
        for fault, cause in faults.items():
            n = 2 if fault == "memory lost" else 1
            clip = 0.5 if "clip" in fault else 5.0
            eta = ETAS[optimizer]
            after = student.steps(theta, codes, h0, optimizer, eta, n, (fault,), clip)
            given = student.saved(theta, codes, h0, student.run(theta, codes, h0), layout)
            given |= turned({f"{name}_after": array for name, array in after.items()}, layout)
            yield f"{optimizer}: {fault}", cause, check(given, after=n, optimizer=optimizer, clip=clip)


def turned(arrays: dict[str, Any], layout: str) -> dict[str, Any]:
    """Return parameters in a layout."""
    return {name: array.T if layout == "row" else array for name, array in arrays.items()}


# ---------------------------------------------------------------- pairs


def pairs(m: int, K: int, T: int, layout: str, every: int) -> Iterator[tuple[str, str, Report]]:
    """Yield pairs of faults, how they are named, and the report."""
    given = exercise(m, K, T)
    for pair in list(itertools.combinations(FAULTS, 2))[::every]:
        answers = student.run(*given, pair)
        report = check(student.saved(*given, answers, layout), loss="sum")
        how = outcome(report, {FAULTS[fault] for fault in pair})
        if how != "all" and any(
            same(student.run(*given, faults), answers) for faults in planted(report)
        ):
            how = "all"
        yield " + ".join(pair), how, report


def planted(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield the faults, or pairs of them, that have the names of a report.

    If one of them gives the same numbers, nothing can tell that it is not what was planted.
    """
    named = set(report.causes)
    for size in (1, 2):
        for faults in itertools.combinations(FAULTS, size):
            if {FAULTS[fault] for fault in faults} == named:
                yield faults


def same(one: Any, other: Any) -> bool:
    """Whether two programs have the same answers."""
    flat = [[a[0], *a[1].values(), a[2], a[3]] for a in (one, other)]
    return all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-12)
        for a, b in zip(*flat, strict=True)
    )


# ---------------------------------------------------------------- right programs


def right(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of a right program of some kind, and how it is to be checked."""
    rng = np.random.default_rng(seed)
    m = int(rng.choice([1, 2, 3, 5, 8, 10, 20, 100], p=[0.05, *[0.15] * 6, 0.05]))
    K, T = int(rng.choice([2, 3, 5, 10, m + 1, 40])), int(rng.choice([1, 2, 5, m, 25, 60]))
    B, sigma = int(rng.choice([1, 1, 1, 2, 4])), float(rng.choice([0.01, 0.1, 0.3, 1]))
    dtype = (np.float64, np.float32)[seed % 2]
    theta, codes, h0 = student.exercise(m, K, T, B, seed, sigma, dtype)
    loss = str(rng.choice(["sum", "mean"]))
    answers = list(student.run(theta, codes, h0, ("mean",) if loss == "mean" else ()))
    answers = [None if rng.random() < 0.25 else answer for answer in answers]
    if answers[1] and rng.random() < 0.2:
        answers[1] = {name: np.clip(g, -5, 5) for name, g in answers[1].items()}
    layout = str(rng.choice(LAYOUTS))
    optimizer, n = str(rng.choice(list(ETAS))), int(rng.choice([1, 1, 3]))
    given = student.saved(theta, codes, h0, answers, layout, bool(rng.integers(2)))
    how = {"optimizer": optimizer, "after": n, "loss": loss}
    if rng.random() < 0.5 or all(answer is None for answer in answers):
        after = student.steps(theta, codes, h0, optimizer, ETAS[optimizer], n, loss=loss)
        given |= turned({f"{name}_after": array for name, array in after.items()}, layout)
    elif rng.random() < 0.5:
        del how["loss"]
    if rng.random() < 0.3:
        losses = (3 * T * np.exp(-np.arange(300) / 200) + rng.normal(size=300)).astype(dtype)
        given |= {"losses": losses, "smooth": student.smoothed(losses, T).astype(dtype)}
    return (as_torch(given) if layout == "column" and rng.random() < 0.4 else given), how


TORCH = {"W": "rnn.weight_hh_l0", "U": "rnn.weight_ih_l0", "V": "linear.weight", "c": "linear.bias"}


def as_torch(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays of a program as one of torch names and shapes them, with its two biases."""
    renamed = {}
    for name, array in given.items():
        kind, _, key = name.rpartition("_") if name.startswith("grads_") else ("", "", name[:1])
        end = ".grad" if kind else name[1:]
        if (key not in TORCH and key != "b") or (not kind and name[1:] not in ("", "_after")):
            renamed[name] = array
        elif key == "b":
            first = array if kind else array * array.dtype.type(0.25)
            renamed[f"rnn.bias_ih_l0{end}"] = first.ravel()
            renamed[f"rnn.bias_hh_l0{end}"] = array.ravel() if kind else (array - first).ravel()
        else:
            renamed[f"{TORCH[key]}{end}"] = array.ravel() if key == "c" else array
    return renamed


# ---------------------------------------------------------------- programs like those of others


def published() -> Iterator[tuple[str, Report]]:
    """Yield what is wrong in programs like those that students publish, and the reports."""
    theta, codes, h0 = student.exercise(8, 11, 20, seed=4)
    with tempfile.TemporaryDirectory() as folder:
        for fault, (edition, _) in published_faults.SEEN.items():
            if edition == 2025:
                path = Path(folder) / "answers.npz"
                np.savez(path, **published_faults.program_of_2025(theta, codes[0], h0, fault))
                yield fault, check(path, preset="dd2424-2025", after=2)
            else:
                path = Path(folder) / "answers.mat"
                savemat(path, published_faults.program_of_2017(theta, codes[0], h0, fault))
                yield fault, check(path, preset="dd2424-2017", clip=0.5)
    for fault in published_faults.SMOOTH:
        yield f"smooth loss: {fault}", check(published_faults.training(fault), seq_length=25)


def skeleton() -> Iterator[tuple[str, Report]]:
    """Yield the mistakes near the course's skeleton for torch, in both layouts, and the reports."""
    try:
        from tests.checks import skeletons
    except ImportError:
        return
    theta, codes, h0 = student.exercise(10, 12, 25, seed=1)
    for layout, fault in itertools.product(LAYOUTS, (None, *skeletons.FAULTS)):
        given = skeletons.saved(theta, codes[0], h0, layout, fault)
        yield f"{fault or 'none'}, {layout}s", check(given, loss="mean")


# ---------------------------------------------------------------- the page


def table(*heads: str, rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table in Markdown, an empty line before it."""
    lines = ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)]


def said(report: Report) -> str:
    """Return what a report says first, and how much may follow from it."""
    if report.is_right:
        return "right"
    rest = len(report.findings) - 1
    return report.findings[0].sentence + f" (and {rest} that may follow)" * (rest > 0)


def single_faults() -> list[str]:
    """Return the section on single faults."""
    names: dict[str, str] = {}
    right: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for size, layout in itertools.product(SIZES, LAYOUTS):
        for fault, cause, report in single(*size, layout):
            names[fault] = cause
            right[fault] += outcome(report, {cause}) == "all"
            of[fault] += 1
    rows = [(fault, cause, f"{right[fault]} of {of[fault]}") for fault, cause in names.items()]
    intro = (
        f"{len(names)} faults in {of.total()} programs with m = 5, 10 and 100, in both layouts, with "
        f"all answers and with gradients alone: {right.total()} are named, and nothing else with them."
    )
    return ["", "## Single faults", "", intro, *table("planted", "named", "programs", rows=rows)]


def pairs_of_faults() -> list[str]:
    """Return the section on pairs."""
    rows, others = [], []
    for size, layout, every in PAIRS:
        found = list(pairs(*size, layout, every))
        tally = Counter(how for _, how, _ in found)
        rows.append((f"m = {size[0]}, {layout}s", len(found), *(tally[how] for how in OUTCOMES)))
        for pair, how, report in found:
            if how != "all":
                causes = ", ".join(dict.fromkeys(cause or "no cause" for cause in report.causes))
                others.append((f"m = {size[0]}", pair, causes))
    intro = (
        "All pairs of the faults of forward pass and gradients (every seventh for m = 100). Both are "
        "named if the report names both and nothing else, or faults that give just the same numbers."
    )
    return [
        *["", "## Pairs of faults", "", intro],
        *table("", "pairs", "both", "one first", "one, and another", "no cause", "misled", rows=rows),
        "",
        "Those that are not both named. Where only the last step is seen, `targets are x` is as right "
        "as `targets late`, since x_T is y_{T-1}:",
        *table("", "planted", "named", rows=others),
    ]


def right_programs() -> list[str]:
    """Return the section on programs in which nothing is wrong."""
    alarms = []
    for seed in range(RIGHT_PROGRAMS):
        given, how = right(seed)
        report = check(given, **how)
        if not report.is_right:
            alarms.append((seed, how, said(report)))
    intro = (
        f"Of {RIGHT_PROGRAMS:,} right programs {len(alarms)} are called wrong: m 1 to 100, K 2 to 101, "
        "T 1 to 100, 1 to 4 windows, float32 and float64, sums and means, columns, rows and the names "
        "of torch, some of the answers, clipped gradients, 1 or 3 steps of three optimizers."
    )
    return ["", "## Right programs", "", intro, *(map(str, alarms))]


def main() -> None:
    """Measure everything and write the page."""
    HERE.mkdir(exist_ok=True)
    text = [
        "# How well does `nbrnn check` name faults?",
        "",
        "Faults are planted in programs that import nothing of nbrnn (`student.py`, "
        "`published_faults.py` and `skeletons.py` in `tests/checks`), and their answers are checked. "
        "Made by `tox -e results`.",
        *single_faults(),
        *pairs_of_faults(),
        *right_programs(),
        *["", "## Programs as they are published", ""],
        "Faults of solutions in public repositories, imitated in programs of our own that save what "
        "those save. What check cannot see: a best model that is a shallow copy of the last one, unless "
        "its parameters are saved beside those after a step; an alphabet by `list(set(text))`, which is "
        "another one in each process; what a program writes.",
        *table("what is wrong", "what check says", rows=((f, said(r)) for f, r in published())),
    ]
    of_torch = [(fault, said(report)) for fault, report in skeleton()]
    if of_torch:
        text += ["", "## The course's skeleton for torch", ""]
        text += ["A missing import and a loop over the wrong axis end with an error; these do not:"]
        text += table("mistake", "what check says", rows=of_torch)
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
