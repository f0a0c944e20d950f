"""Measure how well `nbrnn check` tells right from wrong: `tox -e results`, some minutes.

Faults of tests/checks/student.py on the ladder and on one exercise; raised entries and right variants of
random programs; programs like those that students publish. Nothing in tests/checks imports nbrnn's own
equations.
"""

import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

import nbrnn
from nbrnn.checks.report import Report
from nbrnn.errors import NbrnnError
from tests.checks import published_faults, student

HERE = Path(__file__).parent / "check"
PROGRAMS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
SIZES = [(5, 7, 10), (10, 12, 25), (100, 80, 25)]
FAULTS = {**student.FORWARD, **student.GRADIENT, **student.LOSS}
PARTS = {
    **dict.fromkeys(student.FORWARD, "forward pass"),
    **dict.fromkeys(student.GRADIENT, "gradients"),
}
PARTS |= dict.fromkeys(student.LOSS, "loss")


# ---------------------------------------------------------------- planted faults


def on_the_ladder() -> Iterator[tuple[str, str | None, Report]]:
    """Yield each fault of forward pass, gradients and loss, its cause, and the report on its program."""
    for fault, cause in FAULTS.items():

        def program(theta: Any, X: Any, Y: Any, h0: Any, fault: str = fault) -> Any:
            codes = np.append(X.argmax(0), Y.argmax(0)[-1])[None]
            loss, grads, P, H = student.run(theta, codes, h0, (fault,))
            return {"loss": loss, "P": P[0], "H": H[0], "grads": grads}

        yield fault, cause, nbrnn.check(program)


def on_one_exercise() -> Iterator[tuple[str, str | None, Report]]:
    """Yield the same for one exercise of several sizes in both layouts, and with gradients alone."""
    for (m, K, T), layout in itertools.product(SIZES, ("column", "row")):
        exercises = (student.exercise(m, K, T, seed=seed) for seed in itertools.count(m))
        # Late targets are not just the inputs, and indices do not count from 1.
        theta, codes, h0 = next(
            each for each in exercises if each[1][0, 0] != each[1][0, -1] and 0 in each[1]
        )
        for fault, cause in FAULTS.items():
            answers = student.run(theta, codes, h0, (fault,))
            yield fault, cause, nbrnn.check(student.saved(theta, codes, h0, answers, layout))
            if fault in student.GRADIENT:
                alone = student.saved(theta, codes, h0, (None, answers[1], None, None), layout)
                yield fault, cause, nbrnn.check(alone, loss="sum")


def of_steps() -> Iterator[tuple[str, str, Report]]:
    """Yield the faults of optimizers and of the smooth loss."""
    theta, codes, h0 = student.exercise(5, 7, 10)
    answers = student.run(theta, codes, h0)
    for optimizer, faults in student.STEP.items():
        eta = 0.1 if optimizer == "adagrad" else 0.001
        for fault, cause in faults.items():
            n, clip = (2 if fault == "memory lost" else 1), (0.5 if "clip" in fault else 5.0)
            after = student.steps(theta, codes, h0, optimizer, eta, n, (fault,), clip)
            given = student.saved(theta, codes, h0, answers)
            given |= {f"{name}_after": array for name, array in after.items()}
            how: dict[str, Any] = {"optimizer": optimizer, "eta": eta, "clip": clip}
            yield f"{optimizer}: {fault}", cause, nbrnn.check(given, after=n, **how)
    losses = 75 * np.exp(-np.arange(300) / 200) + np.random.default_rng(0).normal(size=300)
    for fault, cause in student.SERIES.items():
        given = {"losses": losses, "smooth": student.smoothed(losses, 25, fault)}
        yield f"smooth loss: {fault}", cause, nbrnn.check(given, seq_length=25)


# ---------------------------------------------------------------- random programs


