"""Files of another run, or of none, are not taken for a run's own."""

import dataclasses
import shutil

import numpy as np
import pytest

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import StoreError
from nbrnn.runs.model import Model
from nbrnn.runs.run import run
from nbrnn.storage import checksummed_arrays, ngram_counts
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import sweep

pytestmark = pytest.mark.usefixtures("without_pictures")

CONFIG = RunConfig(updates=300, hidden=5, sample_every=100, sample_length=30)


@pytest.fixture(scope="module")
def pair(corpus, tmp_path_factory):
    """Return the folders of two runs that differ by their seed only."""
    root = tmp_path_factory.mktemp("pair")
    for seed in (0, 1):
        run(dataclasses.replace(CONFIG, seed=seed), corpus, root / str(seed), draw=False)
    return root


@pytest.fixture
def ours(pair, tmp_path):
    """Return a copy of the first run's folder."""
    return shutil.copytree(pair / "0", tmp_path / "ours")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("summary.json", "summary.json does not describe its checkpoints"),
        ("last.safetensors", "last.safetensors belongs to another run"),
        ("best.safetensors", "best.safetensors belongs to another run"),
        ("metrics.csv", "metrics or samples belong to another run"),
        ("samples.jsonl", "metrics or samples belong to another run"),
        ("config.json", "seed 1"),
        ("summary.json last.safetensors best.safetensors", "belongs to another run"),
    ],
)
def test_a_finished_run_with_a_file_of_another_is_not_finished(corpus, pair, ours, name, said):
    for file in name.split():
        shutil.copy(pair / "1" / file, ours / file)
    with pytest.raises(StoreError, match=said):
        run(CONFIG, corpus, ours)


@pytest.mark.parametrize("name", ["last.safetensors", "best.safetensors"])
def test_a_finished_run_with_garbage_for_a_checkpoint_is_not_finished(corpus, ours, name):
    (ours / name).write_bytes(b"garbage")
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        run(CONFIG, corpus, ours)


@pytest.mark.parametrize("name", ["metrics.csv", "samples.jsonl"])
def test_a_run_does_not_go_on_with_the_series_of_another(corpus, pair, ours, name):
    shutil.copy(pair / "1" / name, ours / name)
    with pytest.raises(StoreError, match="metrics or samples belong to another run"):
        run(dataclasses.replace(CONFIG, updates=400), corpus, ours)


# ---------------------------------------------------------------- n-grams


def test_counts_of_another_text_are_refused_and_made_again(corpus, ours, tmp_path):
    other = Corpus.from_text("".join(corpus.alphabet[code] for code in corpus.codes[::-1]), "backwards")
    assert (len(other), other.alphabet) == (len(corpus), corpus.alphabet)
    folder = RunFolder(ours)
    before = folder.read_ngrams()
    ngram_counts.write(ours / "ngrams.safetensors", other, ((0, len(other)),))
    with pytest.raises(StoreError, match="ngrams"):
        folder.read_ngrams()
    run(dataclasses.replace(CONFIG, updates=400), corpus, ours, draw=False)
    after = folder.read_ngrams()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pairs", lambda a: a + 1000),
        ("pairs", lambda a: -a),
        ("pairs", lambda a: a[::-1]),
        ("characters", lambda a: a * 0),
        ("characters", lambda a: a + 1),
        ("pair_counts", lambda a: a - 10**6),
    ],
)
def test_hostile_counts_with_the_right_seal_are_refused(corpus, ours, name, change):
    counts = dict(corpus.counts(((0, len(corpus)),)))
    counts[name] = np.ascontiguousarray(change(counts[name]))
    metadata = {"pairs": str(len(counts["pairs"])), "corpus_sha256": corpus.sha256}
    checksummed_arrays.write_arrays(ours / "ngrams.safetensors", counts, metadata)
    with pytest.raises(StoreError, match="ngrams"):
        RunFolder(ours).read_ngrams()


# ---------------------------------------------------------------- a sweep's run that was made longer


def test_a_sweep_takes_a_run_that_went_on_for_done(corpus, tmp_path):
    lists = {"updates": "300", "hidden": "5", "sample_every": "0", "seed": "0:1"}
    folder = SweepFolder(tmp_path)
    jobs = sweep(grid(lists), corpus, folder).jobs
    run(dataclasses.replace(jobs[0].config, updates=500), corpus, jobs[0].folder)
    before = (jobs[0].folder / "summary.json").read_bytes()
    outcome = sweep(grid(lists), corpus, folder)
    assert (outcome.done_before, outcome.count("finished")) == (2, 2)
    assert (jobs[0].folder / "summary.json").read_bytes() == before


def test_a_finished_status_is_never_overwritten(corpus, tmp_path):
    lists = {"updates": "300", "hidden": "5", "sample_every": "0", "seed": "0"}
    folder = SweepFolder(tmp_path)
    (job,) = sweep(grid(lists), corpus, folder).jobs
    (job.folder / "last.safetensors").write_bytes(b"garbage")
    outcome = sweep(grid(lists), corpus, folder)
    assert "damaged" in outcome.failures()[job.run_id]
    assert RunFolder(job.folder).read_summary().status == "finished"


def test_a_stranger_in_a_sweep_stays_as_it_is(corpus, tmp_path):
    lists = {"updates": "50", "hidden": "5", "sample_every": "0", "seed": "0"}
    folder = SweepFolder(tmp_path)
    (job,) = sweep(grid(lists), corpus, folder).jobs
    shutil.rmtree(job.folder)
    job.folder.mkdir()
    for name in ("config.json", "summary.json"):
        (job.folder / name).write_text('{"mine": "precious"}')
    for force in (False, True):
        assert sweep(grid(lists), corpus, folder, force=force).count("failed") == 1
        assert "precious" in (job.folder / "summary.json").read_text()


def test_a_longer_run_that_was_interrupted_keeps_its_status(corpus, tmp_path):
    lists = {"updates": "300", "hidden": "5", "sample_every": "0", "seed": "0"}
    folder = SweepFolder(tmp_path)
    (job,) = sweep(grid(lists), corpus, folder).jobs
    asked = iter([False] * 4)
    longer = dataclasses.replace(job.config, updates=900)
    run(longer, corpus, job.folder, stop=lambda: next(asked, True), chunk=50)
    assert "has done" in sweep(grid(lists), corpus, folder).failures()[job.run_id]
    assert RunFolder(job.folder).read_summary().status == "interrupted"


def test_a_model_of_another_text_is_neither_sampled_nor_scored(corpus, pair, ours, tmp_path):
    other = Corpus.from_text("".join(corpus.alphabet[code] for code in corpus.codes[::-1]), "backwards")
    run(CONFIG, other, tmp_path / "other", draw=False)
    shutil.copy(tmp_path / "other" / "best.safetensors", ours / "best.safetensors")
    with pytest.raises(StoreError, match=r"best\.safetensors belongs to another run"):
        Model(ours)
