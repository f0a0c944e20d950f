"""A real dask scheduler with two workers on this machine: the same bits, also when one is killed.

A worker holds the runs that it has begun while the file at the gate is there (see dask_worker.py).
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import distributed
import psutil
import pytest
from harness import DEADLINE, LISTS, Events, one_line_error, sweep_bits, wait_until

from nbrnn.errors import ClusterError, SweepError
from nbrnn.storage.schemas import Halving
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.dask_backend import POLL_SECONDS, DaskBackend
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.planning import plan
from nbrnn.sweeps.sweep import sweep

pytestmark = pytest.mark.usefixtures("without_pictures")

CERTIFICATES = ["distributed.comm.tls.ca-file", "distributed.comm.tls.client.cert"]
PRELOAD = Path(__file__).with_name("dask_worker.py")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def dask(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def end(process):
    with suppress(psutil.NoSuchProcess):  # it may have been killed
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()


def certified(folder):
    """Make a certificate for scheduler, workers and sweeps; return dask's settings for it."""
    words = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=nbrnn -keyout key.pem -out cert.pem"
    )
    subprocess.run(words.split(), cwd=folder, check=True, capture_output=True)
    settings = {
        f"distributed.comm.tls.{who}.{what}": str(folder / f"{what}.pem")
        for who in ("scheduler", "worker", "client")
        for what in ("cert", "key")
    }
    return {"distributed.comm.tls.ca-file": str(folder / "cert.pem"), **settings}


class Machines:
    """A scheduler, and two workers of one thread, each with its folder; the dead are replaced.

    They talk by TLS, where there is openssl.
    """

    def __init__(self, folder):
        self.folder, self.gate = folder, folder / "gate"
        self.settings = certified(folder) if shutil.which("openssl") else {}
        variables = {
            name.upper().replace(".", "__").replace("-", "_"): v for name, v in self.settings.items()
        }
        self.environment = {f"DASK_{name}": value for name, value in variables.items()}
        self.processes = []
        self.started = 0

    def ready(self):
        """Return the machines when all are alive and know each other."""
        if not self.processes or self.processes[0].poll() is not None:
            self.close()
            port = free_port()
            protocol = "tls" if self.settings else "tcp"
            self.scheduler = f"{protocol}://127.0.0.1:{port}"
            words = ["--protocol", protocol, "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
            self.processes = [dask("scheduler", *words, **self.environment)]
        if any(process.poll() is not None for process in self.workers) or not self.workers:
            for process in self.workers:
                end(process)
            self.processes[1:] = [self.worker(), self.worker()]
        with distributed.Client(self.scheduler, timeout=DEADLINE, set_as_default=False) as client:
            alive = {f"worker-{self.started - 1}", f"worker-{self.started}"}
            wait_until(lambda: {w["name"] for w in client.scheduler_info()["workers"].values()} == alive)
        return self

    def worker(self):
        self.started += 1
        return dask(
            *("worker", self.scheduler, "--nthreads", 1, "--no-nanny", "--no-dashboard"),
            *("--name", f"worker-{self.started}", "--preload", PRELOAD),
            *("--local-directory", self.folder / f"worker-{self.started}"),
            NBRNN_TEST_GATE=str(self.gate),
            **self.environment,
        )

    @property
    def workers(self):
        return self.processes[1:]

    def runs(self):
        """Return the folders of the runs that are with the workers, but for what the dead have left."""
        left = {f"worker-{n}" for n in range(1, self.started - 1)}
        found = self.folder.glob("worker-*/**/config.json")
        return [path.parent for path in found if path.relative_to(self.folder).parts[0] not in left]

    def close(self):
        for process in self.processes:
            end(process)


@pytest.fixture(scope="module")
def all_machines(tmp_path_factory):
    machines = Machines(tmp_path_factory.mktemp("machines"))
    with distributed.dask.config.set(machines.settings):
        yield machines
    machines.close()


@pytest.fixture
def machines(all_machines):
    """Return a scheduler and two workers, which hold their runs until the gate is open."""
    all_machines.gate.touch()
    return all_machines.ready()


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """Return the bits of a sweep by threads, with one eta that diverges."""
    folder = tmp_path_factory.mktemp("alone")
    sweep(grid({**LISTS, "eta": "0.1,1e30"}), corpus, SweepFolder(folder))
    return sweep_bits(folder)


def among(bits, folder):
    """Return those of the bits that are of the runs of a sweep."""
    return {run.path.name: bits[run.path.name] for run in SweepFolder(folder).runs()}


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(corpus, tmp_path, machines, alone):
    class Deadly(Events):
        def started(self, job, update, updates):
            super().started(job, update, updates)
            if len(self.starts) == 2:
                machines.workers[0].kill()
                machines.gate.unlink()

    events, folder = Deadly(), SweepFolder(tmp_path)
    dasks = {"backend": "dask", "scheduler": machines.scheduler}
    outcome = sweep(grid(LISTS), corpus, folder, **dasks, observer=events)
    assert machines.workers[0].wait(DEADLINE) == -signal.SIGKILL
    assert outcome.count("finished") == 4
    assert len(events.starts) == 5
    assert sweep_bits(folder.path) == among(alone, folder.path)
    assert len(sweep_bits(folder.path)) == 4
    again = sweep(grid(LISTS), corpus, folder, **dasks)
    assert again.done_before == 4


@pytest.mark.slow
def test_halving_sends_back_the_runs_that_continue(corpus, tmp_path, machines, monkeypatch):
    machines.gate.unlink()
    typed = ["nbrnn", "sweep", "a text.txt"]
    monkeypatch.setattr(sys, "argv", typed)
    halving, folder = {"halving": Halving(rate=2)}, SweepFolder(tmp_path / "dask")
    outcome = sweep(grid(LISTS), corpus, folder, scheduler=machines.scheduler, **halving)
    assert (outcome.count("finished"), outcome.count("dropped")) == (2, 2)
    sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "here"), **halving)
    assert sweep_bits(folder.path) == sweep_bits(tmp_path / "here")
    for run in folder.runs():
        assert json.loads((run / "env.json").read_text())["command"] == typed


