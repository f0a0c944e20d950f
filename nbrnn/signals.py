"""Signals that end the program: raise an error at once, or remember them until a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

from nbrnn.errors import NbrnnError


class SignalError(NbrnnError):
    """A signal came that ends the program; `exit_code` is what a shell expects after it."""

    def __init__(self, number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Signals:
    """Raise SignalError at SIGINT, SIGTERM and SIGHUP within this context.

    After `defer` a signal is only remembered, and `waiting` says so.
    """

    numbers = tuple(
        signal.Signals[name]
        for name in ("SIGINT", "SIGTERM", "SIGHUP")  # the last when a terminal is closed
        if name in signal.Signals.__members__  # Windows has no SIGHUP
    )
    deferred = False

    def __enter__(self) -> Self:
        self.received: int | None = None
        # Only the main thread can set handlers. A signal that is ignored stays so, as after nohup.
        is_main = threading.current_thread() is threading.main_thread()
        self.handlers_before = {
            number: signal.signal(number, self.receive)
            for number in self.numbers
            if is_main and signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        for number, handler in self.handlers_before.items():
            signal.signal(number, handler)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; raise SignalError unless signals are deferred."""
        self.received = number
        if not self.deferred:
            raise self.error()

    def defer(self) -> None:
        """Only remember signals from now on."""
        self.deferred = True

    def waiting(self) -> bool:
        """Return whether a signal has come."""
        return self.received is not None

    def error(self, message: str = "interrupted") -> SignalError:
        """Return the error to raise for the signal that has come."""
        return SignalError(self.received or signal.SIGINT, message)


class DeferredInterrupt(Signals):
    """Remember Ctrl-C, or a notebook's stop button, and raise KeyboardInterrupt at the end."""

    numbers = (signal.SIGINT,)
    deferred = True

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        super().__exit__(kind, *exception)
        if self.waiting() and kind is None:
            raise KeyboardInterrupt
