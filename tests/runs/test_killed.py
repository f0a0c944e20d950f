"""Runs whose process is killed: whenever that is, the folder is whole, and goes on to the same bits."""

import random
import shutil
import signal
from dataclasses import replace

import child_processes
import pytest
from child_processes import KINDS, SMALL
from harness import SERIES, bits

from nbrnn.config import RunConfig
from nbrnn.errors import StoreError
from nbrnn.runs.finalize import draw_loss
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


HELD_OUT = (*SERIES, "validation.csv")


@pytest.mark.parametrize("kind", KINDS)
def test_kills_at_random_moments_change_nothing(corpus, text_file, tmp_path, fork, kind):
    rng, folder = random.Random(1), tmp_path / "killed"
    config = RunConfig(updates=4000, **KINDS[kind])  # 1300 checkpoints: no child comes to the end
    for _ in range(12):
        arguments = str(text_file), folder, rng.randrange(1, 30), kind, config.updates
        child = fork(child_processes.train_for_ever, *arguments)
        child.hear()  # from here on it is anywhere in its next updates and checkpoints
        assert child.kill() == -signal.SIGKILL
    assert 100 < RunFolder(folder).read_checkpoint("last").update < config.updates
    run(config, corpus, folder)
    run(config, corpus, tmp_path / "undisturbed")
    files = HELD_OUT if config.validation else SERIES
    assert bits(folder, files) == bits(tmp_path / "undisturbed", files)


@pytest.mark.parametrize(
    ("kind", "begun", "updates", "files"), [("held out", 0, 16, HELD_OUT), ("small", 60, 120, SERIES)]
)
def test_a_kill_at_each_step_of_writing_changes_nothing(
    corpus, text_file, tmp_path, fork, kind, begun, updates, files
):
    """In the second case a finished run is made longer."""
    config = RunConfig(updates=updates, **KINDS[kind])
    run(config, corpus, tmp_path / "undisturbed")
    if begun:
        run(replace(config, updates=begun), corpus, tmp_path / "begun")
    step, died = 1, True
    while died:
        folder = tmp_path / str(step)
        if begun:
            shutil.copytree(tmp_path / "begun", folder)
        arguments = str(text_file), folder, updates, step, kind
        child = fork(child_processes.train_until_step, *arguments)
        died = child.wait() == -signal.SIGKILL
        assert died or child.told == [step - 1]
        for which in ("last", "best"):
            if (folder / f"{which}.safetensors").exists():
                RunFolder(folder).read_checkpoint(which)  # whole: the old one or the new one
        run(config, corpus, folder)
        assert bits(folder, files) == bits(tmp_path / "undisturbed", files), f"killed at step {step}"
        assert not list(folder.glob("*.tmp"))
        step += 1
    assert step > (20 if begun else 40)  # all of them


def test_a_kill_while_the_picture_is_drawn_leaves_nothing(text_file, tmp_path, fork):
    folder = RunFolder(tmp_path / "run")
    child = fork(child_processes.train_until_drawing, str(text_file), folder.path)
    assert child.wait() == -signal.SIGKILL
    assert len(list(folder.path.glob("loss.png.*.tmp"))) == 1
    assert folder.read_summary().status == "finished"
    draw_loss(folder)
    assert folder.has_plot()
    assert not list(folder.path.glob("*.tmp"))


def test_a_lock_dies_with_its_process(corpus, text_file, tmp_path, fork):
    child = fork(child_processes.train_for_ever, str(text_file), tmp_path / "run", 1)
    child.hear()
    config = RunConfig(updates=10**7, **SMALL)
    with pytest.raises(StoreError, match="another process"):
        run(config, corpus, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert folder.read_summary().status == "running"
    child.kill()
    assert folder.read_summary().status == "interrupted"
    run(config, corpus, folder.path, stop=lambda: True)
