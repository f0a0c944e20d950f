"""How does a run proceed on a dask cluster, whose workers share no files with this machine?"""

from __future__ import annotations

import logging
import math
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import distributed
from distributed.comm.addressing import get_address_host_port
from distributed.comm.core import CommClosedError

from nbrnn.corpus import Corpus
from nbrnn.errors import ClusterError
from nbrnn.runs.observer import Observer
from nbrnn.storage.folder_locks import locked
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary
from nbrnn.sweeps.job import PATIENCE, Job, Messenger, deliver, failed, record_failure, run_job

CONNECT_SECONDS = 4.0  # to wait for the scheduler, and then for its first worker
BEAT_SECONDS = 1.0  # between two signs of life to the workers
SILENCE_SECONDS = 5.0  # after which a worker stops its runs: their sweep is gone
STOP_SECONDS = 1.5  # for interrupted runs to come back
DEATHS = 2  # that dask reports, each of several workers, until a run counts as failed
MOST_AT_ONCE = 256  # runs that are handed to the scheduler; it keeps those that find no worker


class Cluster:
    """A sweep's connection to a scheduler. Raises ClusterError if there is none, or no worker.

    The corpus goes to each worker once, also to one that comes later. A run's files go there if
    it was begun before, and come back when it ends; they are written here.
    """

    def __init__(self, address: str, corpus: Corpus) -> None:
        self.address, self.corpus = address, corpus
        self.topic = f"nbrnn-{uuid.uuid4().hex}"
        self.observers: dict[str, Observer] = {}
        self.stopping, self.closed = threading.Event(), threading.Event()
        self.heart = threading.Thread(target=self.beat, daemon=True)
        self.slots = MOST_AT_ONCE
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised

    def __enter__(self) -> Cluster:
        try:
            get_address_host_port(self.address)  # else a client for nonsense complains when it ends
            self.client = distributed.Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, distributed.TimeoutError) as error:
            raise ClusterError(f"no dask scheduler answers at {self.address}: {error}") from None
        try:
            self.check_workers()
            self.client.register_plugin(Home(self.corpus), name=self.topic)
            self.client.subscribe_topic(self.topic, self.hear)
        except BaseException:
            self.client.close(timeout=1)
            raise
        self.heart.start()
        return self

    def check_workers(self) -> None:
        """Raise ClusterError unless there are workers, and all have this version of nbrnn."""
        try:
            self.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, distributed.TimeoutError):
            command = f"dask worker {self.address}"
            raise ClusterError(f"the scheduler at {self.address} has no workers: {command}") from None
        try:
            versions = self.client.run(version, "nbrnn")
        except ImportError:
            raise ClusterError(f"a worker of {self.address} has no nbrnn: install it there") from None
        ours = version("nbrnn")
        for worker, theirs in versions.items():
            if theirs != ours:
                raise ClusterError(f"worker {worker} has nbrnn {theirs}, here it is {ours}")

    def __exit__(self, *exception: object) -> None:
        self.closed.set()
        self.stopping.set()
        self.heart.join(timeout=1)
        with suppress(OSError, distributed.TimeoutError):
            self.client.unregister_worker_plugin(self.topic)
        self.client.close(timeout=1)

    def hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Pass on what a worker tells of a run."""
        message = dict(event[1])
        observer = self.observers.get(message.pop("run_id"))
        if observer is not None:
            deliver(message, observer)

    def beat(self) -> None:
        """Tell all workers, again and again, that the sweep lives; and once that it stops."""
        while not self.closed.is_set():
            stopping = self.stopping.is_set()
            with suppress(OSError, RuntimeError):  # a worker, or all, may be gone
                self.client.run(hear_beat, self.topic, stopping, on_error="ignore")
            (self.closed if stopping else self.stopping).wait(BEAT_SECONDS)

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job on some worker; return its summary when its files are here."""
        self.observers[job.run_id] = observer
        try:
            return self.run_somewhere(job, stop, force)
        except (distributed.CancelledError, CommClosedError):
            raise ClusterError(f"lost {self.address}: the same command goes on") from None
        finally:
            del self.observers[job.run_id]

    def run_somewhere(self, job: Job, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job on some worker, and on another one if that dies or takes the sweep for dead."""
        folder = RunFolder(job.folder)
        try:
            folder.check_owner()
            with locked(folder.path, PATIENCE):
                contents = {} if force else folder.contents()
                deaths = 0
                while deaths < DEATHS:
                    try:
                        summary, contents = self.run_once(job, contents, stop)
                    except distributed.KilledWorker:  # dask blames all runs that were on their way to it
                        deaths += 1
                        continue
                    if contents:
                        if force:  # what is there is another history of this run
                            folder.clear()
                        folder.write_contents(contents)
                    if summary.status != "interrupted" or stop():
                        return summary
        except (distributed.CancelledError, CommClosedError):
            raise
        except Exception as error:
            return failed(job, self.corpus, error)
        return record_failure(job, self.corpus, "each worker that did it died")

    def run_once(
        self, job: Job, contents: dict[str, bytes], stop: Callable[[], bool]
    ) -> tuple[Summary, dict[str, bytes]]:
        """Send a run to the scheduler; return its summary and files."""
        key = f"{job.run_id}-{uuid.uuid4().hex}"
        future = self.client.submit(run_on_worker, self.topic, job, contents, key=key, pure=False)
        give_up = math.inf
        while time.monotonic() < give_up:
            try:
                result: tuple[Summary, dict[str, bytes]] = future.result(timeout=0.1)
                return result
            except distributed.TimeoutError:
                if stop():
                    self.stopping.set()
                if self.stopping.is_set():
                    give_up = min(give_up, time.monotonic() + STOP_SECONDS)
        future.cancel()
        return Summary(status="interrupted"), {}


# ---------------------------------------------------------------- on the worker


class Home(distributed.WorkerPlugin):
    """What a worker keeps for a sweep."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def setup(self, worker: distributed.Worker) -> None:
        """Begin to listen for signs of life."""
        self.last_beat = time.monotonic()
        self.stopping = False

    def should_stop(self) -> bool:
        """Whether the sweep wants no more, or is gone."""
        return self.stopping or time.monotonic() > self.last_beat + SILENCE_SECONDS


def hear_beat(topic: str, stopping: bool, dask_worker: distributed.Worker) -> None:
    """Note a sign of life."""
    home: Any = dask_worker.plugins.get(topic)
    if home is not None:
        home.last_beat = time.monotonic()
        home.stopping = stopping


def run_on_worker(topic: str, job: Job, contents: dict[str, bytes]) -> tuple[Summary, dict[str, bytes]]:
    """Run a job, or what is left of it, on this worker; return its summary and files."""
    worker = distributed.get_worker()
    home: Any = worker.plugins[topic]
    if home.stopping:
        return Summary(status="interrupted"), {}
    home.last_beat = time.monotonic()

    def send(message: dict[str, Any]) -> None:
        worker.log_event(topic, {**message, "run_id": job.run_id})

    with tempfile.TemporaryDirectory(dir=worker.local_directory) as temporary:
        folder = RunFolder(Path(temporary) / job.run_id)
        folder.path.mkdir()
        folder.write_contents(contents)
        here = replace(job, folder=folder.path)
        summary = run_job(here, home.corpus, Messenger(send), home.should_stop, force=False)
        return summary, folder.contents()
