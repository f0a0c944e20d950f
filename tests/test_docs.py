"""What the README says, done."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import children
import pytest

from bench.report import speed_table
from nbrnn.runs import store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_every_command_of_the_tour_works(tmp_path, fork):
    shutil.copy(ROOT / "README.md", tmp_path)
    tour = [block for block in blocks("sh") if block.startswith("nbrnn ")]
    commands = [line for block in tour for line in block.splitlines()]
    assert len(commands) >= 7
    for command in commands:
        name, *arguments = shlex.split(command)
        assert name == "nbrnn"
        child = fork(children.program, arguments, tmp_path)
        assert child.wait() == 0, f"{command}: {(tmp_path / 'stderr').read_text()}"


@pytest.mark.slow
def test_the_python_example_works(tmp_path):
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert 50 < float(done.stdout) < 110


def test_every_command_and_every_file_of_a_run_is_mentioned(nbrnn):
    commands = re.findall(
        r"^  ([a-z]+) ", nbrnn("--help").stdout.partition("Commands:")[2], re.MULTILINE
    )
    assert len(commands) >= 6
    for command in commands:
        assert f"nbrnn {command}" in README
    for name in store.RUN_FILES:
        assert f"`{name}`" in README


def test_every_module_is_in_the_tree_and_every_link_leads_somewhere():
    for module in (ROOT / "nbrnn").glob("*.py"):
        if not module.name.startswith("__"):
            assert f"  {module.name} " in README, module.name
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
        cells = " | ".join(f"{means[epsilon, sigma]:.1f}" for sigma in (0.01, 0.03, 0.1, 0.3))
        assert f"| {cells} |" in README


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("sigma 0.1, epsilon 1e-08", "sigma 0.01, epsilon 1e-08"),
        ("sigma 0.1, epsilon 1", "sigma 0.1, epsilon 1e-08"),
    ],
)
def test_the_differences_are_those_of_the_results(better, worse):
    (row,) = (
        row
        for row in rows("sigma/7-epochs/comparison.csv")
        if (row["measure"], row["a"], row["b"]) == ("smooth_loss_best", better, worse)
    )
    lower, low, high = (-float(row[name]) for name in ("mean_difference", "ci_high", "ci_low"))
    assert f"{lower:.1f} nats" in README
    assert f"{low:.1f} to {high:.1f}" in README


def test_the_figures_of_speed_are_those_of_the_last_benchmark():
    document = json.loads((ROOT / "results" / "bench" / "bench.json").read_text())
    assert speed_table(document["speed"]) in README
    assert document["machine"]["cpu_target"] in README
    watch = document["stopwatch"]
    assert f"{watch['updates']:,} updates" in README
    assert f"{watch['alone']:.0f} s from the shell" in README
    assert f"side by side on two cores {watch['side_by_side']:.0f} s" in README
