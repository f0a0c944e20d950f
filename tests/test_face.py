"""`import nbrnn` in a script and in a notebook."""

import ast
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from importlib.metadata import version

import naive
import numpy as np
import pytest

import nbrnn
from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, CorpusError, NbrnnError, StoreError
from nbrnn.naming import run_id
from nbrnn.signals import DeferredInterrupt
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import Grid, grid, grid_of
from nbrnn.sweeps.sweep import sweep

pytestmark = pytest.mark.usefixtures("without_pictures")

SMALL = {"hidden": 5, "updates": 200, "sample_every": 0}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_face_is_what_is_promised_and_is_imported_when_used():
    names = [
        "Model",
        "Observer",
        "RunConfig",
        "__version__",
        "check",
        "load",
        "read_runs",
        "run",
        "sweep",
    ]
    assert nbrnn.__all__ == dir(nbrnn) == names
    assert nbrnn.__version__ == version("nbrnn")
    assert all(getattr(nbrnn, name) for name in names)
    with pytest.raises(AttributeError, match="'nbrnn' has no attribute 'train'"):
        nbrnn.train  # noqa: B018
    code = "import sys, nbrnn; print([n for n in sys.modules if n.startswith('nbrnn.') or n == 'numpy'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], ["numpy", "pandas", "matplotlib", "scipy", "numba", "rich.progress"]),
        pytest.param(
            ["train", "--updates", "0", "--hidden", "2", "{text}", "--quiet"],
            ["scipy.special", "pandas"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_commands_import_no_more_than_they_need(here, text_file, words, absent):
    words = [word.format(text=text_file) for word in words]
    code = f"import sys; sys.argv[1:] = {words!r}\nfrom nbrnn.cli.main import app\ntry: app()\n"
    code += "except SystemExit: print('modules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1].split()
    assert modules[0] == "modules"
    assert not set(absent) & set(modules)


ITSELF = {}  # a dictionary that holds itself
ITSELF["hidden"] = ITSELF


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nbrnn.RunConfig(optimizer=np.array([1, 2])), "--optimizer must be adagrad, .* or sgd"),
        (lambda: nbrnn.RunConfig(optimizer="Adam"), r"\(got 'Adam'\); did you mean adam\?"),
        (lambda: nbrnn.RunConfig(clip=np.array([1, 2])), "--clip must be a number"),
        (lambda: nbrnn.RunConfig(hidden=ITSELF), "--hidden must be a whole number"),
        (lambda: nbrnn.RunConfig.from_dict({1: 2}), "no such setting: 1"),
        (lambda: nbrnn.RunConfig.from_dict(None), "settings must be a mapping"),
        (lambda: nbrnn.run({"hidden": 5}), r"config must be a RunConfig \(got {'hidden': 5}\)"),
        (lambda: nbrnn.run(None), r"config must be a RunConfig \(got None\)"),
        (lambda: nbrnn.run(corpus=5), "a corpus must be a name or the path"),
        (lambda: nbrnn.run(corpus=b"t"), "a corpus must be a name or the path"),
        (lambda: nbrnn.run(corpus="the whole text\n" * 1000), r"the path of a text \(got 'the whole"),
        (lambda: nbrnn.run(corpus="{text}", folder=5), "a folder must be a path"),
        (lambda: nbrnn.sweep(corpus="{text}", folder=5), "a folder must be a path"),
        (lambda: nbrnn.sweep(corpus="{text}", jobs="2"), "--jobs must be a whole number"),
        (lambda: nbrnn.check(ITSELF), "nested over"),
        (lambda: nbrnn.load("{text}", encoding=5), "no such encoding"),
    ],
)
def test_a_wrong_argument_is_one_line(here, text, call, message):
    (here / "{text}").write_text(text)
    with pytest.raises(NbrnnError, match=message) as error:
        call()
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.sample("5"), r"--length must be a whole number \(got '5'\)"),
        (lambda model: model.sample(5.5), "--length must be a whole number"),
        (lambda model: model.sample(5, temperature="1"), "--temperature must be a number"),
        (lambda model: model.sample(5, top_k=1.5), "--top-k must be a whole number"),
        (lambda model: model.sample(5, prime=b"the"), "a text must be a str"),
        (lambda model: model.sample(5, state="some"), "--state must be kept or zero"),
        (lambda model: model.sample(5, replacement=5), "--replace-unknown must be one character"),
        (lambda model: model.probabilities(b"the"), r"a text must be a str \(got b'the'\)"),
        (lambda model: model.probabilities("Z", replacement=5), "a text must be a str"),
        (lambda model: model.score(["the"]), "a text must be a str"),
        (lambda model: model.score(__file__), "test_face.py is the name of a file: give Path"),
        (lambda model: nbrnn.Model("a\0b"), "a folder must be a path"),
        (lambda model: nbrnn.Model(5), "a folder must be a path"),
        (lambda model: nbrnn.Model(model.folder.path, "worst"), "--checkpoint must be last or best"),
    ],
)
def test_a_wrong_argument_of_a_model_is_one_line(run_folder, call, message):
    with pytest.raises(NbrnnError, match=message):
        call(nbrnn.Model(run_folder))


