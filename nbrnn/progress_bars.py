"""Progress of a run or a sweep on stderr: live bars on a terminal or in a notebook, else log lines."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

from rich import progress as bars
from rich.console import Console
from rich.table import Column
from rich.text import Text

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.escaping import one_line, visible
from nbrnn.naming import PER_CHARACTER, namer, span, unit_of
from nbrnn.runs.observer import Observer, Progress
from nbrnn.storage.schemas import FAILURES, Round, Sample, Summary
from nbrnn.sweeps.job import Job
from nbrnn.sweeps.sweep import Outcome, SweepObserver
from nbrnn.values import loss_in_progress, plural

REDRAW_SECONDS = 0.25  # between two pictures of the bars in a notebook
LOG_SECONDS = 10.0  # between two lines about a run where there is no bar
MAX_LOG_LINES = 100  # about one run
MAX_NAMED = 3  # failed runs that are named in one line
FIGURES_WIDTH = 12  # columns beside a bar and its text: the percentage, the time left
SAMPLE_SECONDS = 60.0  # between two samples on a terminal, at most


def stderr_console() -> Console:
    """Return the console for messages and progress."""
    return Console(stderr=True, highlight=False)


class NotebookBars(bars.Progress):
    """Bars below the cell of a notebook, without ipywidgets, which rich's own need."""

    def start(self) -> None:
        """Make room for the bars."""
        self.next_time = 0.0
        if not self.disable:
            from IPython import display

            notebook: Any = display
            self.empty = notebook.HTML("")
            self.place = notebook.display(self.empty, display_id=True)

    def update(self, *arguments: Any, **changes: Any) -> None:
        """Move a bar, and redraw all of them now and then."""
        super().update(*arguments, **changes)
        if not self.disable and time.monotonic() >= self.next_time:
            self.next_time = time.monotonic() + REDRAW_SECONDS
            self.place.update(self.make_tasks_table(self.tasks))

    def stop(self) -> None:
        """Remove the bars."""
        if not self.disable:
            self.place.update(self.empty)


class ProgressDisplay:
    """Messages on stderr and, on a terminal or in a notebook, bars below them, within a context.

    A bar has at least `bar_width` columns. `on_start` is called as soon as there is something to save.
    """

    bar_width = 3

    def __init__(self, quiet: bool, on_start: Callable[[], object] = lambda: None) -> None:
        self.quiet, self.on_start = quiet, on_start
        self.console = stderr_console()
        self.steps: dict[str, bars.TaskID] = {}
        kind = NotebookBars if self.console.is_jupyter else bars.Progress
        self.bars = kind(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=None, table_column=Column(ratio=1)),
            bars.TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True, min_width=4)),
            bars.TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
            console=self.console,
            disable=quiet or not (sys.stderr.isatty() or self.console.is_jupyter),
            expand=True,
            transient=True,
            refresh_per_second=4,
        )

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bars.stop()

    def say(self, message: str) -> None:
        """Write one line of plain text."""
        if not self.quiet:
            self.console.print(Text(visible(message)), soft_wrap=True)

    def fitted(self, text: str) -> str:
        """Return a bar's text, cut after a whole part or word where it is too long."""
        width = self.console.width - FIGURES_WIDTH - self.bar_width
        if len(text) <= width:
            return text
        # the last end of a part, else of a word, that leaves room for " …"
        part = max(text.rfind(" · ", 0, width + 1), text.rfind(", ", 0, width))
        ends = part, text.rfind(" ", 0, width - 1)
        return f"{text[: next((end for end in ends if end > 0), width - 2)]} …"

    def step(self, what: str, done: int, total: int) -> None:
        """Show how much of one part of the work is done, on a bar of its own."""
        text = self.fitted(f"{what}: {done:,} of {total:,}")
        if what not in self.steps:
            self.steps[what] = self.bars.add_task(text, total=total)
        self.bars.update(self.steps[what], completed=done, description=text)


