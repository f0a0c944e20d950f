"""Texts that are separate documents: each starts from h = 0, and no window crosses two of them."""

import csv
import json
from itertools import pairwise

import naive
import numpy as np
import pytest
from harness import bits, one_line_error

from nbrnn.config import RunConfig
from nbrnn.corpus import load
from nbrnn.errors import ConfigError, CorpusError
from nbrnn.network.layout import generator
from nbrnn.runs.model import Model
from nbrnn.runs.run import check_length, run
from nbrnn.storage.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_pictures")

NAMES = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "charlotte-augusta", "amelia"] * 6


@pytest.fixture
def names_file(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(NAMES[:20]) + "\n\n" + "\r\n".join(NAMES[20:]))
    return tmp_path / "names.txt"


@pytest.fixture
def names(names_file):
    return load(names_file, documents="lines")


def windows_of(documents, T):
    """Return where each window starts, whether its document starts there, and where it ends."""
    windows, start = [], 0
    for document in documents:
        end = start + len(document) + 1
        windows.append([(at, at == start, min(at + T, end)) for at in range(start, end, T)])
        start = end
    return windows


def plan_of(config, documents, updates):
    """Return the windows of each update, as the documentation says it."""
    T, B, plan = config.seq_length, config.batch, []
    while len(plan) < updates:
        whole = windows_of(documents, T)
        order = range(len(documents))
        if config.order == "random":
            order = generator(config.seed, "order", len(plan) // (sum(map(len, whole)) // B))
            order = order.permutation(len(documents))
        laid = [window for d in order for window in whole[d]]
        length = len(laid) // B
        streams = [laid[b * length : (b + 1) * length] for b in range(B)]
        streams = [[(s[0][0], True, s[0][2]), *s[1:]] for s in streams]
        plan += [list(windows) for windows in zip(*streams, strict=True)]
    return plan[:updates]


@pytest.mark.parametrize("options", [{}, {"order": "random"}, {"batch": 3, "order": "random"}])
def test_documents_are_learnt_as_by_the_naive_reference(names, tmp_path, options):
    T, updates, eta = 5, 200, 0.05
    config = RunConfig(
        updates=updates, hidden=6, seq_length=T, optimizer="sgd", eta=eta, clip="none", dtype="float64",
        sample_every=0, sigma=0.3, **options
    )  # fmt: skip
    run(RunConfig(**{**config.to_dict(), "updates": 0}), names, tmp_path / "start")
    run(config, names, tmp_path / "run")
    theta = RunFolder(tmp_path / "start").read_model("last").theta
    all_windows = [w for windows in windows_of(NAMES, T) for w in windows]
    filled = sum(end - start for start, _, end in all_windows) / (T * len(all_windows))
    plan, etas = plan_of(config, NAMES, updates), [eta] * updates
    losses, *_ = naive.follow(theta, names.codes, T, plan, naive.SGD(theta), etas, np.inf, filled=filled)
    for name, array in RunFolder(tmp_path / "run").read_model("last").theta.items():
        np.testing.assert_allclose(array, theta[name], rtol=1e-9, atol=1e-12)
    metrics = RunFolder(tmp_path / "run").read_metrics()
    np.testing.assert_allclose(metrics.loss, [losses[0], losses[99], losses[199]], rtol=1e-9)


def test_whole_documents_are_held_out(names, tmp_path):
    config = RunConfig(
        updates=50, hidden=6, seq_length=5, validation=0.2, validate_every=25, dtype="float64"
    )
    summary = run(config, names, tmp_path / "run")
    nominal = config.trained_on(len(names))
    cut = names.codes.tolist().index(names.end, nominal - 1)
    held_out = names.codes[cut:]
    assert summary.validation_characters == held_out.size - 1
    theta, total = RunFolder(tmp_path / "run").read_model("last").theta, 0.0
    ends = np.flatnonzero(held_out == names.end)
    for start, end in pairwise(ends):
        loss, _, _ = naive.forward(
            theta, held_out[start:end], held_out[start + 1 : end + 1], np.zeros(6)
        )
        total += loss
    assert summary.validation_final == pytest.approx(total / (held_out.size - 1), rel=1e-9)


def test_a_list_of_documents_is_another_text(names, names_file, tmp_path):
    text = "".join(names.alphabet[code] for code in names.codes)
    assert text == "\n" + "\n".join(NAMES) + "\n"
    (tmp_path / "whole.txt").write_text(text)
    assert load(tmp_path / "whole.txt").sha256 != names.sha256
    assert load(tmp_path / "whole.txt", documents="lines").sha256 == names.sha256


def test_columns_of_a_table(tmp_path):
    cells = ["one, two", "three\nfour", "", "five"]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([["id", "text"], *enumerate(cells)])
    corpus = load(tmp_path / "t.csv", documents="csv:text")
    text = "".join(corpus.alphabet[code] for code in corpus.codes)
    assert text == "\x1eone, two\x1ethree\nfour\x1efive\x1e"
    with pytest.raises(CorpusError, match="has no column 'txt'; did you mean text"):
        load(tmp_path / "t.csv", documents="csv:txt")
    with pytest.raises(CorpusError, match="reads one table: give one file"):
        load([tmp_path / "t.csv", tmp_path / "t.csv"], documents="csv:text")
    for wrong in ("words", "csv:"):
        with pytest.raises(ConfigError, match="--documents must be lines or csv:COLUMN"):
            load(tmp_path / "t.csv", documents=wrong)


def test_baselines_count_the_documents_that_are_learnt_from(tmp_path):
    documents = [letter * 30 for letter in "abcdefghijkl"]
    (tmp_path / "t.txt").write_text("\n".join(documents))
    corpus = load(tmp_path / "t.txt", documents="lines")
    config = RunConfig(hidden=2, seq_length=5, updates=10, validation=0.2, test=0.2, fold=3)
    parts = config.parts(len(corpus))
    expected = sum(np.bincount(c, minlength=13) for c in corpus.stretches(parts.training))
    assert list(corpus.counts(parts.training)["characters"]) == list(expected)
    assert set(expected[1:]) == {0, 30}
    summary = run(config, corpus, tmp_path / "run")
    assert Model(tmp_path / "run").score("aaa")["unigram"]
    assert summary.test_unigram > summary.score_unigram


def test_a_fold_without_a_document_to_learn_from_is_one_line(tmp_path):
    (tmp_path / "t.txt").write_text("ab" * 450 + "\n" + "ab" * 50)
    corpus = load(tmp_path / "t.txt", documents="lines")
    messages = []
    for fold in range(10):
        config = RunConfig(hidden=2, seq_length=5, updates=10, validation=0.3, fold=fold)
        with pytest.raises(CorpusError) as error:
            check_length(config, corpus)
            raise CorpusError("learns")
        messages.append(str(error.value))
    assert "no whole document is left to train on" in " ".join(messages)


def test_a_file_of_documents_is_scored_as_it_was_read(names, names_file, tmp_path):
    run(RunConfig(updates=100, hidden=5, seq_length=8), names, tmp_path / "run")
    model = Model(tmp_path / "run")
    assert model.score(names_file) == model.score("\n".join(NAMES))


def test_a_sample_starts_each_document_from_zero(names, tmp_path):
    run(RunConfig(updates=400, hidden=20, seq_length=8), names, tmp_path / "run")
    model = Model(tmp_path / "run")
    text = model.sample(300, temperature=0)
    first, *others, _ = text.split("\n")
    assert others == [first] * len(others)  # the likeliest document, again and again
    assert len(others) > 5
    assert model.sample(300, temperature=0, prime="emma\n") == text
    drawn = model.sample(2000, seed=1).split("\n")[:-1]
    assert len(set(drawn)) > 5
    p = model.probabilities("\n" + "\n".join(drawn[:3]))
    alone = model.probabilities("\n" + drawn[2])
    np.testing.assert_allclose(p[-len(alone) :], alone, rtol=1e-5)


def test_on_the_command_line(nbrnn, names_file, tmp_path):
    train = ["train", names_file, "--documents", "lines", "--hidden", "5", "--seq-length", "8", "-q"]
    said = nbrnn(*train[:-1], "--updates", "300", "--out", "whole").stderr
    windows = sum(-(-(len(name) + 1) // 8) for name in NAMES)
    epoch = (sum(map(len, NAMES)) + len(NAMES)) // 8
    assert f"48 documents to learn from; all are read once in {windows} updates" in said
    assert f" {windows / epoch:.2g} epochs\n" in said
    assert "documents: lines" in nbrnn("show", "whole").stdout
    nbrnn(*train, "--updates", "100", "--out", "run")
    nbrnn("train", "--resume", "run", "--updates", "300", "-q")
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")
    (tmp_path / "same.txt").write_text("\n\n".join(NAMES))
    scores = [
        json.loads(nbrnn("score", "run", file, "--json").stdout) for file in (names_file, "same.txt")
    ]
    assert (
        scores[0]
        == scores[1]
        == {
            "characters": sum(map(len, NAMES)) + len(NAMES) + 1,
            "replaced": 0,
            **Model(tmp_path / "run").score("\n".join(NAMES)),
        }
    )
    line = one_line_error(nbrnn(*train, "--batch", "1000", code=2))
    assert "--batch must be at most" in line or "too few" in line
    line = one_line_error(nbrnn(*train, "--order", "chunks", "--chunks", "3", code=2))
    assert "--order chunks would cut documents" in line
    line = one_line_error(nbrnn("train", "--resume", "run", "--documents", "lines", code=2))
    assert "leave --documents out" in line
