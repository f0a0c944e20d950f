"""Run jobs on a dask cluster, whose workers share no files with this machine."""

from __future__ import annotations

import asyncio
import logging
import math
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import distributed
from distributed.comm.addressing import get_address_host_port
from distributed.comm.core import CommClosedError

from nbrnn.corpus import Corpus
from nbrnn.errors import ClusterError
from nbrnn.runs.observer import Observer, Progress
from nbrnn.storage.folder_locks import locked
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary
from nbrnn.sweeps.job import (
    LOCK_SECONDS,
    MESSAGE_SECONDS,
    Job,
    Relay,
    record_error,
    record_failure,
    run_job,
)

ENCRYPTED = ("tls://", "wss://")
CERTIFICATES = ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
CONNECT_SECONDS = 4.0  # to wait for the scheduler, and then for its first worker
POLL_SECONDS = 0.1  # between two questions whether a run is back
STOP_SECONDS = 1.5  # for interrupted runs to come back
MAX_DEATHS = 2  # that dask reports, each of several workers, until a run counts as failed
RUNNING = distributed.Status.running, distributed.Status.paused  # a paused worker is short of memory
MAX_SUBMITTED = 256  # runs that the scheduler has at once; it keeps those that find no worker


class DaskBackend:
    """A sweep's connection to a scheduler. Raises ClusterError if there is none, or no worker.

    joblib's own dask backend cannot do this: it reports no progress, cannot ask a run for a checkpoint,
    and ends the sweep with the first run whose workers died. The corpus goes to each worker once, also
    to one that comes later. The files of a run that was started before go to its worker, and come back
    when the run ends; they are written here.
    """

    def __init__(self, address: str, corpus: Corpus) -> None:
        self.address, self.corpus = address, corpus
        self.topic = f"nbrnn-{uuid.uuid4().hex}"
        self.observers: dict[str, Observer] = {}
        self.is_stopping = False
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised

    def __enter__(self) -> DaskBackend:
        try:  # a client for nonsense would complain when it is deleted
            get_address_host_port(self.address)
            certificates = distributed.Security().get_connection_args("client")["ssl_context"]
            if self.address.startswith(ENCRYPTED) and certificates is None:
                raise ClusterError(
                    f"{self.address} needs certificates: set the environment variables "
                    + " and ".join(f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in CERTIFICATES)
                )
            self.client = distributed.Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except ValueError:
            raise ClusterError(
                f"the scheduler's address must be like tcp://HOST:8786 (got {self.address!r})"
            ) from None
        except (OSError, distributed.TimeoutError) as error:
            raise ClusterError(f"no dask scheduler answers at {self.address!r}: {error}") from None
        try:
            self.check_workers()
            self.client.register_plugin(SweepOnWorker(self.corpus), name=self.topic)
            self.client.subscribe_topic(self.topic, self.deliver_event)
        except BaseException:
            self.client.close(timeout=1)
            raise
        return self

    def check_workers(self) -> None:
        """Raise ClusterError unless there are workers, and all have this version of nbrnn."""
        try:
            self.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, distributed.TimeoutError):
            command = f"dask worker {self.address}"
            raise ClusterError(
                f"the scheduler at {self.address} has no workers; start one: {command}"
            ) from None
        ours, of_cluster = version("nbrnn"), self.client.get_versions(packages=["nbrnn"])
        for worker, versions in of_cluster["workers"].items():  # type: ignore[index]
            if (theirs := versions["packages"]["nbrnn"]) != ours:
                found = f"nbrnn {theirs}" if theirs else "no nbrnn"
                raise ClusterError(f"worker {worker} has {found}: install {ours} there, as here")

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError, distributed.TimeoutError):
            self.client.unregister_worker_plugin(self.topic)
        self.client.close(timeout=1)

    def deliver_event(self, event: tuple[float, tuple[str, str, Any]]) -> None:
        """Deliver a worker's message to the observer of its run."""
        _, (run_id, method, what) = event
        arguments = [Progress(**what)] if method == "progressed" else what
        if (observer := self.observers.get(run_id)) is not None:
            getattr(observer, method)(*arguments)

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job on some worker; return its summary when its files are here."""
        self.observers[job.run_id] = observer
        folder = RunFolder(job.folder)
        try:
            folder.check_owner()
            with locked(folder.path, LOCK_SECONDS):
                return self.run_until_done(job, folder, stop, force)
        except (distributed.CancelledError, CommClosedError):
            raise ClusterError(
                f"lost the connection to {self.address}: repeat the command to continue"
            ) from None
        except Exception as error:
            return record_error(job, self.corpus, error)
        finally:
            del self.observers[job.run_id]

    def run_until_done(
        self, job: Job, folder: RunFolder, stop: Callable[[], bool], force: bool
    ) -> Summary:
        """Run a job on some worker, and on another one if that dies or is shut down."""
        contents = {} if force else folder.contents()
        deaths = 0
        while deaths < MAX_DEATHS:
            try:
                summary, returned = self.run_once(job, contents, stop)
            except distributed.KilledWorker:  # dask blames all runs that were on their way to it
                deaths += 1
                continue
            if returned:  # not from a worker that was gone before it started the run
                contents = returned
                if force:  # what is there is another history of this run
                    folder.clear()
                folder.write_contents(contents)
            if summary.status != "interrupted" or stop():
                return summary
        return record_failure(job, self.corpus, "each worker that ran it died")

    def run_once(
        self, job: Job, contents: dict[str, bytes], stop: Callable[[], bool]
    ) -> tuple[Summary, dict[str, bytes]]:
        """Send a run to the scheduler; return its summary and files."""
        key = f"{job.run_id}-{uuid.uuid4().hex}"
        future = self.client.submit(run_on_worker, self.topic, job, contents, key=key, pure=False)
        deadline = math.inf
        result = self.start(self.client.gather(future, asynchronous=True))
        while not result.done():
            time.sleep(POLL_SECONDS)
            if time.monotonic() > deadline:
                result.cancel()
                future.cancel()
                return Summary(status="interrupted"), {}
            if deadline == math.inf and stop():
                deadline = time.monotonic() + STOP_SECONDS
                self.stop_workers()
        summary, files = result.result()
        return summary, files

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start what the client does, without waiting for it."""
        loop: Any = self.client.loop
        return asyncio.run_coroutine_threadsafe(coroutine, loop.asyncio_loop)

    def stop_workers(self) -> None:
        """Ask all workers, once, to return the runs of this sweep."""
        if not self.is_stopping:
            self.is_stopping = True
            # nobody waits for the answers: a worker, or all, may be gone
            self.start(self.client.run(stop_sweep, self.topic, on_error="ignore", asynchronous=True))


