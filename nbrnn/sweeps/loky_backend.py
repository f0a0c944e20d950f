"""Run jobs in processes, whose death costs no other run."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection

from loky.backend.context import LokyContext
from loky.backend.utils import kill_process_tree

from nbrnn.corpus import Corpus
from nbrnn.runs.observer import Observer
from nbrnn.storage.schemas import Summary
from nbrnn.sweeps.job import MESSAGE_SECONDS, Job, Relay, record_failure, run_job

if sys.platform != "win32":  # where loky imports them only when it starts a process, in several threads
    from loky.backend import fork_exec, popen_loky_posix  # noqa: F401  with no file descriptor left

# loky starts processes safely beside threads, as fork does not, and without importing the user's script
# again, as multiprocessing's spawn does. An executor of loky's, which joblib's loky backend is, ends all
# its processes when one dies, and has no channel for progress or for the request to stop.

MAX_DEATHS = 2  # of a run's process, until the run counts as failed
STOP_SECONDS = 1.5  # from the request to stop to the kill


class LokyBackend(ExitStack):
    """As many processes as there are threads that call `run`; they end with this context."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__()
        self.corpus = corpus
        self.idle: list[WorkerProcess] = []

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job in an idle process; if that dies, once more in another one.

        Raises OSError if no process can be started.
        """
        for _ in range(MAX_DEATHS):
            process = self.idle_process()
            try:
                summary = process.run(job, observer, stop, force)
            except (EOFError, ConnectionError):
                process.kill()
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
        self.callback(process.kill)
        return process


class WorkerProcess:
    """One process, and a pipe for jobs and the request to stop, for messages and summaries back."""

    def __init__(self, corpus: Corpus) -> None:
        context = LokyContext()  # by its name it may be the one that joblib brings, which forks
        self.pipe, child_pipe = context.Pipe()
        with child_pipe, signals_blocked():  # which a new process inherits
            self.process = context.Process(target=run_jobs, args=(child_pipe, corpus), daemon=True)
            try:
                self.process.start()
            except UnboundLocalError as error:  # of loky's, which closes pipes that it could not open
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job. Raises EOFError or ConnectionError if the process dies."""
        self.pipe.send((job, force))
        deadline = None
        while deadline is None or time.monotonic() < deadline:
            if self.pipe.poll(0.05):
                message = self.pipe.recv()
                if isinstance(message, Summary):
                    return message
                event, *what = message
                getattr(observer, event)(*what)
            if deadline is None and stop():
                self.pipe.send(None)
                deadline = time.monotonic() + STOP_SECONDS
        return Summary(status="interrupted")

    def kill(self) -> None:
        """End the process."""
        kill_process_tree(self.process)
        self.pipe.close()


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


def run_jobs(pipe: Connection, corpus: Corpus) -> None:
    """Run the jobs that come through a pipe, in a process of its own.

    What comes during a run asks it to stop, and so does the end of the pipe: the parent has died.
    """

    def send(*event: object) -> None:
        with suppress(OSError):
            pipe.send(event)

    def should_stop() -> bool:
        with suppress(OSError):
            return pipe.poll()
        return True

    with suppress(EOFError, OSError):
        while True:
            if (message := pipe.recv()) is not None:  # else a request that came after the end of a run
                job, force = message
                relay = Relay(send, MESSAGE_SECONDS)
                pipe.send(run_job(job, corpus, relay, should_stop, force))
