"""What is gathered of a run: which samples, which losses, and a gradient check that is kept."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec import structs

from nbrnn.analysis import initial_gradient_check as module
from nbrnn.analysis.initial_gradient_check import configs_of, gradient_check
from nbrnn.analysis.run_facts import losses_of_model, losses_of_summary
from nbrnn.analysis.sample_texts import select_samples
from nbrnn.config import RunConfig
from nbrnn.network.gradcheck import gradcheck
from nbrnn.report.report_folder import GRADIENT
from nbrnn.report.run_document import attractor, gradient_verdict
from nbrnn.report.run_report import report
from nbrnn.runs.evaluation import baselines, bigram_loss, unigram_loss
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Sample, Summary


def updates(every, last):
    samples = [Sample(update=n, epoch=0, smooth_loss=None, text="a") for n in range(0, last + 1, every)]
    return [sample.update for sample in select_samples(samples)]


def test_samples_are_those_that_the_assignment_asks_for():
    ten = list(range(0, 100_001, 10_000))
    assert updates(10_000, 500_000) == ten
    assert updates(1000, 200_000) == ten
    assert updates(10_000, 30_000) == ten[:4]
    assert updates(30_000, 200_000) == [0, 30_000, 60_000, 90_000]


def test_samples_of_a_short_run_are_spread():
    assert updates(100, 500) == [0, 100, 200, 300, 400, 500]
    shown = updates(10, 9000)
    assert (len(shown), shown[0], shown[5], shown[-1]) == (11, 0, 4500, 9000)
    assert select_samples([]) == []


def test_models_that_count_lose_what_they_lose_on_their_text(corpus):
    counted, ngrams = baselines(corpus.counts(((0, len(corpus)),))), corpus.counts(((0, len(corpus)),))
    first = np.log(ngrams["characters"][corpus.codes[0]] / len(corpus))
    unigram = (unigram_loss(corpus.codes, ngrams) * (len(corpus) - 1) - first) / len(corpus)
    assert counted["unigram"] == pytest.approx(unigram, rel=1e-12)
    assert counted["bigram"] == pytest.approx(bigram_loss(corpus.codes, ngrams), rel=1e-12)


def test_losses_from_zero_are_those_of_the_summary(run_folder, corpus):
    folder = RunFolder(run_folder)
    summary, model = folder.read_summary(), folder.read_checkpoint("best")
    (row,) = losses_of_model(model, corpus, folder.read_ngrams(), summary)
    (from_file,) = losses_of_summary(summary)
    assert row[:3] == from_file[:3] == (row.text, summary.score_characters, summary.score_best)
    assert row.unigram == from_file.unigram
    assert row.kept not in (None, row.zero)
    assert losses_of_summary(Summary(status="running")) == []


def test_a_model_that_is_lost_from_zero_is_told_in_digits_that_differ():
    lost = Summary(status="finished", score_best=2.31, score_unigram=2.28, nats_per_character_best=1.5)
    (said,) = attractor(SimpleNamespace(summary=lost))
    assert "has a loss of 2.31 nats per character from h = 0" in said
    assert "more than a unigram model (2.28): training" in said
    assert attractor(SimpleNamespace(summary=structs.replace(lost, score_best=2.0))) == []


# ---------------------------------------------------------------- the gradient check


def test_the_check_is_that_of_nbrnn_gradcheck(run_folder, corpus, tmp_path):
    config, described = RunFolder(run_folder).read_config()
    check = gradient_check(config, described, corpus, tmp_path / GRADIENT)
    assert check.hidden == [5, 20]
    expected = [d for m in (5, 20) for d in gradcheck(corpus, replace(config, hidden=m))]
    assert check.differences == expected
    assert check.largest == max(d.largest for d in expected) < 1e-6


@pytest.mark.usefixtures("without_figures")
def test_a_check_is_kept_and_not_made_again(run_folder, tmp_path, monkeypatch):
    first = report(run_folder, tmp_path / "out").facts.gradient

    def never(*arguments):
        raise AssertionError("it is kept")

    monkeypatch.setattr(module, "gradcheck", never)
    assert report(run_folder, tmp_path / "out").facts.gradient == first
    for other in ({"seed": 1}, {"sigma": 0.2}, {"seq_length": 24}, {"loss": "mean"}):
        config, described = RunFolder(run_folder).read_config()
        kept = tmp_path / "out" / GRADIENT
        assert gradient_check(replace(config, **other), described, None, kept) is None
    for damaged in (b"", b"{", b'{"nbrnn": 1}'):
        kept.write_bytes(damaged)
        with pytest.raises(AssertionError, match="kept"):
            report(run_folder, tmp_path / "out")


def test_a_check_with_nan_fails(run_folder, corpus, tmp_path):
    config, described = RunFolder(run_folder).read_config()
    check = gradient_check(replace(config, hidden=2), described, corpus, tmp_path / GRADIENT)
    first, *rest = check.differences
    unknown = replace(first, largest=np.nan)
    for differences in ([*rest, unknown], [unknown, *rest]):
        facts = SimpleNamespace(gradient=structs.replace(check, differences=differences))
        assert gradient_verdict(facts)[0].startswith("FAILED")
    assert gradient_verdict(SimpleNamespace(gradient=check))[0].startswith("Passed")


def test_large_networks_are_checked_at_a_size_that_is_soon_done():
    def sizes(K, **settings):
        configs = configs_of(RunConfig(**settings), K)
        assert {(c.seq_length, c.batch) for c in configs} <= {(25, 1), (25, 2), (3, 1)}
        return [config.hidden for config in configs]

    assert sizes(80) == [5, 100]
    assert sizes(80, hidden=3, seq_length=3) == [3]
    assert sizes(80, hidden=1000, seq_length=50, batch=64)[-1] < 100
    assert sizes(5000) == [5]
