"""How does a run have a process of its own, whose death costs no other run?"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import loky
import loky.backend.synchronize  # loky does so late, when there may be no file descriptor left

from nbrnn.corpus import Corpus
from nbrnn.runs.observer import Observer
from nbrnn.storage.schemas import Summary
from nbrnn.sweeps.job import Job, MessageSender, deliver, record_failure, run_job

# loky starts processes safely beside threads, as fork does not, and without importing the user's script
# again, as multiprocessing's spawn does. Each has an executor of its own: loky ends all processes of an
# executor when one dies, and so does joblib's loky backend, which has no channel for progress either.

MAX_DEATHS = 2  # of a run's process, until the run counts as failed
STOP_SECONDS = 1.5  # from the request to stop to the kill
ORPHAN_SECONDS = 5.0  # that a process may take to end after its parent's death


class LokyBackend(ExitStack):
    """As many processes as there are threads that call `run`; they end with this context."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__()
        self.corpus = corpus
        self.idle: list[WorkerProcess] = []

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job in an idle process; if that dies, once more in another one."""
        for _ in range(MAX_DEATHS):
            process = self.idle_process()
            try:
                summary = process.run(job, observer, stop, force)
            except loky.BrokenProcessPool:
                process.close()
            else:
                self.idle.append(process)
                return summary
            if stop():
                return Summary(status="interrupted")
        return record_failure(job, self.corpus, f"its process died {MAX_DEATHS} times")

    def idle_process(self) -> WorkerProcess:
        """Return a process without a run, a new one if there is none."""
        with suppress(IndexError):
            return self.idle.pop()
        process = WorkerProcess(self.corpus)
        self.callback(process.close)
        return process


class WorkerProcess:
    """One process, and a pipe: messages about the run come back, the request to stop goes there.

    The end of the pipe also tells the process that its parent has died.
    """

    def __init__(self, corpus: Corpus) -> None:
        context = loky.backend.get_context("loky")
        self.pipe, self.child_pipe = context.Pipe()  # both stay open: the child may die while we write
        self.executor = loky.ProcessPoolExecutor(
            1, context=context, initializer=start_child, initargs=(self.child_pipe, corpus)
        )

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job. Raises BrokenProcessPool if the process dies, OSError if it cannot be started."""
        try:
            with signals_blocked():  # which a new process inherits
                future = self.executor.submit(run_in_child, job, force)
        except UnboundLocalError as error:  # of loky's, which closes pipes that it could not open
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error
        deadline = None
        while not loky.wait([future], timeout=0.05).done:
            self.deliver_messages(observer)
            if deadline is None and stop():
                self.pipe.send("stop")
                deadline = time.monotonic() + STOP_SECONDS
            elif deadline is not None and time.monotonic() > deadline:
                return Summary(status="interrupted")
        self.deliver_messages(observer)
        summary: Summary = future.result()
        return summary

    def deliver_messages(self, observer: Observer) -> None:
        """Tell an observer what has come through the pipe."""
        while self.pipe.poll():
            deliver(self.pipe.recv(), observer)

    def close(self) -> None:
        """End the process."""
        self.executor.shutdown(kill_workers=True)
        self.pipe.close()
        self.child_pipe.close()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Keep SIGINT and SIGTERM from the processes that this thread starts: the sweep handles them.

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


# ---------------------------------------------------------------- in the process


class Child:
    """What a worker process knows: its pipe, the corpus, whether to stop."""

    def __init__(self, pipe: Connection, corpus: Corpus) -> None:
        self.pipe, self.corpus = pipe, corpus
        self.stopping, self.idle = threading.Event(), threading.Event()
        self.idle.set()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to the parent, if it lives."""
        with suppress(OSError):
            self.pipe.send(message)

    def listen(self) -> None:
        """Wait for the request to stop, or for the parent's death."""
        with suppress(EOFError, OSError):
            while True:
                self.pipe.recv()
                self.stopping.set()
        self.stopping.set()
        self.idle.wait(ORPHAN_SECONDS)
        os._exit(1)


child: Child


def start_child(pipe: Connection, corpus: Corpus) -> None:
    """Prepare a new process."""
    global child  # noqa: PLW0603 (a process has one parent)
    child = Child(pipe, corpus)
    threading.Thread(target=child.listen, daemon=True).start()


def run_in_child(job: Job, force: bool) -> Summary:
    """Run a job in this process."""
    child.idle.clear()
    try:
        return run_job(job, child.corpus, MessageSender(child.send), child.stopping.is_set, force)
    finally:
        child.idle.set()
