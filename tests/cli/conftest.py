"""What several tests of the command line use: a terminal."""

import os
from contextlib import suppress

import child_processes
import pytest


@pytest.fixture
def on_terminal(fork, tmp_path):
    """Return a function that runs the program on a terminal, and returns what is seen there.

    `typed` is what somebody types.
    """
    termios = pytest.importorskip("termios")

    def call(*arguments, columns=80, typed="", **environment):
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        terminal = os.ttyname(theirs), {"TERM": "xterm", **environment}
        child = fork(child_processes.program_on_terminal, arguments, tmp_path, *terminal)
        child.hear()  # that it has opened the terminal
        os.close(theirs)
        os.write(ours, typed.encode())
        seen = b""
        with suppress(OSError):  # EIO, when the child has ended
            while part := os.read(ours, 4096):
                seen += part
        os.close(ours)
        assert child.wait() == 0
        return seen.decode()

    return call
