"""What a person sees of a training while it runs: on stderr, live only on a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from nbrnn.console import visible
from nbrnn.run import Observer, Report


class Watcher(Observer):
    """Shows progress and samples of one run; calls `on_start` when there is something to save."""

    def __init__(
        self,
        folder: str,
        updates_per_epoch: int,
        seq_length: int,
        quiet: bool,
        on_start: Callable[[], None],
    ) -> None:
        self.folder, self.on_start = folder, on_start
        self.updates_per_epoch, self.seq_length = updates_per_epoch, seq_length
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False)
        self.progress = Progress(
            TextColumn("{task.fields[numbers]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            disable=quiet or not sys.stderr.isatty(),
            expand=True,
            transient=True,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Watcher:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def say(self, message: str) -> None:
        """Write one line of plain text."""
        if not self.quiet:
            self.console.print(Text(message), soft_wrap=True)

    def started(self, update: int, updates: int) -> None:
        """Say where the run is kept, and from where it goes on."""
        self.on_start()
        verb = f"Going on after update {update:,}" if update else "Training"
        self.say(f"{verb} in {self.folder}: {updates:,} updates.")
        self.task = self.progress.add_task("", total=updates, completed=update, numbers="")

    def progressed(self, report: Report) -> None:
        """Move the bar."""
        assert self.task is not None
        bits = report.smooth_loss / self.seq_length / math.log(2)
        epochs, total = (n / self.updates_per_epoch for n in (report.update, report.updates))
        numbers = (
            f"{report.update:,} updates · epoch {epochs:.1f}/{total:.4g} · "
            f"{report.smooth_loss:.2f} nats {bits:.2f} bits · {report.updates_per_second:,.0f}/s"
        )
        self.progress.update(self.task, completed=report.update, numbers=numbers)

    def sampled(self, sample: dict[str, Any]) -> None:
        """Show a sample, on a terminal."""
        if sys.stderr.isatty() and not self.quiet:
            loss = sample["smooth_loss"]
            title = f"update {sample['update']:,}" + (
                "" if loss is None else f", smooth loss {loss:.2f}"
            )
            self.console.rule(Text(title, style="bold"), align="left", style="dim")
            self.console.print(Text(visible(sample["text"])), soft_wrap=True)
