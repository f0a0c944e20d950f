"""No sentence without a file behind it: pages of results/ and prose against their tables."""

import re
from pathlib import Path

import numpy as np
import pytest
from harness import csv_rows, made_up_text

from nbrnn.config import SETTINGS, RunConfig
from nbrnn.corpus import Corpus
from nbrnn.runs.training_state import Training, prepare_kernels
from results import cells, facts, folds, radius, tuned, widths
from results.question import rows

ROOT = Path(__file__).parents[1]
STUDIES = {study.HERE.name: study for study in (cells, folds, radius, tuned, widths)}


# ---------------------------------------------------------------- studies whose pages are templates


def grids_of(tried):
    """Return the learning rates that were tried for each size and warm-up."""
    grids = {(m, w): set() for m in widths.RATES for w in widths.WARMUPS}
    for row in tried:
        grids[int(row["hidden"]), int(row["warmup"])].add(float(row["eta"]))
    return {place: sorted(grid) for place, grid in grids.items()}


def facts_from(name, folder, runs, tried):
    """Return the facts of a study by its runs, and by those that chose its settings."""
    if name == "tuned":
        return tuned.facts_of(tuned.best_settings(folder / "search"), runs)
    if name == "widths":
        return widths.facts_of(grids_of(tried), tried, runs)
    if name == "folds":
        return folds.facts_of(runs)
    if name == "cells":
        return cells.facts_of(runs, tried)
    return radius.facts_of(runs)


@pytest.fixture(params=STUDIES)
def study(request):
    return request.param, STUDIES[request.param].HERE


def test_a_template_has_no_measured_number_of_its_own(study):
    _, folder = study
    own = re.sub(r"\{[^}]*\}|`[^`]*`", "", (folder / facts.TEMPLATE).read_text())
    assert not re.findall(r"\d\.\d", own)


def test_a_page_says_what_its_tables_do_and_these_what_the_runs_do(study):
    name, folder = study
    if not (folder / facts.PAGE).exists():
        pytest.skip(f"python -m results.{name} was not run yet")
    assert (folder / facts.PAGE).read_text() == facts.render(folder)
    tried = []
    if name == "radius":
        runs = radius.read_runs()
    elif name == "cells":
        runs, tried = cells.finished(cells.kept()), cells.kept(cells.OF_RATES)
    else:
        reports = {"tuned": ("measured", "search"), "widths": ("measured", "rates")}.get(
            name, ("shakespeare",)
        )
        runs = [row for row in rows(folder / reports[0], "runs") if row["status"] == "finished"]
        tried = [row for report in reports[1:] for row in rows(folder / report, "runs")]
    expected = facts_from(name, folder, runs, tried)
    kept = facts.read_facts(folder)
    for fact, value in expected.items():
        assert kept[fact] == (pytest.approx(value) if isinstance(value, float) else value), fact


# ---------------------------------------------------------------- interventions


@pytest.fixture(scope="module")
def brief():
    return Corpus.from_text(made_up_text(1000), "made-up")


def after(config, corpus, updates, change=None):
    """Return the parameters after some updates, each of which `change` may do instead."""
    training = Training(config, corpus)
    for _ in range(updates):
        change(training) if change else training.advance(1)
    return {name: np.array(a) for name, a in training.layout.named(training.buffers.theta).items()}


def test_a_share_of_adagrads_step_is_the_step_with_that_share_of_the_rate(brief):
    config = RunConfig(updates=20, hidden=5, seq_length=10, dtype="float64", warmup=20)
    prepare_kernels(config)
    plain = RunConfig(**{**config.to_dict(), "warmup": 0})
    steps = {}
    for arm in (radius.OF_W, radius.OTHERS):
        training = Training(plain, brief)
        before = {n: np.array(a) for n, a in training.layout.named(training.buffers.theta).items()}
        radius.one_update(training, arm)
        now = training.layout.named(training.buffers.theta)
        steps[arm] = {name: now[name] - before[name] for name in now}
    full = {n: a - before[n] for n, a in after(plain, brief, 1).items()}
    for name, step in full.items():
        shortened, other = (radius.OF_W, radius.OTHERS) if name == "W" else (radius.OTHERS, radius.OF_W)
        assert np.allclose(steps[shortened][name], step / radius.WARMUP, atol=1e-15)
        assert np.allclose(steps[other][name], step, atol=1e-15)


def test_the_radius_is_held_at_one(brief):
    config = RunConfig(updates=20, hidden=5, seq_length=10)
    found = after(config, brief, 5, lambda training: radius.one_update(training, radius.FIXED))
    assert radius.spectral_radius(found["W"]) == pytest.approx(1, rel=1e-5)


# ---------------------------------------------------------------- numbers of the prose

PROSE = [
    "README.md",
    "results/README.md",
    *(f"docs/tutorials/{n}.md" for n in ("students", "researchers", "texts")),
]
TABLES = ("settings.csv", "facts.csv")  # a differing digit would be found among all differences
AGGREGATED = re.compile(
    r"^(validation|test|smooth_loss)\w*_(mean|median|min|max|ci_low|ci_high)$|^value$"
)
TYPED = ("eta", "sigma", "epsilon", "beta1", "beta2")  # settings, which prose names


def values_in(folders):
    """Return all aggregated numbers in the tables of some folders, and the settings of their runs."""
    values = {0.999, *RunConfig().to_dict().values(), *SETTINGS["eta"].default.values()}
    for file in (
        file
        for folder in folders
        for name in TABLES
        for file in folder.rglob(name)
        if "sweeps" not in file.parts
    ):
        for row in csv_rows(file):
            names = [n for n in row if n and (AGGREGATED.search(n) or n in TYPED)]
            values |= {facts.parsed(row[n]) for n in names if row[n]}
    return np.unique([abs(value) for value in values if isinstance(value, int | float)])


def linked_folders(text, page):
    """Return the folders in results/ that a text links."""
    base, results = (ROOT / page).parent, ROOT / "results"
    targets = [(base / path).resolve() for path in re.findall(r"\]\(([^)#:]+)\)", text)]
    parts = [target.relative_to(results).parts for target in targets if target.is_relative_to(results)]
    return {results / names[0] for names in parts if len(names) > 1}


def claims(page):
    """Return each number of a page with three decimals or more, and the folders that it may be from.

    They are those that its item of a list links, or else its section, or else all.
    """
    for section in re.split(r"^#+ ", (ROOT / page).read_text(), flags=re.MULTILINE)[1:]:
        for item in re.split(r"^(?=- )", section, flags=re.MULTILINE):
            folders = linked_folders(item, page) or linked_folders(section, page) or {ROOT / "results"}
            plain = re.sub(r"`[^`]*`|\]\([^)]*\)", "", item)
            for number in re.findall(r"(?<![\w.])\d+\.\d{3,}(?![\w.])", plain):
                yield number, frozenset(folders)


@pytest.mark.parametrize("page", PROSE)
def test_the_numbers_of_the_prose_are_in_the_tables_that_it_links(page):
    values = {folders: values_in(folders) for _, folders in claims(page)}
    for number, folders in claims(page):
        tolerance = 0.5 * 10.0 ** -len(number.partition(".")[2]) * (1 + 1e-9)
        assert np.abs(values[folders] - float(number)).min() <= tolerance, f"{page}: {number}"
