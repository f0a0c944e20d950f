"""The other commands: what they print, as text and as JSON."""

import json
import re
import shutil

import pytest
from harness import made_up_text, one_line_error
from msgspec import structs

from nbrnn.analysis.run_records import read_record
from nbrnn.storage.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_pictures", "without_figures")


def test_sample_prints_the_text_alone(nbrnn, run_folder):
    done = nbrnn("sample", run_folder, "--length", "100", "--seed", "3")
    assert len(done.stdout) == 100 + 1  # and a line end
    assert done.stderr == ""
    document = json.loads(nbrnn("sample", run_folder, "--length", "100", "--seed", "3", "--json").stdout)
    assert document["text"] + "\n" == done.stdout
    assert nbrnn("sample", run_folder, "--prime", "Jane", "--length", "9").stdout.startswith("Jane")


def test_a_model_of_a_run_in_progress_says_so(nbrnn, run_folder, text_file, tmp_path):
    folder = RunFolder(shutil.copytree(run_folder, tmp_path / "run"))
    finished = nbrnn("sample", "run", "--length", "50")
    folder.write_summary(structs.replace(folder.read_summary(), status="running"))
    so_far = f"its best model so far is of update {folder.read_checkpoint('best').update:,}\n"
    with folder.locked():
        done = nbrnn("sample", "run", "--length", "50")
    assert done.stderr == f"run is running: {so_far}"
    assert done.stdout == finished.stdout
    assert nbrnn("sample", "run", "--length", "50").stderr == f"run is interrupted: {so_far}"
    assert (
        "its last model so far is of update 1,000"
        in nbrnn("score", "run", text_file, "--checkpoint", "last").stderr
    )


@pytest.mark.slow
def test_score(nbrnn, run_folder, text_file, tmp_path):
    document = json.loads(nbrnn("score", run_folder, text_file, "--json").stdout)
    assert document["characters"] == 5000
    assert document["replaced"] == 0
    assert set(document) == {"characters", "replaced", "model", "uniform", "unigram", "bigram"}
    table = nbrnn("score", run_folder, text_file).stdout
    assert f"{document['model']['bits_per_character']:.4g}" in table
    (tmp_path / "other.txt").write_text("Zen")
    assert "'Z'" in one_line_error(nbrnn("score", run_folder, "other.txt", code=2))
    assert (
        "1 of them replaced" in nbrnn("score", run_folder, "other.txt", "--replace-unknown", "t").stdout
    )
    assert "1,183,651" in nbrnn("score", run_folder, "federalist", "--replace-unknown", "t").stdout


def test_show(nbrnn, run_folder):
    document = json.loads(nbrnn("show", run_folder, "--json").stdout)
    assert document["config"]["hidden"] == 20
    assert document["last_sample"]["update"] == 800
    shown = nbrnn("show", run_folder).stdout
    assert "--hidden 20" in shown
    assert document["last_sample"]["text"] in shown
    assert "last.safetensors" in shown


def test_a_run_too_short_for_samples_shows_one_of_its_best_model(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, "--hidden", "5", "--updates", "300", "--out", "run", "-q")
    text = (tmp_path / "run" / "best.txt").read_text()
    assert f"sample of the best model:\n\n{text}\n" in nbrnn("show", "run").stdout
    record = read_record(RunFolder("run"))
    assert record.samples[record.summary.best_update] == text[: record.config.sample_length]


def test_comparing_other_texts_or_lengths_is_said(nbrnn, run_folder, tmp_path):
    assert "differences may come" not in nbrnn("compare", run_folder).stdout
    (tmp_path / "text").write_text(made_up_text(300, seed=1))
    nbrnn("train", "text", "--hidden", "5", "--updates", "3", "--out", "run", "-q")
    shown = nbrnn("compare", run_folder, "run").stdout
    for what in ("texts", "lengths"):
        assert f"\nThe runs have 2 different {what}: differences may come of that.\n" in shown


def test_gradcheck(nbrnn, text_file):
    done = nbrnn("gradcheck", text_file, "--hidden", "3,5", "--seq-length", "10", "--json")
    document = json.loads(done.stdout)
    assert document["passed"]
    assert len(document["differences"]) == 2 * 5 * 3
    assert max(d["largest"] for d in document["differences"]) == document["largest"] < 1e-6
    strict = nbrnn("gradcheck", text_file, "--hidden", "3", "--tolerance", "1e-15", code=1)
    assert "FAILED" in strict.stdout
    assert all(len(line) <= 80 for line in strict.stdout.splitlines())


def test_corpora(nbrnn, monkeypatch):
    rows = json.loads(nbrnn("corpora", "--json").stdout)
    assert [row["name"] for row in rows] == ["shakespeare", "brontes", "federalist"]
    assert [row["updates_per_epoch"] for row in rows] == [44615, 27889, 47346]
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, nbrnn("corpora").stdout.splitlines())) <= 60
    monkeypatch.delenv("COLUMNS")
    shown = nbrnn("corpora").stdout
    assert "44,615" in shown
    assert "William Shakespeare" in shown
    assert "public domain" in shown


def test_help_and_version(nbrnn, monkeypatch):
    assert "--sigma" in nbrnn("train", "--help").stdout
    assert nbrnn().stdout == nbrnn("--help").stdout
    monkeypatch.setenv("COLUMNS", "80")
    commands = nbrnn("--help").stdout.partition("Commands:")[2]
    assert "..." not in commands
    assert len(commands.splitlines()) == 19  # each in one line, and the page of the documentation
    assert "\n  FOLDER...  Folders of sweeps or runs." in nbrnn("report", "--help").stdout
    assert nbrnn("train", "--help").stdout.endswith("More: docs/reference/settings.md\n")
    assert re.fullmatch(r"nbrnn \d+\.\d+\.\d+\n", nbrnn("--version").stdout)
