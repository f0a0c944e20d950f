"""Successive halving: the same bits and decisions however it is done, and nothing is lost by it."""

import json
import math
import random
import shutil
import signal
from pathlib import Path

import child_processes
import pytest
from harness import Events, no_pictures, one_line_error, sweep_bits
from msgspec import structs

from nbrnn.analysis.result_tables import read_results
from nbrnn.analysis.run_facts import collect_facts
from nbrnn.corpus import load
from nbrnn.errors import ConfigError
from nbrnn.progress_bars import describe_failures
from nbrnn.report.sweep_answer import answers
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Halving, Summary
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import grid
from nbrnn.sweeps.job import run_job
from nbrnn.sweeps.planning import plan
from nbrnn.sweeps.successive_halving import HalvingRounds, halving_of, loss_after
from nbrnn.sweeps.sweep import sweep as sweep_all

# Two of the eight configurations diverge.
LISTS = {
    "updates": "800", "hidden": "20", "sample_every": "150", "sample_length": "30", "seed": "0:1",
    "eta": "0.05,0.1,0.2,1e30", "sigma": "0.01,0.1",
}  # fmt: skip
HELD_OUT = {**LISTS, "validation": "0.2", "validate_every": "50", "eta": "0.05,0.1,0.2", "loss": "mean"}
HALVING = Halving(rate=2)


def sweep(lists, corpus, folder, **options):
    with no_pictures():
        return sweep_all(grid(lists), corpus, SweepFolder(folder), **options)


def rounds_of(folder):
    return [request.halving.rounds for request in SweepFolder(folder).read_requests() if request.halving]


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """Return the folder of a sweep without halving."""
    folder = tmp_path_factory.mktemp("whole")
    sweep(LISTS, corpus, folder)
    return folder


