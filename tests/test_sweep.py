"""Many runs at once: the same bits as alone, whatever happens to them."""

import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import one_line_error

from nbrnn.config import RunConfig
from nbrnn.errors import LockedError, StoreError
from nbrnn.runs.run import run
from nbrnn.runs.store import RunFolder, SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import SweepObserver, plan, sweep

RESULT_FILES = ("last.safetensors", "best.safetensors", "metrics.csv", "samples.jsonl", "best.txt")
SMALL = {"updates": "300", "hidden": "20", "sample_every": "150", "sample_length": "30"}
LISTS = {**SMALL, "sigma": "0.01,0.1", "seed": "0:1"}


def bits(path):
    return {
        (run_folder.path.name, name): hashlib.sha256((run_folder / name).read_bytes()).hexdigest()
        for run_folder in SweepFolder(path).runs()
        for name in RESULT_FILES
    }


class Events(SweepObserver):
    """Notes what happens."""

    def __init__(self):
        self.starts, self.ends, self.reports = [], {}, []

    def started(self, job, update, updates):
        self.starts.append((job.run_id, update))

    def progressed(self, job, report):
        self.reports.append((job.run_id, report.update))

    def ended(self, job, summary):
        self.ends[job.run_id] = summary["status"]


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """Return the folder of a sweep whose runs were done one by one, without a sweep."""
    folder = SweepFolder(tmp_path_factory.mktemp("alone"))
    for job in plan(grid(LISTS), corpus, folder):
        run(job.config, corpus, job.folder)
    return folder.path


@pytest.mark.parametrize(
    "options",
    [
        {"jobs": 1},
        {"jobs": 3},
        {"jobs": 1, "backend": "loky"},
        {"jobs": 2, "backend": "loky"},
    ],
)
def test_jobs_and_backends_change_nothing(corpus, tmp_path, alone, options):
    events = Events()
    lists = {**LISTS, "seed": "1,0"} if options["jobs"] == 3 else LISTS
    outcome = sweep(grid(lists), corpus, SweepFolder(tmp_path / "s"), observer=events, **options)
    assert outcome.count("finished") == 4
    assert set(events.ends.values()) == {"finished"}
    assert sorted(events.starts) == sorted((job.run_id, 0) for job in outcome.jobs)
    assert {run_id for run_id, _ in events.reports} == set(events.ends)
    assert bits(tmp_path / "s") == bits(alone)
    for folder in SweepFolder(tmp_path / "s").runs():
        assert (folder / "loss.png").read_bytes() == (
            alone / "runs" / folder.path.name / "loss.png"
        ).read_bytes()


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_each_run_keeps_the_command_that_the_user_typed(corpus, tmp_path, monkeypatch, backend):
    typed = ["nbrnn", "sweep", "a text.txt"]
    monkeypatch.setattr(sys, "argv", typed)
    sweep(grid(LISTS), corpus, SweepFolder(tmp_path), backend=backend)
    runs = SweepFolder(tmp_path).runs()
    assert [json.loads((run / "env.json").read_text())["command"] for run in runs] == [typed] * 4


def test_what_is_done_is_not_done_again_and_other_lists_add(corpus, tmp_path):
    folder, events = SweepFolder(tmp_path), Events()
    sweep(grid(LISTS), corpus, folder)
    files = [path for path in tmp_path.rglob("runs/*/*") if path.is_file() and path.name != ".lock"]
    before = {path: path.stat().st_mtime_ns for path in files}
    outcome = sweep(grid(LISTS), corpus, folder, observer=events)
    assert (outcome.done_before, events.starts) == (4, [])
    outcome = sweep(grid({**LISTS, "sigma": "0.1,0.3"}), corpus, folder, observer=events)
    assert (outcome.done_before, len(events.starts)) == (2, 2)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    requests = folder.read_requests()
    assert [request["settings"]["sigma"] for request in requests] == [[0.01, 0.1], [0.1, 0.3]]
    assert {run_id for request in requests for run_id in request["runs"]} == {
        found.path.name for found in folder.runs()
    }
    assert requests[0]["corpus"]["sha256"] == corpus.sha256
    outcome = sweep(grid(LISTS), corpus, folder, observer=events, force=True)
    assert (outcome.done_before, len(events.starts)) == (0, 6)