@pytest.mark.slow
def test_runs_resume_where_another_backend_left_them_and_come_back_when_interrupted(
    corpus, tmp_path, machines, alone, monkeypatch
):
    monkeypatch.setattr("nbrnn.sweeps.dask_backend.STOP_SECONDS", DEADLINE)  # however slow the workers
    gather = distributed.Client._gather

    async def slowly(*arguments, **options):  # for longer than a poll
        await asyncio.sleep(3 * POLL_SECONDS)
        return await gather(*arguments, **options)

    monkeypatch.setattr(distributed.Client, "_gather", slowly)
    folder = SweepFolder(tmp_path)
    first = plan(grid(LISTS), corpus, folder)[0]
    counts = iter(range(6))
    sweep(grid(LISTS), corpus, folder, jobs=1, stop=lambda: next(counts, 6) > 4)
    left_at = folder.run(first.run_id).read_summary().updates
    assert 0 < left_at < 300
    events = Events()
    options = {"backend": "dask", "scheduler": machines.scheduler, "observer": events}
    stop = lambda: len({run_id for run_id, _ in events.starts}) == 2  # noqa: E731
    sweep(grid(LISTS), corpus, folder, **options, stop=stop)
    assert {run.read_summary().reason for run in folder.runs()} == {None}
    assert {run.read_summary().status for run in folder.runs()} == {"interrupted"}
    for run_id, _ in events.starts[:2]:
        assert 0 < folder.run(run_id).read_summary().updates < 300
    machines.gate.unlink()
    outcome = sweep(grid({**LISTS, "eta": "0.1,1e30"}), corpus, folder, **options)
    assert [one.reason for one in outcome.summaries.values() if one.status == "failed"] == []
    assert Counter(one.status for one in outcome.summaries.values()) == {"finished": 4, "diverged": 4}
    assert min(update for run_id, update in events.starts if run_id == first.run_id) >= left_at
    assert sweep_bits(folder.path) == alone


