"""What the pages say, done: their commands, code, links and numbers."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import child_processes
import pytest
import typer
from harness import DATA, csv_rows, import_interop, made_up_text

from bench.report import speed_table
from nbrnn.cli.main import app
from nbrnn.storage.run_folder import RUN_FILES

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (
        *(
            ROOT / name
            for name in ("README.md", "CONTRIBUTING.md", "bench/README.md", "results/README.md")
        ),
        *sorted((ROOT / "docs").rglob("*.md")),
    )
}
README, HOW_TO = PAGES["README.md"], PAGES["docs/how-to.md"]
SPEED = PAGES["docs/reference/speed.md"]


def blocks(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands_of(page):
    """Return the commands of a page that work in a folder with texts of the user's."""
    lines = "".join(blocks("sh", page)).replace("\\\n", "").splitlines()
    return [line for line in lines if re.match(r"(nbrnn|mv|rm) ", line)]


@pytest.fixture
def users_folder(tmp_path):
    """Return a folder with the texts that the pages' commands and code name."""
    for seed, name in enumerate(("my-text.txt", "other-text.txt")):
        (tmp_path / name).write_text(f"{made_up_text(5000, seed)} ROMEO: I moor\n")
    (tmp_path / "names.txt").write_text(made_up_text(2000).replace(" ", "\n"))
    return tmp_path


def test_the_readme_is_short_and_begins_with_a_command_for_the_readers_own_text():
    assert len(README.splitlines()) <= 200
    assert blocks("sh", README)[0].startswith("nbrnn train my-text.txt")


def test_the_first_sample_and_its_loss_are_those_of_the_run():
    run = ROOT / "results" / "minutes" / "ten-minutes"
    summary, config = (json.loads((run / f"{name}.json").read_text()) for name in ("summary", "config"))
    assert (run / "sample.txt").read_text().startswith(blocks("text", README)[0].rstrip())
    words = " ".join(README.split())
    assert f"two layers of {config['hidden']} units" in words
    loss, seconds = summary["validation_best"], summary["seconds"]
    assert f"a loss of {loss:.2f} nats per character" in words
    assert f"after {seconds:.0f} s of training" in words


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if commands_of(page)])
def test_every_command_of_a_page_works(name, users_folder, fork):
    for command in commands_of(PAGES[name]):
        word, *arguments = shlex.split(command)
        if word != "nbrnn":
            subprocess.run([word, *arguments], cwd=users_folder, check=True)
            continue
        child = fork(child_processes.program_on_beginnings, arguments, users_folder)
        assert child.wait() == 0, f"{command}: {(users_folder / 'stderr').read_text()}"


# ---------------------------------------------------------------- code


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
    shutil.copytree(DATA / "sweep", tmp_path / "results" / "sweep")
    shutil.copytree(DATA / "run", tmp_path / "results" / "tour")
    shutil.copy(DATA / "moor.txt", tmp_path / "my-text.txt")
    return tmp_path


ANSWERS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", HOW_TO, re.DOTALL | re.MULTILINE))


def test_each_piece_of_python_is_tested_here():
    pieces = {name: len(blocks("python", page)) for name, page in PAGES.items()}
    assert {name: count for name, count in pieces.items() if count} == {
        "docs/how-to.md": 8,
        "docs/reference/python.md": 2,
        "docs/tutorials/students.md": 4,  # by checks/test_programs.py
    }


