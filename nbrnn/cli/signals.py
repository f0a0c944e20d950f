"""What happens when SIGINT or SIGTERM comes?"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

from nbrnn.errors import NbrnnError


class SignalError(NbrnnError):
    """SIGINT or SIGTERM came; `exit_code` is what a shell expects after it."""

    def __init__(self, number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Listener:
    """Within this context signals are remembered only: `waiting` tells that one has come."""

    numbers: tuple[signal.Signals, ...]

    def __enter__(self) -> Self:
        self.received: int | None = None
        # Signals come to no other thread than the main one; an ignored one stays so, as after nohup.
        here = threading.current_thread() is threading.main_thread()
        self.before = {
            number: signal.signal(number, self.receive)
            for number in self.numbers
            if here and signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        return self

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal."""
        self.received = number

    def waiting(self) -> bool:
        """Whether a signal has come."""
        return self.received is not None

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


class Interrupt(Listener):
    """Within this context a Ctrl-C, or a notebook's stop button, only asks to stop: see `waiting`.

    In the end it is raised as the KeyboardInterrupt that it is.
    """

    numbers = (signal.SIGINT,)

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        super().__exit__(kind, *exception)
        if self.waiting() and kind is None:
            raise KeyboardInterrupt


class Signals(Listener):
    """Within this context SIGINT and SIGTERM end the program with one line, and the right code.

    At once, until `defer` is called; from then on they are remembered only.
    """

    numbers = (signal.SIGINT, signal.SIGTERM)
    deferred = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Act on a signal, or remember it."""
        super().receive(number, frame)
        if not self.deferred:
            raise self.error()

    def defer(self) -> None:
        """From now on only remember signals."""
        self.deferred = True

    def error(self, message: str = "interrupted") -> SignalError:
        """Return the error to raise for the signal that has come."""
        return SignalError(self.received or signal.SIGINT, message)
