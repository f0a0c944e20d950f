"""Settings: their ranges, their identity."""

import dataclasses
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


WHOLE = [
    "epochs",
    "updates",
    "hidden",
    "seq_length",
    "seed",
    "sample_every",
    "sample_length",
    "batch",
    "warmup",
    "fold",
]


@pytest.mark.parametrize(
    ("name", "bad"),
    [(name, bad) for name in WHOLE for bad in (-1, 10**30, 1.5, True, "7")]
    + [(name, 0) for name in ("epochs", "hidden", "seq_length", "sample_length", "batch")]
    + [(name, "x") for name in ("order", "optimizer", "loss", "schedule", "init", "dtype")]
    + [(name, bad) for name in ("validation", "test") for bad in (-0.1, 1, 0.91, math.nan, "x")]
    + [("fold", 10)]
    + [
        (name, bad)
        for name in ("eta", "sigma", "epsilon", "clip")
        for bad in (-1.0, math.nan, math.inf, -math.inf, 1e300, "x")
    ]
    + [(name, 0.0) for name in ("eta", "epsilon", "clip")]
    + [("epsilon", 1e-300), ("dtype", "float16")],
)
def test_values_out_of_range_are_refused_by_name(name, bad):
    option = "--" + name.replace("_", "-")
    with pytest.raises(ConfigError, match=option) as error:
        RunConfig(**{name: bad})
    assert error.value.__notes__ == [f"In Python {option} is {name}."]


def test_none_is_no_clipping_and_otherwise_no_value():
    assert RunConfig(clip=None) == RunConfig(clip="none") != RunConfig()
    for name in ("hidden", "order", "seed"):
        with pytest.raises(ConfigError, match=rf"--{name} must be .* \(got None\)"):
            RunConfig(**{name: None})


@pytest.mark.parametrize(
    ("beside", "name", "bad"),
    [({"optimizer": "adam"}, name, bad) for name in ("beta1", "beta2") for bad in (-0.1, 1, math.nan)]
    + [({"order": "chunks"}, "chunks", bad) for bad in (0, 10**8, 1.5)]
    + [({"validation": 0.1}, name, bad) for name in ("validate_every", "patience") for bad in (-1, 1.5)],
)
def test_values_out_of_range_beside_others_are_refused_by_name(beside, name, bad):
    with pytest.raises(ConfigError, match="--" + name.replace("_", "-")):
        RunConfig(**beside, **{name: bad})


@pytest.mark.parametrize(
    "good", [{"updates": 0}, {"sigma": 0}, {"sample_every": 0}, {"seed": 2**63 - 1}, {"eta": 1e30}]
)
def test_values_at_the_edge_are_taken(good):
    RunConfig(**good)


def test_a_config_survives_json():
    config = RunConfig(eta=0.3, updates=5, dtype="float64")
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ConfigError, match="etta"):
        RunConfig.from_dict({**config.to_dict(), "etta": 1})


HELD_OUT = {"validation": 0.1}
CHANGES = [
    {}, {"epochs": 8}, {"updates": 8}, {"hidden": 99}, {"seq_length": 24}, {"eta": 0.2},
    {"sigma": 0.2}, {"epsilon": 1e-7}, {"clip": 4}, {"clip": "none"}, {"seed": 1}, {"dtype": "float64"},
    {"sample_every": 9}, {"sample_length": 9}, {"batch": 2}, {"cell": "gru"}, {"cell": "lstm"},
    {"layers": 2}, {"dropout": 0.1}, {"clip_norm": 5}, {"order": "random"}, {"order": "chunks"},
    {"order": "chunks", "chunks": 9}, {"optimizer": "sgd"}, {"optimizer": "rmsprop"},
    {"optimizer": "rmsprop", "beta2": 0.8}, {"optimizer": "adam"}, {"optimizer": "adam", "beta1": 0.8},
    {"optimizer": "adam", "beta2": 0.8}, {"loss": "mean"}, {"schedule": "linear"},
    {"schedule": "cosine"}, {"warmup": 9}, {"init": "scaled"}, {"init": "orthogonal"}, HELD_OUT,
    {"validation": 0.2}, {**HELD_OUT, "validate_every": 9}, {**HELD_OUT, "patience": 9},
    {"test": 0.1}, {**HELD_OUT, "test": 0.1}, {**HELD_OUT, "fold": 1}, {"adagrad_start": 0.1},
    {"init_from": "a" * 64},
]  # fmt: skip


