"""What is seen of runs and sweeps while they go on, on a terminal of 80 columns and in a log."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from nbrnn import progress_bars
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.progress_bars import RunDisplay, SweepDisplay
from nbrnn.runs.observer import Progress
from nbrnn.storage.schemas import Sample, Summary
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.planning import plan
from nbrnn.sweeps.sweep import Outcome

PROGRESS = Progress(
    update=195_223,
    updates=557_780,
    smooth_loss=105.61,
    best_smooth_loss=99.5,
    held_out_loss=None,
    updates_per_second=51_234,
)


def display_of(updates_per_epoch, quiet=False, **settings):
    """Return what watches a run on a text of so many windows."""
    text = Corpus.from_text("a" + "ab" * (updates_per_epoch * 25 // 2), "ab")
    config = RunConfig(**settings)
    assert (len(text) - 1) // config.seq_length == updates_per_epoch
    return RunDisplay("run", config, text, quiet)


def screenshot(screen):
    """Return the bars as a terminal of 80 columns shows them."""
    console = Console(file=io.StringIO(), width=80)
    console.print(screen.bars.get_renderable())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.fixture
def terminal(monkeypatch):
    """Let stderr have 80 columns, of which nothing is shown."""
    monkeypatch.setattr(progress_bars, "stderr_console", lambda: Console(file=io.StringIO(), width=80))


def test_a_line_about_a_run_is_whole(terminal):
    display = display_of(27_888)
    display.bars.disable = False
    display.started(0, PROGRESS.updates)
    display.progressed(PROGRESS)
    (line,) = screenshot(display)
    text = "epoch 7.0/20 · smooth loss 105.61 nats/window …"
    assert line.startswith(f"{text} ")
    assert line.index("35%") - len(text) >= 1 + 20 + 1  # the bar between two spaces
    assert len(line) <= 80


def test_a_sample_is_wanted_once_a_minute(terminal, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress_bars.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(progress_bars.sys.stderr, "isatty", lambda: True, raising=False)
    display = display_of(1000)
    display.bars.disable = True
    display.started(0, 1000)
    sample = Sample(update=5, epoch=0, smooth_loss=2.0, text="abc")
    wanted = []
    for clock[0] in range(0, 200, 5):
        if clock[0] == 70:
            display.sampled(sample)  # one that is due
        if display.wants_sample():
            wanted.append(clock[0])
            display.sampled(sample)
    assert wanted == [60, 130, 190]
    assert not display_of(1000, quiet=True).wants_sample()


def test_the_held_out_loss_stands_beside_the_smooth_one_in_its_unit(terminal):
    display = display_of(27_888, validation=0.1)
    display.bars.disable = False
    of_20_epochs = replace(PROGRESS, update=25_099 * 7, updates=25_099 * 20, smooth_loss=52.75)
    display.started(0, of_20_epochs.updates)
    display.progressed(replace(of_20_epochs, held_out_loss=2.0625))
    (line,) = screenshot(display)
    assert line.startswith("epoch 7.0/20 · validation 2.062 … ")


def test_lines_about_a_sweep_have_whole_words(terminal, corpus, tmp_path):
    jobs = plan(grid({"epsilon": "1e-8,0.001", "sigma": "0.01,0.1", "clip": "5,10", "eta": "0.1,0.2"}),
                corpus, SweepFolder(tmp_path))  # fmt: skip
    display = SweepDisplay("s", corpus, quiet=False)
    display.planned(Outcome(jobs))
    display.started(jobs[0], 0, 400)
    (whole, row) = screenshot(display)
    name = "eta 0.1, sigma 0.01, epsilon 1e-08, clip 5, seed 0"
    assert f" {name} " in row
    display.progressed(jobs[0], replace(PROGRESS, update=200, updates=400))
    (whole, row) = screenshot(display)
    assert whole.startswith("0/80 runs · best 99.50 nats/window: eta 0.1, sigma 0.01 … ")
    assert row.startswith(f"  105.61  {name} ")
    display.ended(jobs[0], Summary(status="finished", smooth_loss_best=99.5))
    display.drawing(3, 64)
    assert any(line.startswith("pictures of runs: 3 of 64 ") for line in screenshot(display))


def test_a_log_has_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress_bars, "LOG_SECONDS", 0)
    display = display_of(1000)
    display.started(0, 50_000)
    for update in range(10, 50_001, 10):
        display.progressed(replace(PROGRESS, update=update, updates=50_000))
    _, *lines = capsys.readouterr().err.splitlines()
    assert len(lines) == progress_bars.MAX_LOG_LINES
    assert lines[0].startswith("update 10 of 50,000 · epoch 0.0/50 · smooth loss 105.61 nats/window · ")
    monkeypatch.setattr(progress_bars, "LOG_SECONDS", 1e9)
    display.started(0, 50_000)
    display.progressed(PROGRESS)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_quiet_run_has_no_log(capsys, monkeypatch):
    monkeypatch.setattr(progress_bars, "LOG_SECONDS", 0)
    display = display_of(1000, quiet=True)
    display.started(0, PROGRESS.updates)
    display.progressed(PROGRESS)
    assert capsys.readouterr().err == ""
