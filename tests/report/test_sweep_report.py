"""What a reader gets: files, pictures, and a page that works in a real browser."""

import base64
import hashlib
import html
import json
import re
from xml.etree import ElementTree

import child_processes
import pytest
from harness import LISTS, csv_rows, no_pictures, one_line_error, wait_until
from msgspec import structs

from nbrnn.report.report_folder import sweep_files
from nbrnn.report.sweep_report import report
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.run_logs import LOGS, METRICS
from nbrnn.storage.schemas import MetricsRow
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.sweep import sweep

pytestmark = pytest.mark.usefixtures("without_pictures")

SMALL = {"epochs": "2", "hidden": "5", "sample_every": "100", "sample_length": "60"}
NAMES = ["runs", "settings", "comparison", "effects", "tries"]
TABLES = [f"{name}.{kind}" for name in NAMES for kind in ("csv", "md", "tex")]
OTHERS = [f"{name}-smooth_loss_final.tex" for name in ("settings", "comparison")]
OTHERS += [f"{name}-epoch_mean_loss_last.tex" for name in ("settings", "comparison")]
TABLES = ["answer.md", *TABLES, *OTHERS, "samples.md", "reproducibility.tex"]


def pictures(*names):
    return [f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")]


def take(folder, seconds_of):
    """Let the runs of a sweep have taken so many seconds for an update."""
    for run in SweepFolder(folder).runs():
        config, _ = run.read_config()
        summary = run.read_summary()
        seconds = summary.updates * seconds_of(config)
        run.write_summary(structs.replace(summary, seconds=seconds, updates_per_second=1000.0))


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    """Return the folder of a sweep over two numbers, with settings that diverge."""
    path = tmp_path_factory.mktemp("sweep")
    lists = {**SMALL, "sigma": "0.01,0.1", "eta": "0.1,0.02,1e30", "seed": "0:3"}
    with no_pictures():
        sweep(grid(lists), corpus, SweepFolder(path))
    take(path, lambda config: 1e-3)
    return path


@pytest.fixture(scope="module")
def written(folder):
    return report([folder], folder / "report")


def test_all_files_are_there(folder, written):
    expected = [*TABLES, *pictures("loss", "best", "heat"), "analyses.json", "index.html"]
    assert sorted(written.files) == sorted(expected)
    assert set(expected) <= {"index.html", *sweep_files()}  # which a report of one run deletes
    assert sorted(path.name for path in (folder / "report").iterdir()) == sorted([".lock", *expected])
    for name in expected:
        data = (folder / "report" / name).read_bytes()
        if name.endswith(".png"):
            assert data.startswith(b"\x89PNG")
        elif name.endswith(".svg"):
            assert b"<svg" in data
        elif name.endswith(".pdf"):
            assert data.startswith(b"%PDF")


@pytest.mark.slow
def test_the_same_files_come_out_again(folder, written, tmp_path):
    report([folder], tmp_path)
    for name in written.files:
        if name != "index.html":  # which has the time in it
            assert (tmp_path / name).read_bytes() == (folder / "report" / name).read_bytes(), name


def test_csv_and_json_say_the_same(folder, written):
    document = json.loads(json.dumps(written.document(), allow_nan=False))
    for name in ("runs", "settings", "comparison"):
        rows = csv_rows(folder / "report" / f"{name}.csv")
        assert len(rows) == len(document[name])
        for row, record in zip(rows, document[name], strict=True):
            assert list(row) == list(record)
            for column, value in record.items():
                text = row[column]
                shown = "" if value is None else str(value)
                assert (float(text) == value) if isinstance(value, float) else text == shown


def test_samples_are_those_of_best_median_and_worst_seed(folder, written):
    results = written.results
    setting = results.configurations["setting"][0]
    seeds = list(results.finished_by_seed(setting))
    losses = [
        results.finished_by_seed(setting)[seed].folder.read_summary().smooth_loss_best for seed in seeds
    ]
    assert losses == sorted(losses)
    text = (folder / "report" / "samples.md").read_text()
    part = text.partition(f"## {setting}\n")[2].partition("\n## ")[0]
    heads = re.findall(r"<th>(\w+) seed, (\d)</th>", part)
    assert heads == [("best", str(seeds[0])), ("median", str(seeds[1])), ("worst", str(seeds[3]))]
    rows = re.findall(r"<td>update (\d+)</td>(.*?)</tr>", part, re.DOTALL)
    assert [update for update, _ in rows] == ["0", "100", "300"]
    for update, cells in rows:
        for (_, seed), cell in zip(
            heads, re.findall(r"<pre>(.*?)</pre>", cells, re.DOTALL), strict=True
        ):
            samples = results.finished_by_seed(setting)[int(seed)].folder.read_samples()
            (sample,) = (s.text for s in samples if s.update == int(update))
            assert html.unescape(cell) == sample


@pytest.mark.slow
def test_one_run_and_three_swept_settings(corpus, run_folder, tmp_path):
    files = report([run_folder], tmp_path / "one").files
    assert set(files) >= {"settings.csv", *pictures("loss", "best"), "index.html"}
    assert not set(files) & set(pictures("heat"))
    assert "one configuration only" in (tmp_path / "one" / "comparison.md").read_text()
    lists = {**SMALL, "updates": "50", "hidden": "2,3", "eta": "0.1,0.2", "dtype": "float32,float64"}
    del lists["epochs"]
    sweep(grid({**lists, "seed": "0"}), corpus, SweepFolder(tmp_path / "s"))
    take(tmp_path / "s", lambda config: 1e-3 * config.hidden)
    files = report([tmp_path / "s"], tmp_path / "one").files  # where one picture is not made any more
    assert set(files) >= {*TABLES[:10], *pictures("loss", "best", "heat", "seconds"), "index.html"}


@pytest.mark.slow
def test_several_reports_into_one_folder_at_once(folder, tmp_path, fork):
    command = ["report", folder, "--out", tmp_path / "r", "-q"]
    three = [fork(child_processes.program_without_pictures, command, tmp_path) for _ in range(3)]
    assert [child.wait() for child in three] == [0, 0, 0]


def test_a_report_while_the_sweep_runs(corpus, tmp_path):
    counts = iter(range(3))
    lists = {**SMALL, "epochs": "100", "sigma": "0.01,0.1", "seed": "0"}
    sweep(grid(lists), corpus, SweepFolder(tmp_path), jobs=1, stop=lambda: next(counts, 9) > 2)
    (run,) = SweepFolder(tmp_path).runs()
    run.append_to_logs({METRICS: LOGS[METRICS].encode([MetricsRow(100, 0, 80.0, 80.0)])})
    written = report([tmp_path], tmp_path / "report", refresh=10)
    assert written.results.configurations["unfinished"].tolist() == [1]
    assert "loss.png" in written.files
    assert 'http-equiv="refresh" content="10"' in (tmp_path / "report" / "index.html").read_text()


# ---------------------------------------------------------------- the page


def without_script(page):
    """Return the page without its script."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_page_needs_nothing_else(folder, written):
    page = without_script((folder / "report" / "index.html").read_text())
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "://" not in re.sub(r"base64,[^\"]*", "", page)
    assert "default-src 'none'" in html.unescape(page)
    assert not re.search(r"@import|url\((?!#)", page)


def test_only_its_own_script_runs(folder, written):
    page = (folder / "report" / "index.html").read_text()
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(page)
    assert "<!--" not in script


def test_the_pictures_are_in_the_page(folder, written):
    page = (folder / "report" / "index.html").read_text()
    found = re.findall(r"<svg .*?</svg>", without_script(page), re.DOTALL)
    assert len(found) == 3
    ids = re.findall(r" id=\"([^\"]*)", without_script(page))
    assert len(ids) == len(set(ids))
    for picture in found:
        inner = ElementTree.fromstring(picture)
        assert inner.get("aria-label")
        drawn = {element.get("id") for element in inner.iter()}
        assert set(re.findall(r"(?:href=\"|url\()#([^\")]*)", picture)) <= drawn
    best, loss, _ = found
    runs = written.results.runs.query("status == 'finished'")
    tips = [html.unescape(tip) for tip in re.findall(r"<title>(.*?)</title>", best, re.DOTALL)]
    said = {
        f"{loss:.5g}, seed {seed}: {setting}\n{run}"
        for loss, seed, setting, run in runs[
            ["smooth_loss_best", "seed", "setting", "run_id"]
        ].itertuples(index=False)
    }
    assert len(tips) == len(runs)
    assert set(tips) == said
    assert "sigma 0.1, eta" not in loss
    assert all(f"<title>{name}</title>" in loss for name in set(runs["setting"]))


@pytest.mark.slow
def test_the_page_fits_its_window(folder, written, browser):
    page = (folder / "report" / "index.html").read_text()
    widths = """[...document.querySelectorAll("figure svg")].map(picture => picture.clientWidth)"""
    loaded = """window.performance.getEntriesByType("resource").length"""
    page_width = "document.documentElement.scrollWidth, window.innerWidth"
    all_found = browser(page, [f"[{page_width}, {widths}, {loaded}]"], widths=(400, 1200))
    for width, (needed, there, pictures, loaded) in zip((400, 1200), all_found, strict=True):
        assert needed <= there <= width
        assert len(pictures) == 3
        assert all(200 < shown <= width for shown in pictures)
        assert loaded == 0


@pytest.mark.slow
def test_tables_can_be_sorted_and_filtered(folder, written, browser):
    page = (folder / "report" / "index.html").read_text()
    assert written.results.swept == ["eta", "sigma"]
    table = """[...document.querySelectorAll("table.sortable")].at(-1)"""
    rows = f"[...{table}.tBodies[0].rows].filter(row => !row.hidden)"
    values = f"{rows}.map(row => row.cells[%d].textContent.trim())"
    click = f"{table}.tHead.rows[0].cells[%d].click()"
    search = """[...document.querySelectorAll("input[type=search]")].at(-1)"""
    typed = f"""{{ {search}.value = "DIVERGED 1e+30"; {search}.dispatchEvent(new Event("input")) }}"""
    rising, falling, statuses, etas, filtered = browser(
        page,
        [click % 5, values % 5],
        [click % 5, click % 5, values % 5],
        [click % 3, values % 3],
        [click % 0, values % 0],
        [typed, values % 3],
    )
    numbers = [float(text) for text in rising if text != "-"]
    assert len(numbers) >= 16
    assert numbers == sorted(numbers)
    assert rising[len(numbers) :] == ["-"] * (24 - len(numbers))  # what is no number comes last
    assert [float(text) for text in falling if text != "-"] == sorted(numbers, reverse=True)
    assert falling[len(numbers) :] == ["-"] * (24 - len(numbers))
    assert statuses == ["diverged"] * 8 + ["finished"] * 16
    assert list(map(float, etas)) == [0.02] * 8 + [0.1] * 8 + [1e30] * 8
    assert filtered == ["diverged"] * 8


@pytest.mark.slow
def test_a_name_runs_no_script(folder, written, browser):
    page = (folder / "report" / "index.html").read_text()
    evil = '<img src="data:," onerror="document.title = 1"><script>document.title = 2</script>'
    attacked = page.replace("<h1>", f"<h1>{evil}")  # as if it had not been escaped
    (title,) = browser(attacked, ["document.title"])
    assert title.endswith(": eta and sigma - nbrnn")


# ---------------------------------------------------------------- the commands


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_report_and_compare(nbrnn, folder, tmp_path):
    done = nbrnn("report", folder, "--out", "here", "--json")
    document = json.loads(done.stdout)
    assert sorted([".lock", *document["files"]]) == sorted(p.name for p in (tmp_path / "here").iterdir())
    assert "index.html" in nbrnn("report", folder, "--out", "here").stdout
    done = nbrnn("compare", folder)
    assert done.stdout.splitlines()[1].startswith(
        "Best: eta 0.1, sigma 0.1: median smooth loss of the best model "
    )
    assert "diverged with all 4 seeds" in done.stdout
    assert len(done.stdout.splitlines()) <= 12
    comparison = json.loads(nbrnn("compare", folder, "--json").stdout)
    assert comparison == document["comparison"]
    alike = [run.path for run in SweepFolder(folder).runs() if "eta0.1-sigma0.01" in run.path.name]
    assert nbrnn("compare", *alike, "--json").stdout == "[]\n"
    line = one_line_error(nbrnn("report", folder, "--out", alike[0], code=2))
    assert "give another --out" in line
    for command in ("report", "compare"):
        assert "not the folder of a run or a sweep" in one_line_error(nbrnn(command, tmp_path, code=2))


@pytest.mark.slow
def test_watch_ends_with_the_sweep(nbrnn, text_file, tmp_path, fork, monkeypatch):
    lists = {**LISTS, "updates": "10000000"}
    sweeping = fork(
        child_processes.sweep_until_step, str(text_file), tmp_path / "s", lists, "threading", 0
    )
    sweeping.hear()
    wait_until(lambda: list(tmp_path.glob("s/runs/*/last.safetensors")))
    page = tmp_path / "s" / "report" / "index.html"

    def pause(seconds, signals):
        assert 'http-equiv="refresh"' in page.read_text()
        sweeping.kill()

    monkeypatch.setattr("nbrnn.cli.reports.pause", pause)
    done = nbrnn("report", "s", "--watch")
    assert done.stderr.splitlines() == [f"renewed: {page.relative_to(tmp_path)}"]
    assert "index.html" in done.stdout
    assert 'http-equiv="refresh"' not in page.read_text()
    assert {run.read_summary().status for run in SweepFolder(tmp_path / "s").runs()} == {"interrupted"}
    assert RunFolder(tmp_path / "s" / "report").is_run() is False
