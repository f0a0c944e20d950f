"""Runs whose process is killed: whenever that is, the folder is whole, and goes on to the same bits."""

import random
import shutil
import signal

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


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    """Return the folder of a run of 120 updates."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run(RunConfig(updates=120, **SMALL), corpus, folder)
    return folder


def test_twenty_kills_at_random_moments_change_nothing(corpus, text_file, tmp_path, fork):
    rng, folder = random.Random(0), tmp_path / "killed"
    for _ in range(20):
        child = fork(child_processes.train_for_ever, str(text_file), folder, rng.randrange(1, 60))
        child.hear()  # from here on it is anywhere in its next updates and checkpoints
        assert child.kill() == -signal.SIGKILL
    config = RunConfig(updates=RunFolder(folder).read_checkpoint("last").update + 200, **SMALL)
    assert config.updates > 1000
    run(config, corpus, folder)
    run(config, corpus, tmp_path / "undisturbed")
    assert bits(folder) == bits(tmp_path / "undisturbed")


HELD_OUT = (*SERIES, "validation.csv")


@pytest.mark.parametrize("kind", ["held out", "scheduled", pytest.param("deep", marks=pytest.mark.slow)])
def test_kills_change_nothing_of_other_kinds_of_runs(corpus, text_file, tmp_path, fork, kind):
    rng, folder = random.Random(1), tmp_path / "killed"
    config = RunConfig(updates=6000, **KINDS[kind])  # 2000 checkpoints: no child comes to the end
    for _ in range(12):
        chunks = rng.randrange(1, 30)
        child = fork(
            child_processes.train_for_ever, str(text_file), folder, chunks, kind, config.updates
        )
        child.hear()
        assert child.kill() == -signal.SIGKILL
    assert 100 < RunFolder(folder).read_checkpoint("last").update < config.updates
    run(config, corpus, folder)
    run(config, corpus, tmp_path / "undisturbed")
    files = HELD_OUT if config.validation else SERIES
    assert bits(folder, files) == bits(tmp_path / "undisturbed", files)


def test_with_held_out_text_a_kill_at_each_step_of_writing_changes_nothing(
    corpus, text_file, tmp_path, fork
):
    config = RunConfig(updates=16, **KINDS["held out"])
    run(config, corpus, tmp_path / "undisturbed")
    step, died = 1, True
    while died:
        folder = tmp_path / str(step)
        child = fork(child_processes.train_until_step, str(text_file), folder, 16, step, "held out")
        died = child.wait() == -signal.SIGKILL
        run(config, corpus, folder)
        assert bits(folder, HELD_OUT) == bits(tmp_path / "undisturbed", HELD_OUT), f"step {step}"
        step += 1
    assert step > 40


def test_a_kill_at_each_step_of_writing_leaves_a_folder_to_go_on_from(
    corpus, text_file, tmp_path, undisturbed, fork
):
    step, died = 1, True
    while died:
        folder = tmp_path / str(step)
        child = fork(child_processes.train_until_step, str(text_file), folder, 120, step)
        died = child.wait() == -signal.SIGKILL
        assert died or child.told == [step - 1]
        for kind in ("last", "best"):
            if (folder / f"{kind}.safetensors").exists():
                RunFolder(folder).read_checkpoint(kind)  # whole: the old one or the new one
        run(RunConfig(updates=120, **SMALL), corpus, folder)
        assert bits(folder) == bits(undisturbed), f"killed at step {step}"
        assert not list(folder.glob("*.tmp"))
        step += 1
    assert step > 40  # all of them, in two checkpoints and more


def test_an_extension_that_is_killed_at_each_step_goes_on_the_next_time(
    corpus, text_file, tmp_path, undisturbed, fork
):
    begun = tmp_path / "begun"
    run(RunConfig(updates=60, **SMALL), corpus, begun)
    step, died = 1, True
    while died:
        folder = shutil.copytree(begun, tmp_path / str(step))
        child = fork(child_processes.train_until_step, str(text_file), folder, 120, step)
        died = child.wait() == -signal.SIGKILL
        run(RunConfig(updates=120, **SMALL), corpus, folder)
        assert bits(folder) == bits(undisturbed), f"killed at step {step}"
        step += 1
    assert step > 20


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
