"""Settings and presets on the command line: what they stand for, and what is refused in one line."""

import json
import shlex

import pytest
from harness import one_line_error

from nbrnn.config import SETTINGS, RunConfig, option_name
from nbrnn.errors import ConfigError
from nbrnn.presets import PRESETS, with_preset
from nbrnn.storage.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_pictures", "without_figures")

TINY = ["--hidden", "5", "--seq-length", "10", "--updates", "20", "--sample-every", "0", "-q"]

# ---------------------------------------------------------------- presets


def test_what_presets_stand_for():
    configs = {name: RunConfig(**preset.settings) for name, preset in PRESETS.items()}
    assert configs["dd2424-2017"] == RunConfig(
        hidden=100, seq_length=25, optimizer="adagrad", eta=0.1, epsilon=1e-8, clip=5.0, loss="sum",
        init="normal", sigma=0.1, batch=1, order="sequential", schedule="constant", validation=0.0,
    )  # fmt: skip
    assert configs["dd2424-2025"] == RunConfig(
        hidden=100, seq_length=25, optimizer="adam", eta=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8,
        clip="none", loss="mean", init="scaled",
    )  # fmt: skip
    char_rnn = configs["char-rnn"]
    assert (char_rnn.cell, char_rnn.layers, char_rnn.dropout) == ("lstm", 2, 0.0)
    assert (char_rnn.hidden, char_rnn.seq_length, char_rnn.batch) == (128, 50, 50)
    assert (char_rnn.optimizer, char_rnn.eta, char_rnn.beta2) == ("rmsprop", 0.002, 0.95)
    assert (char_rnn.clip, char_rnn.validation) == (5.0, 0.05)
    # the deviation of numbers that are uniform in [-0.08, 0.08]
    assert char_rnn.sigma == pytest.approx(0.08 / 3**0.5, abs=1e-3)


def test_they_are_listed_as_options_that_may_be_typed(nbrnn):
    documents = json.loads(nbrnn("presets", "--json").stdout)
    assert {row["name"]: row["settings"] for row in documents} == {
        name: dict(preset.settings) for name, preset in PRESETS.items()
    }
    listed = nbrnn("presets").stdout.splitlines()
    for name, preset in PRESETS.items():
        words = shlex.split(listed[listed.index(name) + 1])
        options = dict(zip(words[::2], words[1::2], strict=True)) if preset.settings else {}
        assert list(options) == [option_name(setting) for setting in preset.settings]
        for setting, value in preset.settings.items():
            assert SETTINGS[setting].parsed(options[option_name(setting)]) == value


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_settings_and_options_beside_it_win(nbrnn, text_file, name):
    options = [
        word
        for setting, value in PRESETS[name].settings.items()
        for word in (option_name(setting), value)
    ]
    dry = ["sweep", text_file, "--seeds", "0", "--dry-run", "--json", "-q"]
    with_it, without = (
        json.loads(nbrnn(*dry, *chosen).stdout) for chosen in (["--preset", name], options)
    )
    assert with_it == without
    (row,) = json.loads(nbrnn(*dry, "--preset", name, "--hidden", "7", "--eta", "0.5").stdout)
    assert (row["hidden"], row["eta"]) == (7, 0.5)
    others = {k: v for k, v in row.items() if k not in ("hidden", "eta", "run_id")}
    assert others.items() <= with_it[0].items()


def test_what_a_preset_says_for_another_choice_is_left_out():
    assert with_preset(None, {"hidden": 5}) == {"hidden": 5}
    chosen = RunConfig(**with_preset("char-rnn", {"optimizer": "adam"}))
    assert (chosen.eta, chosen.beta2, chosen.batch) == (0.001, 0.999, 50)
    assert RunConfig(**with_preset("char-rnn", {"optimizer": "rmsprop"})).beta2 == 0.95
    assert RunConfig(**with_preset("char-rnn", {"init": "scaled"})).sigma is None
    assert RunConfig(**with_preset("dd2424-2025", {"optimizer": "adagrad"})).eta == 0.1
    assert RunConfig(**with_preset("dd2424-2025", {"init": "normal"})).sigma == 0.1
    with pytest.raises(ConfigError, match=r"--preset must be dd2424-2017, .* or good \(got 'x'\)"):
        with_preset("x", {})


