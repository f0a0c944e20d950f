"""The report of a sweep as a document: the answer, pictures, tables, samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nbrnn.analysis.result_tables import Results
from nbrnn.config import SETTINGS
from nbrnn.errors import StoreError
from nbrnn.naming import replicate_name, short_texts
from nbrnn.report.document import (
    METHODS,
    Block,
    Bullets,
    Document,
    Figure,
    Fold,
    Paragraph,
    ProgressBar,
    Samples,
    Section,
)
from nbrnn.report.reproducibility import as_typed, reproducibility
from nbrnn.report.sweep_answer import answers, outlook, verdict
from nbrnn.report.table_registry import IN_ANSWER, TABLES, notes_on_parts
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import COMPLETE, DROPPED, FAILURES
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.values import plural

SPECS = {spec.name: spec for spec in TABLES}
FIRST_FIGURE = "best"  # beside the answer: every run, by configuration
MAX_CORPORA = 3  # that the title names
MAX_COMMANDS = 5
MAX_IN_PROGRESS = 20  # runs with a bar
MAX_STARTS = 100  # runs of which env.json is read
MAX_SAMPLES = 12  # configurations whose samples are on the page; samples.md has all
MAX_PROBLEMS = 5  # of one kind
MAX_OPEN = 10  # sentences, and
MAX_OPEN_ROWS = 50  # rows of a table, that are not folded
EXPLANATION = (
    "The loss of a window is the sum of -log p over its characters, or with --loss mean their mean; the "
    "smooth loss is its running mean, 0.999 smooth + 0.001 loss. Each table is also beside this page as "
    "CSV, Markdown and LaTeX, each picture as PNG, SVG and PDF."
)


@dataclass(frozen=True)
class Request:
    """What folders were asked to do: the commands, oldest first, and the ids of all runs."""

    commands: list[str]
    runs: set[str]


def read_request(paths: Iterable[Path]) -> Request:
    """Return what was asked for in folders of sweeps and runs, as far as their files say."""
    commands, runs = [], set()
    for path in paths:
        with suppress(StoreError):
            if SweepFolder(path).is_sweep():
                for request in SweepFolder(path).read_requests():
                    commands.append(request.command)
                    runs |= set(request.runs)
            else:
                commands.append(RunFolder(path).read_env().command)
    texts = dict.fromkeys(as_typed(command) for command in commands if command)
    return Request(list(texts)[-MAX_COMMANDS:], runs)


def sweep_document(
    results: Results, request: Request, figures: Mapping[str, Figure], samples: Mapping[str, Samples]
) -> Document:
    """Return the report of many runs."""
    first = [figure for name, figure in figures.items() if name == FIRST_FIGURE]
    others = [figure for name, figure in figures.items() if name != FIRST_FIGURE]
    after = outlook(results)
    head: list[Block] = [Bullets(verdict(results), is_answer=True), *first]
    head += [Bullets(after)] if after else []
    head += [Paragraph(note, "soft") for note in notes_on_parts(results)]
    head += [Paragraph(f"Fixed: {fixed}.", "soft")] if (fixed := fixed_settings(results)) else []
    head += [Paragraph(command, "command") for command in request.commands]
    problems = [f"Left out: {problem}." for problem in results.unreadable]
    folds = [Fold(section.title, section.blocks) for section in answer_tables(results)]
    folds = folds if len(results.configurations) > 1 else []
    count, table = len(results.runs), SPECS["runs"].blocks(results)
    sections = [
        Section("", head),
        Section("Progress", progress(results, request)),
        Section("", [*folds, *first_few(problems, "more runs are left out"), *others]),
        Section("Configurations", configurations(results)),
        Section("Differences", differences(results)),
        Section("Samples", sample_folds(samples)),
        Section("Runs", [Fold(plural(count, "run"), table, count <= MAX_OPEN_ROWS)]),
        Section("Reproducibility", [*map(Paragraph, reproduction(results))]),
        Section("", [Paragraph(EXPLANATION, "soft")]),
    ]
    return Document(title_of(results), status_of(results), sections)


def title_of(results: Results) -> str:
    """Return the names of the texts, and what was swept over them."""
    corpora = list(dict.fromkeys(results.runs["corpus"]))
    names = " and ".join([*corpora[:MAX_CORPORA], *(["others"] if corpora[MAX_CORPORA:] else [])])
    *rest, last = results.swept or ["one configuration"]
    return f"{names}: {', '.join(rest)} and {last}" if rest else f"{names}: {last}"


def status_of(results: Results) -> str:
    """Return how many runs have which status, of how many configurations and seeds."""
    counts = results.runs["status"].value_counts().items()
    statuses = ", ".join(f"{count:,} {status}" for status, count in counts)
    configurations = plural(len(results.configurations), "configuration")
    seeds = plural(results.runs["seed"].nunique(), "seed")
    if results.folds > 1:
        seeds += f", {results.folds} parts of the text"
    return f"{statuses} · {configurations}, {seeds} · losses of training in {results.unit}"


def fixed_settings(results: Results) -> str:
    """Return the settings that all runs share and that differ from their defaults."""
    values: dict[str, set[object]] = {}
    for record in results.records:
        if not record.is_imported:
            for name, value in record.config.to_dict().items():
                is_default = value == SETTINGS[name].default_in(vars(record.config))
                values.setdefault(name, set()).add(None if is_default else value)
    shared = {n: next(iter(given)) for n, given in values.items() if len(given) == 1 and n != "seed"}
    return ", ".join(f"{n} {short_texts([v])[v]}" for n, v in shared.items() if v is not None)


def progress(results: Results, request: Request) -> list[Block]:
    """Return how far the runs are, apart from unreadable ones; nothing where all have ended."""
    bars = []
    for record, name in zip(results.records, results.runs["setting"], strict=True):
        config, summary = record.config, record.summary
        if summary.status not in (*COMPLETE, *FAILURES, DROPPED):
            length = config.length(record.corpus.characters)
            how_far = f"{summary.status}, {summary.updates:,} of {plural(length, 'update')}"
            bars.append(
                ProgressBar(f"{name}, {replicate_name(config)}: {how_far}", summary.updates, length)
            )
    total = len(request.runs | set(results.runs["run_id"])) - len(results.unreadable)
    total = max(total, len(results.records))  # unreadable runs may be those of another request
    ended = len(results.records) - len(bars)
    if ended == total:
        return []
    counts = f"{len(bars)} in progress, {total - ended - len(bars)} not started"
    done = ended + sum(bar.done / max(1, bar.total) for bar in bars)
    overall = ProgressBar(f"{ended} of {plural(total, 'run')} ended, {counts}", done, total)
    shown = first_few(bars, "more runs in progress", MAX_IN_PROGRESS)
    return [overall, *([Fold("Runs in progress", shown, len(bars) <= 4)] if bars else [])]


def answer_tables(results: Results) -> list[Section]:
    """Return the tables that the answer refers to, and its methods."""
    specs = (spec for spec in TABLES if spec.name in IN_ANSWER)
    tables = [Section(spec.title, blocks) for spec in specs if (blocks := spec.blocks(results))]
    return [*tables, Section("Methods", [Paragraph(METHODS["answer"], "soft")])]


def first_few(items: Sequence[str | Block], more: str, limit: int = MAX_PROBLEMS) -> list[Block]:
    """Return the first items, texts as paragraphs, and how many more there are."""
    blocks = [Paragraph(item) if isinstance(item, str) else item for item in items[:limit]]
    rest = len(items) - limit
    return [*blocks, Paragraph(f"{rest} {more}.")] if rest > 0 else blocks


def configurations(results: Results) -> list[Block]:
    """Return the table of configurations for each measure, that of the first one open."""
    worse = first_few(results.models_worse_than_unigram(), "more such models are in settings.md")
    sections = SPECS["settings"].sections(results)
    folds = [Fold(section.title, section.blocks, i == 0) for i, section in enumerate(sections)]
    return [*worse, *folds]


def differences(results: Results) -> list[Block]:
    """Return the differences by the first measure, in words and in a table."""
    spec = SPECS["comparison"]
    sections = spec.sections(results)
    if not sections:
        return []
    content, (table, words) = spec.content(results, results.known_measures[0]), sections[0].blocks
    more = len(content.rows) - len(content.sentences)
    rest = [Paragraph(f"{more:,} more pairs are in the table.")] if more > 0 else []
    others = " comparison.md has those of the other measures." if len(sections) > 1 else ""
    return [
        Fold("In words", [words, *rest], len(content.sentences) <= MAX_OPEN),
        Fold(f"{sections[0].title}: {plural(len(content.rows), 'pair')}", [table]),
        *(Paragraph(f"{note}{others}", "soft") for note in spec.notes(results)),
    ]


def samples_of(results: Results) -> dict[str, Samples]:
    """Return samples of each configuration's best, median and worst seed: the first, middle, last."""
    samples = {}
    for configuration in results.configurations["setting"]:
        records = results.finished_by_seed(configuration)
        if not records:
            continue
        seeds = list(records)
        ranks = {"best": 0, "median": (len(seeds) - 1) // 2, "worst": len(seeds) - 1}
        chosen = {seeds[rank]: name for name, rank in reversed(ranks.items())}
        columns = {f"{chosen[seed]} seed, {seed}": records[seed].samples for seed in reversed(chosen)}
        updates = sorted({update for texts in columns.values() for update in texts})
        rows = [(f"update {n:,}", [texts.get(n, "") for texts in columns.values()]) for n in updates]
        samples[configuration] = Samples(list(columns), rows)
    return samples


def sample_folds(samples: Mapping[str, Samples]) -> list[Block]:
    """Return the samples of the best configurations."""
    folds = [
        Fold(name, [block], i == 0) for i, (name, block) in enumerate(samples.items()) if block.rows
    ]
    return first_few(folds, "more configurations are in samples.md", MAX_SAMPLES)


def reproduction(results: Results) -> list[str]:
    """Return with which versions, processors and seeds the runs were trained."""
    trained = [record for record in results.records if not record.is_imported]
    some = trained[:: max(1, len(trained) // MAX_STARTS)]
    starts = [record.read_environment() for record in some]
    return reproducibility(starts, (record.config.seed for record in trained))


def answer_document(results: Results) -> Document:
    """Return answer.md."""
    answer = Section("", [Bullets(answers(results)), *map(Paragraph, notes_on_parts(results))])
    return Document("Answer", "", [answer, *answer_tables(results)])
