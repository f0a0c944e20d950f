"""The interface through which a run reports its progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nbrnn.storage.schemas import Sample
from nbrnn.typing import Array


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    update: int
    updates: int  # of the whole run
    smooth_loss: float
    best_smooth_loss: float
    held_out_loss: float | None  # at the last evaluation, in nats per character
    updates_per_second: float


@dataclass(frozen=True)
class Evaluation:
    """The network at an evaluation."""

    update: int
    smooth_loss: float
    held_out_loss: float | None  # in nats per character, where text is held out
    weights: Mapping[str, Array]  # copies, as in `Model.weights`


class Observer:
    """The interface through which a run reports its progress; does nothing.

    A subclass overrides what it wants to learn. `started` is called once, `sampled` every
    `sample_every` updates and at the start (and where `wants_sample` returns True), `evaluated` every
    `validate_every` updates (by default, and without held-out text, at the end of each epoch): the same
    whenever the run is repeated. A resumed run continues at its last checkpoint. `progressed` is called
    some ten times a second, by the clock.
    """

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

    def evaluated(self, evaluation: Evaluation) -> None:
        """Learn of the losses and weights at an evaluation."""


class Observers(Observer):
    """Several observers as one: tells all of them of each event."""

    def __init__(self, *observers: Observer) -> None:
        for event in ("preparing", "started", "progressed", "sampled", "evaluated"):
            setattr(self, event, tell_all([getattr(observer, event) for observer in observers]))
        self.observers = observers

    def wants_sample(self) -> bool:
        """Return whether one of them does."""
        return any(observer.wants_sample() for observer in self.observers)


def tell_all(methods: Sequence[Callable[..., None]]) -> Callable[..., None]:
    """Return a function that calls each of these with its arguments."""

    def tell(*event: object) -> None:
        for method in methods:
            method(*event)

    return tell
