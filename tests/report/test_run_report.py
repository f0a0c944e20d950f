"""The report of one run: everything that the assignment asks for, in all its forms."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from harness import DATA, TEXT, made_up_text, one_line_error

from nbrnn.analysis.run_facts import GENERATED, collect_facts
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, load
from nbrnn.report.report_folder import run_files, sweep_files
from nbrnn.report.run_figures import loss_figure
from nbrnn.report.run_report import report
from nbrnn.runs.run import run
from nbrnn.runs.sampling import sample
from nbrnn.storage.folder_locks import LOCK
from nbrnn.storage.run_folder import RunFolder

FILES = {
    *("index.html", "report.md", "gradcheck.json", "reproducibility.tex"),
    *(f"{name}.{kind}" for name in ("loss", "copying") for kind in ("png", "svg", "pdf")),
    *(f"{name}.tex" for name in ("setup", "gradcheck-max", "gradcheck-norm", "smooth", "losses")),
    *("copying.tex", "passages.tex"),
}
DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")

pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture(scope="module")
def written(run_folder, tmp_path_factory):
    return report(run_folder, tmp_path_factory.mktemp("reports") / "report")


@pytest.fixture(scope="module")
def page(written):
    return written.page.read_text()


@pytest.fixture(scope="module")
def held_out_run(text_file, tmp_path_factory):
    """Return the folder of a run with held-out text."""
    folder = tmp_path_factory.mktemp("runs") / "held-out"
    config = RunConfig(updates=300, hidden=20, validation=0.2, validate_every=100, sample_every=0)
    run(config, load(str(text_file)), folder)
    return folder


class Texts(HTMLParser):
    """Collects the texts of some elements."""

    def __init__(self, page, *tags):
        super().__init__()
        self.tags, self.depth, self.texts = tags, 0, []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag in self.tags:
            self.depth += 1
            self.texts.append("")

    def handle_endtag(self, tag):
        self.depth -= tag in self.tags

    def handle_data(self, data):
        if self.depth:
            self.texts[-1] += data


def test_all_files_are_there_and_said(written):
    assert {path.name for path in written.folder.iterdir()} == FILES | {".lock"}
    assert set(written.files) == FILES
    assert (written.folder / "loss.pdf").read_bytes().startswith(b"%PDF")


def test_the_page_needs_no_other_file_and_is_light(page):
    assert len(page.encode()) < 1_000_000
    sources = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", page)
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "<details" not in page
    assert "://" not in page


@pytest.mark.slow
def test_texts_on_the_page_are_those_of_the_run(page, run_folder, text):
    folder = RunFolder(run_folder)
    model = folder.read_checkpoint("best")
    shown = Texts(page, "pre").texts
    wanted = [each.text for each in folder.read_samples()] + [folder.read_text()]
    wanted += [sample(model, 300, temperature=t) for t in (0.3, 0.7, 1.2)]
    wanted += [sample(model, 300, top_p=p) for p in (0.5, 0.8, 0.95)]
    assert [each.strip("\n") for each in shown] == [each.strip("\n") for each in wanted]
    (copied,) = Texts(page, "mark").texts
    longest = max((each for each in passages(folder.read_text()) if each in text), key=len, default="")
    assert len(copied) == len(longest)
    assert copied in text


def passages(text):
    return (text[a:b] for a in range(len(text)) for b in range(a + 1, min(a + 300, len(text)) + 1))


def test_numbers_are_those_of_the_run(written, page, run_folder):
    summary = RunFolder(run_folder).read_summary()
    cells = Texts(page, "td").texts
    for value in (summary.smooth_loss_best, summary.bits_per_character_final):
        assert f"{value:.{2 if value >= 10 else 3}f}" in cells
    assert f"{summary.score_best:.3f}" in cells
    assert f"{written.facts.gradient.largest:.1e}" in cells
    assert "Passed: the largest relative error" in page
    markdown = (written.folder / "report.md").read_text()
    for cell in filter(None, cells):
        assert f"| {html.escape(cell, quote=False)} |" in markdown or cell.startswith("|")


def test_tables_are_latex_with_booktabs(written):
    for file in set(written.folder.glob("*.tex")) - {written.folder / "reproducibility.tex"}:
        text = file.read_text()
        body = re.search(r"\\toprule\n(.*)\\bottomrule", text, re.DOTALL)[1]
        rows = [line for line in body.splitlines() if line != "\\midrule"]
        columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
        assert all(row.endswith(r" \\") for row in rows)
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
        words = text.partition("\n")[2].replace(r"$\hookleftarrow$", "")
        assert not re.search(r"(?<!\\)[%#_$]", words)
        assert f"\\label{{tab:{file.stem}}}" in text


@pytest.mark.slow
def test_the_same_run_gives_the_same_report_but_for_the_date(written, run_folder, tmp_path):
    again = report(run_folder, tmp_path / "again")
    for name in FILES:
        first, second = ((each.folder / name).read_bytes() for each in (written, again))
        if name == "index.html":
            first, second = (DATE.sub("", each.decode()) for each in (first, second))
        assert first == second, name


@pytest.mark.slow
def test_the_picture_shows_where_the_run_learned(run_folder, held_out_run, tmp_path):
    for path in (run_folder, held_out_run):
        folder = RunFolder(path)
        figure = loss_figure(collect_facts(folder, None, tmp_path / "none"))
        bottom, top = figure.axes[0].get_ylim()
        metrics, config = folder.read_metrics(), folder.read_config()[0]
        losses = metrics.smooth_loss / (config.characters_in_loss if config.validation else 1)
        assert bottom < losses.min() < losses[len(losses) // 20 :].max() < top
        said = [text.get_text() for text in figure.axes[0].texts]
        assert any("bigram model" in each for each in said)
        assert any("unigram model" in each for each in said)


@pytest.mark.usefixtures("without_figures")
def test_held_out_text_is_compared_with(held_out_run, text):
    written = report(held_out_run, held_out_run / "report")
    names = [each.text for each in written.facts.losses]
    assert names == ["training text, beginning", "held-out text"]
    assert written.facts.losses[1].characters == 999
    assert written.facts.losses[1].zero == pytest.approx(
        RunFolder(held_out_run).read_summary().validation_best, rel=1e-6
    )
    training, held_out = text[:4000], text[4000:]
    grams = [held_out[n : n + 20] for n in range(len(held_out) - 19)]
    share = np.mean([gram in training for gram in grams])
    assert written.facts.overlaps["held-out text"].share(20) == pytest.approx(share)
    assert "the samples: none is drawn with --sample-every 0" in written.facts.missing


# ---------------------------------------------------------------- runs that lack something


@pytest.mark.usefixtures("without_figures")
def test_a_text_that_is_not_at_hand_is_said_and_may_be_given(nbrnn, tmp_path):
    config = shutil.copytree(DATA / "run", tmp_path / "run") / "config.json"
    config.write_text(config.read_text().replace("/home/anna/moor.txt", str(tmp_path / "gone.txt")))
    shown = nbrnn("report", "run").stdout
    assert "not available: the text" in shown
    assert "gone.txt: no such file" in shown
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "Not available: the text" in page
    assert "Gradient check" not in page
    assert "Text of the best model" in page
    told = json.loads(nbrnn("report", "run", "--text", TEXT, "--json").stdout)
    assert told["missing"] == []
    assert told["gradient_check"]["hidden"] == [5]
    assert told["copying"][0]["text"] == GENERATED
    assert "gradcheck.json" in told["files"]
    again = json.loads(nbrnn("report", "run", "--json").stdout)  # without the text it is kept
    assert again["gradient_check"] == told["gradient_check"]
    assert again["copying"] == []


@pytest.mark.usefixtures("without_figures")
def test_another_text_is_none(nbrnn, tmp_path):
    shutil.copytree(DATA / "run", tmp_path / "run")
    (tmp_path / "other.txt").write_text(made_up_text(5000, seed=3))
    line = one_line_error(nbrnn("report", "run", "--text", "other.txt", "--json", code=2))
    assert "other.txt is not the text of this run" in line
    line = one_line_error(nbrnn("report", "run", "--text", "none.txt", code=2))
    assert "none.txt: no such file" in line
    assert not (tmp_path / "run" / "report" / "index.html").exists()
    line = one_line_error(nbrnn("report", DATA / "sweep", "--text", "other.txt", code=2))
    assert "--text has no effect on the report of a sweep" in line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["interrupted", "resumed"])
def test_old_and_unfinished_runs_are_reported(nbrnn, tmp_path, monkeypatch, name):
    monkeypatch.setattr("nbrnn.report.report_folder.KINDS", ("png", "svg"))
    shutil.copytree(DATA / name, tmp_path / "run")
    told = json.loads(nbrnn("report", "run", "--text", TEXT, "--json").stdout)
    assert len(told["text"]) == 1000
    assert {"loss.png", "copying.png"} <= set(told["files"])
    assert told["summary"]["status"] in (tmp_path / "run" / "report" / "report.md").read_text().lower()


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    "name", ["best.safetensors", "metrics.csv", "samples.jsonl", "ngrams.safetensors"]
)
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"\0nonsense\n" * 2)])
def test_what_is_damaged_is_said_and_the_rest_is_shown(nbrnn, tmp_path, name, damage):
    shutil.copytree(DATA / "run", tmp_path / "run")
    damage(tmp_path / "run" / name)
    if name == "metrics.csv":  # which only the picture shows
        facts = collect_facts(RunFolder(tmp_path / "run"), TEXT, tmp_path / "none")
        facts.get_or_note("the loss curve", lambda: loss_figure(facts))
        missing = facts.missing
    else:
        missing = json.loads(nbrnn("report", "run", "--text", TEXT, "--json").stdout)["missing"]
    assert len(missing) == 1
    assert name in missing[0]


@pytest.mark.usefixtures("without_figures")
def test_a_run_that_diverged(nbrnn, text_file):
    short = ["--updates", "300", "--hidden", "5", "--out", "d", "-q"]
    nbrnn("train", text_file, "--eta", "1e30", *short, code=1)
    assert "d: diverged at update" in nbrnn("report", "d").stdout


@pytest.mark.slow
def test_imported_weights(nbrnn, run_folder, text_file, tmp_path):
    nbrnn("export", run_folder, "w.npz")
    nbrnn("import", "w.npz", "--text", text_file, "--out", "i")
    told = json.loads(nbrnn("report", "i", "--json").stdout)
    assert (told["missing"], told["gradient_check"], told["samples"]) == ([], None, [])
    assert "loss.png" not in told["files"]
    assert told["losses"][0]["zero"] < told["losses"][0]["unigram"]
    page = (tmp_path / "i" / "report" / "index.html").read_text()
    assert "m = 20, imported" in page
    assert "adagrad" not in page


@pytest.mark.usefixtures("without_figures")
def test_only_one_run_has_this_report(nbrnn, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "a")
    nbrnn("report", "a", run_folder, "-q")  # into the first one's folder
    assert (tmp_path / "a" / "report" / "runs.csv").exists()
    nbrnn("report", "a", "-q")
    assert not (tmp_path / "a" / "report" / "runs.csv").exists()
    assert (tmp_path / "a" / "report" / "report.md").exists()
    names = {path.name for path in (tmp_path / "a" / "report").iterdir()}
    assert names <= {"index.html", LOCK, *run_files()}
    nbrnn("report", "a", run_folder, "-q")
    names = {path.name for path in (tmp_path / "a" / "report").iterdir()}
    assert names <= {"index.html", LOCK, *sweep_files()}


@pytest.mark.usefixtures("without_figures")
def test_a_hostile_text_is_shown_as_characters(tmp_path):
    text = "<script>alert(1)</script> ``` | \\ & \x1b[31m \u202e {{ x }} %\n" * 200
    corpus = Corpus.from_text(text, "<b>x</b>|`")
    run(RunConfig(updates=200, hidden=5, sample_every=100), corpus, tmp_path / "h")
    (tmp_path / "h.txt").write_text(text)
    written = report(tmp_path / "h", text=tmp_path / "h.txt")
    page = written.page.read_text()
    assert page.count("<script") == 1
    assert "<b>x" not in page
    for name in ("index.html", "report.md", "passages.tex"):
        assert not set("\x1b\u202e") & set((written.folder / name).read_text()), name
    markdown = (written.folder / "report.md").read_text()
    fences = re.findall(r"^(`{3,})text\n(.*?)\n\1$", markdown, re.MULTILINE | re.DOTALL)
    assert len(fences) + markdown.count("<pre>") == len(Texts(page, "pre").texts)
    assert markdown.count("<pre>") == 6
    assert all(fence not in block for fence, block in fences)
