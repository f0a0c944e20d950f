"""How does a run have a process of its own, whose death costs no other run?"""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import loky
import loky.backend.synchronize  # loky does so late, when there may be no file descriptor left

from nbrnn.corpus import Corpus
from nbrnn.runs.observer import Observer
from nbrnn.storage.schemas import Summary
from nbrnn.sweeps.job import Job, Messenger, deliver, record_failure, run_job

# The processes are loky's: safe beside threads, as fork is not; without importing the user's script
# again, as multiprocessing's spawn does; and a death is raised, whatever the process was doing.

DEATHS = 2  # of its process, until a run counts as failed
GRACE = 1.5  # seconds between the request to stop and the kill
ORPHAN_SECONDS = 5.0  # that a process may take to end after its parent's death


class Processes:
    """As many processes as there are threads that call `run`."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.slots = loky.cpu_count()
        self.processes: list[Slot] = []
        self.idle: list[Slot] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exception: object) -> None:
        for slot in self.processes:
            slot.close()

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job in an idle process; if that dies, once more in another one."""
        for _ in range(DEATHS):
            slot = self.take()
            try:
                summary = slot.run(job, observer, stop, force)
                self.idle.append(slot)
                return summary
            except loky.BrokenProcessPool:
                slot.close()
                self.processes.remove(slot)
            if stop():
                return Summary(status="interrupted")
        return record_failure(job, self.corpus, f"its process died {DEATHS} times")

    def take(self) -> Slot:
        """Return a process without a run, a new one if there is none."""
        with suppress(IndexError):
            return self.idle.pop()
        slot = Slot(self.corpus)
        self.processes.append(slot)
        return slot


class Slot:
    """One process, with a pipe beside it: news of the run come back, the request to stop goes there.

    The end of the pipe also tells the process that its parent is gone, however that died.
    """

    def __init__(self, corpus: Corpus) -> None:
        context = loky.backend.get_context("loky")
        self.pipe, theirs = context.Pipe()
        self.theirs = theirs  # open as long as ours, so that a word to a dead process is no error
        self.executor = loky.ProcessPoolExecutor(
            1, context=context, initializer=begin, initargs=(theirs, corpus)
        )

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job. Raises BrokenProcessPool if the process dies, OSError if there can be none."""
        try:
            with signals_blocked():  # which a new process inherits
                future = self.executor.submit(run_in_child, job, force)
        except UnboundLocalError as error:  # of loky's, which closes pipes that it could not open
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error
        told = None
        while not wait_for(future, seconds=0.05):
            self.pass_on_news(observer)
            if told is None and stop():
                self.pipe.send_bytes(b"stop")
                told = time.monotonic()
            elif told is not None and time.monotonic() > told + GRACE:
                return Summary(status="interrupted")
        self.pass_on_news(observer)
        summary: Summary = future.result()
        return summary

    def pass_on_news(self, observer: Observer) -> None:
        """Tell an observer what has come through the pipe."""
        while self.pipe.poll():
            deliver(json.loads(self.pipe.recv_bytes()), observer)

    def close(self) -> None:
        """End the process."""
        self.executor.shutdown(kill_workers=True)
        self.pipe.close()
        self.theirs.close()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Keep SIGINT and SIGTERM away from what this thread starts: they are the sweep's affair.

    Ctrl-C and batch systems send them to all processes at once.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_for(future: loky.Future, seconds: float) -> bool:
    """Wait for a future, but no longer than this; return whether it is done."""
    return bool(loky.wait([future], timeout=seconds).done)


# ---------------------------------------------------------------- in the process


class Child:
    """What such a process knows: its pipe, the corpus, whether to stop."""

    def __init__(self, pipe: Connection, corpus: Corpus) -> None:
        self.pipe, self.corpus = pipe, corpus
        self.stopping, self.idle = threading.Event(), threading.Event()
        self.idle.set()

    def send(self, message: dict[str, Any]) -> None:
        """Send news to the parent, if it lives."""
        with suppress(OSError):
            self.pipe.send_bytes(json.dumps(message).encode())

    def listen(self) -> None:
        """Wait for the request to stop, or for the parent's end."""
        try:
            while True:
                self.pipe.recv_bytes()
                self.stopping.set()
        except (EOFError, OSError):
            self.stopping.set()
            self.idle.wait(ORPHAN_SECONDS)
            os._exit(1)


child: Child


def begin(pipe: Connection, corpus: Corpus) -> None:
    """Prepare a new process."""
    global child  # noqa: PLW0603 (a process has one parent)
    child = Child(pipe, corpus)
    threading.Thread(target=child.listen, daemon=True).start()


def run_in_child(job: Job, force: bool) -> Summary:
    """Run a job in this process."""
    child.idle.clear()
    try:
        return run_job(job, child.corpus, Messenger(child.send), child.stopping.is_set, force)
    finally:
        child.idle.set()
