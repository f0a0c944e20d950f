"""What a trained model writes."""

import pytest

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
