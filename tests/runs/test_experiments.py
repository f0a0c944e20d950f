"""Runs of all kinds against the naive program, and their bits however they are run."""

import itertools

import numpy as np
import pytest
from harness import bits, made_up_text
from imitated import epoch_of, epoch_of_stretches, imitate

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import StoreError, WriteError
from nbrnn.network.layout import Layout, generator
from nbrnn.runs.observer import Observer
from nbrnn.runs.run import run
from nbrnn.runs.schedules import learning_rates
from nbrnn.runs.training_state import Training
from nbrnn.runs.window_order import WindowOrder
from nbrnn.storage.run_folder import RunFolder
from nbrnn.text_parts import text_parts

pytestmark = pytest.mark.usefixtures("without_pictures")

TINY = {"hidden": 5, "seq_length": 10, "dtype": "float64", "sample_every": 0}
OPTIMIZERS = ("adagrad", "rmsprop", "adam", "sgd")
ORDERS = ("sequential", "random", "chunks")


@pytest.fixture(scope="module")
def short():
    """Return a text of 40 windows, whose last one is not whole."""
    return Corpus.from_text(made_up_text(407), "short")


def chunked(settings):
    """Return settings with a number of pieces, where they need one: of 5 or 6 windows."""
    return {**settings, "chunks": 7} if settings.get("order") == "chunks" else settings


def assert_as_imitated(config, corpus, folder):
    """Compare all that a run leaves with what the naive program comes to."""
    summary = run(config, corpus, folder)
    last, metrics = RunFolder(folder).read_checkpoint("last"), RunFolder(folder).read_metrics()
    expected = imitate(config, corpus)
    for name, array in expected.theta.items():
        assert np.abs(last.theta[name] - array).max() < 1e-10, name
    assert set(last.memory) == set(expected.memory)
    for name, buffer in expected.memory.items():
        for parameter, array in buffer.items():
            assert np.abs(last.memory[name][parameter] - array).max() < 1e-10
    assert last.h_prev.shape == ((config.batch, 5) if config.batch > 1 else (5,))
    assert np.abs(last.h_prev - expected.h).max() < 1e-10
    rows = metrics.update.astype(int) - 1
    assert metrics.loss == pytest.approx(np.array(expected.losses)[rows], rel=1e-10)
    assert metrics.smooth_loss == pytest.approx(np.array(expected.smooths)[rows], rel=1e-10)
    assert summary.smooth_loss_final == pytest.approx(expected.smooths[-1], rel=1e-10)
    characters = config.seq_length if config.loss == "sum" else 1
    assert summary.nats_per_character_final == pytest.approx(expected.smooths[-1] / characters)
    epoch = config.updates_per_epoch(len(corpus))
    whole = len(expected.losses) // epoch
    means = np.reshape(expected.losses[: whole * epoch], (whole, epoch)).mean(axis=1)
    assert summary.epoch_mean_loss == pytest.approx(means, rel=1e-10)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_is_that_of_the_naive_program(short, tmp_path, optimizer, order, batch):
    settings = chunked({"optimizer": optimizer, "order": order, "batch": batch})
    assert_as_imitated(RunConfig(updates=105, **TINY, **settings), short, tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "mean"},
        {"loss": "mean", "batch": 3},
        {"clip": "none", "eta": 0.02, "optimizer": "sgd"},
        {"clip": 0.1},
        {"clip": 0.1, "batch": 3, "optimizer": "adam"},
        {"schedule": "linear"},
        {"schedule": "cosine", "optimizer": "adam", "loss": "mean"},
        {"warmup": 30},
        {"warmup": 30, "schedule": "linear", "optimizer": "sgd"},
        {"warmup": 105, "schedule": "cosine"},
        {"optimizer": "rmsprop", "beta2": 0.5, "epsilon": 0.01},
        {"optimizer": "adam", "beta1": 0, "beta2": 0, "epsilon": 0.01},
        {"init": "scaled", "seed": 5},
        {"init": "orthogonal", "batch": 3, "order": "random", "seed": 5},
        {"validation": 0.3, "order": "chunks", "chunks": 5, "batch": 3, "validate_every": 0},
        {"adagrad_start": 0.5, "order": "chunks", "chunks": 5},
        {"validation": 0.1, "test": 0.2, "fold": 1},
        {"validation": 0.1, "test": 0.2, "fold": 6, "batch": 3},
        {"test": 0.2, "fold": 6, "order": "random", "seed": 5},
        {"test": 0.2, "fold": 6, "order": "chunks", "chunks": 5},
    ],
    ids=str,
)
def test_so_are_runs_with_other_settings(short, tmp_path, settings):
    assert_as_imitated(RunConfig(updates=105, **TINY, **settings), short, tmp_path)