@pytest.mark.slow
def test_an_interrupted_sweep_does_not_wait_for_a_worker_that_is_silent(
    corpus, tmp_path, machines, monkeypatch
):
    async def never(*arguments, **options):
        await asyncio.Event().wait()

    monkeypatch.setattr(distributed.Client, "_run", never)
    monkeypatch.setattr(distributed.Client, "_gather", never)
    monkeypatch.setattr("nbrnn.sweeps.dask_backend.STOP_SECONDS", 0.1)
    events, folder = Events(), SweepFolder(tmp_path)
    options = {"scheduler": machines.scheduler, "observer": events}
    sweep(grid(LISTS), corpus, folder, **options, stop=lambda: bool(events.starts))
    assert {run.read_summary().status for run in folder.runs()} <= {"interrupted"}


@pytest.mark.slow
def test_workers_leave_the_runs_of_a_sweep_that_was_killed(text_file, machines, start):
    machines.gate.unlink()
    left = set(machines.runs())  # by a worker that was killed before
    command = ["sweep", text_file, "--out", "s", "--updates", "10000000", "--hidden", "20"]
    environment = {**os.environ, **machines.environment}
    child = start(*command, "--scheduler", machines.scheduler, env=environment)
    wait_until(lambda: len(set(machines.runs()) - left) == 2)
    child.kill()
    wait_until(lambda: set(machines.runs()) <= left)
    assert [worker.poll() for worker in machines.workers] == [None, None]


def test_no_scheduler_is_one_line(nbrnn, text_file, monkeypatch):
    monkeypatch.setattr("nbrnn.sweeps.dask_backend.CONNECT_SECONDS", 0.2)
    address = f"tcp://127.0.0.1:{free_port()}"
    line = one_line_error(nbrnn("sweep", text_file, "--scheduler", address, "-q", code=2))
    assert f"no dask scheduler answers at {address!r}" in line
    for address in ("no:address:at all", "foo://x:1", ""):
        line = one_line_error(nbrnn("sweep", text_file, f"--scheduler={address}", "-q", code=2))
        assert "scheduler" in line
    with distributed.dask.config.set(dict.fromkeys(CERTIFICATES)):
        line = one_line_error(nbrnn("sweep", text_file, "--scheduler", "tls://x:1", "-q", code=2))
    assert "tls://x:1 needs certificates" in line


def test_without_dask_it_is_told_what_to_install(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SweepError, match="\\.\\[dask\\]"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path), backend="dask", scheduler="tcp://x:1")


@pytest.mark.slow
def test_a_scheduler_without_workers_is_an_error(corpus, monkeypatch):
    monkeypatch.setattr("nbrnn.sweeps.dask_backend.CONNECT_SECONDS", 0.5)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    process = dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")

    def has_no_workers():
        with pytest.raises(ClusterError) as error, DaskBackend(address, corpus):
            pass
        return "has no workers" in str(error.value)  # else it does not answer yet

    try:
        wait_until(has_no_workers)
    finally:
        end(process)


@pytest.mark.slow
def test_a_scheduler_that_dies_is_an_error_and_nothing_is_lost(corpus, tmp_path, machines):
    class Deadly(Events):
        def started(self, job, update, updates):
            super().started(job, update, updates)
            machines.processes[0].kill()

    folder = SweepFolder(tmp_path)
    dasks = {"backend": "dask", "scheduler": machines.scheduler}
    with pytest.raises(ClusterError, match="lost"):
        sweep(grid(LISTS), corpus, folder, **dasks, observer=Deadly())
    assert sweep(grid(LISTS), corpus, folder).count("finished") == 4
