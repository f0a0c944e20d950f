"""Snapshots, dynamics.csv and observers: against NumPy, and without effect on the training."""

import naive
import numpy as np
import pytest
from harness import bits

import nbrnn
from nbrnn.config import RunConfig
from nbrnn.network.layout import Layout
from nbrnn.runs import dynamics
from nbrnn.runs.dynamics import columns, updates_between_rows
from nbrnn.runs.evaluation import gradients
from nbrnn.runs.observer import Observer
from nbrnn.runs.run import run
from nbrnn.runs.training_state import Training
from nbrnn.storage.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_pictures")

SMALL = {"hidden": 5, "updates": 420, "sample_every": 150, "sample_length": 30, "dtype": "float64"}
RECORDED = {"snapshot_every": 1, "track": True}
EPOCH = 199  # updates


@pytest.fixture(scope="module", autouse=True)
def a_row_each_epoch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamics, "MAX_SHARE", 10**6)
        yield


@pytest.fixture(scope="module")
def recorded(corpus, tmp_path_factory):
    """Return the folder of a run with a snapshot after each update, and its rows by column."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    run(RunConfig(**SMALL), corpus, folder, draw=False, **RECORDED)
    return folder


def rows_of(folder):
    head, *lines = (folder / "dynamics.csv").read_text().splitlines()
    return [dict(zip(head.split(","), map(float, line.split(",")), strict=True)) for line in lines]


def hessian(theta, gradient_of):
    """Return the Hessian of a loss, column by column, by central differences of its gradient."""
    flat = np.concatenate([array.ravel() for array in theta.values()])
    ends = np.cumsum([array.size for array in theta.values()])[:-1]

    def gradient(flat):
        parts = np.split(flat, ends)
        arrays = [part.reshape(a.shape) for part, a in zip(parts, theta.values(), strict=True)]
        result = gradient_of(dict(zip(theta, arrays, strict=True)))
        return np.concatenate([result[name].ravel() for name in theta])

    steps = 1e-5 * np.eye(flat.size)
    H = np.array([(gradient(flat + step) - gradient(flat - step)) / 2e-5 for step in steps])
    return (H + H.T) / 2


def test_rows_are_what_numpy_computes_from_snapshots(recorded, corpus):
    # the next update reads the first window of an epoch, from h = 0
    x, y, h = corpus.codes[:25], corpus.codes[1:26], np.zeros(5)
    rows = rows_of(recorded)
    assert [row["update"] for row in rows] == [EPOCH, 2 * EPOCH]
    for row in rows:
        update = int(row["update"])
        model = nbrnn.Model(recorded, update)
        theta, before = model.weights, nbrnn.Model(recorded, update - 1).weights
        _, gradient, _ = naive.gradients(theta, x, y, h)
        for name in "WUV":
            assert row[f"gradient_{name}"] == pytest.approx(np.linalg.norm(gradient[name]), rel=1e-9)
            assert row[f"update_{name}"] == pytest.approx(np.linalg.norm(theta[name] - before[name]))
        assert row["radius_W"] == pytest.approx(max(abs(np.linalg.eigvals(theta["W"]))))
        states = np.array(naive.forward(theta, x, y, h)[1][1:])
        assert row["saturated_h"] == np.mean(abs(states) > 0.9)
        values = np.linalg.eigvalsh(hessian(theta, lambda at: naive.gradients(at, x, y, h)[1]))
        assert row["sharpness"] == pytest.approx(values[-1], rel=0.02)  # after ten iterations
        assert row["epoch"] == update // EPOCH


@pytest.mark.slow
def test_other_cells_have_a_radius_for_each_gate(corpus, tmp_path):
    layers, batch = 2, 3
    network = {"cell": "gru", "layers": layers, "batch": batch, "optimizer": "sgd", "hidden": 4}
    network |= {"dropout": 0.3, "clip_norm": 1.0}  # as other tests compile it
    config = RunConfig(**{**SMALL, **network, "updates": 70, "epochs": None}, seq_length=10)
    per_epoch = config.updates_per_epoch(len(corpus))
    config = RunConfig(**{**SMALL, **network, "updates": per_epoch + 3}, seq_length=10)
    run(config, corpus, tmp_path / "run", **RECORDED)
    (row,) = rows_of(tmp_path / "run")
    model = nbrnn.Model(tmp_path / "run", per_epoch)
    for layer in range(1, layers + 1):
        for gate, W in zip("rzn", np.split(model.weights[f"W.{layer}"], 3), strict=True):
            assert row[f"radius_W.{layer}.{gate}"] == pytest.approx(max(abs(np.linalg.eigvals(W))))
    # streams through the text that start an epoch from h = 0
    starts = np.arange(batch) * ((len(corpus) - 1) // batch)
    of_windows = [gradients(model.checkpoint, corpus.codes[start : start + 11]) for start in starts]
    for name in ("U.1", "V", *(f"W.{layer}" for layer in range(1, layers + 1))):
        mean = sum(gradient[name] for gradient in of_windows) / batch
        assert row[f"gradient_{name}"] == pytest.approx(np.linalg.norm(mean), rel=1e-9)


def test_recording_changes_nothing_of_the_run(recorded, corpus, tmp_path):
    run(RunConfig(**SMALL), corpus, tmp_path / "plain")
    assert bits(recorded) == bits(tmp_path / "plain")
    assert not (tmp_path / "plain" / "dynamics.csv").exists()


def test_a_run_that_diverges_where_a_row_is_due_says_so(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(Training, "evaluate", lambda training: 1e30)
    config = RunConfig(**SMALL, validation=0.1, validate_every=100)
    summary = run(config, corpus, tmp_path / "run", draw=False, track=True)
    assert summary.status == "diverged"


def test_an_interrupted_run_records_the_same(recorded, corpus, tmp_path):
    folder, stops = tmp_path / "run", iter([False] * 40 + [True])
    options = {"chunk": 7, "checkpoint_seconds": 0}
    summary = run(RunConfig(**SMALL), corpus, folder, stop=lambda: next(stops), **options, **RECORDED)
    assert summary.status == "interrupted"
    with (folder / "dynamics.csv").open("a") as file:
        file.write("398,2,0.1")  # as of a process that was killed
    run(RunConfig(**SMALL), corpus, folder, snapshot_every=1)  # and tracks on
    names = ["dynamics.csv", *(f"snapshots/{n:09}.safetensors" for n in (1, 40, 41, 420))]
    assert bits(folder, names) == bits(recorded, names)
    assert nbrnn.Model(folder).snapshots == list(range(1, 421))


def test_a_run_started_anew_has_no_old_snapshots(corpus, tmp_path):
    config = RunConfig(hidden=3, updates=30, sample_every=0)
    run(config, corpus, tmp_path / "run", snapshot_every=10, track=True)
    (tmp_path / "run" / "snapshots" / "note.txt").write_text("mine")
    summary = run(RunConfig(hidden=4, updates=7), corpus, tmp_path / "run", force=True)
    assert (summary.status, summary.updates) == ("finished", 7)
    assert [path.name for path in (tmp_path / "run" / "snapshots").iterdir()] == ["note.txt"]
    assert not RunFolder(tmp_path / "run").has_dynamics()


class Listener(Observer):
    """Keeps the evaluations."""

    def __init__(self):
        self.evaluations = []

    def evaluated(self, evaluation):
        self.evaluations.append(evaluation)


def test_observers_are_called_at_the_same_updates_always(recorded, corpus, tmp_path):
    listener = Listener()
    nbrnn.run(RunConfig(**SMALL), corpus, tmp_path / "run", observer=listener, quiet=True)
    assert bits(tmp_path / "run") == bits(recorded)
    assert [each.update for each in listener.evaluations] == [EPOCH, 2 * EPOCH]
    for each in listener.evaluations:
        weights = nbrnn.Model(recorded, each.update).weights
        assert all(np.array_equal(each.weights[name], weights[name]) for name in weights)


def test_rows_are_rarer_where_they_cost_more(monkeypatch):
    monkeypatch.setattr(dynamics, "MAX_SHARE", 0.02)
    layout = Layout(100, 65, np.dtype(np.float32))
    assert updates_between_rows(RunConfig(), layout, 1_100_000) == 44_000 - 1  # an epoch
    config = RunConfig(validation=0.1, validate_every=100)
    every = updates_between_rows(config, layout, 1_100_000)
    assert 5_000 < every < 20_000
    assert every % 100 == 0
    assert columns(Layout(2, 3, np.dtype(np.float32), "lstm"))[-5:] == [
        *(f"radius_W.1.{gate}" for gate in "ifgo"),
        "saturated_h.1",
    ]