# ---------------------------------------------------------------- orders and learning rates


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize(("N", "T", "batch"), [(407, 10, 1), (407, 10, 3), (1000, 7, 4), (31, 10, 3)])
def test_an_order_is_that_of_a_plain_loop(kind, N, T, batch):
    pieces = {"chunks": 3} if kind == "chunks" else {}
    config = RunConfig(order=kind, seq_length=T, batch=batch, seed=3, **pieces)
    order = WindowOrder(config, ((0, N),))
    for epoch in (0, 1, 5):
        expected = epoch_of(config, N, epoch)
        starts, is_reset = order.windows(epoch * order.per_epoch, order.per_epoch)
        assert [[*zip(*rows, strict=True)] for rows in zip(starts, is_reset, strict=True)] == expected


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("part", [((300, 407), (0, 200)), ((395, 407), (0, 300)), ((100, 407), (0, 7))])
def test_no_window_crosses_the_end_of_the_text(kind, batch, part):
    config = RunConfig(
        **chunked({"order": kind, "batch": batch}), seq_length=10, seed=3, validation=0.1, fold=2
    )
    order = WindowOrder(config, part)
    for epoch in (0, 2):
        starts, is_reset = order.windows(epoch * order.per_epoch, order.per_epoch)
        found = [[*zip(*rows, strict=True)] for rows in zip(starts, is_reset, strict=True)]
        assert found == epoch_of_stretches(config, part, epoch)
        for start in starts.flat:
            assert any(first <= start and start + 10 < end for first, end in part)


def test_parts_are_a_stretch_unless_the_end_of_the_text_is_within():
    for fold, test in enumerate([(90, 100), *((10 * k, 10 * k + 10) for k in range(9))]):
        parts = text_parts(100, 0.2, 0.1, fold)
        order = [n for part in parts for start, end in part for n in range(start, end)]
        assert order == [(10 * fold + n) % 100 for n in range(100)]
        assert parts.test == (test,)
        assert [len(part) for part in parts] == [1 + (fold > 3), 1 + (fold == 2), 1]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_order_of_an_epoch_is_that_of_seed_and_number_alone(order, batch):
    config = RunConfig(**chunked({"order": order, "batch": batch}), seq_length=10)
    whole = WindowOrder(config, ((0, 407),))
    epochs = [whole.windows(epoch * whole.per_epoch, whole.per_epoch) for epoch in range(4)]
    jumping = WindowOrder(config, ((0, 407),))
    for epoch, first, count in ((3, 5, 4), (0, 0, 1), (3, 12, 1), (2, 3, 7), (1, 11, 2)):
        found = jumping.windows(epoch * whole.per_epoch + first, count)
        for of_call, of_epoch in zip(found, epochs[epoch], strict=True):
            assert np.array_equal(of_call, of_epoch[first : first + count])
    other = WindowOrder(RunConfig(**{**config.to_dict(), "seed": 1, "epochs": 7}), ((0, 407),))
    same_for_all = order == "sequential"
    for starts, _ in (epochs[1], other.windows(0, whole.per_epoch)):
        assert np.array_equal(starts, epochs[0][0]) == same_for_all


