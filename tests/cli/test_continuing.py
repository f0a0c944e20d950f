"""Runs that continue: lengths, copies, kept states, warnings."""

import json
import re

import pytest
from harness import begin_sweep, bits, one_line_error
from msgspec import structs

from nbrnn.analysis.result_tables import read_results
from nbrnn.config import RunConfig
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder

pytestmark = pytest.mark.usefixtures("without_pictures", "without_figures")

SMALL = ["--hidden", "5", "--sample-every", "0", "--quiet"]


def test_without_a_length_that_of_the_folder_is_taken(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *SMALL, "--updates", "250", "--out", "tour")
    before = bits(tmp_path / "tour")
    nbrnn("train", text_file, *SMALL, "--out", "tour")
    assert RunFolder(tmp_path / "tour").read_summary().updates == 250
    assert bits(tmp_path / "tour") == before
    nbrnn("train", text_file, *SMALL, "--out", "tour", "--epochs", "2")
    assert RunFolder(tmp_path / "tour").read_summary().updates == 2 * 199


def test_a_run_continues_in_a_new_folder(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *SMALL, "--updates", "150", "--out", "old")
    before = bits(tmp_path / "old")
    nbrnn("train", "--from", "old", "--out", "new", "--updates", "300", "-q")
    nbrnn("train", text_file, *SMALL, "--updates", "300", "--out", "scratch")
    assert bits(tmp_path / "old") == before
    assert bits(tmp_path / "new") == bits(tmp_path / "scratch")
    nbrnn("train", "--from", "old", "--epochs", "2", "-q")  # a folder named by its settings
    (named,) = (tmp_path / "results").iterdir()
    assert "2epochs" in named.name
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("")
    line = one_line_error(nbrnn("train", "--from", "old", "--out", "mine", "-q", code=2))
    assert "other files" in line
    assert "--from" in one_line_error(nbrnn("train", "--from", "old", "--resume", "old", code=2))


def test_sample_and_score_take_a_state(nbrnn, run_folder, text_file):
    def written(*options):
        return [nbrnn("sample", run_folder, "--seed", seed, *options).stdout for seed in range(3)]

    def scored(*options):
        return json.loads(nbrnn("score", run_folder, text_file, *options, "--json").stdout)["model"]

    assert written() == written("--state", "kept") != written("--state", "zero", "--prime", "J")
    assert scored() == scored("--state", "zero") != scored("--state", "kept")
    assert "--state" in one_line_error(nbrnn("sample", run_folder, "--state", "some", code=2))


@pytest.fixture
def lost(corpus, tmp_path):
    """Return a sweep with a run whose best model is said to be lost from h = 0."""
    folder = SweepFolder(tmp_path / "lost")
    folder.path.mkdir()
    begin_sweep(folder, corpus)
    for seed in (0, 1):
        run(RunConfig(updates=300, hidden=5, seed=seed), corpus, folder.run(str(seed)).path, draw=False)
    where = folder.run("1")
    summary = where.read_summary()
    where.write_summary(
        structs.replace(summary, nats_per_character_best=1.0, score_unigram=2.9, score_best=10.9)
    )
    return folder


def test_a_model_that_is_lost_from_zero_is_warned_of(nbrnn, lost, text_file):
    again = ["train", text_file, "--hidden", 5, "--seed", 1, "--out", lost.run("1")]
    done = nbrnn(*again)
    assert "warning: from h = 0 the best model has a loss of 10.9 nats per character" in done.stderr
    assert re.search(r"^training text, from h = 0 +10\.9000 ", done.stdout, re.MULTILINE)
    assert nbrnn(*again, "-q").stderr == ""


def test_reports_tell_which_models_are_lost_from_zero(nbrnn, lost):
    said = "The best model of hidden 5, eta 0.1, sigma 0.1, seed 1, has a loss of 10.9 nats"
    assert read_results([lost.path]).models_worse_than_unigram()[0].startswith(said)
    assert said in nbrnn("compare", lost.path).stdout.replace("\n  ", " ")
    nbrnn("report", lost.path, "-q")
    for name in ("index.html", "settings.md"):
        assert said in (lost.report / name).read_text()
    assert "score_best" in (lost.report / "runs.csv").read_text().splitlines()[0]


def test_a_shorter_copy_is_refused_and_leaves_nothing(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *SMALL, "--updates", "300", "--out", "long")
    line = one_line_error(nbrnn("train", "--from", "long", "--out", "new", "--updates", "200", code=2))
    assert "has done 300 updates" in line
    assert not (tmp_path / "new").exists()


def test_a_damaged_env_is_begun_anew_and_costs_nothing(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *SMALL, "--updates", "150", "--out", "run")
    (tmp_path / "run" / "env.json").write_text("{")
    nbrnn("train", "--resume", "run", "--updates", "300", "-q")
    assert RunFolder(tmp_path / "run").read_summary().status == "finished"
    assert json.loads((tmp_path / "run" / "env.json").read_text())["nbrnn"]


def test_a_copy_is_a_folder_of_its_own_and_a_bad_one_is_not_kept(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *SMALL, "--updates", "150", "--out", "old")
    before = bits(tmp_path / "old")
    (tmp_path / "link").symlink_to("old")
    for target in ("old", "link"):
        again = nbrnn("train", "--from", "old", "--out", target, "--updates", "300", code=2)
        assert f"the copy that --from makes would be {target} itself" in one_line_error(again)
    assert bits(tmp_path / "old") == before
    metrics = (tmp_path / "old" / "metrics.csv").read_bytes()
    (tmp_path / "old" / "metrics.csv").write_bytes(metrics[:60])
    one_line_error(nbrnn("train", "--from", "old", "--out", "new", "--updates", "300", "-q", code=2))
    (tmp_path / "old" / "metrics.csv").write_bytes(metrics)
    nbrnn("train", "--from", "old", "--out", "new", "--updates", "300", "-q")