def test_a_run_is_that_of_the_command_line(here, nbrnn, text_file):
    from nbrnn import RunConfig, load, run

    model = run(RunConfig(**SMALL, seed=3), text_file, quiet=True)
    options = "--hidden 5 --updates 200 --sample-every 0 --seed 3 --quiet --out typed"
    nbrnn("train", text_file, *options.split())
    typed = here / "typed" / "last.safetensors"
    assert (model.folder / "last.safetensors").read_bytes() == typed.read_bytes()
    name = run_id(model.config, "made-up", load(text_file).sha256)
    assert str(model.folder) == os.path.join("results", name)
    assert model.summary.status == "finished"
    assert "update 200" in repr(model)
    assert model._repr_png_().startswith(b"\x89PNG")


def test_a_corpus_may_be_itself_a_path_or_a_text(here, text, text_file, corpus):
    config = nbrnn.RunConfig(**SMALL)
    models = [
        nbrnn.run(config, spelling, folder, quiet=True)
        for spelling, folder in ((corpus, "a"), (text_file, "b"), (str(text_file), here / "c"))
    ]
    assert len({(model.folder / "best.safetensors").read_bytes() for model in models}) == 1
    with pytest.raises(CorpusError, match="no such file"):
        nbrnn.run(config, "nowhere.txt")


def test_a_run_that_diverges_is_warned_of(here, corpus):
    with pytest.warns(UserWarning, match="diverged: at update"):
        model = nbrnn.run(nbrnn.RunConfig(**SMALL, eta=1e30), corpus, quiet=True)
    assert model.summary.status == "diverged"
    assert np.isfinite(model.probabilities("the")).all()


def test_probabilities_are_those_of_the_naive_forward_pass(corpus, tmp_path):
    config = nbrnn.RunConfig(hidden=7, updates=300, seq_length=4, sigma=0.3, dtype="float64")
    model = nbrnn.run(config, corpus, tmp_path, quiet=True)
    text = "Jane said: the old house"  # 24 characters, six windows
    for part in (text, text[:-3], text[:2], ""):
        codes = [model.alphabet.index(character) for character in part]
        _, _, expected = naive.forward(model.checkpoint.theta, codes, codes, np.zeros(7))
        p = model.probabilities(part)
        assert p.shape == (len(part), len(model.alphabet))
        if part:
            np.testing.assert_allclose(p, expected, rtol=1e-9)
    before = model.probabilities(text)
    np.testing.assert_array_equal(model.probabilities(text), before)  # it does not learn
    nats = -np.log([p[model.alphabet.index(c)] for p, c in zip(before, text[1:], strict=False)]).mean()
    assert model.score(text)["model"]["nats_per_character"] == pytest.approx(nats, rel=1e-9)
    (tmp_path / "said.txt").write_text(text)
    assert model.score(tmp_path / "said.txt") == model.score(text)
    with pytest.raises(CorpusError, match="the model does not know '#'"):
        model.probabilities("#")
    np.testing.assert_array_equal(model.probabilities("#", replacement=" "), model.probabilities(" "))


def test_a_model_writes_as_the_command_does(nbrnn, run_folder):
    from nbrnn import Model

    typed = nbrnn("sample", run_folder, "--length", "40", "--seed", "5", "--prime", "the").stdout
    model = Model(run_folder)
    assert model.sample(40, prime="the", seed=5) == typed.removeprefix("the").removesuffix("\n")
    from_zero = nbrnn("sample", run_folder, "--length", "40", "--state", "zero").stdout
    assert model.sample(40, state="zero") == from_zero.removesuffix("\n")
    kept, zero = ([model.sample(40, state=s, seed=n) for n in range(50)] for s in ("kept", "zero"))
    assert kept != zero
    with pytest.raises(StoreError):
        Model(run_folder.parent)