class RunDisplay(ProgressDisplay, Observer):
    """Progress and samples of one run; `notes` are said when it starts."""

    bar_width = 20

    def __init__(
        self,
        folder: str,
        config: RunConfig,
        corpus: Corpus,
        quiet: bool,
        on_start: Callable[[], object] = lambda: None,
        notes: Iterable[str] = (),
    ) -> None:
        super().__init__(quiet, on_start)
        self.folder, self.notes = folder, notes
        self.updates_per_epoch = config.updates_per_epoch(len(corpus))
        # Beside a validation loss the smooth loss is shown in the same unit.
        self.unit = PER_CHARACTER if config.validation else unit_of(config)
        self.characters = config.characters_in_loss if config.validation else 1
        self.has_started = False
        self.shows_samples = sys.stderr.isatty() and not quiet
        self.next_time, self.next_update, self.next_sample = 0.0, 0.0, 0.0

    def preparing(self) -> None:
        """Show a moving bar while the kernels are compiled or loaded."""
        self.steps["kernels"] = self.bars.add_task("preparing the kernels", total=None)

    def started(self, update: int, updates: int) -> None:
        """Say where the run is kept, and at which update it resumes."""
        self.on_start()
        if "kernels" in self.steps:
            self.bars.remove_task(self.steps.pop("kernels"))
        self.next_time = time.monotonic() + LOG_SECONDS
        self.next_sample = time.monotonic() + SAMPLE_SECONDS
        resumed = f"Resuming in {self.folder} after update {update:,} of {updates:,}."
        self.say(resumed if update else f"Training in {self.folder}: {updates:,} updates.")
        for note in () if update or self.quiet else self.notes:
            self.say(note)
        self.task = self.bars.add_task("", total=updates, completed=update)
        self.has_started = True

    def progressed(self, progress: Progress) -> None:
        """Move the bar; without bars write a line now and then, as for the log of a batch system."""
        epochs, total = (n / self.updates_per_epoch for n in (progress.update, progress.updates))
        smooth = loss_in_progress(progress.smooth_loss / self.characters)
        losses = f"smooth loss {smooth}"
        if progress.held_out_loss is not None:
            losses = f"validation {loss_in_progress(progress.held_out_loss)}, smooth {smooth}"
        speed = f"{progress.updates_per_second:,.0f} updates/s"
        text = f"epoch {epochs:.1f}/{total:.4g} · {losses} {self.unit.replace(' per ', '/')} · {speed}"
        if not self.bars.disable:
            self.bars.update(self.task, completed=progress.update, description=self.fitted(text))
        elif time.monotonic() >= self.next_time and progress.update >= self.next_update:
            self.say(f"update {progress.update:,} of {progress.updates:,} · {text}")
            self.next_time = time.monotonic() + LOG_SECONDS
            self.next_update = progress.update + progress.updates / MAX_LOG_LINES

    def wants_sample(self) -> bool:
        """Return whether nobody has seen a sample for a minute."""
        return self.shows_samples and time.monotonic() >= self.next_sample

    def sampled(self, sample: Sample) -> None:
        """Show a sample, on a terminal."""
        self.next_sample = time.monotonic() + SAMPLE_SECONDS
        if self.shows_samples:
            smooth = sample.smooth_loss
            loss = "" if smooth is None else f", smooth loss {loss_in_progress(smooth)}"
            title = Text(f"update {sample.update:,}{loss}", style="bold")
            self.console.rule(title, align="left", style="dim")
            self.console.print(Text(visible(sample.text)), soft_wrap=True)


