"""What happens when SIGINT or SIGTERM comes?"""

from __future__ import annotations

import signal
from types import FrameType

from nbrnn.errors import NbrnnError


class SignalError(NbrnnError):
    """SIGINT or SIGTERM came; `exit_code` is what a shell expects after it."""

    def __init__(self, number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Signals:
    """Within this context SIGINT and SIGTERM end the program with one line, and the right code.

    At once, until `defer` is called; from then on `waiting` tells that one has come.
    """

    def __enter__(self) -> Signals:
        self.received: int | None = None
        self.deferred = False
        numbers = (signal.SIGINT, signal.SIGTERM)
        self.before = {
            number: signal.signal(number, self.receive)
            for number in numbers
            if signal.getsignal(number) is not signal.SIG_IGN  # as after nohup
        }
        return self

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Act on a signal, or remember it."""
        self.received = number
        if not self.deferred:
            raise self.error()

    def defer(self) -> None:
        """From now on only remember signals."""
        self.deferred = True

    def waiting(self) -> bool:
        """Whether a signal has come."""
        return self.received is not None

    def error(self, message: str = "interrupted") -> SignalError:
        """Return the error to raise for the signal that has come."""
        return SignalError(self.received or signal.SIGINT, message)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
