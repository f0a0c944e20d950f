"""A real dask scheduler with two workers on this machine: the same bits, also when one is killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from conftest import one_line_error
from test_sweep import LISTS, Events, bits

from nbrnn.errors import ClusterError, SweepError
from nbrnn.runs.store import SweepFolder
from nbrnn.sweeps.cluster import Cluster
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import plan, sweep

LONGER = {**LISTS, "updates": "60000"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def dask(*arguments):
    command = [sys.executable, "-m", "dask", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end(process):
    with suppress(psutil.NoSuchProcess):  # it may have been killed
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()


@pytest.fixture
def scheduler():
    """Return the address of a new scheduler."""
    port = free_port()
    process = dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    yield f"tcp://127.0.0.1:{port}"
    end(process)


@pytest.fixture
def workers(scheduler, tmp_path):
    """Return two processes, each a worker of one thread with a folder of its own."""
    processes = [
        dask(
            *("worker", scheduler, "--nthreads", 1, "--no-nanny", "--no-dashboard"),
            *("--local-directory", tmp_path / f"worker-{i}"),
        )
        for i in (1, 2)
    ]
    yield processes
    for process in processes:
        end(process)


def wait_for_both(scheduler):
    import distributed

    with distributed.Client(scheduler, timeout=30, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)


def test_a_killed_worker_changes_nothing(corpus, tmp_path, scheduler, workers):
    class Deadly(Events):
        def started(self, job, update, updates):
            super().started(job, update, updates)
            if len(self.starts) == 2:
                workers[0].kill()

    wait_for_both(scheduler)
    events, folder = Deadly(), SweepFolder(tmp_path / "s")
    outcome = sweep(grid(LONGER), corpus, folder, backend="dask", scheduler=scheduler, observer=events)
    assert workers[0].wait(5) == -signal.SIGKILL
    assert outcome.count("finished") == 4
    assert len(events.starts) == 5
    sweep(grid(LONGER), corpus, SweepFolder(tmp_path / "threads"))
    assert bits(folder.path) == bits(tmp_path / "threads")
    again = sweep(grid(LONGER), corpus, folder, backend="dask", scheduler=scheduler)
    assert again.done_before == 4


def test_each_run_keeps_the_command_that_the_user_typed(
    corpus, tmp_path, monkeypatch, scheduler, workers
):
    typed = ["nbrnn", "sweep", "a text.txt"]
    monkeypatch.setattr(sys, "argv", typed)
    wait_for_both(scheduler)
    folder = SweepFolder(tmp_path / "s")
    sweep(grid(LISTS), corpus, folder, backend="dask", scheduler=scheduler)
    runs = folder.runs()
    assert [json.loads((run / "env.json").read_text())["command"] for run in runs] == [typed] * 4


def test_runs_go_on_where_another_backend_left_them_and_come_back_when_interrupted(
    corpus, tmp_path, scheduler, workers
):
    folder = SweepFolder(tmp_path / "s")
    first = plan(grid(LONGER), corpus, folder)[0]
    counts = iter(range(30))
    sweep(grid(LONGER), corpus, folder, jobs=1, stop=lambda: next(counts, 99) > 20)
    left_at = folder.run(first.run_id).read_summary()["updates"]
    assert 0 < left_at < 60_000
    wait_for_both(scheduler)

    def stop_after(seconds):
        start = time.monotonic()
        return lambda: time.monotonic() > start + seconds

    events = Events()
    options = {"backend": "dask", "scheduler": scheduler, "observer": events}
    begun = time.monotonic()
    sweep(grid(LONGER), corpus, folder, **options, stop=stop_after(1.5))
    assert time.monotonic() - begun < 10
    later = [run.read_summary() for run in folder.runs()]
    assert all(summary["updates"] > 0 for summary in later)
    outcome = sweep(grid({**LONGER, "eta": "0.1,1e30"}), corpus, folder, **options)
    assert (outcome.count("finished"), outcome.count("diverged")) == (4, 4)
    assert min(update for run_id, update in events.starts if run_id == first.run_id) >= left_at
    sweep(grid({**LONGER, "eta": "0.1,1e30"}), corpus, SweepFolder(tmp_path / "threads"))
    assert bits(folder.path) == bits(tmp_path / "threads")


def test_workers_leave_the_runs_of_a_sweep_that_was_killed(text_file, tmp_path, scheduler, workers):
    wait_for_both(scheduler)
    command = [sys.executable, "-m", "nbrnn", "sweep", text_file, "--out", tmp_path / "s"]
    command += ["--updates", "10000000", "--hidden", "20", "--scheduler", scheduler]
    child = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)

    def busy():
        return [process for process in psutil_workers if process.cpu_percent(1) > 50]

    psutil_workers = [psutil.Process(worker.pid) for worker in workers]
    deadline = time.monotonic() + 30
    while len(busy()) < 2:
        assert time.monotonic() < deadline
    child.kill()
    child.wait()
    time.sleep(7)
    assert busy() == []


def test_no_scheduler_is_one_line_within_ten_seconds(nbrnn, text_file):
    nbrnn("train", text_file, "--updates", "0", "-q")
    start = time.monotonic()
    address = f"tcp://127.0.0.1:{free_port()}"
    line = one_line_error(nbrnn("sweep", text_file, "--scheduler", address, "-q", code=2))
    assert time.monotonic() - start < 10
    assert f"no dask scheduler answers at {address}" in line
    for address in ("no:address:at all", "foo://x:1", ""):
        line = one_line_error(nbrnn("sweep", text_file, f"--scheduler={address}", "-q", code=2))
        assert "scheduler" in line


def test_without_dask_it_is_told_what_to_install(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SweepError, match="nbrnn\\[dask\\]"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path), backend="dask", scheduler="tcp://x:1")


def test_a_scheduler_without_workers_is_an_error(corpus, scheduler):
    deadline = time.monotonic() + 30
    while True:
        with pytest.raises(ClusterError) as error, Cluster(scheduler, corpus):
            pass
        if "has no workers" in str(error.value):
            break
        assert time.monotonic() < deadline


def test_a_scheduler_that_dies_is_an_error_and_nothing_is_lost(corpus, tmp_path, scheduler, workers):
    wait_for_both(scheduler)

    class Deadly(Events):
        def started(self, job, update, updates):
            super().started(job, update, updates)
            for process in psutil.process_iter(["cmdline"]):
                if re.search(
                    rf"scheduler.*{scheduler.rpartition(':')[2]}",
                    " ".join(process.info["cmdline"] or []),
                ):
                    os.kill(process.pid, signal.SIGKILL)

    folder = SweepFolder(tmp_path / "s")
    with pytest.raises(ClusterError, match="lost"):
        sweep(grid(LONGER), corpus, folder, backend="dask", scheduler=scheduler, observer=Deadly())
    assert sweep(grid(LONGER), corpus, folder).count("finished") == 4