def test_a_run_that_diverges_or_raises_harms_no_other(corpus, tmp_path):
    folder, lists = SweepFolder(tmp_path), {**LISTS, "eta": "0.1,1e30", "seed": "0:2"}
    folder.add_request({"runs": []}, [])
    jobs = plan(grid(lists), corpus, folder)
    sound = [job for job in jobs if job.config.eta == 0.1]
    run(sound[0].config, corpus, sound[0].folder, stop=lambda: True)
    checkpoint = sound[0].folder / "last.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(b"nonsense")  # damaged
    sound[1].folder.parent.mkdir(parents=True, exist_ok=True)
    sound[1].folder.write_text("a file, where a folder should be")
    sound[2].folder.mkdir()
    (sound[2].folder / "letter.txt").write_text("somebody else's")
    outcome = sweep(grid(lists), corpus, folder)
    assert (outcome.count("finished"), outcome.count("diverged"), outcome.count("failed")) == (3, 6, 3)
    reasons = outcome.failures()
    assert len(reasons) == 9
    for job, reason in zip(sound[:3], ("damaged", "is a file", "other files"), strict=True):
        assert reason in reasons[job.run_id]
    assert RunFolder(sound[0].folder).read_summary()["status"] == "failed"
    assert os.listdir(sound[2].folder) == ["letter.txt"]
    checkpoint.write_bytes(whole)
    sound[1].folder.unlink()
    (sound[2].folder / "letter.txt").unlink()
    events = Events()
    outcome = sweep(grid(lists), corpus, folder, observer=events)
    assert (outcome.count("finished"), outcome.count("diverged")) == (6, 6)
    assert {run_id for run_id, _ in events.starts} == {job.run_id for job in sound[:3]}


def test_a_defect_in_a_run_is_recorded_with_its_traceback(corpus, tmp_path, monkeypatch):
    def defective(*arguments, **options):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("nbrnn.sweeps.job.run", defective)
    outcome = sweep(grid(LISTS), corpus, SweepFolder(tmp_path), jobs=2)
    assert outcome.count("failed") == 4
    summary = SweepFolder(tmp_path).runs()[0].read_summary()
    assert summary["reason"] == "ZeroDivisionError: of all things"
    assert "in defective" in summary["traceback"]


def test_too_many_failures_end_it(corpus, tmp_path):
    lists = {**LISTS, "eta": "1e30,0.1", "seed": "0:9"}
    outcome = sweep(grid(lists), corpus, SweepFolder(tmp_path), jobs=1, max_failures=3)
    assert outcome.count("diverged") == 3
    assert len(outcome.summaries) < 10
    outcome = sweep(grid(lists), corpus, SweepFolder(tmp_path), jobs=1, max_failures=3)
    assert outcome.count("diverged") == 6  # three more


def test_a_folder_with_something_else_is_refused(corpus, tmp_path):
    (tmp_path / "letter.txt").write_text("")
    with pytest.raises(StoreError, match="other files"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path))
    run(RunConfig(updates=1, hidden=2), corpus, tmp_path / "run")
    with pytest.raises(StoreError, match="other files"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "run"))
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sweep.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "s"))


# ---------------------------------------------------------------- interrupted, killed

CHILD = """
import functools, signal, sys
import nbrnn.sweeps.job
from nbrnn.corpus import load
from nbrnn.sweeps.grid import grid
from nbrnn.runs.store import SweepFolder
from nbrnn.sweeps.sweep import SweepObserver, sweep

class Loud(SweepObserver):
    def started(self, job, update, updates):
        sys.stdout.write(f"started {job.run_id} {update}\\n")  # in one piece: there are two threads
        sys.stdout.flush()
    def ended(self, job, summary):
        sys.stdout.write(f"ended {job.run_id}\\n")
        sys.stdout.flush()

if __name__ == "__main__":
    text, folder, backend, updates, seeds = sys.argv[1:]
    nbrnn.sweeps.job.run = functools.partial(nbrnn.sweeps.job.run, checkpoint_seconds=0.05)
    lists = {"updates": updates, "hidden": "20", "sample_every": "150", "sample_length": "30"}
    lists |= {"sigma": "0.01,0.1", "seed": seeds}
    sweep(grid(lists), load(text), SweepFolder(folder), observer=Loud(), backend=backend, jobs=2)
"""


