"""What tests do in processes that may be killed.

Such a process is forked from one that has imported this module and has the kernels loaded, so that
it begins in milliseconds. Each function takes the pipe to the test first.
"""

import functools
import importlib
import os
import signal
import sys
from pathlib import Path

from workers import checkpoint_often, die, often_here

import nbrnn.analysis.initial_gradient_check
import nbrnn.analysis.sample_texts
import nbrnn.corpus
import nbrnn.progress_bars
import nbrnn.report.run_report
import nbrnn.report.sweep_report
import nbrnn.run_plots
import nbrnn.runs.run
import nbrnn.sweeps.job
import nbrnn.sweeps.sweep
from nbrnn.cli.main import app
from nbrnn.config import RunConfig
from nbrnn.corpus import load
from nbrnn.network import kernel_cache
from nbrnn.runs.observer import Observer
from nbrnn.runs.run import run
from nbrnn.storage import checksummed_arrays
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Halving
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps import loky_backend
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import SweepObserver, sweep

SMALL = {"hidden": 20, "sample_every": 150, "sample_length": 30}
# Runs of other kinds, whose kernels are those that quick tests have, too.
KINDS = {
    "small": SMALL,
    "held out": {
        **SMALL, "dtype": "float64", "optimizer": "adam", "batch": 3, "order": "chunks", "chunks": 7,
        "validation": 0.2, "validate_every": 7, "loss": "mean", "warmup": 10, "sample_every": 10,
    },
    "scheduled": {
        **SMALL, "dtype": "float64", "optimizer": "rmsprop", "order": "random", "validation": 0.3,
        "validate_every": 11, "schedule": "cosine",
    },
    "deep": {
        "hidden": 10, "cell": "gru", "layers": 2, "dropout": 0.3, "clip_norm": 1, "batch": 3,
        "seq_length": 10, "dtype": "float64", "optimizer": "sgd", "sample_every": 50,
        "sample_length": 30,
    },
}  # fmt: skip

kernel_cache.ready("train_window", "float32", "adagrad")
kernel_cache.ready("train_batch", "float64", "adam")
kernel_cache.ready("train_window", "float64", "rmsprop")
for kernel, precision in (("sample", "float32"), ("sample", "float64"), ("evaluate", "float64")):
    kernel_cache.ready(kernel, precision)


class Steps:
    """Counts the steps of writing, and dies before one of them."""

    def __init__(self, last):
        self.last, self.count = last, 0
        for owner, name in (
            (os, "fsync"),
            (os, "replace"),
            (checksummed_arrays, "write_safetensors"),
            (Path, "unlink"),
        ):
            setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, function):
        @functools.wraps(function)
        def wrapper(*arguments, **options):
            self.count += 1
            if self.count == self.last:
                die()
            return function(*arguments, **options)

        return wrapper


def train_until_step(pipe, text_file, folder, updates, step, kind="small"):
    """Train, but die before this step of writing; tell how many there are if that is more."""
    steps = Steps(step)
    config = RunConfig(updates=updates, **KINDS[kind])
    run(config, load(text_file), folder, checkpoint_seconds=0, chunk=60)
    pipe.send(steps.count)


def train_until_drawing(pipe, text_file, folder):
    """Train, but die while the picture of the loss is drawn."""

    def draw(figure, file, kind):
        file.write(b"half a picture")
        die()

    nbrnn.run_plots.save = draw
    run(RunConfig(updates=120, **SMALL), load(text_file), folder)


class Telling(Observer):
    """Tells the test when so many chunks are done, and goes on."""

    def __init__(self, pipe, chunks):
        self.pipe, self.left = pipe, chunks

    def progressed(self, report):
        self.left -= 1
        if self.left == 0:
            self.pipe.send(report.update)


def train_for_ever(pipe, text_file, folder, chunks, kind="small", updates=10**7):
    """Train with a checkpoint every 3 updates; tell when so many chunks are done."""
    config, observer = RunConfig(updates=updates, **KINDS[kind]), Telling(pipe, chunks)
    run(config, load(text_file), folder, observer=observer, checkpoint_seconds=0, chunk=3)


class Loud(SweepObserver):
    """Tells the test which runs start and end. Two threads share the pipe: each message is whole."""

    def __init__(self, pipe):
        self.pipe = pipe

    def started(self, job, update, updates):
        self.pipe.send(("started", job.run_id))

    def ended(self, job, summary):
        self.pipe.send(("ended", job.run_id))