@pytest.mark.parametrize(("N", "T", "L"), [(401, 10, 7), (407, 10, 40), (407, 10, 1), (1000, 3, 100)])
def test_pieces_are_whole_and_each_window_comes_once_an_epoch(N, T, L):
    order = WindowOrder(RunConfig(order="chunks", chunks=L, seq_length=T), ((0, N),))
    for epoch in range(3):
        starts, is_reset = (a[:, 0] for a in order.windows(epoch * order.per_epoch, order.per_epoch))
        assert sorted(starts) == [*range(0, (N - 1) // T * T, T)]
        assert is_reset.sum() == L
        assert is_reset[0]
        for (before, after), is_fresh in zip(itertools.pairwise(starts), is_reset[1:], strict=True):
            assert is_fresh or after == before + T
        lengths = np.diff([*np.flatnonzero(is_reset), is_reset.size])
        assert lengths.max() - lengths.min() <= 1


@pytest.mark.parametrize("warmup", [0, 1, 40, 100])
def test_learning_rates_begin_and_end_as_they_should(warmup):
    for schedule, end in (("constant", 0.5), ("linear", 0.0), ("cosine", 0.0)):
        config = RunConfig(eta=0.5, warmup=warmup, schedule=schedule, updates=100)
        rates = learning_rates(config, 0, 101, 100)
        assert rates[warmup if warmup < 100 else 99] == 0.5  # where it is highest
        assert rates[100] == pytest.approx(end if warmup < 100 else 0.5, abs=1e-15)
        assert rates[:warmup] == pytest.approx(0.5 * np.arange(1, warmup + 1) / max(warmup, 1))
        assert (np.diff(rates[warmup:]) <= 0).all()
        assert np.array_equal(learning_rates(config, 33, 20, 100), rates[33:53])


# ---------------------------------------------------------------- initial weights


def initial(m, K, start, sigma=None):
    layout = Layout(m, K, np.dtype(float))
    return layout.named(layout.initial(generator(7, "start"), sigma, start))


def test_scaled_weights_have_their_deviations():
    theta = initial(200, 80, "scaled")
    for name, variance in (("W", 1 / (2 * 200)), ("U", 1 / (2 * 80)), ("V", 1 / 200)):
        array = theta[name]
        # of n squares of normal numbers the mean has a relative deviation of sqrt(2 / n)
        assert np.mean(array**2) == pytest.approx(variance, rel=5 * np.sqrt(2 / array.size))
        assert np.mean(array) == pytest.approx(0, abs=5 * np.sqrt(variance / array.size))
        assert np.mean(array**4) / np.mean(array**2) ** 2 == pytest.approx(3, rel=0.15)
    assert not theta["b"].any()
    assert not theta["c"].any()


def test_an_orthogonal_start_has_an_orthogonal_matrix_and_a_normal_rest():
    theta, normal = initial(50, 80, "orthogonal", 0.1), initial(50, 80, "normal", 0.1)
    assert np.abs(theta["W"] @ theta["W"].T - np.eye(50)).max() < 1e-12
    for name in "UVbc":
        assert np.array_equal(theta[name], normal[name])
    assert theta["U"].std() == pytest.approx(0.1, rel=0.1)


def test_orthogonal_matrices_are_uniform():
    # Of uniform ones E W = 0 and E W_ij^2 = 1/m, also where a decomposition alone has its signs fixed.
    layout = Layout(3, 2, np.dtype(float))
    drawn = []
    for seed in range(2000):
        theta = layout.initial(generator(seed, "start"), 0.1, "orthogonal")
        drawn.append(np.array(layout.named(theta)["W"]))
    assert np.abs(np.mean(drawn, axis=0)).max() < 5 * np.sqrt(1 / 3 / 2000)
    assert np.abs(np.mean(np.square(drawn), axis=0) - 1 / 3).max() < 5 * np.sqrt(4 / 45 / 2000)
    determinants = np.linalg.det(drawn)
    assert np.abs(determinants) == pytest.approx(1)
    assert abs(np.mean(determinants)) < 5 / np.sqrt(2000)


# ---------------------------------------------------------------- same bits

KINDS = {
    "float32": {"dtype": "float32"},
    "adagrad": {"order": "chunks", "chunks": 7, "validation": 0.2, "batch": 3},
    "rmsprop": {"optimizer": "rmsprop", "order": "random", "schedule": "linear", "warmup": 20},
    "adam": {"optimizer": "adam", "batch": 3, "validation": 0.2, "validate_every": 17, "loss": "mean"},
    "sgd": {"optimizer": "sgd", "schedule": "cosine", "init": "scaled", "clip": "none", "loss": "mean"},
    "patience": {"validation": 0.2, "validate_every": 30, "patience": 2, "eta": 1, "init": "orthogonal"},
    "held out": {"optimizer": "sgd", "order": "random", "batch": 3, "validation": 0.3},
}
LENGTH = 230


def config_of(kind, updates=LENGTH):
    return RunConfig(updates=updates, **{**TINY, "sample_every": 43, "sample_length": 20, **KINDS[kind]})


def bits_of(folder, config):
    """Return the hashes of all files of a run that are the same however it is run."""
    held_out = ["validation.csv"] if config.validation else []
    files = ("last.safetensors", "best.safetensors", "metrics.csv", "samples.jsonl", "best.txt")
    return bits(folder, [*files, "ngrams.safetensors", *held_out])


@pytest.fixture(scope="module")
def undisturbed(short, tmp_path_factory):
    """Return a function that returns the bits and the summary of a run in one go."""
    done = {}

    def of(kind):
        if kind not in done:
            folder, config = tmp_path_factory.mktemp("undisturbed") / "run", config_of(kind)
            summary = run(config, short, folder, draw=False)
            done[kind] = bits_of(folder, config), outcome(summary)
        return done[kind]

    return of


def outcome(summary):
    """Return what a summary says, without times."""
    values = summary.to_dict()
    del values["seconds"], values["updates_per_second"]
    return values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{"chunk": 1}, {"chunk": 7}, {"checkpoint_seconds": 0, "chunk": 13}])
