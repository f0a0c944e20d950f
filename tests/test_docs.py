"""What the README says, done."""

import ast
import csv
import json
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import child_processes
import pytest
import typer
from harness import import_interop

from bench.report import speed_table
from nbrnn.cli.main import app
from nbrnn.storage import run_folder

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


HOW_DO_I = README.partition("## How do I ...\n")[2].partition("\n## ")[0]
ANSWERS = dict(re.findall(r"^### (.+?)\?\n(.*?)(?=^### |\Z)", HOW_DO_I, re.DOTALL | re.MULTILINE))
OLD = Path(__file__).parent / "data" / "0.1"


@pytest.mark.slow
def test_every_command_of_the_tour_works(tmp_path, fork):
    shutil.copy(ROOT / "README.md", tmp_path)
    tour = [block for block in blocks("sh") if re.match(r"(nbrnn|mv|rm) ", block)]
    commands = [line for block in tour for line in block.splitlines()]
    assert len(commands) >= 12
    for command in commands:
        name, *arguments = shlex.split(command)
        if name != "nbrnn":
            subprocess.run([name, *arguments], cwd=tmp_path, check=True)
            continue
        child = fork(child_processes.program_on_beginnings, arguments, tmp_path)
        assert child.wait() == 0, f"{command}: {(tmp_path / 'stderr').read_text()}"


@pytest.mark.slow
def test_the_python_example_works(execute, tmp_path):
    (code,) = blocks("python", README.partition("### From Python\n")[2].partition("\n##")[0])
    assert 50 < float(execute(code, tmp_path)) < 110


def test_the_example_in_numpy_writes_what_nbrnn_does(nbrnn, tmp_path):
    nbrnn("export", OLD / "run", "model.npz")
    section = README.partition("### To and from other programs\n")[2].partition("\n## ")[0]
    (code,) = blocks("python", section)
    written = nbrnn("sample", OLD / "run", "--length", "200").stdout
    assert python(code, tmp_path) == written + "\n"


# ---------------------------------------------------------------- How do I ...


def python(code, folder):
    """Run code that does without nbrnn as a user would, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def execute(fork):
    """Return a function that runs code where nbrnn is imported already, and returns what it prints."""

    def call(code, folder):
        child = fork(child_processes.execute, code, folder)
        assert child.wait() == 0, (folder / "stderr").read_text()
        return (folder / "stdout").read_text()

    return call


@pytest.fixture
def results(tmp_path):
    """Return a folder with runs in results/, and the text of them."""
    shutil.copytree(OLD / "sweep", tmp_path / "results" / "sweep")
    shutil.copytree(OLD / "run", tmp_path / "results" / "tour")
    shutil.copy(OLD / "moor.txt", tmp_path / "text.txt")
    return tmp_path


def test_each_answer_has_a_command_or_code_that_is_tested_here():
    assert len(ANSWERS) == 12
    for question, answer in ANSWERS.items():
        assert "```" in answer, question
    assert len(blocks("sh", HOW_DO_I)) == 4  # part of the tour
    assert len(blocks("bash", HOW_DO_I)) == 2
    assert len(blocks("python", HOW_DO_I)) == 7


@pytest.mark.parametrize("script", blocks("bash", HOW_DO_I))
def test_scripts_for_other_machines_are_right_to_a_shell(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    for words in re.findall(r"\.venv/bin/nbrnn (.*?)[;\"\n]", script.replace('"$', "$")):
        name, *arguments = shlex.split(re.sub(r"\$\w+", "1", words))
        command = typer.main.get_command(app).commands[name]
        command.make_parser(command.make_context(name, [])).parse_args(args=arguments)


def answer(words):
    """Return the code of the answer whose question has these words."""
    (text,) = (text for question, text in ANSWERS.items() if words in question)
    (code,) = blocks("python", text)
    return code


@pytest.mark.slow
def test_pandas(execute, results):
    printed = execute(answer("pandas"), results)
    assert re.search(
        r"^updates 300, eta 0\.1, sigma 0\.01 +\d+\.\d+ +\d+\.\d+ +2$", printed, re.MULTILINE
    ), printed


@pytest.mark.slow
def test_a_cell_of_a_notebook(execute, nbrnn, tmp_path):
    printed = execute(answer("notebook"), tmp_path)
    (folder,) = (tmp_path / "results").iterdir()
    written = nbrnn("sample", folder, "--length", "100").stdout
    assert "".join(printed.split()) == "".join(written.split()) != ""


@pytest.mark.slow
def test_latex_and_pdf(execute, results):
    printed = execute(answer("LaTeX"), results)
    assert printed.startswith("\\begin{tabular}{lrr}")
    assert (results / "loss.pdf").read_bytes().startswith(b"%PDF")


def test_slurm_by_dask_jobqueue():
    code = compile(answer("SLURM"), "README", "exec")
    assert {"SLURMCluster", "scheduler_address", "sweep"} <= set(code.co_names)


@pytest.mark.slow
@pytest.mark.interop
def test_optuna(execute, tmp_path):
    code = answer("Optuna")
    compile(code, "README", "exec")
    import_interop("optuna")
    printed = execute(code.replace("n_trials=10", "n_trials=2"), tmp_path)
    assert set(ast.literal_eval(printed)) == {"eta", "sigma"}


@pytest.mark.slow
@pytest.mark.interop
def test_mlflow(execute, tmp_path, monkeypatch):
    import_interop("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    ask = """