def random_program(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a right program of a random kind saves, and of which kind it is."""
    rng = np.random.default_rng([7, seed])
    m, K = int(np.exp(rng.uniform(np.log(5), np.log(200)))), int(rng.integers(4, 50))
    T, B = int(rng.integers(1, 30)), int(rng.choice([1, 1, 3]))
    radius = float(np.exp(rng.uniform(np.log(0.1), np.log(6))))
    dtype = (np.float64, np.float32)[rng.integers(2)]
    theta, codes, h0 = student.exercise(m, K, T, B, seed, float(rng.choice([0.1, 0.3, 1.0])))
    theta["W"] = rng.normal(0, radius / np.sqrt(m), (m, m))
    theta = {name: array.astype(dtype) for name, array in theta.items()}
    h0 = h0.astype(dtype)
    variants = [name for name in ("mean", "windows summed") if rng.random() < 0.4]
    answers = student.run(theta, codes, h0, variants)
    given = student.saved(
        theta, codes, h0, answers, ("column", "row")[rng.integers(2)], bool(rng.integers(2))
    )
    if rng.random() < 0.2 and "H" in given and B == 1 and given["H"].shape[0] == m != T:
        given["H"] = np.hstack([given["H"], h0])  # h_0 at index -1
    return given, {"m": m, "T": T, "B": B, "radius": radius, "dtype": dtype.__name__}


def raise_an_entry(given: dict[str, Any], seed: int) -> str:
    """Raise one entry of an answer by 1e-6 to 10 times its largest; return its name."""
    rng = np.random.default_rng([8, seed])
    answers = ("grads", "H", "P", "loss")
    names = [name for name, array in given.items() if name[:5] in answers and np.any(array)]
    name = str(rng.choice(names))
    array = np.array(given[name], float)
    array[tuple(rng.integers(0, n) for n in array.shape)] += (
        10 ** rng.uniform(-6, 1) * np.abs(array).max()
    )
    given[name] = array.astype(np.asarray(given[name]).dtype)
    return name


def verdict(given: dict[str, Any], raised: str | None = None) -> str:
    """Return what check says of a random program, in a few words."""
    try:
        report = nbrnn.check(given)
    except NbrnnError:
        return "refused as ill-conditioned"
    if not report.is_right:
        return "wrong" if report.causes == [None] else "a false name"
    rows = [row for row in report.rows if row.name == raised]
    if any(row.is_right is None for row in rows or report.rows):
        return "not judged: ill-conditioned"
    if rows and rows[0].verdict == "right, in float32":
        return "below the resolution of float32"
    return "right"


def random_programs() -> list[str]:
    """Return the section on random programs."""
    right: Counter[tuple[str, str]] = Counter()
    raised: Counter[tuple[str, str]] = Counter()
    for seed in range(PROGRAMS):
        given, about = random_program(seed)
        right[verdict(given), about["dtype"]] += 1
        name = raise_an_entry(given, seed)
        raised[verdict(given, name), about["dtype"]] += 1
    text = [
        *["", "## Random programs", ""],
        f"{PROGRAMS:,} right programs: m 5 to 200, K 4 to 49, T 1 to 29, 1 or 3 windows, W of spectral "
        "radius 0.1 to 6, float32 and float64, sums and means over characters and windows, columns and "
        "rows, indices and one-hot. Each once as it is, and once with one entry of an answer raised by "
        "1e-6 to 10 times the largest. An array is not judged if rounding alone may change it by 1 %.",
    ]
    for title, tally in (("a right program", right), ("an entry is raised", raised)):
        words = sorted({word for word, _ in tally})
        rows = [(word, tally[word, "float64"], tally[word, "float32"]) for word in words]
        text += table(title, "float64", "float32", rows=rows)
    return text


# ---------------------------------------------------------------- programs like those of others


def published() -> Iterator[tuple[str, Report, Report | None]]:
    """Yield what is wrong in programs like those that students publish, and what check says.

    The reports are those on a file, and on the functions of the program, if these can have the fault.
    """
    theta, codes, h0 = student.exercise(8, 11, 20, seed=4)
    with tempfile.TemporaryDirectory() as folder:
        for fault, (edition, *_) in published_faults.SEEN.items():
            settings: dict[str, Any] = {"preset": f"dd2424-{edition}"} | (
                {"clip": 0.5} if edition == 2017 else {}
            )
            window, step = published_faults.functions(fault)
            on_ladder = nbrnn.check(window, step=step, **settings)
            if edition == 2025:
                path = Path(folder) / "answers.npz"
                np.savez(path, **published_faults.program_of_2025(theta, codes[0], h0, fault))
                yield fault, nbrnn.check(path, after=2, **settings), on_ladder
            else:
                path = Path(folder) / "answers.mat"
                savemat(path, published_faults.program_of_2017(theta, codes[0], h0, fault))
                yield fault, nbrnn.check(path, **settings), on_ladder
    for fault in published_faults.SMOOTH:
        report = nbrnn.check(published_faults.training(fault), seq_length=25)
        yield f"smooth loss: {fault}", report, None


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


def first_rung(report: Report | None) -> str:
    """Return the first exercise that fails."""
    if report is None:
        return "-"
    return "none: right" if report.is_right else report.titles[report.findings[0].rung]


def planted() -> list[str]:
    """Return the sections on planted faults."""
    rows = []
    for fault, cause, report in on_the_ladder():
        named = (report.causes or ["-"])[0] or "no name"
        rows.append((PARTS[fault], fault, first_rung(report), named, cause or "no name"))
    text = ["", "## Planted faults on the ladder", ""]
    text += ["The first exercise that fails, and the name that the report gives first."]
    text += table("part", "planted", "first exercise that fails", "named", "should be named", rows=rows)
    tally: Counter[tuple[str, str]] = Counter()
    for source in (on_one_exercise(), of_steps()):
        for fault, cause, report in source:
            part = PARTS.get(fault, "steps and smooth loss")
            names = {name for name in report.causes if name}
            wanted = {cause, "factor 1/T" if fault == "grads mean" else cause} - {None, "right"}
            how = (
                "named"
                if names == wanted and names
                else "a false name"
                if names - wanted
                else "not named"
            )
            how = "right, as it should be" if cause == "right" and report.is_right else how
            tally[part, "called right" if report.is_right and cause != "right" else how] += 1
    outcomes = ("named", "not named", "a false name", "called right", "right, as it should be")
    parts = dict.fromkeys(part for part, _ in tally)
    counts = [(part, *(tally[part, outcome] for outcome in outcomes)) for part in parts]
    text += ["", "## Planted faults in one exercise", ""]
    text += ["m = 5, 10 and 100, both layouts, with all answers and with gradients alone."]
    return text + table("part", *outcomes, rows=counts)


def main() -> None:
    """Measure everything and write the page."""
    HERE.mkdir(exist_ok=True)
    text = [
        "# How well does `nbrnn check` tell right from wrong?",
        "",
        "Faults are planted in programs that import nothing of nbrnn (`student.py` and "
        "`published_faults.py` in `tests/checks`), and their answers are checked. Made by "
        "`python -m results.check`.",
        *planted(),
        *random_programs(),
        *["", "## Programs as they are published", ""],
        "Faults of solutions in public repositories, imitated in programs of our own that save what "
        "those save. What check cannot see: a best model that is a shallow copy of the last one, unless "
        "its parameters are saved beside those after a step; an alphabet by `list(set(text))`, which is "
        "another one in each process. The exercise is the first of the ladder that the functions of the "
        "program fail; `tests/checks/published_faults.py` has by hand which it must be, and a test "
        "compares. A fault in what a program saves is in none of its functions.",
        *table(
            "what is wrong",
            "what check says of a file",
            "first exercise that fails",
            rows=((fault, said(file), first_rung(ladder)) for fault, file, ladder in published()),
        ),
    ]
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
