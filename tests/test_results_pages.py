"""No number without a file behind it: pages of results/, README.md and docs/ against the kept runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from harness import csv_rows, made_up_text

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.runs.training_state import Training, prepare_kernels
from results import cells, edge, facts, folds, minutes, order, radius, sigma, statistics, tuned, widths
from results.question import finished_runs, rows

ROOT = Path(__file__).parents[1]
PAGES = [".", *sorted(file.parent.name for file in facts.ROOT.glob(f"*/{facts.TEMPLATE}"))]


# ---------------------------------------------------------------- studies whose pages are templates


def grids_of(tried):
    """Return the learning rates that were tried for each size and warm-up."""
    grids = {(m, w): set() for m in widths.RATES for w in widths.WARMUPS}
    for row in tried:
        grids[int(row["hidden"]), int(row["warmup"])].add(float(row["eta"]))
    return {place: sorted(grid) for place, grid in grids.items()}


def kept_by_widths():
    """Return the rates that widths tried, their runs, and those with fresh seeds."""
    tried = rows(widths.HERE / "rates", "runs")
    return grids_of(tried), tried, finished_runs(widths.HERE / "measured")


KEPT = {  # what each study computes its facts from
    cells: lambda: (*WRITTEN_FROM[cells](), rows(cells.HERE, "stability")),
    edge: edge.kept,
    folds: lambda: (folds.HERE / "shakespeare",),
    minutes: minutes.kept,
    order: lambda: (order.kept(),),
    radius: lambda: (radius.read_runs(),),
    sigma: lambda: (sigma.kept(),),
    statistics: statistics.kept,
    tuned: lambda: (tuned.best_settings(tuned.HERE / "search"), tuned.HERE / "measured"),
    widths: kept_by_widths,
}
WRITTEN_FROM = {  # and its tables
    cells: lambda: (cells.finished(cells.kept()), cells.kept(cells.OF_RATES)),
    statistics: lambda: (rows(statistics.HERE, "before"), rows(statistics.HERE, "coverage")),
    edge: lambda: edge.kept()[:3],
    **{study: KEPT[study] for study in (folds, order, radius, sigma, tuned, widths)},
}


def name_of(study):
    return study.HERE.name


@pytest.mark.parametrize("page", PAGES)
def test_a_template_has_no_measured_number_of_its_own(page):
    own = re.sub(r"\{[^}]*\}|`[^`]*`", "", (facts.ROOT / page / facts.TEMPLATE).read_text())
    assert not re.findall(r"\d\.\d", own)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_its_template_with_facts_and_tables(page):
    folder = facts.ROOT / page
    assert (folder / facts.PAGE).read_text() == facts.render(folder)


@pytest.mark.parametrize("study", KEPT, ids=name_of)
def test_facts_are_those_of_the_runs(study):
    kept = facts.read_facts(study.HERE)
    for fact, value in study.facts_of(*KEPT[study]()).items():
        assert kept[fact] == (pytest.approx(value) if isinstance(value, float) else value), fact


@pytest.mark.parametrize("study", WRITTEN_FROM, ids=name_of)
def test_tables_are_those_of_the_runs(study, tmp_path, monkeypatch):
    folder, kept = study.HERE, WRITTEN_FROM[study]()
    monkeypatch.setattr(study, "HERE", tmp_path)
    study.write_tables(*kept)
    for file in tmp_path.iterdir():
        for row, kept_row in zip(csv_rows(file), csv_rows(folder / file.name), strict=True):
            cells_of = [{n: facts.parsed(cell) for n, cell in r.items()} for r in (row, kept_row)]
            assert cells_of[1] == pytest.approx(cells_of[0])


def test_a_difference_is_the_median_over_all_pairs_of_runs():
    losses = {("a",): np.array([1.0, 2.0, 4.0]), ("b",): np.array([0.0, 0.5, 10.0])}
    pair = ("a",), ("b",)
    shift, *_ = facts.difference_cells(losses, [pair])[pair]
    assert shift == np.median([1, 0.5, -9, 2, 1.5, -8, 4, 3.5, -6])


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

RANGE = (
    "between {sigma.lowest_7:.1f} and {sigma.highest_7:.1f} nats per window over {sigma.seeds_7} seeds"
)
QUOTES = {  # what prose says of the results
    "README.md": [
        "a loss of {minutes.ten_minutes_loss:.2f} nats per character",
        "after {minutes.ten_minutes_seconds:.0f} s of training",
        "after {cells.epochs} epochs: medians of {cells.seeds} seeds",
        "up to {cells.large:,} parameters",
        "{cells.large_networks}",
    ],
    "docs/cells.md": [
        "of {cells.unstable_0_lowest:.2f} to {cells.unstable_0_highest:.2f} without a warm-up",
        "of {cells.unstable_300_lowest:.2f} to {cells.unstable_300_highest:.2f} with it",
    ],
    "docs/reference/settings.md": [
        "from {edge.without:.3f} to {edge.with:.3f} (medians of {edge.seeds} seeds"
    ],
    "docs/tutorials/researchers.md": [RANGE],
    "docs/tutorials/students.md": [
        RANGE,
        "| test loss after {folds.epochs} epochs of Shakespeare, nats per character "
        "| {folds.mean_1:.3f} | {folds.mean_0:.3f} | {folds.mean_2:.3f} |",
    ],
}
PROSE = [
    "README.md",
    *(
        str(file.relative_to(ROOT))
        for glob in ("docs/*.md", "docs/tutorials/*.md")
        for file in sorted(ROOT.glob(glob))
    ),
]


def plain(text):
    """Return a text with single spaces."""
    return " ".join(text.split())


@pytest.mark.parametrize("page", QUOTES)
def test_prose_says_of_the_results_what_they_are(page):
    text = plain((ROOT / page).read_text())
    for quote in QUOTES[page]:
        assert plain(facts.fill(quote)) in text


@pytest.mark.parametrize("page", PROSE)
def test_prose_has_no_measured_number_of_its_own(page):
    text = plain((ROOT / page).read_text())
    for quote in QUOTES.get(page, ()):
        text = text.replace(plain(facts.fill(quote)), "")
    own = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|Python 3\.11", "", text)
    assert not re.findall(r"\d+\.\d+", own)
