"""What a trained model writes."""

import pytest

from nbrnn.errors import ConfigError, CorpusError
from nbrnn.runs.sampling import sample
from nbrnn.storage.run_folder import RunFolder


@pytest.fixture
def model(run_folder):
    return RunFolder(run_folder).read_checkpoint("best")


def test_the_same_seed_writes_the_same_text(model):
    assert sample(model, 50, seed=1) == sample(model, 50, seed=1)
    assert sample(model, 50, seed=1) != sample(model, 50, seed=2)
    assert sample(model, 50, seed=1) == sample(model, 80, seed=1)[:50]


def test_length_and_alphabet(model):
    assert len(sample(model, 333)) == 333
    assert sample(model, 0) == ""
    assert set(sample(model, 2000)) <= set(model.alphabet)


def test_prime_decides_what_follows(model):
    likeliest = [sample(model, 3, prime=prime, temperature=0) for prime in ("Jan", "hous", "the ")]
    assert likeliest[0].startswith("e")
    assert likeliest[1].startswith("e")
    assert sample(model, 30, prime="Jane ", temperature=0) == sample(
        model, 30, prime="Jane ", temperature=0, seed=9
    )
    assert sample(model, 30, prime="Ja") != sample(model, 30, prime="th")


def test_from_zero_without_prime_it_starts_as_the_training_text_does(model, text):
    assert model.first_character == text[0]
    assert sample(model, 40, state="zero") == sample(model, 40, prime=text[0], state="zero")


def test_unknown_characters_are_named_or_replaced(model):
    with pytest.raises(CorpusError, match="'Z'"):
        sample(model, 5, prime="Zen")
    assert sample(model, 5, prime="Zen", replacement="t") == sample(model, 5, prime="ten")
    with pytest.raises(ConfigError, match="one character"):
        sample(model, 5, prime="Zen", replacement="tt")


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        ("length", -1), ("length", 10**12), ("temperature", -0.1), ("temperature", float("nan")),
        ("top_k", -1), ("top_p", 0.0), ("top_p", 1.1), ("seed", -1),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(model, option, bad):
    with pytest.raises(ConfigError, match="--" + option.replace("_", "-")):
        sample(model, **{"length": 5, option: bad})
