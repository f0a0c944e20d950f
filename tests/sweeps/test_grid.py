"""Lists, ranges, products and drawings of settings."""

import pytest

from nbrnn.config import RunConfig
from nbrnn.errors import ConfigError
from nbrnn.naming import namer, run_id, varying
from nbrnn.sweeps.grid import grid


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("sigma", "0.01,0.1", [0.01, 0.1]),
        ("sigma", "1e-2, 0.1 ,0.1", [0.01, 0.1]),
        ("sigma", "log:0.001:0.1:3", [0.001, 0.01, 0.1]),
        ("eta", "lin:0.1:0.3:3", [0.1, 0.2, 0.3]),
        ("eta", "0.5,lin:1:2:2", [0.5, 1.0, 2.0]),
        ("eta", "lin:0.1:1:10", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        ("eta", "log:1:0.01:3", [1.0, 0.1, 0.01]),
        ("hidden", "50,100", [50, 100]),
        ("hidden", "log:10:1000:3", [10, 100, 1000]),
        ("hidden", "lin:1:2:9", [1, 2]),
        ("hidden", "3:5", [3, 4, 5]),
        ("dtype", "float32,float64", ["float32", "float64"]),
        ("epsilon", "log:1:1:1", [1.0]),
        ("clip", "5, none ,log:1:10:2", [5.0, "none", 1.0, 10.0]),
        ("optimizer", "adam, sgd", ["adam", "sgd"]),
    ],
)
def test_lists(name, text, values):
    assert grid({name: text}).axes[name] == values


@pytest.mark.parametrize("text", ["0:9", "0,1,2:9", "0:3,4:9,5"])
def test_seeds_are_inclusive(text):
    assert grid({"seed": text}).seeds == list(range(10))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sigma", "", "--sigma has an empty value"),
        ("sigma", "0.1,", "--sigma has an empty value"),
        ("sigma", "nan", "--sigma must be finite"),
        ("sigma", "0.1,-1", "--sigma must be at least"),
        ("sigma", "log:0:1:5", "--sigma: log:0:1:5 needs numbers above 0"),
        ("sigma", "log:1:2", "--sigma must be numbers"),
        (
            "sigma",
            "lin:1:2:0",
            "--sigma: lin:1:2:0 asks for 0 values: its last number must be from 1 to 10,000",
        ),
        ("sigma", "lin:1:inf:3", "--sigma must be numbers"),
        ("hidden", "1.5", "--hidden must be whole numbers"),
        ("hidden", "5:3", "--hidden: 5:3 has no values: write the smaller number first"),
        ("hidden", "1:999999", "--hidden: 1:999999 has more than 10,000 values"),
        ("seed", "-1", "--seed must be at least 0"),
        ("dtype", "float16", "--dtype must be"),
        ("clip", "5,x", "--clip must be numbers or none"),
        ("optimizer", "adam,lion", r"--optimizer must be adagrad, rmsprop, adam or sgd \(got 'lion'\)"),
        ("patience", "3", "--patience has no effect without --validation"),
    ],
)
def test_what_is_no_list(name, text, said):
    with pytest.raises(ConfigError, match=said):
        grid({name: text})


def test_the_grid_is_the_product_and_seeds_come_round_after_round():
    configs = grid({"sigma": "0.01,0.1", "hidden": "5,6", "seed": "0:1"}).experiments()
    assert [(c.seed, c.hidden, c.sigma) for c in configs] == [
        (seed, hidden, sigma) for seed in (0, 1) for hidden in (5, 6) for sigma in (0.01, 0.1)
    ]
    assert {c.epochs for c in configs} == {2}
    assert grid({}).experiments() == [RunConfig(epochs=2, seed=seed) for seed in range(5)]
    assert {c.updates for c in grid({"updates": "10,20"}).experiments()} == {10, 20}