@pytest.fixture(scope="module")
def whole_held_out(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole-held-out")
    sweep(HELD_OUT, corpus, folder)
    return folder


@pytest.fixture(scope="module")
def halved(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halved")
    outcome = sweep(LISTS, corpus, folder, halving=HALVING, jobs=2)
    assert (outcome.count("finished"), outcome.count("dropped"), outcome.count("diverged")) == (2, 10, 4)
    return folder


def survivors(records, shares, rate, losses_of):
    """Return which configurations are kept in each round, by the histories of whole runs."""
    left, kept = {(record.config.eta, record.config.sigma) for record in records}, []
    for share in shares:
        means = {}
        for configuration in left:
            runs = [r for r in records if (r.config.eta, r.config.sigma) == configuration]
            losses = [
                [loss for update, loss in zip(*losses_of(run), strict=True) if update <= 800 * share]
                for run in runs
            ]
            whole = all(run.summary.updates >= 800 * share for run in runs)
            means[configuration] = sum(map(min, losses)) / len(runs) if whole else math.inf
        left = set(sorted(left, key=means.get)[: math.ceil(len(left) / rate)])
        kept.append(left)
    return kept


@pytest.mark.slow
@pytest.mark.parametrize(("lists", "rate"), [(LISTS, 2), (HELD_OUT, 3)], ids=["smooth", "held out"])
def test_those_are_kept_that_are_best_so_far(corpus, tmp_path, whole, whole_held_out, lists, rate):
    records = read_results([whole if lists is LISTS else whole_held_out]).records
    history = (
        (lambda r: (r.evaluations, r.validation_losses))
        if lists is HELD_OUT
        else (lambda r: (r.updates, r.smooth_losses))
    )
    outcome = sweep(lists, corpus, tmp_path / "halved", halving=Halving(rate=rate))
    (rounds,) = rounds_of(tmp_path / "halved")
    shares = [one.share for one in rounds]
    assert shares == sorted(rate**-k for k in range(1, len(shares) + 1))
    settings = {job.run_id: (job.config.eta, job.config.sigma) for job in outcome.jobs}
    kept = [{settings[standing.runs[0]] for standing in one.kept} for one in rounds]
    looks = [rounds[i].kept[0].update / 800 for i in range(len(rounds))]
    assert kept == survivors(records, looks, rate, history)
    for one in rounds:
        losses = [standing.loss for standing in (*one.kept, *one.dropped) if standing.loss is not None]
        assert losses == sorted(losses)
        assert all(len(standing.runs) == 2 for standing in (*one.kept, *one.dropped))


@pytest.mark.slow
def test_kept_runs_are_whole_ones_and_dropped_ones_become_so(corpus, tmp_path, whole, halved):
    (rounds,) = rounds_of(halved)
    bits, expected = sweep_bits(halved), sweep_bits(whole)
    kept = {run_id for standing in rounds[-1].kept for run_id in standing.runs}
    assert len(kept) == 2
    for run_id in kept:
        assert bits[run_id] == expected[run_id]
        one, other = (SweepFolder(folder).run(run_id) / "config.json" for folder in (halved, whole))
        assert one.read_bytes() == other.read_bytes()
    folder, events = shutil.copytree(halved, tmp_path / "copy"), Events()
    again = sweep(LISTS, corpus, folder, halving=HALVING, observer=events)
    assert (again.done_before, events.starts) == (16, [])
    assert (again.count("finished"), again.count("dropped"), len(again.failures())) == (2, 10, 4)
    assert sweep_bits(folder) == bits
    outcome = sweep(LISTS, corpus, folder)
    assert outcome.count("finished") == 12
    assert sweep_bits(folder) == expected
    assert rounds_of(folder) == rounds_of(halved)
    assert not (read_results([folder]).runs["status"] == "dropped").any()


def test_a_beginning_is_worth_what_a_short_run_is(corpus, tmp_path):
    losses = []
    for updates in (200, 800):
        lists = {**LISTS, "eta": "3", "sigma": "0.1", "seed": "0", "updates": str(updates)}
        (job,) = sweep(lists, corpus, tmp_path / str(updates)).jobs
        losses.append(loss_after(job, 200, False, len(corpus)))
    first = RunFolder(job.folder).read_metrics().smooth_loss[0] / job.config.characters_in_loss
    assert losses[0] == losses[1] == first  # nothing was learned, and the first model is the best


@pytest.mark.slow
def test_processes_change_nothing(corpus, tmp_path, halved):
    sweep(LISTS, corpus, tmp_path, halving=HALVING, jobs=2, backend="loky")
    assert sweep_bits(tmp_path) == sweep_bits(halved)
    assert rounds_of(tmp_path) == rounds_of(halved)


@pytest.mark.slow
def test_stopped_anywhere_it_goes_on_with_what_was_decided(corpus, tmp_path, halved):
    for starts in (3, 5, 9, 12):
        events = Events()
        stop = lambda events=events, starts=starts: len(events.starts) >= starts  # noqa: E731
        outcome = sweep(LISTS, corpus, tmp_path, halving=HALVING, observer=events, stop=stop, jobs=1)
        assert outcome.count("finished") == 0
    before = rounds_of(tmp_path)[0]
    assert 0 < len(before) < 3
    events = Events()
    sweep(LISTS, corpus, tmp_path, halving=HALVING, observer=events)
    assert rounds_of(tmp_path) == rounds_of(halved)
    assert not {run_id for one in before for run_id in one.dropped_runs} & {
        run_id for run_id, _ in events.starts
    }
    assert sweep_bits(tmp_path) == sweep_bits(halved)


@pytest.mark.slow
def test_a_run_that_failed_is_tried_again_before_anything_is_decided(
    corpus, tmp_path, halved, monkeypatch
):
    victim = rounds_of(halved)[0][-1].kept[0].runs[1]  # of the best configuration

    def without_memory(job, *arguments):
        if job.run_id == victim:
            return Summary(status="failed", reason="no memory")
        return run_job(job, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr("nbrnn.sweeps.sweep.run_job", without_memory)
        outcome = sweep(LISTS, corpus, tmp_path, halving=HALVING)
    assert (outcome.undecided, outcome.failures()[victim]) == (True, "failed: no memory")
    assert rounds_of(tmp_path) == [[]]
    assert "no configuration is dropped until" in describe_failures(outcome)
    outcome = sweep(LISTS, corpus, tmp_path, halving=HALVING)
    assert not outcome.undecided
    assert rounds_of(tmp_path) == rounds_of(halved)
    assert sweep_bits(tmp_path) == sweep_bits(halved)


def test_a_request_without_a_length_wants_the_default(tmp_path, halved):
    folder = SweepFolder(shutil.copytree(halved, tmp_path / "copy"))
    (request,) = folder.read_requests()
    folder.write_requests([structs.replace(request, settings={**request.settings, "updates": []})])
    assert {length[:2] for length in folder.requested_lengths().values()} == {(None, None)}


@pytest.mark.slow
def test_decisions_are_those_on_disk(corpus, tmp_path, halved):
    folder = SweepFolder(shutil.copytree(halved, tmp_path / "copy"))
    (request,) = folder.read_requests()
    first, *_ = request.halving.rounds
    other = structs.replace(first, kept=first.dropped, dropped=first.kept)
    folder.replace_request(structs.replace(request, halving=structs.replace(HALVING, rounds=[other])))
    decided = structs.replace(HALVING, rounds=[other])
    rounds = HalvingRounds(plan(grid(LISTS), corpus, folder), decided, len(corpus))
    lengths = {job.run_id: job.config.updates for job in rounds.expected_jobs()}
    assert {run_id for run_id, length in lengths.items() if length == 100} == other.dropped_runs
    assert sorted(lengths.values()) == [100] * 8 + [200] * 4 + [400] * 2 + [800] * 2
    sweep(LISTS, corpus, folder.path, halving=HALVING)
    (rounds,) = rounds_of(folder.path)
    assert rounds[0] == other
    assert rounds[-1].kept[0].runs in [standing.runs for standing in first.dropped]
    sweep(LISTS, corpus, folder.path, halving=HALVING, force=True)
    assert rounds_of(folder.path) == rounds_of(halved)


@pytest.mark.slow
def test_after_a_longer_sweep_that_was_stopped(corpus, tmp_path, halved):
    folder, events = shutil.copytree(halved, tmp_path / "copy"), Events()
    sweep(LISTS, corpus, folder, observer=events, stop=lambda: len(events.reports) > 9, jobs=1)
    outcome = sweep(LISTS, corpus, folder, halving=HALVING)
    assert (outcome.count("finished"), outcome.count("failed")) == (2, 0)
    assert outcome.count("interrupted", "dropped") == 10
    folder, events = tmp_path / "new", Events()
    sweep(LISTS, corpus, folder, observer=events, stop=lambda: len(events.reports) > 30, jobs=1)
    sweep(LISTS, corpus, folder, halving=HALVING)
    assert rounds_of(folder) == rounds_of(halved)


@pytest.mark.slow
def test_kills_change_nothing(corpus, text_file, tmp_path, fork, halved):
    folder = tmp_path / "killed"
    child = fork(child_processes.halve_until_round, str(text_file), folder, LISTS, "threading", 1)
    assert child.wait() == -signal.SIGKILL
    (before,) = rounds_of(folder)
    assert len(before) == 1
    second = [run_id for what, run_id in child.told if what == "started"][-2:]
    kept = {run_id for standing in before[0].kept for run_id in standing.runs}
    assert set(second) < kept
    rng, events = random.Random(0), Events()
    for _ in range(4):
        step = rng.randrange(20, 60)
        args = str(text_file), folder, LISTS, "threading", step, HALVING
        assert fork(child_processes.sweep_until_step, *args).wait() == -signal.SIGKILL
    outcome = sweep(LISTS, load(str(text_file)), folder, halving=HALVING, observer=events)
    assert outcome.count("finished") == 2
    assert rounds_of(folder)[0][0] == before[0]
    assert not before[0].dropped_runs & {run_id for run_id, _ in events.starts}
    undisturbed = tmp_path / "undisturbed"
    sweep(LISTS, load(str(text_file)), undisturbed, halving=HALVING)
    assert rounds_of(folder) == rounds_of(undisturbed)
    assert sweep_bits(folder) == sweep_bits(undisturbed)
    assert not list(folder.rglob("*.tmp"))


def test_reports_do_not_rank_what_was_dropped(halved):
    results = read_results([halved])
    counts = results.runs["status"].value_counts().to_dict()
    assert counts == {"dropped": 10, "diverged": 4, "finished": 2}
    assert set(results.runs["updates_wanted"]) == {800}
    assert set(results.runs["updates"][results.runs["status"] == "dropped"]) == {100, 200, 400}
    assert results.configurations["dropped"].sum() == 10
    assert not results.configurations["unfinished"].any()
    assert len(results.findings.names) == 1
    said = answers(results)
    assert said[0].startswith("Best of the configurations kept: eta ")
    assert said[1] == (
        "Dropped, and not ranked: 5 of 8 configurations, 2 after 12.5 %, 2 after 25 %, 1 after 50 % "
        "of their updates."
    )
    assert any("dropped with both seeds" in text for text in results.comparison["sentence"])


def test_a_run_that_was_dropped_is_so_wherever_it_is_shown(halved, nbrnn, monkeypatch):
    runs = read_results([halved]).runs
    one, other = runs["run_id"][runs["status"] == "dropped"][:2]
    shown = json.loads(nbrnn("show", halved / "runs" / one, "--json").stdout)
    assert shown["summary"]["status"] == "dropped"
    facts = collect_facts(SweepFolder(halved).run(one), None, halved / "none")
    assert facts.summary.status == "dropped"
    monkeypatch.chdir(halved / "runs")
    assert [record.summary.status for record in read_results([Path(one), Path(other)]).records] == [
        "dropped"
    ] * 2


def test_the_rounds_of_configurations_and_lengths(corpus):
    def rounds(rate=2, start=None, **lists):
        length = {} if "epochs" in lists else {"updates": "1000"}
        wanted = grid({**length, "eta": "lin:0.1:1.6:16", "seed": "0", **lists})
        jobs = plan(wanted, corpus, SweepFolder("nowhere"))
        return HalvingRounds(jobs, Halving(rate=rate, start=start), len(corpus))

    def updates(rounds):
        return [rounds.length(rounds.jobs[0].config, number) for number in rounds.kept]

    assert updates(rounds()) == [100, 200, 300, 500]  # 63, 125, 250, 500 at the next look
    assert updates(rounds(start=0.25)) == [300, 500]
    assert updates(rounds(rate=4)) == [100, 300]
    assert updates(rounds(updates="64000")) == [4000, 8000, 16000, 32000]
    assert updates(rounds(warmup="250")) == [300, 500]
    assert updates(rounds(validation="0.1", validate_every="400")) == [400, 800]
    assert updates(rounds(eta="0.1,0.2,0.3")) == [300, 500]
    assert rounds(eta="0.1,0.2,0.3").schedule() == [([300] * 3, 3), ([500] * 3, 2), ([1000] * 3, 1)]
    once = rounds(validation="0.1", updates="700", validate_every="400")
    assert (updates(once), once.kept) == ([400], {1: 8})  # the better half, on one look
    assert list(rounds(validation="0.1", epochs="4").kept.values()) == [8, 4]
    assert list(rounds(validation="0.1", epochs="2").kept.values()) == [8]
    assert list(rounds(validation="0.1", epochs="4", rate=4).kept.values()) == [4]
    lengths = [job.config.updates for job in rounds(eta="0.1,0.2,0.3").expected_jobs()]
    assert sorted(lengths) == [300, 500, 1000]
    with pytest.raises(ConfigError, match="too short"):
        rounds(updates="100")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--halving", "1"], "at least 2"),
        (["--halving", "1" + 320 * "0"], "at most 10000"),
        (["--halving-from", "0.2"], "--halving-from has no effect without --halving"),
        (["--halving", "2", "--halving-from", "0.7"], "at most 0.5"),
        (["--halving", "2", "--schedule", "constant,cosine"], "--schedule cosine does not allow"),
        (["--halving", "2", "--updates", "300,600"], "one value of --updates"),
        (["--halving", "2", "--random", "1"], "at least two configurations"),
        (["--halving", "2", "--updates", "50"], "too short"),
    ],
)
def test_what_makes_no_sense_is_refused(nbrnn, text_file, tmp_path, options, says):
    for more in ([], ["--dry-run"]):
        arguments = ["--eta", "0.1,0.2", "--seeds", "0", *options, *more]
        done = nbrnn("sweep", text_file, *arguments, "--quiet", code=2)
        assert says in one_line_error(done)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures", "without_figures")
def test_the_command_says_what_it_does(nbrnn, text_file):
    lists = ["--updates", "400", "--eta", "0.05,0.1,0.2", "--hidden", "5", "--seeds", "0"]
    command = ["sweep", text_file, *lists, "--halving", "2", "--out", "s"]
    rounds = "3 configurations to 100 updates, then the best 2 to 200, 1 to the end"
    planned = nbrnn(*command, "--dry-run").stdout.splitlines()
    assert planned[-2:] == ["3 runs, 3 to do", rounds]
    done = nbrnn(*command)
    assert done.stdout.startswith("s: 1 of 3 runs finished, 2 dropped\n")
    assert "After 100 updates 2 of 3 configurations continue." in done.stderr.splitlines()
    document = json.loads(nbrnn(*command, "--json").stdout)
    assert (document["finished"], document["dropped"], document["done_before"]) == (1, 2, 3)
    assert sorted(row["status"] for row in document["runs"]) == ["dropped", "dropped", "finished"]
    listed = json.loads(nbrnn(*command, "--dry-run", "--json").stdout)
    assert [row["status"] for row in listed].count("dropped") == 2
    assert nbrnn(*command, "--dry-run").stdout.splitlines()[-2] == "3 runs, 0 to do"
    assert nbrnn(*command[:-4], "--out", "s", "--dry-run").stdout.splitlines()[-1] == "3 runs, 2 to do"
    assert nbrnn("show", "s").stdout.count("dropped") == 2


def test_from_python(corpus, tmp_path):
    import nbrnn

    settings = {"updates": 400, "eta": [0.05, 0.1, 0.2], "hidden": 5}
    with no_pictures():
        runs = nbrnn.sweep(settings, corpus, tmp_path, seeds=[0], halving=2, quiet=True)
    assert runs["status"].value_counts().to_dict() == {"dropped": 2, "finished": 1}
    assert set(nbrnn.read_runs(tmp_path)["status"]) == {"dropped", "finished"}
    for value in (2.0, True, "2"):
        with pytest.raises(ConfigError, match="whole number"):
            halving_of(value, None)
    for value in ("a", True, [0.1]):
        with pytest.raises(ConfigError, match="must be a number"):
            halving_of(2, value)


def test_folds_whose_epochs_differ_by_a_window_are_compared_like_seeds(corpus, tmp_path):
    lists = {"hidden": "5", "epochs": "4", "seed": "0", "eta": "0.1,0.2", "sample_every": "0"}
    lists |= {"validation": "0.2", "fold": "0,6"}
    sweep(lists, corpus, tmp_path, halving=HALVING)
    (rounds,) = rounds_of(tmp_path)
    assert rounds
    for decided in rounds:
        for standing in (*decided.kept, *decided.dropped):
            assert len(standing.runs) == 2
            assert standing.loss is not None
    lengths = {
        folder.read_config()[0].updates_per_epoch(len(corpus)) for folder in SweepFolder(tmp_path).runs()
    }
    assert len(lengths) == 2
