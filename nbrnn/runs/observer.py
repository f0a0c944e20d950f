"""The interface through which a run reports its progress."""

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
    held_out_loss: float | None  # at the last evaluation, in nats per character
    updates_per_second: float


class Observer:
    """The interface through which a run reports its progress; does nothing."""

    def preparing(self) -> None:
        """Learn that the kernels are compiled or loaded."""

    def started(self, update: int, updates: int) -> None:
        """Learn that the run starts, or resumes after `update` updates."""

    def progressed(self, progress: Progress) -> None:
        """Learn that another chunk of updates is done."""

    def wants_sample(self) -> bool:
        """Return whether it wants to see a sample now, which is not kept and changes nothing."""
        return False

    def sampled(self, sample: Sample) -> None:
        """Learn of a sample."""