client, (row,) = mlflow.MlflowClient(), mlflow.search_runs(output_format="list")
history = client.get_metric_history(row.info.run_id, "smooth_loss")
print(row.data.params["updates"], history[-1].step, history[-1].value)
"""
    updates, last, loss = execute(answer("MLflow") + ask, tmp_path).splitlines()[-1].split()
    summary = json.loads((tmp_path / "results" / "logged" / "summary.json").read_text())
    assert (updates, last, float(loss)) == ("2000", "2000", summary["smooth_loss_final"])


def test_the_loss_without_nbrnn(nbrnn, results):
    theirs = float(python(answer("without nbrnn"), results))
    ours = json.loads(nbrnn("score", results / "results" / "tour", "text.txt", "--json").stdout)
    assert theirs == pytest.approx(ours["model"]["nats_per_character"], rel=1e-5)


def test_every_command_and_every_file_of_a_run_is_mentioned(nbrnn):
    commands = re.findall(
        r"^  ([a-z]+) ", nbrnn("--help").stdout.partition("Commands:")[2], re.MULTILINE
    )
    assert len(commands) >= 6
    for command in commands:
        assert f"nbrnn {command}" in README
    for name in run_folder.RUN_FILES:
        assert f"`{name}`" in README


def test_every_link_leads_somewhere():
    headings = [
        line.lstrip("# ").lower().replace(" ", "-") for line in README.splitlines() if "#" in line[:1]
    ]
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in headings
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("words", ["tox", "nbrnn train", "python3 -m venv"])
def test_the_two_commands_are_single_lines(words):
    setup = [block for block in blocks("sh") if "venv" in block]
    assert len(setup) == 2
    assert all(len(block.splitlines()) == 1 for block in setup)
    assert any(words in block for block in setup)


def rows(path):
    with (ROOT / "results" / path).open() as file:
        return list(csv.DictReader(file))


def test_the_table_of_settings_is_that_of_the_results():
    means = {
        (float(row["epsilon"]), float(row["sigma"])): float(row["smooth_loss_best_mean"])
        for row in rows("sigma/7-epochs/settings.csv")
    }
    for epsilon in (1e-8, 1):
        cells = " | ".join(f"{means[epsilon, sigma]:.2f}" for sigma in (0.01, 0.03, 0.1, 0.3))
        assert f"| {cells} |" in README


@pytest.mark.parametrize(("text", "name"), [("shakespeare", "Shakespeare"), ("brontes", "Brontës")])
def test_the_table_of_sizes_is_that_of_the_results(text, name):
    runs = [row for row in rows(f"size/{text}/runs.csv") if row["seed"] != "0"]
    cells = []
    for hidden in ("50", "100", "200", "300", "500"):
        losses = [float(row["validation_best"]) for row in runs if row["hidden"] == hidden]
        cells.append(f"{statistics.median(losses):.3f} ({max(losses):.3f})")
    assert f"| {name} | {' | '.join(cells)} |" in README
    page = (ROOT / "results" / "size" / "README.md").read_text()
    sizes = re.findall(r"^\| \d+ \|.*\| ([\d.]+) \|$", page, re.MULTILINE)[:5]
    assert f"| µs of training a character | {' | '.join(sizes)} |" in README


def test_the_table_of_editions_is_that_of_the_results():
    shown = {
        (row["optimizer"], row["warmup"]): "{:.3f} ({:.3f} to {:.3f})".format(
            *(float(row[f"validation_best_{what}"]) for what in ("mean", "ci_low", "ci_high"))
        )
        for row in rows("editions/shakespeare/settings.csv")
    }
    columns = [shown[place] for place in (("adagrad", "0"), ("adagrad", "300"), ("adam", "0"))]
    assert f"| {' | '.join(columns)} |" in README.replace("*", "")


def test_the_table_of_warm_ups_is_that_of_the_results():
    losses = {}
    for row in rows("edge/brontes-warmup/runs.csv"):
        losses.setdefault((float(row["eta"]), int(row["warmup"])), []).append(
            float(row["validation_best"])
        )
    for warmup in (0, 300):
        of_etas = [losses[eta, warmup] for eta in (0.05, 0.07, 0.1, 0.14, 0.2)]
        cells = " | ".join(f"{statistics.median(of):.3f} ({max(of):.3f})" for of in of_etas)
        assert f"| {cells} |" in README
    without = [loss for (_, warmup), of in losses.items() if warmup == 0 for loss in of]
    assert max(losses[0.1, 300]) < min(without)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("sigma 0.1, epsilon 1e-08", "sigma 0.01, epsilon 1e-08"),
        ("sigma 0.03, epsilon 1", "sigma 0.03, epsilon 1e-08"),
    ],
)
def test_the_differences_are_those_of_the_results(better, worse):
    (row,) = (
        row
        for row in rows("sigma/7-epochs/comparison.csv")
        if (row["measure"], row["a"], row["b"]) == ("smooth_loss_best", better, worse)
    )
    lower, low, high = (-float(row[name]) for name in ("mean_difference", "ci_high", "ci_low"))
    text = " ".join(README.split())
    assert f"{lower:.2f} nats" in text
    assert f"{low:.2f} to {high:.2f}" in text


def test_the_figures_of_speed_are_those_of_the_last_benchmark():
    document = json.loads((ROOT / "results" / "bench" / "bench.json").read_text())
    assert speed_table(document["speed"]) in README
    assert document["machine"]["cpu_target"] in README
    watch = document["stopwatch"]
    assert f"{watch['updates']:,} updates" in README
    assert f"{watch['alone']:.0f} s from the shell" in README
    assert f"side by side on two cores {watch['side_by_side']:.0f} s" in README