# ---------------------------------------------------------------- sweeps


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ({"sigma": [0.01, 0.1], "epochs": [2]}, {"sigma": "0.01,0.1"}),
        ({"hidden": 50}, {"hidden": "50"}),
        ({"hidden": range(3, 6), "eta": (1, 0.5, 1)}, {"hidden": "3:5", "eta": "1,0.5"}),
        ({"eta": np.array([0.1, 0.2])}, {"eta": "0.1,0.2"}),
        ({"hidden": [np.int64(5)], "eta": np.float64(0.5)}, {"hidden": "5", "eta": "0.5"}),
        ({"updates": [10]}, {"updates": "10"}),
        ({"dtype": "float64"}, {"dtype": "float64"}),
        ({"dtype": ["float32", "float64"]}, {"dtype": "float32,float64"}),
    ],
)
def test_values_make_the_grid_that_texts_make(values, texts):
    ours, typed = grid_of(values, range(5)), grid(texts)
    assert ours == typed
    assert isinstance(ours, Grid)
    assert json.dumps(ours.describe()) == json.dumps(typed.describe())
    assert grid_of(values, np.arange(2), 1, 5) == grid({**texts, "seed": "0,1"}, 1, 5)


HOLDS_ITSELF = {}
HOLDS_ITSELF["sigma"] = HOLDS_ITSELF


@pytest.mark.parametrize(
    ("values", "seeds", "said"),
    [
        ({"sigm": [1]}, [0], "no such setting: 'sigm'; did you mean sigma?"),
        ({"seed": [1]}, [0], "give seeds"),
        ({"sigma": []}, [0], "sigma: the list is empty"),
        ({"sigma": [0.1]}, [], "seed: the list is empty"),
        ({"sigma": {1: 2}}, [0], "not a dictionary"),
        (HOLDS_ITSELF, [0], "not a dictionary"),
        ({1: [2]}, [0], "no such setting: 1"),
        ([("sigma", 1)], [0], "settings must be a dictionary"),
        ({"sigma": itertools.count()}, [0], "more than 10,000 values"),
        ({"hidden": b"ab"}, [0], "must be a whole number"),
        ({"optimizer": [np.array([1, 2])]}, [0], "--optimizer must be"),
        ({}, 3, r"seeds must be a list: range\(3\) for 3 seeds, \[3\] for one"),
        ({}, np.int64(3), "seeds must be a list"),
        ({"sigma": ["0.1"]}, [0], "must be a number"),
        ({"sigma": "0.1,0.2"}, [0], "must be a number"),
        ({"sigma": [-1]}, [0], "must be at least"),
        ({"hidden": [1.5]}, [0], "must be a whole number"),
        ({"updates": [1], "epochs": [1]}, [0], "not both"),
        ({}, [-1], "must be at least"),
    ],
)
def test_what_is_no_grid(values, seeds, said):
    with pytest.raises(ConfigError, match=said):
        grid_of(values, seeds)


def test_a_sweep_returns_its_runs(here, corpus):
    runs = nbrnn.sweep({**SMALL, "sigma": [0.01, 0.1]}, corpus, seeds=range(2), quiet=True)
    lists = {"hidden": "5", "updates": "200", "sample_every": "0", "sigma": "0.01,0.1", "seed": "0:1"}
    typed = sweep(grid(lists), corpus, SweepFolder(here / "typed"))
    assert set(runs["run_id"]) == {job.run_id for job in typed.jobs}
    assert set(runs["status"]) == {"finished"}
    for row in runs.to_dict("records"):
        again = typed.summaries[row["run_id"]]
        assert row["smooth_loss_best"] == again.smooth_loss_best
        assert nbrnn.Model(row["folder"]).config.sigma == row["sigma"]
    (folder,) = (here / "results").iterdir()
    assert folder.name == grid(lists).name("made-up")
    more = nbrnn.sweep({**SMALL, "sigma": 0.3}, corpus, folder, seeds=[5], quiet=True)
    assert list(more["sigma"]) == [0.3]
    assert len(nbrnn.read_runs(folder)) == 5
    for options in (
        {"jobs": 0}, {"jobs": "2"}, {"jobs": 1.0}, {"jobs": True}, {"backend": "threads"},
        {"backend": ["loky"]}, {"backend": "dask"}, {"scheduler": 5}, {"max_failures": 0},
        {"max_failures": "1"}, {"random": 1.0}, {"random": True}, {"sweep_seed": "0"},
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="--"):
            nbrnn.sweep(SMALL, corpus, "s", **options)
    with pytest.warns(UserWarning, match="1 of 1 runs did not finish.*diverged"):
        nbrnn.sweep({**SMALL, "eta": 1e30}, corpus, "s", seeds=[0], quiet=True)


def test_read_runs_finds_all_below_a_folder(here, corpus):
    for text in (corpus, Corpus.from_text("another text " * 100, "other")):
        nbrnn.run(nbrnn.RunConfig(**SMALL), text, quiet=True)
        nbrnn.sweep({**SMALL, "sigma": [0.01, 0.2]}, text, seeds=[0], quiet=True)
    runs = nbrnn.read_runs()
    assert len(runs) == 6
    assert sorted(set(runs["corpus"])) == ["made-up", "other"]
    assert list(nbrnn.read_runs(runs["folder"][0])["run_id"]) == [runs["run_id"][0]]
    (here / runs["folder"][0] / "summary.json").write_text("{}")
    with pytest.warns(UserWarning, match="left out of the table: .*summary.json"):
        assert len(nbrnn.read_runs()) == 5
    with pytest.raises(StoreError, match="there is no run"):
        nbrnn.read_runs(here / "nowhere")