def start(text_file, folder, backend, updates, seeds="0:1"):
    command = [sys.executable, "-c", CHILD, text_file, folder, backend, updates, seeds]
    return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)


def children_at_work(pid):
    """Return the processes below a sweep that hold runs (loky has one more, which holds none)."""
    found = psutil.Process(pid).children(recursive=True)
    alive = [child for child in found if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "resource_tracker" not in " ".join(child.cmdline())]


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ten_kills_at_random_moments_change_nothing(corpus, text_file, tmp_path):
    rng, folder, ended, kills = random.Random(0), tmp_path / "killed", set(), 0
    updates = 400_000  # in all twice what ten times 0.4 s suffice for on a fast machine
    while kills < 10 or not ended:  # some run is to be done before the last kill
        kills += 1
        child = start(text_file, folder, "threading", updates, "0:3")
        child.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.1 + 0.6 * rng.random())
        child.kill()
        lines = child.communicate()[0].splitlines(keepends=True)
        events = [line.split() for line in lines if line.endswith("\n")]
        started = {run_id for what, run_id, *_ in events if what == "started"}
        assert not started & ended
        ended |= {run_id for what, run_id, *_ in events if what == "ended"}
    lists = {**LISTS, "updates": str(updates), "seed": "0:3"}
    outcome = sweep(grid(lists), corpus, SweepFolder(folder))
    assert outcome.count("finished") == 8
    assert outcome.done_before >= len(ended) > 0
    sweep(grid(lists), corpus, SweepFolder(tmp_path / "undisturbed"))
    assert bits(folder) == bits(tmp_path / "undisturbed")
    assert not list(folder.rglob("*.tmp"))


def test_no_process_outlives_a_killed_sweep(text_file, tmp_path):
    child = start(text_file, tmp_path / "s", "loky", 10_000_000)
    assert [child.stdout.readline().split()[0] for _ in range(2)] == ["started"] * 2
    workers = psutil.Process(child.pid).children(recursive=True)
    assert len(workers) >= 2
    child.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []
    child.communicate()
    statuses = [folder.read_summary()["status"] for folder in SweepFolder(tmp_path / "s").runs()]
    assert statuses == ["interrupted", "interrupted"]  # they even had the time for a checkpoint


def test_a_killed_process_costs_nothing_but_time(corpus, text_file, tmp_path):
    child = start(text_file, tmp_path / "s", "loky", 100_000)
    output = "".join(child.stdout.readline() for _ in range(2))
    assert output.count("started") == 2
    children_at_work(child.pid)[0].kill()
    output += child.communicate()[0]
    assert child.returncode == 0
    starts = re.findall(r"started (\S+)", output)
    assert (len(starts), len(set(starts))) == (5, 4)
    assert len(set(re.findall(r"ended (\S+)", output))) == 4
    lists = {**LISTS, "updates": "100000"}
    assert sweep(grid(lists), corpus, SweepFolder(tmp_path / "s")).done_before == 4
    sweep(grid(lists), corpus, SweepFolder(tmp_path / "undisturbed"))
    assert bits(tmp_path / "s") == bits(tmp_path / "undisturbed")