def test_a_drawing_is_part_of_the_grid_and_the_same_for_the_same_seed():
    lists = {"sigma": "log:0.001:1:50", "eta": "log:0.001:1:50", "hidden": "1:1000", "seed": "0,7"}
    drawn = grid(lists, 20, 3)
    configs = drawn.experiments()
    assert len({(c.sigma, c.eta, c.hidden) for c in configs}) == 20
    assert len(configs) == 40
    for config in configs:
        assert all(getattr(config, name) in values for name, values in drawn.axes.items())
    assert configs == grid(lists, 20, 3).experiments()
    assert configs != grid(lists, 20, 4).experiments()
    few = {"sigma": "0.01,0.1", "seed": "0"}
    assert grid(few, 20).experiments() == grid(few).experiments()


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (
            {"optimizer": "adagrad,adam", "beta1": "0.8,0.9"},
            [("adagrad", None), ("adam", 0.8), ("adam", 0.9)],
        ),
        (
            {"init": "scaled,normal", "sigma": "0.01,1"},
            [("scaled", None), ("normal", 0.01), ("normal", 1)],
        ),
        ({"validation": "0,0.1", "patience": "1,2"}, [(0, None), (0.1, 1), (0.1, 2)]),
        ({"order": "random,chunks", "chunks": "9"}, [("random", None), ("chunks", 9)]),
        ({"optimizer": "adagrad,adam", "eta": "0.1,0.2"}, [
            ("adagrad", 0.1), ("adagrad", 0.2), ("adam", 0.1), ("adam", 0.2),
        ]),
        ({"clip": "none,5", "eta": "0.1"}, [("none", 0.1), (5, 0.1)]),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_left_out_where_it_has_none(lists, expected):
    configs = grid({**lists, "seed": "3"}).experiments()
    assert {tuple(getattr(config, name) for name in lists) for config in configs} == set(expected)
    assert len(configs) == len(expected)
    assert len({run_id(config, "text", "0" * 64) for config in configs}) == len(expected)


def test_defaults_go_by_what_is_listed():
    configs = grid({"optimizer": "adagrad,adam,sgd", "seed": "0"}).experiments()
    assert [c.eta for c in configs] == [0.1, 0.001, 0.01]


def test_a_drawing_has_as_many_configurations_as_are_wanted():
    lists = {"optimizer": "sgd,adam", "beta1": "lin:0:0.9:10", "seed": "0"}  # of which 11 differ
    for draws in range(1, 15):
        for seed in range(5):
            configs = grid(lists, draws, seed).experiments()
            assert len(set(configs)) == len(configs) == min(draws, 11)
    with pytest.raises(ConfigError, match="--beta2 has no effect"):
        grid({"optimizer": "sgd", "beta2": "0.5"}, 1)


def test_a_huge_grid_is_refused_unless_drawn_from():
    lists = dict.fromkeys(("sigma", "eta", "epsilon", "clip"), "log:0.01:1:9999")
    with pytest.raises(ConfigError, match="--random"):
        grid(lists)
    assert len(grid(lists, 3).experiments()) == 15


def test_names_are_short_and_do_not_tell_the_seeds():
    assert grid({"sigma": "0.01,0.1", "seed": "0:9"}).name("a b") == "a_b-epochs2-sigma0.01_0.1"
    assert grid({}, 3, 1).name("x") == "x-epochs2-random3_1"
    long = [grid({"sigma": f"lin:0.1:1:{n}"}).name("x") for n in (50, 51)]
    assert len(set(long)) == 2
    assert all(len(name) < 80 for name in long)


def test_labels_tell_what_differs():
    configs = grid({"sigma": "0.01,0.1", "epsilon": "1e-8,1"}).experiments()
    assert varying(configs) == ["sigma", "epsilon"]
    assert namer(configs)(configs[0]) == "sigma 0.01, epsilon 1e-08"
    near = grid({"sigma": "0.1,0.12345,0.12346", "seed": "0"}).experiments()
    assert [namer(near)(config) for config in near] == ["sigma 0.1", "sigma 0.12345", "sigma 0.12346"]
    both = [RunConfig(updates=3), RunConfig(epochs=3)]
    assert [namer(both)(config) for config in both] == ["updates 3", "epochs 3"]
    assert varying(configs[:1]) == []


def test_folds_are_trained_like_seeds():
    lists = {"sigma": "log:0.01:1:9", "validation": "0.1", "seed": "0:1"}
    folds = grid({**lists, "fold": "0:9"}, 3)
    assert len(folds.configurations()) == 3
    assert len(folds.experiments()) == 3 * 2 * 10
    assert {(c.seed, c.fold) for c in folds.experiments()} == {(s, f) for s in (0, 1) for f in range(10)}
    configs = folds.experiments()
    assert varying(configs) == ["sigma"]
    assert {namer(configs)(config, with_seed=True) for config in configs} >= {
        f"sigma {configs[0].sigma:.3g}, seed 1",
        f"sigma {configs[0].sigma:.3g}, seed 1, fold 9",
    }
    assert len({config.configuration for config in configs}) == 3
    assert folds.name("text") == grid(lists, 3).name("text")
    assert (folds.describe()["folds"], grid(lists, 3).describe().get("folds")) == ([*range(10)], None)
    assert "fold9" in run_id(RunConfig(validation=0.1, fold=9), "text", "0" * 64)
    with pytest.raises(ConfigError, match="10,000 configurations with 2 seeds on 10 folds"):
        grid({**lists, "fold": "0:9", "eta": "lin:1:2:10000", "sigma": "1"})