def test_chunks_and_checkpoints_change_nothing(short, tmp_path, undisturbed, kind, options):
    config = config_of(kind)
    summary = run(config, short, tmp_path, **options)
    assert (bits_of(tmp_path, config), outcome(summary)) == undisturbed(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_stopping_and_going_on_changes_nothing(short, tmp_path, undisturbed, kind):
    config, rng, stops = config_of(kind), np.random.default_rng(0), 0
    while True:
        asked = iter([False] * rng.integers(1, 4) + [True] * 1000)
        chunk = int(rng.integers(1, 40))
        summary = run(config, short, tmp_path, stop=lambda asked=asked: next(asked), chunk=chunk)
        if summary.status == "finished":
            break
        assert summary.status == "interrupted"
        stops += 1
    assert stops > 2
    assert (bits_of(tmp_path, config), outcome(summary)) == undisturbed(kind)
    assert run(config, short, tmp_path) == summary


@pytest.fixture
def diverges_after_133(monkeypatch):
    """Let runs diverge after update 133; return the list of those that did."""
    is_finite, diverged = Training.is_finite, []

    def is_finite_until(self):
        diverged.extend([self] if self.update > 133 else [])
        return self.update <= 133 and is_finite(self)

    monkeypatch.setattr(Training, "is_finite", is_finite_until)
    return diverged


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "schedule" not in KINDS[kind]])
def test_a_diverged_run_keeps_its_last_finite_moment(short, tmp_path, diverges_after_133, kind):
    options = {}, {"chunk": 7}, {"checkpoint_seconds": 0, "chunk": 13}
    results = []
    for number, how in enumerate(options):
        summary = run(config_of(kind), short, tmp_path / str(number), **how)
        assert summary.status == "diverged"
        results.append((bits_of(tmp_path / str(number), config_of(kind)), outcome(summary)))
    assert results[1:] == results[:1] * 2
    run(config_of(kind, 133), short, tmp_path / "133")
    last, expected = (RunFolder(tmp_path / name).read_checkpoint("last") for name in ("0", "133"))
    assert last.update == 133
    for name, array in expected.arrays().items():
        assert name.startswith("best.") or np.array_equal(last.arrays()[name], array)


def test_a_diverged_run_that_is_stopped_keeps_its_checkpoint(short, tmp_path, diverges_after_133):
    config = config_of("adam")
    summary = run(config, short, tmp_path, stop=lambda: bool(diverges_after_133), chunk=7)
    last = RunFolder(tmp_path).read_checkpoint("last")
    assert (summary.status, summary.updates) == ("interrupted", last.update)
    assert run(config, short, tmp_path).status == "diverged"


def test_a_diverged_run_whose_folder_is_gone_cannot_be_written(short, tmp_path, diverges_after_133):
    class Deleting(Observer):
        def progressed(self, progress):
            if progress.update > 133:
                (tmp_path / "last.safetensors").unlink(missing_ok=True)

    waits = {"chunk": 7, "checkpoint_seconds": 0}  # between chunks, for the thread that writes that file
    with pytest.raises(WriteError, match=r"has changed .* no such file"):
        run(config_of("adam"), short, tmp_path, observer=Deleting(), **waits)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "schedule" not in KINDS[kind]])
@pytest.mark.parametrize("lengths", [(1, 60, 101), (13, 14, 26, 199), (229,), (0, 180)], ids=str)
def test_a_longer_run_equals_one_made_at_once(short, tmp_path, undisturbed, kind, lengths):
    for updates in lengths:
        summary = run(config_of(kind, updates), short, tmp_path)
        assert summary.status == "finished"
    config = config_of(kind)
    summary = run(config, short, tmp_path)
    assert (bits_of(tmp_path, config), outcome(summary)) == undisturbed(kind)


@pytest.mark.parametrize("kind", ["rmsprop", "sgd"])
def test_a_run_whose_learning_rate_ends_at_its_end_is_not_made_longer(short, tmp_path, kind):
    run(config_of(kind, 50), short, tmp_path)
    before = bits_of(tmp_path, config_of(kind))
    with pytest.raises(StoreError, match=r"cannot extend .*: its (linear|cosine) schedule ends"):
        run(config_of(kind), short, tmp_path)
    assert bits_of(tmp_path, config_of(kind)) == before


def test_a_run_is_continued_with_its_own_settings_only(short, tmp_path):
    run(config_of("adam", 50), short, tmp_path)
    for name, other in (("beta1", 0.8), ("batch", 2), ("validate_every", 18), ("order", "random")):
        option = "--" + name.replace("_", "-")
        with pytest.raises(StoreError, match=f"holds another run, with .*{option} "):
            run(RunConfig(**{**config_of("adam").to_dict(), name: other}), short, tmp_path)


# ---------------------------------------------------------------- what the text is too short for