def test_a_run_that_kills_its_process_twice_is_marked(corpus, tmp_path):
    class Deadly(Events):
        def started(self, job, update, updates):
            super().started(job, update, updates)
            if job.config.seed == 0 and job.config.sigma == 0.1:
                children_at_work(os.getpid())[0].kill()

    lists, events = {**LISTS, "updates": "50000"}, Deadly()
    folder = SweepFolder(tmp_path)
    outcome = sweep(grid(lists), corpus, folder, observer=events, backend="loky", jobs=1)
    assert (outcome.count("finished"), outcome.count("failed")) == (3, 1)
    ((run_id, reason),) = outcome.failures().items()
    assert "died 2 times" in reason
    assert [started for started, _ in events.starts].count(run_id) == 2
    assert folder.run(run_id).read_summary()["status"] == "failed"
    outcome = sweep(grid(lists), corpus, folder, jobs=1)
    assert outcome.count("finished") == 4


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_sweep_within_two_seconds(text_file, tmp_path, backend, number, code):
    command = [sys.executable, "-m", "nbrnn", "sweep", text_file, "--out", tmp_path / "s"]
    command += ["--updates", "10000000", "--hidden", "20", "--jobs", "2", "--backend", backend]
    child = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    runs = tmp_path / "s" / "runs"
    wait_until(lambda: len(list(runs.glob("*/summary.json"))) == 2)
    time.sleep(0.5)
    workers = psutil.Process(child.pid).children(recursive=True)
    sent = time.monotonic()
    child.send_signal(number)
    _, err = child.communicate(timeout=30)
    assert time.monotonic() - sent < 2
    assert child.returncode == code
    assert "Traceback" not in err
    assert (
        err.splitlines()[-1] == "nbrnn: interrupted: 0 of 4 runs are finished; the same command goes on"
    )
    assert psutil.wait_procs(workers, timeout=2)[1] == []
    summaries = [folder.read_summary() for folder in SweepFolder(tmp_path / "s").runs()]
    assert [summary["status"] for summary in summaries] == ["interrupted"] * 2
    assert all(summary["updates"] > 0 for summary in summaries)


def test_two_sweeps_in_one_folder(corpus, text_file, tmp_path):
    child = start(text_file, tmp_path / "s", "threading", 10_000_000)
    child.stdout.readline()
    with pytest.raises(LockedError, match="another process"):
        sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "s"))
    child.kill()
    child.communicate()
    assert sweep(grid(LISTS), corpus, SweepFolder(tmp_path / "s")).count("finished") == 4


def test_a_run_that_another_process_still_holds_is_waited_for(corpus, text_file, tmp_path, monkeypatch):
    folder = SweepFolder(tmp_path / "s")
    folder.path.mkdir()
    folder.add_request({"runs": []}, [])
    job = plan(grid(LISTS), corpus, folder)[0]
    holding = "import sys, time; from nbrnn.runs.store import RunFolder\n"
    holding += "with RunFolder(sys.argv[1]).locked(): print(flush=True); time.sleep(1)"
    holder = subprocess.Popen([sys.executable, "-c", holding, job.folder], stdout=subprocess.PIPE)
    holder.stdout.readline()
    assert sweep(grid(LISTS), corpus, folder).count("finished") == 4
    holder.communicate()
    monkeypatch.setattr("nbrnn.sweeps.job.PATIENCE", 0.1)
    with RunFolder(job.folder).locked():
        outcome = sweep(grid(LISTS), corpus, folder, force=True)
    assert (outcome.count("finished"), outcome.count("failed")) == (3, 1)
    assert RunFolder(job.folder).read_summary()["status"] == "finished"  # not ours to say otherwise


# ---------------------------------------------------------------- the command

FAST = ["--hidden", "5", "--updates", "200", "--seeds", "0:1"]


def test_the_command_prints_one_json_document_and_writes_a_report(nbrnn, text_file, tmp_path):
    command = ["sweep", text_file, "--sigma", "0.01,0.1", *FAST, "--json"]
    done = nbrnn(*command)
    document = json.loads(done.stdout)
    assert (document["finished"], document["done_before"], len(document["runs"])) == (4, 0, 4)
    assert document["folder"] == "results/made_up-updates200-hidden5-sigma0.01_0.1"
    for row in document["runs"]:
        folder = RunFolder(tmp_path / row["folder"])
        assert folder.read_summary().items() <= row.items()
        assert folder.read_config()[0].to_dict() == row["settings"]
        assert (folder / "loss.png").exists()
    assert (tmp_path / document["report"] / "index.html").exists()
    assert len(done.stderr.splitlines()) == 5
    again = json.loads(nbrnn(*command).stdout)
    assert again["done_before"] == 4
    listed = json.loads(nbrnn(*command, "--dry-run").stdout)
    assert [row["status"] for row in listed] == ["finished"] * 4
    assert [row["run_id"] for row in listed] == [row["run_id"] for row in document["runs"]]
    assert nbrnn(*command[:-1], "--quiet").stdout == ""


