"""Settings: their ranges, their identity."""

import json
import math

import pytest

from nbrnn.config import RunConfig
from nbrnn.errors import ConfigError
from nbrnn.naming import run_id

SHA = "0" * 64


def test_the_defaults_are_those_of_the_report():
    config = RunConfig()
    assert (config.hidden, config.seq_length, config.eta, config.clip) == (100, 25, 0.1, 5.0)
    assert (config.epochs, config.updates, config.dtype) == (7, None, "float32")


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        (name, bad)
        for name in (
            "epochs",
            "updates",
            "hidden",
            "seq_length",
            "seed",
            "sample_every",
            "sample_length",
        )
        for bad in (-1, 10**30, 1.5, True, "7")
    ]
    + [(name, 0) for name in ("epochs", "hidden", "seq_length", "sample_length")]
    + [
        (name, bad)
        for name in ("eta", "sigma", "epsilon", "clip")
        for bad in (-1.0, math.nan, math.inf, -math.inf, 1e300, "x")
    ]
    + [(name, 0.0) for name in ("eta", "epsilon", "clip")]
    + [("epsilon", 1e-300), ("dtype", "float16")],
)
def test_values_out_of_range_are_refused_by_name(name, bad):
    with pytest.raises(ConfigError, match="--" + name.replace("_", "-")):
        RunConfig(**{name: bad})


@pytest.mark.parametrize(
    "good", [{"updates": 0}, {"sigma": 0}, {"sample_every": 0}, {"seed": 2**63 - 1}, {"eta": 1e30}]
)
def test_values_at_the_edge_are_taken(good):
    RunConfig(**good)


def test_epochs_and_updates_exclude_each_other():
    with pytest.raises(ConfigError, match="not both"):
        RunConfig(epochs=1, updates=1)


def test_a_config_survives_json():
    config = RunConfig(eta=0.3, updates=5, dtype="float64")
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ConfigError, match="etta"):
        RunConfig.from_dict({**config.to_dict(), "etta": 1})


def test_the_id_changes_with_every_setting_and_with_the_text():
    changes = [
        {}, {"epochs": 8}, {"updates": 8}, {"hidden": 99}, {"seq_length": 24}, {"eta": 0.2},
        {"sigma": 0.2}, {"epsilon": 1e-7}, {"clip": 4}, {"seed": 1}, {"dtype": "float64"},
        {"sample_every": 9}, {"sample_length": 9},
    ]  # fmt: skip
    ids = {run_id(RunConfig(**change), "text", SHA) for change in changes}
    ids.add(run_id(RunConfig(), "text", "1" * 64))
    assert len(ids) == len(changes) + 1
    assert {name for change in changes for name in change} == set(RunConfig().to_dict())


def test_the_id_is_stable_and_fit_for_a_file_name():
    name = run_id(RunConfig(seed=3), "a b/c.d", SHA)
    assert name == "a_b_c_d-m100-eta0.1-sigma0.1-7epochs-seed3-" + name[-8:]
    assert name == run_id(RunConfig(seed=3, epochs=7), "a b/c.d", SHA)
    # a promise: results of an earlier version are found again
    assert name[-8:] == "e4f7a326"
