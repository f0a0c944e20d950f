"""How far is a run, and who is told?"""

from __future__ import annotations

from dataclasses import dataclass

from nbrnn.storage.schemas import Sample


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    update: int
    updates: int  # of the whole run
    smooth_loss: float
    best_smooth_loss: float
    held_out_loss: float | None  # of the last look, in nats per character
    updates_per_second: float


class Observer:
    """Is told what happens in a run; this one does nothing with it."""

    def started(self, update: int, updates: int) -> None:
        """The run starts, or goes on after `update` updates."""

    def progressed(self, progress: Progress) -> None:
        """Another chunk of updates is done."""

    def sampled(self, sample: Sample) -> None:
        """A sample was drawn."""
