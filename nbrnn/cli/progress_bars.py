"""What a person sees of a run or a sweep while it runs: on stderr, live only on a terminal."""

from __future__ import annotations

import io
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Self, TextIO, cast

from rich import progress as bars
from rich.console import Console, RenderableType
from rich.table import Column
from rich.text import Text

from nbrnn.cli.console import Unfailing, span
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.escaping import one_line, visible
from nbrnn.naming import PER_CHARACTER, namer, unit_of
from nbrnn.runs.observer import Observer, Progress
from nbrnn.storage.schemas import FAILURES, Round, Sample, Summary
from nbrnn.sweeps.job import Job
from nbrnn.sweeps.sweep import Outcome, SweepObserver

NOTEBOOK_WIDTH = 100  # characters
REDRAW_SECONDS = 0.25
LOG_SECONDS = 10.0  # between two lines about a run where there is no bar
MOST_LINES = 100  # of them, however long it takes
BESIDE = 15  # characters beside the text of a bar: the bar itself, the share, the time left


def stderr_console() -> Console:
    """Return where messages and progress go; that they cannot be written stops no work."""
    return Console(file=cast(TextIO, Unfailing(sys.stderr)), highlight=False)


class NotebookBars(bars.Progress):
    """Bars below the cell of a notebook; those of rich itself need ipywidgets there."""

    def start(self) -> None:
        """Make room for the bars."""
        self.next_time = 0.0
        if not self.disable:
            from IPython import display

            self.notebook: Any = display
            self.place = self.notebook.display(self.notebook.HTML(""), display_id=True)

    def update(self, *arguments: Any, **changes: Any) -> None:
        """Move a bar, and show all of them now and then."""
        super().update(*arguments, **changes)
        if not self.disable and time.monotonic() >= self.next_time:
            self.next_time = time.monotonic() + REDRAW_SECONDS
            self.show(self.get_renderable())

    def stop(self) -> None:
        """Take the bars away."""
        if not self.disable:
            self.show("")

    def show(self, content: RenderableType) -> None:
        """Replace what is shown."""
        page = Console(file=io.StringIO(), width=NOTEBOOK_WIDTH, record=True, force_jupyter=False)
        page.print(content, end="")
        text = page.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
        self.place.update(self.notebook.HTML(text))


class Screen:
    """Lines of text on stderr and, on a terminal, bars below them, within a context.

    In a notebook both are below the cell.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.console = stderr_console()
        self.steps: dict[str, bars.TaskID] = {}
        kind = NotebookBars if self.console.is_jupyter else bars.Progress
        self.bars = kind(
            bars.TextColumn("{task.fields[numbers]}", markup=False),
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
        """Return as many parts of a bar's text as there is room for, or else words."""
        width = self.console.width - BESIDE
        if len(text) <= width:
            return text
        begin = text[: width - 2]
        end = max(begin.rfind(" · "), begin.rfind(", "))
        return f"{begin[: end if end > 0 else begin.rfind(' ')]} …"

    def step(self, what: str, done: int, total: int) -> None:
        """Show on a bar of its own how much of some part of the work is done."""
        if what not in self.steps:
            self.steps[what] = self.bars.add_task("", total=total, numbers="")
        numbers = self.fitted(f"{what}: {done:,} of {total:,}")
        self.bars.update(self.steps[what], completed=done, numbers=numbers)