def sweep_until_step(pipe, text_file, folder, lists, backend, step, halving=None):
    """Do a sweep two runs at a time, but die before this step of writing (0: never)."""
    Steps(step)
    nbrnn.sweeps.sweep.draw_loss = lambda folder: None  # as in the test's own process
    nbrnn.sweeps.job.run = functools.partial(run, checkpoint_seconds=0, chunk=50)
    options = {"observer": Loud(pipe), "backend": backend, "jobs": 2, "halving": halving}
    sweep(grid(lists), load(text_file), SweepFolder(folder), **options)


def halve_until_round(pipe, text_file, folder, lists, backend, rounds):
    """Do a sweep with halving, but die when so many rounds are decided and the second run begins."""

    class Deadly(Loud):
        decisions, starts = 0, 0

        def decided(self, decided):
            self.decisions += 1

        def started(self, job, update, updates):
            super().started(job, update, updates)
            self.starts += self.decisions == rounds
            if self.starts == 2:
                die()

    options = {"backend": backend, "jobs": 1, "halving": Halving(rate=2)}
    sweep(grid(lists), load(text_file), SweepFolder(folder), observer=Deadly(pipe), **options)


def hold(pipe, folder):
    """Hold the folder of a run until the test says something."""
    with RunFolder(folder).locked():
        pipe.send("held")
        pipe.recv()


STREAMS = ("stdin", "stdout", "stderr")


def lead(name, path):
    """Let a standard stream lead to a file, a pipe or a terminal; without a path it is closed."""
    descriptor, mode = STREAMS.index(name), "r" if name == "stdin" else "w"
    if path is None:
        os.close(descriptor)
        setattr(sys, name, None)
        return
    with Path(path).open(mode) as file:
        os.dup2(file.fileno(), descriptor)
    buffering = 1 if name == "stderr" else -1  # as Python has it
    setattr(sys, name, open(descriptor, mode, buffering, closefd=False))  # noqa: SIM115


def program(pipe, arguments, folder, streams=None):
    """Run the program in a folder, its output in files there, or where other streams lead."""
    os.chdir(folder)
    for name, path in {"stdout": "stdout", "stderr": "stderr", **(streams or {})}.items():
        lead(name, path)
    app([str(argument) for argument in arguments])


def program_without_pictures(pipe, arguments, folder, streams=None):
    """Run the program as `program` does, but without pictures, which take longer than all else."""
    nbrnn.report.sweep_report.figures = nbrnn.report.run_report.figures = lambda of: ()
    nbrnn.runs.run.draw_loss = nbrnn.sweeps.sweep.draw_loss = lambda folder: None
    program(pipe, arguments, folder, streams)


def execute(pipe, code, folder):
    """Do what Python code says in a folder, its output in files there."""
    os.chdir(folder)
    lead("stdout", "stdout")
    lead("stderr", "stderr")
    sys.path.insert(0, "")  # modules in that folder, too
    exec(code, {"__name__": "__main__"})


def program_on_terminal(pipe, arguments, folder, terminal, environment):
    """Run the program in a folder, all its streams on a terminal; tell when that is open."""
    os.chdir(folder)
    os.environ.pop("COLUMNS", None)  # the terminal has as many as it has
    os.environ.update(environment)
    for name in STREAMS:
        lead(name, terminal)
    pipe.send("open")
    app([str(argument) for argument in arguments])


def program_on_beginnings(pipe, arguments, folder):
    """Run the program as `program` does, on the first 30,000 characters of each text with a name."""
    whole = nbrnn.corpus.read_named
    nbrnn.corpus.read_named = lambda name: whole(name).decode()[:30_000].encode()
    nbrnn.analysis.sample_texts.LENGTH = 500
    nbrnn.analysis.initial_gradient_check.MAX_WORK = 1e8
    program_without_pictures(pipe, arguments, folder)


def program_with_checkpoints(pipe, arguments, folder):
    """Run the program as `program` does, with a checkpoint after each chunk of updates."""
    if hasattr(signal, "SIGHUP"):  # which nohup has tests, and what they start, ignore
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    checkpoint_often()
    loky_backend.run_jobs = often_here
    program(pipe, arguments, folder)


def program_that_tells(pipe, arguments, folder, module, name):
    """Run the program as `program` does; tell when it calls a function, given by module and name."""
    owner = importlib.import_module(module)
    function = getattr(owner, name)

    def telling(*args, **options):
        pipe.send(name)
        return function(*args, **options)

    setattr(owner, name, telling)
    program(pipe, arguments, folder)
