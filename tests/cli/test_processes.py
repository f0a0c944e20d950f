"""The program as a process: signals, pipes, closed streams, limits of the system, a real terminal."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import child_processes
import pexpect
import psutil
import pytest
from harness import (
    DEADLINE,
    all_end,
    bits,
    command,
    is_under_way,
    one_line_error,
    run_program,
    wait_until,
)

import nbrnn
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder

pytestmark = pytest.mark.slow

NBRNN = Path(nbrnn.__file__).parent
FAST = ["--hidden", "5", "--updates", "300"]


# ---------------------------------------------------------------- signals


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_training_with_a_checkpoint(text_file, tmp_path, fork, number, code):
    train = ["train", text_file, "--updates", "10000000", "--out", "run"]
    child = fork(child_processes.program_with_checkpoints, train, tmp_path)
    wait_until(lambda: is_under_way(tmp_path / "run"))
    os.kill(child.process.pid, number)
    assert child.wait() == code
    err = (tmp_path / "stderr").read_text()
    assert re.search(r"interrupted after update [\d,]+; to resume: nbrnn train --resume run\n", err)
    assert "interrupted" in (tmp_path / "stdout").read_text()
    folder = RunFolder(tmp_path / "run")
    assert folder.read_summary().status == "interrupted"
    assert folder.read_checkpoint("last").update == folder.read_summary().updates > 0


@pytest.mark.parametrize(
    ("backend", "number", "code"),
    [
        ("threading", signal.SIGTERM, 143),
        ("threading", signal.SIGHUP, 129),
        ("loky", signal.SIGINT, 130),
    ],
)
def test_a_signal_ends_a_sweep_with_checkpoints(text_file, tmp_path, fork, backend, number, code):
    sweep = ["sweep", text_file, "--updates", "10000000", "--hidden", "20", "--out", "s"]
    sweep += ["--jobs", "2", "--backend", backend]
    child = fork(child_processes.program_with_checkpoints, sweep, tmp_path)
    runs = tmp_path / "s" / "runs"
    wait_until(lambda: sum(map(is_under_way, runs.glob("*"))) == 2)
    workers = psutil.Process(child.process.pid).children(recursive=True)
    os.kill(child.process.pid, number)
    assert child.wait() == code
    err = (tmp_path / "stderr").read_text()
    assert "Traceback" not in err
    assert err.splitlines()[-1] == (
        "nbrnn: interrupted: 0 of 5 runs finished, 2 stopped with a checkpoint, 3 to do; "
        "everything is kept in s, and the same command continues"
    )
    assert all_end(workers)
    summaries = [folder.read_summary() for folder in SweepFolder(tmp_path / "s").runs()]
    assert [summary.status for summary in summaries] == ["interrupted"] * 2
    assert all(summary.updates > 0 for summary in summaries)


@pytest.mark.parametrize(
    ("command", "module", "function"),
    [
        (["sample", "RUN", "--length", "50000000"], "nbrnn.runs.sampling", "generator"),
        (["gradcheck", "TEXT", "--hidden", "700"], "nbrnn.network.gradcheck", "numerical_gradient"),
    ],
)
def test_long_commands_can_be_interrupted(
    run_folder, text_file, tmp_path, fork, command, module, function
):
    names = {"RUN": run_folder, "TEXT": text_file}
    command = [names.get(part, part) for part in command]
    child = fork(child_processes.program_that_tells, command, tmp_path, module, function)
    child.hear()  # of minutes of work, which begin now
    os.kill(child.process.pid, signal.SIGINT)
    assert child.wait() == 130
    assert (tmp_path / "stderr").read_text() == "nbrnn: interrupted\n"


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_interrupted_while_compiling(text_file, tmp_path, start, command):
    cache = tmp_path / "cache"  # empty: ten seconds to compile, with nothing to save
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    child = start(command, text_file, "--out", "folder", "-q", env=environment)
    wait_until(cache.exists)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=DEADLINE)
    assert child.returncode == 130
    assert err == "nbrnn: interrupted\n"


# ---------------------------------------------------------------- streams


@pytest.fixture
def unread(tmp_path):
    """Return a pipe, and a function that reads so many characters of it and leaves."""
    path = tmp_path / "unread"
    os.mkfifo(path)

    def read(characters):
        with path.open() as reader:
            return reader.read(characters)

    return path, read


def test_a_reader_may_stop_early(run_folder, text_file, tmp_path, fork, unread):
    shell = f"{sys.executable} -m nbrnn show {run_folder} --json | head -c 10"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=True)
    assert len(done.stdout) == 10
    assert done.stderr == b""
    stdout, read = unread
    sample = ["sample", run_folder, "--length", "1000000"]
    child = fork(child_processes.program, sample, tmp_path, {"stdout": stdout})
    assert len(read(10)) == 10
    assert child.wait() == 0
    assert (tmp_path / "stderr").read_text() == ""
    train = ["train", text_file, *FAST, "--out", "run"]
    child = fork(child_processes.program, train, tmp_path, {"stdout": stdout})
    assert read(0) == ""
    assert child.wait() == 0
    assert (tmp_path / "run" / "loss.png").exists()
    assert RunFolder(tmp_path / "run").read_summary().status == "finished"


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


@FULL
def test_a_result_that_cannot_be_written_is_an_error_even_if_nobody_can_be_told(run_folder):
    with open("/dev/full", "w") as full:
        for stderr in (full, subprocess.PIPE):
            show = command("show", run_folder)
            done = subprocess.run(show, stdout=full, stderr=stderr, text=True, check=False)
            assert done.returncode == 1
    assert done.stderr == "nbrnn: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("words", "closed"),
    [("show RUN", ">&-"), ("sample RUN", "2>&-"), ("train - --updates 1", "<&-")],
)
def test_closed_streams_and_terminals_without_unicode(run_folder, words, closed):
    words = words.replace("RUN", str(run_folder))
    shell = f"PYTHONIOENCODING=ascii {sys.executable} -m nbrnn {words} {closed}"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if words.startswith("train") else 0)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_streams_that_nobody_reads_or_that_are_full_or_closed(
    text_file, tmp_path, fork, unread, backend
):
    def start(*words, **streams):
        return fork(child_processes.program_without_pictures, words, tmp_path, streams)

    def sweep(folder, reading=False, **streams):
        lists = ["--hidden", "5", "--updates", "200", "--seeds", "0:1", "--jobs", "1"]
        child = start("sweep", text_file, *lists, "--backend", backend, "--out", folder, **streams)
        assert not reading or read(1) != ""
        assert child.wait() == 0
        statuses = [run.read_summary().status for run in SweepFolder(tmp_path / folder).runs()]
        assert statuses == ["finished", "finished"]

    stderr, read = unread
    sweep("a", reading=True, stdout=os.devnull, stderr=stderr)
    sweep("b", **dict.fromkeys(child_processes.STREAMS))
    if backend == "threading":
        sweep("c", stderr=None)
        if os.path.exists("/dev/full"):
            sweep("d", stderr="/dev/full")
            for words in (["train", text_file, *FAST, "--out", "run"], ["report", "d", "--out", "e"]):
                assert start(*words, stderr="/dev/full").wait() == 0
                assert (tmp_path / "stdout").read_text()


# ---------------------------------------------------------------- limits


def test_too_little_memory_deletes_nothing(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *FAST, "--out", "run", "-q")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    too_large = ["--hidden", "10000", "--seq-length", "4000", "--out", "run", "--force"]
    done = run_program("train", text_file, *too_large, code=2, limit="-v 1500000")
    line = one_line_error(done)
    assert "not enough memory" in line
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    nbrnn("train", text_file, "--hidden", "6", "--updates", "10", "--out", "run", "--force", "-q")


def test_a_full_disk_leaves_the_checkpoint_before(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, "--hidden", "50", "--updates", "300", "--out", "run", "-q")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    more = ["train", "--resume", "run", "--updates", "500", "-q"]
    line = one_line_error(run_program(*more, code=1, limit="-f 20"))
    assert "cannot write" in line
    assert "continues from it" in line
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    nbrnn(*more)
    nbrnn("train", text_file, "--hidden", "50", "--updates", "500", "--out", "scratch", "-q")
    assert bits(tmp_path / "run") == bits(tmp_path / "scratch")


def test_a_disk_that_is_full_from_the_start(text_file, tmp_path):
    train = ["train", text_file, "--hidden", "50", "--updates", "300", "--out", tmp_path / "run", "-q"]
    line = one_line_error(run_program(*train, code=1, limit="-f 4"))
    assert "cannot write" in line
    assert "continues from it" not in line  # there is none


def test_too_few_file_descriptors_for_so_many_processes(text_file, tmp_path):
    sweep = ["sweep", text_file, *FAST, "--seeds", "0:31", "--jobs", "32", "--backend", "loky"]
    done = run_program(*sweep, "--out", tmp_path / "s", "-q", code=2, limit="-n 40")
    assert one_line_error(done) == "nbrnn: Too many open files: fewer --jobs may help"


STARTED = """
import sys
from nbrnn.sweeps.loky_backend import WorkerProcess
if __name__ == "__main__":
    before = set(sys.modules)
    WorkerProcess(corpus=None).kill()
    print(sorted(set(sys.modules) - before))
