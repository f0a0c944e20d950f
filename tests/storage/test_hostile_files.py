"""Where a file of a run or a sweep is anything else: nothing hangs, nothing outside is touched."""

import os
import shutil
import warnings
from contextlib import suppress

import hostile_files
import pytest
from harness import DATA, TEXT, copy_old

from nbrnn import available_memory, text_files
from nbrnn.analysis.result_tables import read_runs
from nbrnn.errors import NbrnnError
from nbrnn.storage.folder_locks import LOCK
from nbrnn.storage.run_folder import RUN_FILES, RunFolder
from nbrnn.storage.safe_files import append
from nbrnn.storage.sweep_folder import SweepFolder

pytestmark = [
    pytest.mark.usefixtures("without_pictures", "without_figures"),
    pytest.mark.skipif(os.name != "posix", reason="needs POSIX"),
]

ANY = (0, 1, 2)
UNFINISHED = "metrics.csv.0123456789abcdef.tmp"
SWEEP = ["--updates", "300", "--hidden", "5", "--seq-length", "10", "--sample-every", "100"]
SWEEP += ["--sample-length", "40", "--sigma", "0.01,0.1", "--seeds", "0", "--jobs", "1"]
RUN = "moor-m5-eta0.1-sigma0.1-300updates-seed0-cc8ec8ca"
OTHER = "moor-m5-eta0.1-sigma0.01-300updates-seed0-9aeb9f2c"


@pytest.fixture
def outside(tmp_path):
    """Return a folder that is none of the program's business, and must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("precious.txt", "index.html", "runs.csv", "heat.png"):
        (folder / name).write_text("precious")
    return folder


@pytest.fixture
def one_line(nbrnn, monkeypatch):
    """Return a function that calls the program, which succeeds or says in one line why not."""
    monkeypatch.setattr(available_memory, "available", lambda: 2**30)
    monkeypatch.setattr(text_files, "PIPE_TIMEOUT", 0.1)

    def call(*arguments):
        done = nbrnn(*arguments, code=ANY)
        assert "Traceback" not in done.stderr
        if done.returncode:
            (line,) = done.stderr.splitlines()
            assert line.startswith("nbrnn: ")
        return done

    return call


@pytest.mark.parametrize("name", [*RUN_FILES, LOCK, UNFINISHED])
@hostile_files.BY_KIND
def test_a_file_of_a_run(kind, name, outside, one_line, tmp_path):
    copy_old("run", tmp_path / "run")
    hostile_files.KINDS[kind](tmp_path / "run" / name, outside)
    before = hostile_files.everything_in(outside)
    for command in (
        ["show", "run", "--json"],
        ["score", "run", TEXT],
        ["train", "--resume", "run", "--updates", "900", "-q"],
        ["train", TEXT, "--out", "run", "--force", "--updates", "10", "-q"],
    ):
        done = one_line(*command)
        assert hostile_files.everything_in(outside) == before, command
        if "--resume" in command:
            resumed = done.returncode == 0
            assert resumed or name in done.stderr or (kind, name) == ("missing", "config.json")
            assert resumed == (last_update(tmp_path / "run") == 900)


def last_update(folder):
    """Return how many updates a run has done; -1 where its checkpoint is damaged."""
    try:
        return RunFolder(folder).read_checkpoint("last").update
    except NbrnnError:
        return -1


@pytest.mark.parametrize("name", RUN_FILES)
@hostile_files.BY_KIND
def test_what_goes_to_a_cluster(kind, name, outside, tmp_path):
    copy_old("run", tmp_path / "run")
    hostile_files.KINDS[kind](tmp_path / "run" / name, outside)
    try:
        contents = RunFolder(tmp_path / "run").contents()
    except NbrnnError:
        return
    assert sum(map(len, contents.values())) < 2**20


@pytest.mark.parametrize("name", ["sweep.json", "runs", f"runs/{RUN}", f"runs/{RUN}/{LOCK}", LOCK])
@hostile_files.BY_KIND
def test_a_part_of_a_sweep(kind, name, outside, one_line, tmp_path):
    copy_old("sweep", tmp_path / "sweep")
    shutil.rmtree(tmp_path / "sweep" / "runs" / OTHER)  # which is left to do
    hostile_files.KINDS[kind](tmp_path / "sweep" / name, outside)
    before = hostile_files.everything_in(outside)
    done = one_line("sweep", TEXT, *SWEEP, "--out", "sweep", "-q")
    assert hostile_files.everything_in(outside) == before
    if name.startswith(f"runs/{RUN}"):  # the other runs go on
        assert SweepFolder(tmp_path / "sweep").run(OTHER).has_text()
        assert done.returncode == 0 or RUN in done.stderr
    with warnings.catch_warnings(), suppress(NbrnnError):
        warnings.simplefilter("ignore")  # which name the runs that are left out
        read_runs(tmp_path / "sweep")


@pytest.mark.slow
@hostile_files.BY_KIND
def test_a_text(kind, outside, one_line, tmp_path):
    shutil.copy(TEXT, tmp_path / "text")
    hostile_files.KINDS[kind](tmp_path / "text", outside)
    before = hostile_files.everything_in(outside)
    for command in (
        ["train", "text", "--out", "run", "--updates", "10", "-q"],
        ["score", DATA / "run", "text"],
        ["sweep", "text", "--out", "s", "--dry-run"],
    ):
        one_line(*command)
    assert hostile_files.everything_in(outside) == before


def test_the_folder_that_a_user_names_may_be_a_link(one_line, outside, tmp_path):
    (tmp_path / "run").symlink_to(outside / "run")
    (outside / "run").mkdir()
    (tmp_path / "disk").symlink_to(outside)
    train = ["train", TEXT, "--updates", "10", "-q"]
    for folder in ("run", "disk/other"):
        assert one_line(*train, "--out", folder).returncode == 0
    assert RunFolder(outside / "run").has_text()
    assert RunFolder(outside / "other").has_text()


def test_a_copy_made_of_hard_links_stays_as_it_is(one_line, tmp_path):
    copy_old("interrupted", tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "backup", copy_function=os.link)
    before = hostile_files.everything_in(tmp_path / "backup")
    assert one_line("train", "--resume", "run", "-q").returncode == 0
    assert hostile_files.everything_in(tmp_path / "backup") == before
    metrics = (tmp_path / "run" / "metrics.csv").read_text()
    assert metrics.startswith((tmp_path / "backup" / "metrics.csv").read_text())


def test_nothing_is_appended_to_a_pipe_that_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(NbrnnError, match="a pipe or a device, not a file"):
        append(tmp_path / "pipe", "text")
    assert os.read(reader, 100) == b""
    os.close(reader)