class SweepDisplay(ProgressDisplay, SweepObserver):
    """Progress of a sweep: a bar for the whole, with the best loss, and one for each run in progress."""

    def __init__(
        self, folder: str, corpus: Corpus, quiet: bool, on_start: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(quiet, on_start)
        self.folder, self.corpus = folder, corpus
        self.rows: dict[str, bars.TaskID] = {}  # of the runs in progress, by run id
        self.updates: dict[str, int] = {}  # done by each run, in progress or not
        self.best: tuple[float, str] | None = None
        self.lock = threading.Lock()

    def length(self, job: Job) -> int:
        """Return the number of updates of a run."""
        return job.config.length(len(self.corpus))

    def name(self, job: Job) -> str:
        """Return the settings in which a run differs from the others."""
        return self.name_of(job.config, with_seed=True)

    def planned(self, outcome: Outcome) -> None:
        """Say what there is to do."""
        self.outcome = outcome
        configs = [job.config for job in outcome.jobs]
        self.name_of = namer(configs)
        self.is_validated = all(config.validation for config in configs)
        self.unit = PER_CHARACTER if self.is_validated else unit_of(*configs)
        self.max_rows = max(1, shutil.get_terminal_size().lines - 3)
        before = f", {outcome.done_before:,} done before" if outcome.done_before else ""
        self.say(f"Sweep in {self.folder}: {plural(len(outcome.jobs), 'run')}{before}.")
        for job in outcome.jobs:
            if job.run_id in outcome.summaries:
                self.keep_best(job, self.best_of(job, outcome.summaries[job.run_id]))
        self.runs_ended, self.runs_in_round = len(outcome.summaries), len(outcome.jobs)
        left = [job for job in outcome.jobs if job.run_id not in outcome.summaries]
        self.total = sum(map(self.length, left))
        self.whole = self.bars.add_task(self.whole_text(), total=self.total)

    def ready(self) -> None:
        """Let a signal wait for checkpoints from now on."""
        self.on_start()

    def entered(self, runs: int, done: int) -> None:
        """Count the runs of a round of successive halving."""
        with self.lock:
            self.runs_ended, self.runs_in_round = done, runs

    def decided(self, decided: Round) -> None:
        """Say how many configurations continue; take the updates of the others from the total."""
        with self.lock:
            lengths = {job.run_id: self.length(job) for job in self.outcome.jobs}
            dropped = decided.dropped_runs
            self.total -= sum(lengths[run_id] - self.updates.get(run_id, 0) for run_id in dropped)
            self.bars.update(self.whole, total=self.total)
        compared = [*decided.kept, *decided.dropped]
        updates = span([standing.update for standing in compared])
        kept = len(decided.kept)
        self.say(f"After {updates} updates {kept:,} of {len(compared):,} configurations continue.")

    def started(self, job: Job, update: int, updates: int) -> None:
        """Add a bar for a run, if there is room."""
        with self.lock:
            self.updates[job.run_id] = update
            self.remove_row(job)  # there is one if its process died and it starts again
            if len(self.rows) < self.max_rows:
                text = self.fitted(f"{'':10}{self.name(job)}")
                self.rows[job.run_id] = self.bars.add_task(text, total=updates, completed=update)

    def progressed(self, job: Job, progress: Progress) -> None:
        """Move the bars."""
        with self.lock:
            self.updates[job.run_id] = progress.update
            if not self.is_validated:
                self.keep_best(job, self.in_unit(job, progress.best_smooth_loss))
            if job.run_id in self.rows:
                loss = loss_in_progress(self.in_unit(job, progress.smooth_loss))
                text = self.fitted(f"  {loss:>6}  {self.name(job)}")
                self.bars.update(self.rows[job.run_id], completed=progress.update, description=text)
            self.move_whole()

    def ended(self, job: Job, summary: Summary) -> None:
        """Remove the bar of a run; say how it ended where there are no bars, or if it failed."""
        best, failed = self.best_of(job, summary), summary.status in FAILURES
        with self.lock:
            self.remove_row(job)
            if summary.status != "interrupted":
                self.updates[job.run_id] = self.length(job)
            self.runs_ended += 1
            self.keep_best(job, best)
            self.move_whole()
        if failed or self.bars.disable:
            kind = "validation" if self.is_validated else "smooth"
            what = (
                summary.reason
                if failed or best is None
                else f"best {kind} loss {loss_in_progress(best)}"
            )
            ended = ", ".join(filter(None, (summary.status, what)))
            place = f"[{self.runs_ended}/{self.runs_in_round}]"
            self.say(one_line(f"{place} {self.name(job)}: {ended}"))

    def drawing(self, done: int, runs: int) -> None:
        """Show how many of the pictures are drawn; where there are no bars, say so once."""
        if self.bars.disable and runs and not done:
            self.say(f"Drawing the losses of {plural(runs, 'run')}.")
        self.step("pictures of runs", done, runs)

    def best_of(self, job: Job, summary: Summary) -> float | None:
        """Return the loss by which runs are ranked."""
        if self.is_validated or summary.smooth_loss_best is None:
            return summary.validation_best if self.is_validated else None
        return self.in_unit(job, summary.smooth_loss_best)

    def in_unit(self, job: Job, smooth_loss: float) -> float:
        """Return a run's smooth loss in the unit that is shown for all runs."""
        return smooth_loss / (job.config.characters_in_loss if self.unit == PER_CHARACTER else 1)

    def keep_best(self, job: Job, best: float | None) -> None:
        """Keep the best loss, and the name of its run."""
        if best is not None and (self.best is None or best < self.best[0]):
            self.best = (best, self.name(job))

    def remove_row(self, job: Job) -> None:
        """Remove the bar of a run, if it has one."""
        if job.run_id in self.rows:
            self.bars.remove_task(self.rows.pop(job.run_id))

    def move_whole(self) -> None:
        """Move the bar of the whole sweep."""
        self.bars.update(self.whole, completed=sum(self.updates.values()), description=self.whole_text())

    def whole_text(self) -> str:
        """Return how many runs have ended, and the best loss so far."""
        runs = f"{self.runs_ended:,}/{self.runs_in_round:,} runs"
        if self.best is None:
            return runs
        loss, name = self.best
        return self.fitted(
            f"{runs} · best {loss_in_progress(loss)} {self.unit.replace(' per ', '/')}: {name}"
        )


def describe_failures(outcome: Outcome) -> str:
    """Return in one line which runs diverged or failed, and why."""
    failures, total = outcome.failures(), len(outcome.jobs)
    named = [f"{run_id} ({reason})" for run_id, reason in list(failures.items())[:MAX_NAMED]]
    more = f" and {len(failures) - MAX_NAMED} more" if len(failures) > MAX_NAMED else ""
    is_whole = len(outcome.summaries) == total and not outcome.count("interrupted")
    undecided = "no configuration is dropped until these have run: give the same command again"
    stopped = "" if is_whole else f"; {undecided if outcome.undecided else 'stopped by --max-failures'}"
    return f"{len(failures)} of {total} runs did not finish: {'; '.join(named)}{more}{stopped}"