# ---------------------------------------------------------------- on the worker


class SweepOnWorker(distributed.WorkerPlugin):
    """What a worker keeps for a sweep."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus, self.is_stopping = corpus, False


def stop_sweep(topic: str, dask_worker: distributed.Worker) -> None:
    """Let the runs of a sweep end with a checkpoint."""
    plugin: Any = dask_worker.plugins.get(topic)
    if plugin is not None:
        plugin.is_stopping = True


def run_on_worker(topic: str, job: Job, contents: dict[str, bytes]) -> tuple[Summary, dict[str, bytes]]:
    """Run a job, or what is left of it, on this worker; return its summary and files."""
    worker = distributed.get_worker()
    plugin: Any = worker.plugins[topic]
    task = worker.state.tasks[worker.get_current_task()]

    def should_stop() -> bool:
        """Whether the sweep asks to stop; or it, its scheduler or this worker is gone."""
        is_gone = task.state == "cancelled" or worker.status not in RUNNING
        return plugin.is_stopping or is_gone

    if should_stop():
        return Summary(status="interrupted"), {}

    def send(method: str, *what: Any) -> None:
        plain = asdict(*what) if method == "progressed" else what
        worker.log_event(topic, (job.run_id, method, plain))

    with tempfile.TemporaryDirectory(dir=worker.local_directory) as temporary:
        folder = RunFolder(Path(temporary) / job.run_id)
        folder.path.mkdir()
        folder.write_contents(contents)
        local_job = replace(job, folder=folder.path)
        relay = Relay(send, MESSAGE_SECONDS)
        summary = run_job(local_job, plugin.corpus, relay, should_stop, force=False)
        return summary, folder.contents()