"""


def test_starting_a_process_imports_nothing(tmp_path):  # there may be no file descriptor left for it
    (tmp_path / "start.py").write_text(STARTED)
    done = subprocess.run([sys.executable, "start.py"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == b"[]\n"


# ---------------------------------------------------------------- on a terminal


def test_progress_samples_and_at_the_end_the_figures_are_seen_on_a_terminal(text_file, on_terminal):
    seen = on_terminal("train", text_file, "--updates", "3000", "--sample-length", "30", "--out", "run")
    for part in ("updates", "epoch", "nats", "bits", "/s", "update 0", "best model", "\x1b["):
        assert part in seen, part
    *_, text, figures = re.split(r"sample from the best model:|(?=run: finished, 3,000 updates)", seen)
    assert len(text) > 1000
    assert figures.splitlines()[1].split() == ["nats", "per", "character", "best", "model",
                                               "last", "model", "unigram", "bigram"]  # fmt: skip
    assert len(figures.splitlines()) <= 8
    assert all(len(line) <= 80 for line in figures.splitlines())
    plain = on_terminal("train", text_file, "--updates", "300", "--out", "b", NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*3\dm", plain)


def test_kernels_that_are_compiled_are_announced_once(text_file, tmp_path):
    others = shutil.ignore_patterns("sampling_kernels.sample-*", "*.tmp*")  # all kernels but one
    shutil.copytree(NBRNN, tmp_path / "nbrnn", ignore=others)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": "", "TERM": "xterm"}
    program, *train = command("train", text_file, "--updates", "10", "--hidden", "5", "--out", "run")
    options = {"env": environment, "dimensions": (24, 80), "encoding": "utf-8"}
    process = pexpect.spawn(program, train, DEADLINE, cwd=str(tmp_path), **options)
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0
    assert process.before.count("compiling the kernels") == 1


def test_a_sweep_and_a_gradcheck_never_stand_still_on_a_terminal(text_file, on_terminal):
    sweep = ["sweep", text_file, "--updates", "300", "--hidden", "5", "--seeds", "0:1", "--name", "s"]
    seen = on_terminal(*sweep)
    for step in ("pictures of runs: 2 of 2", "runs read: 2 of 2", "pictures drawn: "):
        assert step in seen
    seen = on_terminal("gradcheck", text_file, "--hidden", "5", "--seq-length", "5")
    assert "m = 5: derivatives: " in seen


def test_training_goes_without_compilation(tmp_path):
    (tmp_path / "text").write_text("the old house on the moor ")
    train = ["train", "text", "--hidden", 2, "--seq-length", 5, "--updates", 3, "--out", "run", "-q"]
    run_program(*train, cwd=tmp_path, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
    assert RunFolder(tmp_path / "run").read_summary().status == "finished"


def test_python_that_drops_docstrings_is_refused(tmp_path):
    done = run_program("--help", code=2, cwd=tmp_path, env={**os.environ, "PYTHONOPTIMIZE": "2"})
    assert "python -OO" in one_line_error(done)