def test_the_id_changes_with_every_setting_and_with_the_text():
    ids = {run_id(RunConfig(**change), "text", SHA) for change in CHANGES}
    ids.add(run_id(RunConfig(), "text", "1" * 64))
    assert len(ids) == len(CHANGES) + 1
    assert {name for change in CHANGES for name in change} == set(RunConfig().to_dict())


@pytest.mark.parametrize("change", CHANGES)
def test_a_default_that_is_given_changes_nothing(change):
    config = RunConfig(**change)
    given = {name: value for name, value in config.to_dict().items() if value is not None}
    assert RunConfig(**given) == config
    assert run_id(RunConfig(**given), "text", SHA) == run_id(config, "text", SHA)


# What each setting with defaults by another is without effect beside.
WITHOUT_EFFECT = [
    ({"beta1": 0.9}, "--beta1 has no effect with --optimizer adagrad"),
    ({"optimizer": "rmsprop", "beta1": 0.9}, "--beta1 has no effect with --optimizer rmsprop"),
    ({"optimizer": "sgd", "beta2": 0.9}, "--beta2 has no effect with --optimizer sgd"),
    ({"optimizer": "sgd", "epsilon": 1e-8}, "--epsilon has no effect with --optimizer sgd"),
    ({"init": "scaled", "sigma": 0.1}, "--sigma has no effect with --init scaled"),
    ({"chunks": 9}, "--chunks has no effect with --order sequential"),
    ({"order": "random", "chunks": 9}, "--chunks has no effect with --order random"),
    ({"validate_every": 9}, "--validate-every has no effect without --validation: give both"),
    ({"validation": 0, "patience": 9}, "--patience has no effect without --validation: give both"),
    ({"optimizer": "adam", "adagrad_start": 0.1}, "--adagrad-start has no effect with --optimizer adam"),
    ({"fold": 3}, "--fold has no effect without --validation or --test"),
]


@pytest.mark.parametrize(("settings", "message"), WITHOUT_EFFECT)
def test_a_setting_without_effect_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(**settings)


def test_parts_leave_something_to_train_on():
    assert RunConfig(validation=0.5, test=0.4).parts(10).training == ((0, 1),)
    with pytest.raises(ConfigError, match=r"--validation and --test must be at most 0\.9 together"):
        RunConfig(validation=0.5, test=0.5)


def test_what_is_off_may_be_given_where_it_has_no_effect():
    config = dataclasses.replace(RunConfig(validation=0.1), validation=0.0, optimizer="adam")
    assert (config.patience, config.adagrad_start) == (None, None)


def test_a_setting_without_effect_is_none():
    assert (RunConfig().beta1, RunConfig().chunks, RunConfig().patience) == (None, None, None)
    assert RunConfig(optimizer="sgd").epsilon is RunConfig(init="scaled").sigma is None
    assert "epsilon" not in RunConfig(optimizer="sgd").identity()


def test_defaults_go_by_the_optimizer():
    found = {
        name: (c.eta, c.beta1, c.beta2, c.epsilon)
        for name in ("adagrad", "rmsprop", "adam", "sgd")
        for c in [RunConfig(optimizer=name)]
    }
    assert found == {
        "adagrad": (0.1, None, None, 1e-8),
        "rmsprop": (0.001, None, 0.9, 1e-8),
        "adam": (0.001, 0.9, 0.999, 1e-8),
        "sgd": (0.01, None, None, None),
    }


def test_an_epoch_is_whole_batches_of_what_is_trained_on():
    assert RunConfig(seq_length=5).updates_per_epoch(101) == 20
    assert RunConfig(seq_length=5, batch=3).updates_per_epoch(101) == 6
    held_out = RunConfig(seq_length=5, batch=3, validation=0.25)
    assert held_out.trained_on(101) == 101 - 25
    assert held_out.updates_per_epoch(101) == 5
    assert RunConfig(seq_length=5, epochs=4, batch=3).length(101) == 24
    assert RunConfig(seq_length=5, updates=4, batch=3).length(101) == 4


def test_the_id_is_stable_and_fit_for_a_file_name():
    name = run_id(RunConfig(seed=3), "a b/c.d", SHA)
    assert name == "a_b_c_d-m100-eta0.1-sigma0.1-7epochs-seed3-" + name[-8:]
    assert name == run_id(RunConfig(seed=3, epochs=7), "a b/c.d", SHA)
    # a promise: results of an earlier version are found again
    assert name[-8:] == "e4f7a326"