@pytest.mark.parametrize("many", [False, True])
def test_an_interrupt_leaves_checkpoints_and_is_raised(here, corpus, monkeypatch, many):
    from nbrnn.progress_bars import RunDisplay, SweepDisplay

    sent = []

    def interrupt(*arguments):
        if not sent:
            sent.append(os.kill(os.getpid(), signal.SIGINT))

    monkeypatch.setattr(SweepDisplay if many else RunDisplay, "progressed", interrupt)
    length = {"hidden": 5, "updates": 10**7}
    with pytest.raises(KeyboardInterrupt):
        if many:
            nbrnn.sweep({**length, "sigma": [0.1, 0.2]}, corpus, "s", seeds=[0], jobs=2, quiet=True)
        else:
            nbrnn.run(nbrnn.RunConfig(**length), corpus, "s", quiet=True)
    runs = nbrnn.read_runs("s")
    assert set(runs["status"]) == {"interrupted"}
    assert runs["updates"].max() > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_works_in_a_thread(here, corpus):
    done = []
    thread = threading.Thread(
        target=lambda: done.append(nbrnn.run(nbrnn.RunConfig(**SMALL), corpus, quiet=True))
    )
    thread.start()
    thread.join()
    assert done[0].summary.status == "finished"


# ---------------------------------------------------------------- in Jupyter


def notebook(*cells, folder):
    """Return the outputs of a notebook's cells, run by Jupyter's own kernel."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [cell.outputs for cell in book.cells]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what Jupyter's packages warn of is theirs
def test_a_notebook_shows_progress_and_the_loss(text_file, tmp_path):
    _, run, many, quiet, last = notebook(
        "import nbrnn\nfrom IPython.display import DisplayHandle\n"
        "shown, update = [], DisplayHandle.update\n"
        "def note(handle, page):\n"
        "    table = hasattr(page, 'columns')\n"
        "    shown.append(page._repr_mimebundle_([], [])['text/plain'] if table else page.data)\n"
        "    update(handle, page)\n"
        "DisplayHandle.update = note",
        f"nbrnn.run(nbrnn.RunConfig(hidden=20, updates=20000), {str(text_file)!r})",
        f"nbrnn.sweep({{'hidden': [5, 6], 'updates': 2000}}, {str(text_file)!r}, seeds=[0])",
        f"nbrnn.run(nbrnn.RunConfig(hidden=5, updates=20), {str(text_file)!r}, quiet=True)",
        "shown",
        folder=tmp_path,
    )
    assert "image/png" in run[-1].data
    assert "Model('results/made_up" in run[-1].data["text/plain"]
    said = "".join(output.data.get("text/plain", "") for output in run[:-1])
    assert "Training in results/made_up" in said
    assert "<table" in many[-1].data["text/html"]
    assert [output.output_type for output in quiet] == ["execute_result"]
    bars = ast.literal_eval(last[0].data["text/plain"])
    assert re.search(r"epoch .*/.* · smooth loss .* nats/window · [\d,]+ updates/s .*━", bars[0])
    assert any("runs" in bar and "hidden 5, seed 0" in bar for bar in bars)
    assert bars[-1] == ""


def test_a_sweep_returns_runs_that_went_on_and_texts_of_several_names(here, text):
    for name in ("a.txt", "b.txt"):
        (here / name).write_text(text)
    settings = {**SMALL, "sigma": 0.1}
    for name in ("a.txt", "b.txt", "a.txt"):
        assert len(nbrnn.sweep(settings, name, here / "s", seeds=range(2), quiet=True)) == 2
    longer = nbrnn.RunConfig(**{**SMALL, "updates": 300}, sigma=0.1, seed=0)
    first = nbrnn.sweep(settings, "a.txt", here / "s", seeds=[0], quiet=True)["folder"][0]
    nbrnn.run(longer, "a.txt", first, quiet=True)
    assert len(nbrnn.sweep(settings, "a.txt", here / "s", seeds=range(2), quiet=True)) == 2


def test_an_ignored_interrupt_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with DeferredInterrupt() as interrupt:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert not interrupt.waiting()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("call", [nbrnn.read_runs, nbrnn.check])
@pytest.mark.parametrize("wrong", [5, None, b"results", []])
def test_a_path_that_is_none(call, wrong):
    with pytest.raises(NbrnnError, match="got"):
        call(wrong)