class Watcher(Screen, Observer):
    """Shows progress and samples of one run; calls `on_start` when there is something to save."""

    def __init__(
        self,
        folder: str,
        config: RunConfig,
        corpus: Corpus,
        quiet: bool,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(quiet)
        self.folder, self.on_start = folder, on_start
        self.updates_per_epoch = config.updates_per_epoch(len(corpus))
        # beside a held-out loss the smooth one is shown in the same unit
        unit = PER_CHARACTER if config.validation else unit_of(config)
        self.unit = unit.replace(" per ", "/")
        self.characters = config.characters_in_loss if config.validation else 1
        self.task: bars.TaskID | None = None
        self.next_time, self.next_update = 0.0, 0.0

    @property
    def has_started(self) -> bool:
        """Whether there was anything to do."""
        return self.task is not None

    def started(self, update: int, updates: int) -> None:
        """Say where the run is kept, and from where it goes on."""
        self.on_start()
        self.next_time = time.monotonic() + LOG_SECONDS
        verb = f"Going on after update {update:,}" if update else "Training"
        self.say(f"{verb} in {self.folder}: {updates:,} updates.")
        self.task = self.bars.add_task("", total=updates, completed=update, numbers="")

    def progressed(self, progress: Progress) -> None:
        """Move the bar."""
        assert self.task is not None
        epochs, total = (n / self.updates_per_epoch for n in (progress.update, progress.updates))
        numbers = (
            f"epoch {epochs:.1f}/{total:.4g} · {self.losses_shown(progress)} {self.unit} · "
            f"{progress.updates_per_second:,.0f} updates/s"
        )
        if self.bars.disable:
            self.log(progress, numbers)
        else:
            self.bars.update(self.task, completed=progress.update, numbers=self.fitted(numbers))

    def losses_shown(self, progress: Progress) -> str:
        """Return the smooth loss, after the held-out one where there is one."""
        smooth = loss_shown(progress.smooth_loss / self.characters)
        held_out = progress.held_out_loss
        if held_out is None:
            return f"smooth loss {smooth}"
        return f"held out {loss_shown(held_out)}, smooth {smooth}"

    def log(self, progress: Progress, numbers: str) -> None:
        """Write a line now and then, as for the log of a batch system."""
        if time.monotonic() >= self.next_time and progress.update >= self.next_update:
            self.say(f"update {progress.update:,} of {progress.updates:,} · {numbers}")
            self.next_time = time.monotonic() + LOG_SECONDS
            self.next_update = progress.update + progress.updates / MOST_LINES

    def sampled(self, sample: Sample) -> None:
        """Show a sample, on a terminal."""
        if sys.stderr.isatty() and not self.quiet:
            loss = (
                "" if sample.smooth_loss is None else f", smooth loss {loss_shown(sample.smooth_loss)}"
            )
            title = f"update {sample.update:,}{loss}"
            self.console.rule(Text(title, style="bold"), align="left", style="dim")
            self.console.print(Text(visible(sample.text)), soft_wrap=True)


def loss_shown(loss: float) -> str:
    """Return a loss with digits enough to see it fall."""
    return f"{loss:.{2 if loss >= 10 else 3}f}"


class SweepWatcher(Screen, SweepObserver):
    """Shows a sweep as a whole, the runs in progress, and the best so far."""

    def __init__(
        self, folder: str, corpus: Corpus, quiet: bool, on_start: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(quiet)
        self.folder, self.corpus, self.on_start = folder, corpus, on_start
        self.rows: dict[str, bars.TaskID] = {}  # of the runs in progress, by run id
        self.updates: dict[str, int] = {}  # that each run has done, in progress or not
        self.runs_ended, self.runs_in_round = 0, 0
        self.best: tuple[float, str] | None = None
        self.lock = threading.Lock()

    def length(self, job: Job) -> int:
        """Return the number of updates of a run."""
        return job.config.length(len(self.corpus))

    def name(self, job: Job) -> str:
        """Return what tells a run from the others."""
        return self.name_of(job.config, with_seed=True)

    def planned(self, outcome: Outcome) -> None:
        """Say what there is to do."""
        self.outcome = outcome
        self.name_of = namer(job.config for job in outcome.jobs)
        self.most_rows = max(1, shutil.get_terminal_size().lines - 3)
        before = f", {outcome.done_before:,} done before" if outcome.done_before else ""
        self.say(f"Sweep in {self.folder}: {len(outcome.jobs):,} runs{before}.")
        left = [job for job in outcome.jobs if job.run_id not in outcome.summaries]
        configs = [job.config for job in outcome.jobs]
        self.held_out = all(config.validation for config in configs)
        self.unit = PER_CHARACTER if self.held_out else unit_of(*configs)
        for job in outcome.jobs:
            if job.run_id in outcome.summaries:
                self.note(job, self.best_of(job, outcome.summaries[job.run_id]))
        self.runs_ended, self.runs_in_round = len(outcome.summaries), len(outcome.jobs)
        self.total = sum(self.length(job) for job in left)
        self.whole = self.bars.add_task("", total=self.total, numbers=self.numbers())

    def entered(self, runs: int, done: int) -> None:
        """Count the runs of a round of successive halving."""
        with self.lock:
            self.runs_ended, self.runs_in_round = done, runs

    def decided(self, decided: Round) -> None:
        """Say how many configurations go on, and what need not be done any more."""
        with self.lock:
            lengths = {job.run_id: self.length(job) for job in self.outcome.jobs}
            saved = sum(lengths[run_id] - self.updates.get(run_id, 0) for run_id in decided.dropped_runs)
            self.total -= saved
            self.bars.update(self.whole, total=self.total)
        kept, compared = len(decided.kept), len(decided.kept) + len(decided.dropped)
        updates = span([standing.update for standing in (*decided.kept, *decided.dropped)])
        self.say(f"After {updates} updates {kept:,} of {compared:,} configurations go on.")

    def ready(self) -> None:
        """From here on a signal has to wait for checkpoints."""
        self.on_start()

    def started(self, job: Job, update: int, updates: int) -> None:
        """Show one more run."""
        with self.lock:
            self.updates[job.run_id] = update
            if job.run_id in self.rows:  # its process died, and it starts again
                self.bars.remove_task(self.rows.pop(job.run_id))
            if len(self.rows) < self.most_rows:
                self.rows[job.run_id] = self.bars.add_task(
                    "",
                    total=updates,
                    completed=update,
                    numbers=self.fitted(f"{'':10}{self.name(job)}"),
                )

    def progressed(self, job: Job, progress: Progress) -> None:
        """Move the bars."""
        with self.lock:
            self.updates[job.run_id] = progress.update
            if not self.held_out:
                self.note(job, self.in_unit(job, progress.best_smooth_loss))
            if job.run_id in self.rows:
                loss = loss_shown(self.in_unit(job, progress.smooth_loss))
                numbers = self.fitted(f"  {loss:>6}  {self.name(job)}")
                self.bars.update(self.rows[job.run_id], completed=progress.update, numbers=numbers)
            self.move()

    def ended(self, job: Job, summary: Summary) -> None:
        """Take a run from the screen; say how it ended, where there are no bars, or if it failed."""
        with self.lock:
            if job.run_id in self.rows:
                self.bars.remove_task(self.rows.pop(job.run_id))
            if summary.status != "interrupted":
                self.updates[job.run_id] = self.length(job)
            self.runs_ended += 1
            self.note(job, self.best_of(job, summary))
            self.move()
        failed = summary.status in FAILURES
        if failed or self.bars.disable:
            best, kind = self.best_of(job, summary), "held-out" if self.held_out else "smooth"
            what = summary.reason if failed or best is None else f"best {kind} loss {loss_shown(best)}"
            place = f"[{self.runs_ended}/{self.runs_in_round}]"
            ended = ", ".join(filter(None, (summary.status, what)))
            self.say(one_line(f"{place} {self.name(job)}: {ended}"))

    def drawing(self, done: int, runs: int) -> None:
        """Show how many of the pictures are drawn; where there are no bars, say so once."""
        if self.bars.disable and runs and not done:
            self.say(f"Drawing the losses of {runs:,} run{'s' * (runs != 1)}.")
        self.step("pictures of runs", done, runs)

    def best_of(self, job: Job, summary: Summary) -> float | None:
        """Return the loss by which runs are ranked."""
        if self.held_out or summary.smooth_loss_best is None:
            return summary.validation_best if self.held_out else None
        return self.in_unit(job, summary.smooth_loss_best)

    def in_unit(self, job: Job, smooth_loss: float) -> float:
        """Return a run's smooth loss in the unit that is shown, that of all runs."""
        return smooth_loss / (job.config.characters_in_loss if self.unit == PER_CHARACTER else 1)

    def note(self, job: Job, best: float | None) -> None:
        """Keep the best loss."""
        if best is not None and (self.best is None or best < self.best[0]):
            self.best = (best, self.name(job))

    def move(self) -> None:
        """Move the bar of the whole."""
        done = sum(self.updates.values())
        self.bars.update(self.whole, completed=done, numbers=self.numbers())

    def numbers(self) -> str:
        """Return how far the sweep is."""
        runs = f"{self.runs_ended:,}/{self.runs_in_round:,} runs"
        if self.best is None:
            return runs
        unit = self.unit.replace(" per ", "/")
        return self.fitted(f"{runs} · best {loss_shown(self.best[0])} {unit}: {self.best[1]}")
