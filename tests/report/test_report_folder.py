"""Where a report is written: an empty folder, or that of an older report, and nowhere else."""

import os
import shutil
from pathlib import Path

import hostile_files
import pytest
from harness import DATA, copy_old, no_figures, one_line_error

from nbrnn.errors import WriteError
from nbrnn.report.sweep_report import report
from nbrnn.storage.folder_locks import LOCK

pytestmark = [
    pytest.mark.timeout(60),  # which only a hang takes
    pytest.mark.usefixtures("without_figures"),
]


@pytest.fixture
def run(tmp_path):
    return copy_old("run", tmp_path / "run")


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Return the folder of a run with a report."""
    run = copy_old("run", tmp_path_factory.mktemp("reported") / "run")
    with no_figures():
        report([run])
    return run


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("index.html", "runs.csv", "heat.png"):
        (folder / name).write_text("a stranger's")
    return folder


@pytest.mark.parametrize("name", ["index.html", "runs.csv", "heat.png", "thesis.tex"])
def test_a_stranger_loses_nothing(nbrnn, run, tmp_path, name):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / name).write_text("a stranger's")
    line = one_line_error(nbrnn("report", run, "--out", theirs, code=2))
    assert "holds other files" in line
    assert hostile_files.everything_in(theirs) == {name: b"a stranger's"}


def test_watching_begins_only_where_a_report_may_be_written(nbrnn, outside, monkeypatch):
    monkeypatch.setattr("nbrnn.storage.sweep_folder.SweepFolder.is_at_work", lambda sweep: True)
    (outside / "index.html").unlink()
    line = one_line_error(nbrnn("report", DATA / "sweep", "--out", outside, "--watch", code=2))
    assert "holds other files" in line


def test_a_report_is_renewed_beside_what_others_put_there(run, tmp_path):
    out = tmp_path / "out"
    report([run], out)
    (out / "notes.md").write_text("mine")
    (out / "heat.png").write_text("of an older report")
    (out / "runs.csv").unlink()
    report([run], out)
    assert (out / "notes.md").read_text() == "mine"
    assert not (out / "heat.png").exists()
    assert (out / "runs.csv").exists()


def test_a_report_that_was_not_written_to_its_end_is_renewed(run, tmp_path, monkeypatch):
    names = []

    def write(path, data):
        if len(names) == 2:
            raise WriteError("the disk is full")
        names.append(path.name)
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr("nbrnn.storage.safe_files.write_bytes", write)
        with pytest.raises(WriteError):
            report([run], tmp_path / "out")
    assert report([run], tmp_path / "out").page.exists()


@hostile_files.BY_KIND
def test_the_folder_of_a_report(kind, nbrnn, run, outside):
    hostile_files.KINDS[kind](run / "report", outside)
    before = hostile_files.everything_in(outside)
    done = nbrnn("report", run, "-q", code=(0, 1, 2))
    assert len(done.stderr.splitlines()) == (done.returncode > 0)
    assert hostile_files.everything_in(outside) == before


@pytest.mark.parametrize("name", ["index.html", "heat.png", "gradcheck.json", LOCK])
@hostile_files.BY_KIND
def test_a_file_of_a_report(kind, name, nbrnn, reported, tmp_path, outside):
    run = shutil.copytree(reported, tmp_path / "run")
    hostile_files.KINDS[kind](run / "report" / name, outside)
    before = hostile_files.everything_in(outside)
    done = nbrnn("report", run, "-q", code=(0, 1, 2))
    assert len(done.stderr.splitlines()) == (done.returncode > 0)
    assert hostile_files.everything_in(outside) == before


def test_a_folder_that_is_named_may_be_a_link(run, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    report([run], tmp_path / "out")
    assert (tmp_path / "disk" / "index.html").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_a_folder_whose_name_is_not_utf_8(nbrnn, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    shutil.copytree(DATA / "sweep", folder)
    first, second, *_ = sorted((folder / "runs").iterdir())
    summary = (first / "summary.json").read_text()
    (first / "summary.json").write_text(
        summary.replace('"finished"', r'"failed", "reason": "caf\udce9"')
    )
    (second / "config.json").write_text("{")
    nbrnn("report", folder, "-q")
    assert r"caf\udce9" in (folder / "report" / "runs.csv").read_text()
    assert r"caf\udce9" in (folder / "report" / "index.html").read_text()
