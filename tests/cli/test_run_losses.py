"""The losses of a run in words: one number of digits, a line on what each of them is."""

from nbrnn.cli.run_losses import loss_lines
from nbrnn.config import RunConfig
from nbrnn.corpus import Description
from nbrnn.storage.schemas import Summary

TEXT = Description(
    name="moor", source="moor.txt", encoding="utf-8", sha256="0" * 64, characters=5000, alphabet="ab"
)
SMOOTH = {
    "nats_per_character_best": 2.0, "nats_per_character_final": 2.25, "smooth_loss_best": 50.0,
}  # fmt: skip


def test_each_loss_stands_in_one_unit_with_a_line_on_what_it_is():
    summary = Summary(
        status="finished", updates=900, best_update=300, **SMOOTH, score_characters=400, score_best=1.5,
        score_final=10.125, score_unigram=3.0, validation_characters=499, validation_best=1.0,
        validation_final=1.75, validation_unigram=2.5, validation_bigram=2.375,
        seconds=2.0, updates_per_second=450.0,
    )  # fmt: skip
    assert loss_lines(summary, RunConfig(validation=0.1), TEXT) == [
        "nats per character            best model  last model     unigram      bigram",
        "validation                        1.0000      1.7500      2.5000      2.3750",
        "training text, from h = 0         1.5000     10.1250      3.0000           -",
        "smooth training loss              2.0000      2.2500           -           -",
        "best model: update 300, chosen by validation loss (1.443 bits, perplexity 2.718)",
        "validation: 499 characters of moor, never trained on",
        "training text: the first 400 characters of moor, read once from h = 0",
        "smooth: mean over about the last 1,000 updates; 50 nats per window",
        "training time: 2.0 s, 450 updates/s",
    ]


def test_what_is_not_known_has_no_line():
    summary = Summary(status="interrupted", updates=900, best_update=300, **SMOOTH)
    lines = loss_lines(summary, RunConfig(loss="mean"), TEXT)
    assert [line.partition(" ")[0] for line in lines] == ["nats", "smooth", "best", "smooth:"]
    assert lines[-1] == "smooth: mean over about the last 1,000 updates"
    assert loss_lines(Summary(status="running"), RunConfig(), TEXT) == []