def test_the_network_of_earlier_weights_wins_over_a_preset(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *TINY, "--out", "first")
    options = ["--cell", "vanilla", "--layers", "1", "--dropout", "0", "--clip-norm", "none"]
    options += ["--updates", "20", "--init-from", "first", "--out", "second", "-q"]
    nbrnn("train", text_file, "--preset", "good", *options)
    config, _ = RunFolder(tmp_path / "second").read_config()
    assert (config.hidden, config.batch) == (5, 16)


def test_lists_beside_a_preset_win_and_what_has_no_effect_is_left_out(nbrnn, text_file):
    dry = ["sweep", text_file, "--preset", "char-rnn", "--seeds", "0", "--dry-run", "--json", "-q"]
    rows = json.loads(nbrnn(*dry, "--optimizer", "rmsprop,sgd", "--beta2", "0.9,0.99").stdout)
    assert [(row["optimizer"], row["beta2"]) for row in rows] == [
        ("rmsprop", 0.9), ("rmsprop", 0.99), ("sgd", None),
    ]  # fmt: skip
    assert {row["batch"] for row in rows} == {50}


# ---------------------------------------------------------------- a run by its options


def test_a_run_with_all_kinds_of_options(nbrnn, text_file, tmp_path):
    options = [
        "--dtype", "float64", "--optimizer", "adam", "--beta1", "0.8", "--loss", "mean", "--batch", "3",
        "--clip", "none", "--order", "chunks", "--chunks", "9", "--init", "scaled",
        "--warmup", "3", "--schedule", "constant", "--validation", "0.1", "--validate-every", "5",
        "--patience", "2",
    ]  # fmt: skip
    nbrnn("train", text_file, *TINY, *options, "--out", "run")
    config, _ = RunFolder(tmp_path / "run").read_config()
    assert (config.clip, config.beta1, config.chunks, config.patience) == ("none", 0.8, 9, 2)
    document = json.loads(nbrnn("show", "run", "--json").stdout)
    assert document["config"] == config.to_dict()
    shown = nbrnn("show", "run").stdout
    assert "None" not in shown
    assert "--clip none" in shown
    for unsuited in (["--clip", "4"], ["--batch", "2"]):
        line = one_line_error(nbrnn("train", "--resume", "run", *unsuited, code=2))
        assert "only --epochs and --updates can change" in line
    nbrnn("train", "--resume", "run", "--clip", "none", "--updates", "25", "-q")
    nbrnn("sample", "run")
    nbrnn("score", "run", text_file)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--beta1 0.9", "--beta1 has no effect with --optimizer adagrad (the default): leave it out"),
        ("--preset char-rnn --chunks 3", "--chunks has no effect with --order sequential"),
        ("--preset nobody", "--preset must be dd2424-2017"),
        ("--clip x", "--clip must be a number or none (got 'x')"),
        ("--optimizer Adam", "adam or sgd (got 'Adam'); did you mean adam?"),
        ("--beta2 1 --optimizer adam", "--beta2 must be at most 0.999999"),
    ],
)
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_what_has_no_effect_or_is_no_value_is_one_line(nbrnn, text_file, command, options, said):
    if command == "sweep":
        said = said.replace("must be a number or none (got 'x')", "must be numbers or none with commas")
        options = options.replace("--clip x", "--clip 5,None,x")
    assert said in one_line_error(nbrnn(command, text_file, *options.split(), code=2))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--validation 1e-4", "--validation 0.0001 holds out fewer than two characters"),
        ("--validation 0.9 --seq-length 600", "500 characters are too few for --seq-length 600"),
        ("--batch 201", "--batch 201: at least 5,026 are needed"),
        ("--order chunks --chunks 200", "--chunks 200 exceeds the text's 199 windows"),
        ("--order chunks --validation 0.8", "--chunks 100 exceeds the text's 39 windows"),
        ("--warmup 21 --updates 20", "--warmup 21 exceeds the run's 20 updates"),
    ],
)
def test_what_does_not_fit_the_text_is_one_line(nbrnn, text_file, tmp_path, options, said):
    assert said in one_line_error(nbrnn("train", text_file, *options.split(), code=2))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--batch 0", "--batch"),
        ("--batch 101", "and --batch 101 the text needs at least 5,051 characters"),
        ("--init scaled --sigma 0.1", "--sigma has no effect"),
        ("--loss median", "--loss"),
    ],
)
def test_the_gradient_check_refuses_the_same(nbrnn, text_file, options, said):
    assert said in one_line_error(nbrnn("gradcheck", text_file, *options.split(), code=2))