def test_a_dry_run_writes_nothing(nbrnn, text_file, tmp_path):
    done = nbrnn("sweep", text_file, "--sigma", "0.01,0.1", "--random", "1", "--dry-run")
    *runs, last = done.stdout.splitlines()
    assert [line.split() for line in runs] == [["new", "seed", str(seed)] for seed in range(4)]
    assert last == "4 runs, 4 to do"
    assert os.listdir(tmp_path) == []


def test_a_report_that_cannot_be_written_costs_nothing_else(nbrnn, text_file, tmp_path):
    (tmp_path / "s").mkdir()
    nbrnn("sweep", text_file, *FAST, "--name", "s", "-q")
    shutil.rmtree(tmp_path / "results" / "s" / "report")
    (tmp_path / "results" / "s" / "report").write_text("a file")
    done = nbrnn("sweep", text_file, *FAST, "--name", "s", "--json", code=1)
    assert json.loads(done.stdout)["finished"] == 2
    assert "no report is written" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_streams_that_nobody_reads_or_that_are_closed(text_file, tmp_path, backend):
    command = [sys.executable, "-m", "nbrnn", "sweep", text_file, *FAST, "--backend", backend]
    for number, redirection in enumerate(("2>&1 >/dev/null | head -1", "2>&-", "<&- >&- 2>&-")):
        folder = tmp_path / str(number)
        words = " ".join(map(shlex.quote, [*map(str, command), "--out", str(folder)]))
        subprocess.run(["bash", "-c", f"{words} {redirection}"], check=True, timeout=120)
        statuses = [run.read_summary()["status"] for run in SweepFolder(folder).runs()]
        assert statuses == ["finished", "finished"]


def test_interrupted_while_compiling(text_file, tmp_path):
    command = [sys.executable, "-m", "nbrnn", "sweep", text_file, "--out", tmp_path / "s"]
    child = subprocess.Popen(
        [*map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert child.stderr.readline().startswith("Sweep in")
    time.sleep(0.3)
    sent = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=30)[1] == "nbrnn: interrupted\n"
    assert time.monotonic() - sent < 2
    assert child.returncode == 130


def test_failures_are_exit_code_1_with_a_line_that_names_them(nbrnn, text_file):
    done = nbrnn("sweep", text_file, "--eta", "0.1,1e30", *FAST, "--name", "s", code=1)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("nbrnn: 2 of 4 runs did not finish: made_up-m5-eta1e+30")
    assert "diverged: update" in last
    done = nbrnn("sweep", text_file, "--eta", "0.1,1e30", *FAST, "--name", "s", code=1)
    assert "2 diverged" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sigma", "0.1,x"], "--sigma"),
        (["--seeds", "5:3"], "--seeds"),
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "-2"], "--jobs"),
        (["--random", "0"], "--random"),
        (["--max-failures", "0"], "--max-failures"),
        (["--name", "a/b"], "--name"),
        (["--name", ".."], "--name"),
        (["--name", "a", "--out", "b"], "--name"),
        (["--backend", "threads"], "--backend"),
        (["--backend", "dask"], "--scheduler"),
        (["--backend", "loky", "--scheduler", "tcp://x:1"], "--scheduler"),
        (["--epochs", "1", "--updates", "1"], "not both"),
        (["--out", "{text}"], "give a folder"),
    ],
)
def test_wrong_usage_is_one_line(nbrnn, text_file, tmp_path, options, said):
    options = [option.format(text=text_file) for option in options]
    assert said in one_line_error(nbrnn("sweep", text_file, *options, code=2))
    assert os.listdir(tmp_path) == []
