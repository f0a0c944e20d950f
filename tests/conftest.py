"""What several tests use: a small text, a run in a folder, the program, processes that may be killed."""

import gc
import io
import multiprocessing
import multiprocessing.forkserver
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import read_guard
import typer
import without_posix  # noqa: F401 (before nbrnn)
from harness import Child, Done, command, made_up_text, no_figures, no_pictures
from kernels import keep_parts

from nbrnn.cli.main import app
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, load
from nbrnn.runs.run import run

# A shell starts what it puts into the background with SIGINT ignored, as all that we start would be.
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
sys.path.append(str(TESTS.parent))  # bench/ is not installed; nbrnn/ is found before


def pytest_addoption(parser):
    parser.addoption("--portable", action="store_true", help="Take away what only POSIX has.")


def pytest_configure():
    """Have a home folder of our own, and write into memory, which is faster, where there is enough."""
    read_guard.own_home()
    os.environ.pop("COLUMNS", None)  # pytest-xdist's
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).free > 2**32:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(shared))


def pytest_collection_modifyitems(config, items):
    """Let files with slow tests come first, so that several processes end at about the same time.

    Each file stays whole: its fixtures are made once. Simulations run only where `-m` asks for them.
    """
    if "simulations" not in config.option.markexpr:
        items[:] = [item for item in items if "simulations" not in item.keywords]
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """Let the garbage collector pass over all that is imported by now, each time it looks."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def watched():
    read_guard.watch()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Let a test fail that opened a file outside the repository, itself or by its fixtures."""
    try:
        yield
        read_guard.check()
    finally:
        read_guard.outside.clear()


@pytest.fixture(scope="session", autouse=True)
def kernels_on_disk():
    """Load from disk, and keep there, also the kernels that tests call themselves."""
    keep_parts()


@pytest.fixture(scope="session", autouse=True)
def nobody_pulls_the_plug():
    """Let this process not wait for the disk; those that are killed do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr("nbrnn.portable.F_FULLFSYNC", None)
        yield


@pytest.fixture(scope="session")
def text():
    return made_up_text(5000)


@pytest.fixture(scope="session")
def corpus(text):
    return Corpus.from_text(text, "made-up")


@pytest.fixture(scope="session")
def text_file(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "made-up.txt"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def run_folder(text_file, tmp_path_factory):
    """Return the folder of a finished run of 1000 updates."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(RunConfig(updates=1000, hidden=20, sample_every=400), load(str(text_file)), folder)
    return folder


@pytest.fixture
def without_pictures():
    """Let runs draw no picture of their loss."""
    with no_pictures():
        yield


@pytest.fixture
def without_figures():
    """Let reports have no figures."""
    with no_figures():
        yield


@pytest.fixture(scope="session")
def program():
    """Return what Typer makes of the program: made once, for the hundreds of calls in this process."""
    return typer.main.get_command(app)


@pytest.fixture
def nbrnn(tmp_path, monkeypatch, capsys, program):
    """Return a function that calls the program in this process and an own folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0, input=None):
        if input is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(input.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            program([str(argument) for argument in arguments])
        done = Done(end.value.code, *capsys.readouterr())
        assert done.returncode in (code if isinstance(code, tuple) else (code,)), (
            done.stderr + done.stdout
        )
        return done

    return call


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the program as a process; what still runs at the end is killed."""
    started = []

    def call(*arguments, **options):
        options = {"cwd": tmp_path, "stderr": subprocess.PIPE, "text": True, **options}
        started.append(subprocess.Popen(command(*arguments), **options))
        return started[-1]

    yield call
    for process in started:
        with process:
            process.kill()


@pytest.fixture(scope="session")
def forks():
    """Return what starts processes forked from one that has everything imported, and no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "child_processes"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS), prepend=":")  # the server does not take over sys.path
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.setenv("MPLBACKEND", "agg")  # a user's code opens no window
        multiprocessing.forkserver.ensure_running()
    return context


@pytest.fixture
def fork(forks):
    """Return a function that runs one of child_processes.py's in a process that may be killed."""
    started = []

    def call(function, *arguments):
        pipe, theirs = forks.Pipe()
        process = forks.Process(target=read_guard.guarded, args=(function, theirs, *arguments))
        process.start()
        theirs.close()
        started.append(Child(process, pipe))
        return started[-1]

    yield call
    for child in started:
        child.kill()
        child.process.close()
        child.pipe.close()