@pytest.mark.parametrize("script", blocks("bash", HOW_TO))
def test_scripts_are_right_to_a_shell(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    for words in re.findall(r"\.venv/bin/nbrnn (.+?)[;\"\n]", script.replace('"$', "$")):
        name, *arguments = shlex.split(re.sub(r"\$\w+", "1", words))
        command = typer.main.get_command(app).commands[name]
        command.make_parser(command.make_context(name, [])).parse_args(args=arguments)


def test_the_commands_for_windows_are_those_for_linux():
    (windows,) = blocks("bat", HOW_TO)
    linux = "".join(block for block in blocks("sh", README) if "venv" in block)
    assert windows == linux.replace("python3", "py").replace(".venv/bin/", ".venv\\Scripts\\")
    assert linux in HOW_TO


def answer(words):
    """Return the code below the heading that has these words."""
    (text,) = (text for heading, text in ANSWERS.items() if words in heading)
    (code,) = blocks("python", text)
    return code


@pytest.mark.slow
def test_pandas(execute, results):
    printed = execute(answer("pandas"), results)
    assert re.search(
        r"^updates 300, eta 0\.1, sigma 0\.01 +\d+\.\d+ +\d+\.\d+ +2$", printed, re.MULTILINE
    ), printed


@pytest.mark.slow
def test_a_cell_of_a_notebook(execute, nbrnn, users_folder):
    printed = execute(answer("notebook"), users_folder)
    (folder,) = (users_folder / "results").iterdir()
    written = nbrnn("sample", folder, "--length", "100").stdout
    assert "".join(printed.split()) == "".join(written.split()) != ""


@pytest.mark.slow
def test_latex_and_pdf(execute, results):
    printed = execute(answer("LaTeX"), results)
    assert printed.startswith("\\begin{tabular}{lrr}")
    assert (results / "loss.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_the_example_from_python(execute, users_folder):
    code, observing = blocks("python", PAGES["docs/reference/python.md"])
    assert 0 < float(execute(code, users_folder)) < 80  # 25 log(26) is that of uniform guessing
    rows = [line.split() for line in execute(observing, users_folder).splitlines()]
    updates = [int(update) for update, _ in rows]
    assert updates == [updates[0], 2 * updates[0], 3 * updates[0]]  # the ends of three epochs


def test_the_example_in_numpy_writes_what_nbrnn_does(nbrnn, tmp_path):
    nbrnn("export", DATA / "run", "model.npz")
    written = nbrnn("sample", DATA / "run", "--length", "200").stdout
    assert python(answer("another program"), tmp_path) == written


def test_slurm_by_dask_jobqueue():
    code = compile(answer("SLURM"), "page", "exec")
    assert {"SLURMCluster", "scheduler_address", "sweep"} <= set(code.co_names)


@pytest.mark.slow
@pytest.mark.interop
def test_optuna(execute, users_folder):
    code = answer("Optuna")
    compile(code, "page", "exec")
    import_interop("optuna")
    printed = execute(code.replace("n_trials=10", "n_trials=2"), users_folder)
    assert set(ast.literal_eval(printed)) == {"eta", "sigma"}


@pytest.mark.slow
@pytest.mark.interop
def test_mlflow(execute, users_folder, monkeypatch):
    import_interop("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{users_folder}/mlflow.db")
    ask = """
client, (row,) = mlflow.MlflowClient(), mlflow.search_runs(output_format="list")
history = client.get_metric_history(row.info.run_id, "smooth_loss")
print(row.data.params["updates"], history[-1].step, history[-1].value)
"""
    updates, last, loss = execute(answer("MLflow") + ask, users_folder).splitlines()[-1].split()
    summary = json.loads((users_folder / "results" / "logged" / "summary.json").read_text())
    assert (updates, last, float(loss)) == ("2000", "2000", summary["smooth_loss_final"])


def test_the_loss_without_nbrnn(nbrnn, results):
    theirs = float(python(answer("without nbrnn"), results))
    ours = json.loads(nbrnn("score", results / "results" / "tour", "my-text.txt", "--json").stdout)
    assert theirs == pytest.approx(ours["model"]["nats_per_character"], rel=1e-5)


# ---------------------------------------------------------------- what follows from the code


def test_every_file_of_a_run_has_its_place():
    assert all(f"`{name}`" in PAGES["docs/reference/files.md"] for name in RUN_FILES)


def test_every_link_leads_somewhere():
    places = {
        name: {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in page}
        for name, page in ((n, re.findall(r"^#+ .*", p, re.MULTILINE)) for n, p in PAGES.items())
    }
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)]+)\)", page):
            if target.startswith("http"):
                continue
            path, _, anchor = target.partition("#")
            file = ((ROOT / name).parent / path).resolve() if path else ROOT / name
            assert file.exists(), f"{name}: {target}"
            if anchor:
                assert anchor in places[file.relative_to(ROOT).as_posix()], f"{name}: {target}"


def test_the_two_commands_are_single_lines():
    setup = [block for block in blocks("sh", README) if "venv" in block]
    assert [len(block.splitlines()) for block in setup] == [1, 1]
    assert "nbrnn train" in setup[0]
    assert "tox" in setup[1]


# ---------------------------------------------------------------- numbers


def test_the_figures_of_speed_are_those_of_the_last_benchmark():
    document = json.loads((ROOT / "results" / "bench" / "bench.json").read_text())
    text = " ".join(SPEED.split())
    assert speed_table(document["speed"]) in SPEED
    assert f"`{document['machine']['cpu_target']}`) with nbrnn {document['machine']['nbrnn']}" in text
    watch = document["stopwatch"]
    assert f"{watch['updates']:,} updates" in text
    assert f"took {watch['alone']:.0f} s from the shell" in text
    assert f"on two cores took {watch['side_by_side']:.0f} s" in text


def test_the_times_of_several_windows_are_those_of_their_benchmark():
    page = (ROOT / "results" / "batches" / "README.md").read_text()
    machine = json.loads((ROOT / "results" / "batches" / "bench.json").read_text())["machine"]
    lines = re.findall(r"^\| (?:nbrnn|JAX|NumPy|PyTorch|products).* \|$", page, re.MULTILINE)[:6]
    assert all(line in SPEED for line in lines)
    assert f"`{machine['cpu_target']}`), with nbrnn {machine['nbrnn']}" in SPEED


def test_the_times_of_the_cells_are_those_of_their_benchmark():
    for row in csv_rows(ROOT / "results" / "bench" / "cells.csv"):
        cell = row["cell"] if row["cell"] == "vanilla" else row["cell"].upper()
        ours, *theirs = (float(row[name]) for name in ("nbrnn", "jax", "torch"))
        shown = [f"{ours:.2f} (1)", *(f"{each:.2f} ({each / ours:.1f})" for each in theirs)]
        start = f"| {cell}, m = {row['hidden']}, B = {row['batch']} |"
        assert f"{start} {' | '.join(shown)} |" in SPEED
