"""`nbrnn sweep`: what it prints, writes and refuses."""

import json
import os
import re
import shutil

import pytest
from harness import one_line_error

from nbrnn.storage.run_folder import RunFolder

FAST = ["--hidden", "5", "--updates", "200", "--seeds", "0:1"]


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_the_command_prints_one_json_document_and_writes_a_report(nbrnn, text_file, tmp_path):
    command = ["sweep", text_file, "--sigma", "0.01,0.1", *FAST, "--json"]
    done = nbrnn(*command)
    document = json.loads(done.stdout)
    assert (document["finished"], document["done_before"], len(document["runs"])) == (4, 0, 4)
    assert document["folder"] == "results/made_up-updates200-hidden5-sigma0.01_0.1"
    for row in document["runs"]:
        folder = RunFolder(tmp_path / row["folder"])
        assert folder.read_summary().to_dict().items() <= row.items()
        assert folder.read_config()[0].to_dict() == row["settings"]
        assert (folder / "loss.png").exists()
    assert (tmp_path / document["report"] / "index.html").exists()
    *_, drawing, writing, page = done.stderr.splitlines()
    assert len(done.stderr.splitlines()) == 8
    assert (drawing, writing) == ("Drawing the losses of 4 runs.", "Writing the report.")
    assert page == f"report: {document['report']}/index.html"
    again = json.loads(nbrnn(*command).stdout)
    assert again["done_before"] == 4
    listed = json.loads(nbrnn(*command, "--dry-run").stdout)
    assert [row["status"] for row in listed] == ["finished"] * 4
    assert "0 runs to do" in nbrnn(*command, "--dry-run").stderr
    assert [row["run_id"] for row in listed] == [row["run_id"] for row in document["runs"]]
    quiet = nbrnn(*command[:-1], "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_a_dry_run_writes_nothing(nbrnn, text_file, tmp_path):
    done = nbrnn("sweep", text_file, "--sigma", "0.01,0.1", "--random", "1", "--dry-run")
    *runs, last = done.stdout.splitlines()
    assert [line.split() for line in runs] == [["new", "seed", str(seed)] for seed in range(5)]
    assert last == "5 runs, 5 to do"
    assert re.fullmatch(
        r"5 runs to do: about \d:\d\d:\d\d \(h:mm:ss\) on \d+ cores?, [\d.]+ MB\n", done.stderr
    )
    quiet = nbrnn("sweep", text_file, "--sigma", "0.01,0.1", "--random", "1", "--dry-run", "--quiet")
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seq-length", "10,10000"], "too few for --seq-length 10000: at least 10,001 are needed"),
        (["--batch", "1,9999"], "too few for --seq-length 25 and --batch 9999"),
        (["--order", "chunks", "--chunks", "2,100000"], "--chunks 100000 exceeds the"),
        (["--warmup", "0,201"], "--warmup 201 exceeds the run's 200 updates"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["", "dry"])
def test_settings_that_do_not_fit_the_text_are_refused_before_any_run(
    nbrnn, text_file, tmp_path, options, said, more
):
    done = nbrnn("sweep", text_file, *FAST, *options, "--name", "s", *more, code=2)
    assert said in one_line_error(done)
    assert not list(tmp_path.glob("results/s/runs*"))


@pytest.mark.usefixtures("without_figures")
def test_a_report_that_cannot_be_written_costs_nothing_else(nbrnn, text_file, tmp_path):
    (tmp_path / "s").mkdir()
    nbrnn("sweep", text_file, *FAST, "--name", "s", "-q")
    shutil.rmtree(tmp_path / "results" / "s" / "report")
    (tmp_path / "results" / "s" / "report").write_text("a file")
    done = nbrnn("sweep", text_file, *FAST, "--name", "s", "--json", code=1)
    assert json.loads(done.stdout)["finished"] == 2
    assert "no report is written" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_failures_are_exit_code_1_with_a_line_that_names_them(nbrnn, text_file):
    done = nbrnn("sweep", text_file, "--eta", "0.1,1e30", *FAST, "--name", "s", code=1)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("nbrnn: 2 of 4 runs did not finish: made_up-m5-eta1e+30")
    assert "diverged: at update" in last
    done = nbrnn("sweep", text_file, "--eta", "0.1,1e30", *FAST, "--name", "s", code=1)
    assert done.stdout.startswith("results/s: 2 of 4 runs finished, 2 diverged\n")
    assert done.stdout.count("runs finished") == 1
    assert "report: results/s/report/index.html\n" in done.stderr
    assert "Writing the report." in done.stderr.splitlines()
    assert "eta 1e+30: diverged with both seeds" in done.stdout
    compared = nbrnn("compare", "s").stdout
    assert compared.startswith("2 of 4 runs finished\n")
    assert "\neta 1e+30: diverged with both seeds\n" in compared
    assert (
        "cannot be compared: eta 1e+30 diverged with both seeds."
        in nbrnn("compare", "s", "--json").stdout
    )


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
        (["--out", "{text}"], "not a folder"),
    ],
)
def test_wrong_usage_is_one_line(nbrnn, text_file, tmp_path, options, said):
    options = [option.format(text=text_file) for option in options]
    assert said in one_line_error(nbrnn("sweep", text_file, *options, code=2))
    assert os.listdir(tmp_path) == []
