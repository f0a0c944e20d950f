"""The program as a user meets it: commands, options, errors in one line, signals, pipes."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import naive
import numpy as np
import pexpect
import pytest
from conftest import one_line_error
from safetensors.numpy import load_file

from nbrnn.cli.main import app
from nbrnn.runs.store import RunFolder
from nbrnn.visible import visible

FAST = ["--hidden", "5", "--updates", "300"]


@pytest.fixture
def usage_error(capsys, tmp_path, monkeypatch):
    """Return a function that calls the program in this process and returns its one-line error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as exit_:
            app([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert exit_.value.code == 2, captured
        (line,) = captured.err.splitlines()
        assert line.startswith("nbrnn: ")
        assert captured.out == ""
        assert os.listdir(tmp_path) == []
        return line

    return call


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--epochs", ["0", "-1", "nan", "inf", "1e9", "99999999999", ""]),
        ("--updates", ["-1", "nan", "inf", "1.5", "9" * 30]),
        ("--hidden", ["0", "-5", "nan", "inf", "2.5", "1000000000"]),
        ("--seq-length", ["0", "-1", "nan", "inf", "100000000"]),
        ("--eta", ["0", "-0.1", "nan", "inf", "1e300", "abc"]),
        ("--sigma", ["-0.1", "nan", "inf", "1e300"]),
        ("--epsilon", ["0", "-1e-8", "nan", "inf", "1e-300"]),
        ("--clip", ["0", "-5", "nan", "inf", "1e300"]),
        ("--seed", ["-1", "nan", "inf", "1.5", "9" * 30]),
        ("--dtype", ["float16", ""]),
        ("--sample-every", ["-1", "nan", "inf"]),
        ("--sample-length", ["0", "-1", "nan", "1000000000000"]),
        ("--encoding", ["klingon"]),
        ("--nonsense", ["1"]),
    ],
)
def test_options_out_of_range(usage_error, text_file, option, values):
    for value in values:
        line = usage_error("train", text_file, option, value)
        assert option in line, line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "nothing.txt"], "nothing.txt"),
        (["train", "/"], "folder"),
        (["train", ""], "folder"),
        (["train", "--epochs", "1", "--updates", "1"], "not both"),
        (["train", "{text}", "--epochs", "100001"], "100,000 epochs"),
        (["train", "--resume", "nothing"], "nothing"),
        (["train", "--resume", "x", "--out", "y"], "--resume"),
        (["train", "{text}", "--seq-length", "5000"], "at least 5001"),
        (["train", "{text}", "--out", "{text}"], "give a folder"),
        (["sample", "nothing"], "nothing"),
        (["sample", "/"], "not the folder of a run"),
        (["score", "nothing", "{text}"], "nothing"),
        (["show", "nothing"], "nothing"),
        (["gradcheck", "{text}", "--hidden", "5,x"], "--hidden"),
        (["gradcheck", "{text}", "--hidden", ""], "--hidden"),
        (["gradcheck", "{text}", "--hidden", "0"], "--hidden"),
        (["gradcheck", "{text}", "--sigma", "nan"], "--sigma"),
        (["gradcheck", "{text}", "--tolerance", "nan"], "--tolerance"),
        (["gradcheck", "{text}", "--seq-length", "2500"], "at least 5001"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_one_line(usage_error, text_file, arguments, said):
    line = usage_error(*(a.format(text=text_file) for a in arguments))
    assert said in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--length", "-1"), ("--temperature", "nan"), ("--temperature", "-1"),
        ("--temperature", "1e-310"),
        ("--top-p", "0"),
        ("--top-p", "inf"), ("--top-k", "-1"), ("--seed", "-1"), ("--checkpoint", "worst"),
        ("--prime", "Zürich"),
    ],
)  # fmt: skip
def test_sample_options_out_of_range(usage_error, run_folder, option, value):
    line = usage_error("sample", run_folder, option, value)
    assert option in line or "'Z' 'c' 'ü'" in line


def test_force_deletes_nothing_but_a_run(nbrnn, text_file, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("config.json", "summary.json", "weights.bin"):
        (folder / name).write_text('{"precious": true}')
    line = one_line_error(nbrnn("train", text_file, *FAST, "--out", "mine", "--force", code=2))
    assert "config.json is damaged" in line
    assert sorted(os.listdir(folder)) == [".lock", "config.json", "summary.json", "weights.bin"]
    (folder / "config.json").unlink()
    line = one_line_error(nbrnn("train", text_file, *FAST, "--out", "mine", "--force", code=2))
    assert "other files" in line
    nbrnn("train", text_file, *FAST, "--out", "run", "-q")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    too_large = ["--hidden", "10000", "--seq-length", "4000", "--out", "run", "--force"]

    def little_memory():
        resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))

    line = one_line_error(nbrnn("train", text_file, *too_large, code=2, preexec_fn=little_memory))
    assert "not enough memory" in line
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    nbrnn("train", text_file, "--hidden", "6", "--updates", "10", "--out", "run", "--force", "-q")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", "{}"), ("summary.json", "[]"), ("summary.json", '{"status": "x"}'),
        ("summary.json", '{"status": "finished", "updates": "many"}'),
        ("summary.json", '{"status": "interrupted", "seconds": NaN}'),
        ("samples.jsonl", "1\n"), ("samples.jsonl", '{"update": 1}\n'),
        ("config.json", "[]"), ("config.json", '{"schema": 1, "corpus": {}}'),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(run_folder, tmp_path, capsys, name, content):
    damaged = shutil.copytree(run_folder, tmp_path / "damaged")
    (damaged / name).write_text(content)
    with pytest.raises(SystemExit) as exit_:
        app(["show", str(damaged)])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name} is damaged" in line


def test_a_name_cannot_control_the_terminal(run_folder, tmp_path, capsys):
    hostile = shutil.copytree(run_folder, tmp_path / "hostile")
    config = (hostile / "config.json").read_text()
    (hostile / "config.json").write_text(config.replace('"made-up"', '"\\u001b[31m"'))
    with pytest.raises(SystemExit):
        app(["show", str(hostile)])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a$b^$c.txt", "红楼梦.txt", b"nov\xe9l.txt", "-x.txt", "a b.txt"])
def test_file_names_of_all_kinds(nbrnn, text_file, tmp_path, name):
    path = os.fsdecode(name)
    shutil.copy(text_file, tmp_path / path)
    nbrnn("train", "-q", "--updates", "10", "--hidden", "3", "--", path)
    (folder,) = (tmp_path / "results").iterdir()
    assert (folder / "loss.png").exists()
    nbrnn("train", "-q", "--resume", folder, "--updates", "20")


def test_a_damaged_checkpoint_is_one_line(nbrnn, tmp_path, text_file):
    nbrnn("train", text_file, *FAST, "--out", "run")
    (tmp_path / "run" / "last.safetensors").write_bytes(b"nonsense")
    line = one_line_error(nbrnn("train", "--resume", "run", "--updates", "400", code=2))
    assert "last.safetensors is damaged" in line
    assert "damaged" in one_line_error(nbrnn("sample", "run", "--checkpoint", "last", code=2))


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_a_folder_that_cannot_be_written(nbrnn, text_file, tmp_path):
    assert "cannot write in" in one_line_error(nbrnn("train", text_file, "--out", "/proc/run", code=2))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.geteuid() == 0:
        pytest.skip("no folder is closed to root")
    assert "cannot write in" in one_line_error(nbrnn("train", text_file, "--out", closed, code=2))


def test_a_full_disk_leaves_the_checkpoint_before(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, "--hidden", "50", "--updates", "300", "--out", "run", "-q")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    more = ["train", "--resume", "run", "--updates", "500", "-q"]
    line = one_line_error(nbrnn(*more, code=1, preexec_fn=small_files))
    assert "cannot write" in line
    assert "goes on from it" in line
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    nbrnn(*more)
    nbrnn("train", text_file, "--hidden", "50", "--updates", "500", "--out", "scratch", "-q")
    for name in ("last.safetensors", "best.safetensors", "metrics.csv", "samples.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "scratch" / name).read_bytes()


# ---------------------------------------------------------------- train


def test_train_prints_one_json_document(nbrnn, text_file, tmp_path):
    done = nbrnn("train", text_file, *FAST, "--json")
    document = json.loads(done.stdout)
    assert document["status"] == "finished"
    assert document["updates"] == 300
    folder = tmp_path / document["folder"]
    assert json.loads((folder / "summary.json").read_text()).items() <= document.items()
    assert folder.parent.name == "results"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "best.safetensors", "best.txt", "config.json", "env.json", "last.safetensors",
        "loss.png", "metrics.csv", "ngrams.safetensors", "samples.jsonl", "summary.json",
    ]  # fmt: skip
    assert len((folder / "best.txt").read_text()) == 1000
    again = nbrnn("train", text_file, *FAST, "--json")
    assert json.loads(again.stdout) == document
    assert "Training" not in again.stderr


def test_quiet_says_nothing(nbrnn, text_file):
    done = nbrnn("train", text_file, *FAST, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


def test_a_stranger_can_train_from_the_start_that_zero_updates_write(nbrnn, text, text_file, tmp_path):
    options = ["train", text_file, "--hidden", "20", "--dtype", "float64", "--quiet"]
    nbrnn(*options, "--updates", "0", "--out", "a")
    nbrnn(*options, "--updates", "300", "--out", "b")
    start, end = (load_file(tmp_path / name / "last.safetensors") for name in "ab")
    theta = {name: start[name] for name in "WUVbc"}
    alphabet = sorted(set(text))
    codes = [alphabet.index(character) for character in text]
    memory, _, smooths, h = naive.train(theta, codes, 300)
    for name in "WUVbc":
        assert np.abs(end[name] - theta[name]).max() < 1e-9
        assert np.abs(end[f"adagrad.{name}"] - memory[name]).max() < 1e-9 * memory[name].max()
    assert np.abs(end["h_prev"] - h).max() < 1e-9
    summary = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert summary["smooth_loss_final"] == pytest.approx(smooths[-1], abs=1e-9)
    nbrnn(*options, "--updates", "300", "--out", "a")  # the longer run goes on from the shorter


def test_standard_input(nbrnn, text, text_file, tmp_path):
    nbrnn("train", "-", *FAST, "--out", "piped", "-q", input=text)
    nbrnn("train", text_file, *FAST, "--out", "named", "-q")
    for name in ("last.safetensors", "samples.jsonl"):
        assert (tmp_path / "piped" / name).read_bytes() == (tmp_path / "named" / name).read_bytes()
    more = ["train", "--resume", "piped", "--updates", "400", "-q"]
    assert "standard input" in one_line_error(nbrnn(*more, code=2))
    nbrnn("train", "-", *more[1:], input=text)


def test_resume_takes_the_length_only(nbrnn, text_file, tmp_path):
    nbrnn("train", text_file, *FAST, "--out", "run", "-q")
    line = one_line_error(nbrnn("train", "--resume", "run", "--eta", "0.2", code=2))
    assert "--eta is 0.1" in line
    document = json.loads(nbrnn("train", "--resume", "run", "--epochs", "2", "--json").stdout)
    assert document["epochs"] == 2
    nbrnn("train", text_file, *FAST[:2], "--epochs", "2", "--out", "scratch", "-q")
    for name in ("loss.png", "best.txt"):  # made anew for the longer run
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "scratch" / name).read_bytes()


def test_a_changed_text_is_noticed(nbrnn, text, tmp_path):
    (tmp_path / "text.txt").write_text(text)
    nbrnn("train", "text.txt", *FAST, "--out", "run", "-q")
    (tmp_path / "text.txt").write_text(text + "more")
    line = one_line_error(nbrnn("train", "--resume", "run", "--updates", "400", code=2))
    assert "another text" in line


def test_diverging_is_exit_code_1(nbrnn, text_file):
    done = nbrnn("train", text_file, *FAST, "--eta", "1e30", "--json", code=1)
    document = json.loads(done.stdout)
    assert document["status"] == "diverged"
    assert f"update {document['diverged_at']}" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_a_checkpoint_within_a_second(text_file, tmp_path, number, code):
    command = [sys.executable, "-m", "nbrnn", "train", str(text_file), "--updates", "10000000"]
    child = subprocess.Popen(
        [*command, "--out", "run"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "run" / "summary.json").exists():
        assert child.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    sent = time.monotonic()
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert time.monotonic() - sent < 5  # about 0.3 s, on a machine with nothing else to do
    assert child.returncode == code
    assert re.search(r"interrupted after update [\d,]+; nbrnn train --resume run goes on", err)
    assert "interrupted" in out
    folder = RunFolder(tmp_path / "run")
    assert folder.read_summary()["status"] == "interrupted"
    assert folder.read_checkpoint("last").update == folder.read_summary()["updates"] > 0


@pytest.mark.parametrize(
    "command", [["sample", "RUN", "--length", "50000000"], ["gradcheck", "TEXT", "--hidden", "700"]]
)
def test_long_commands_can_be_interrupted(run_folder, text_file, command):
    names = {"RUN": str(run_folder), "TEXT": str(text_file)}
    child = subprocess.Popen(
        [sys.executable, "-m", "nbrnn", *(names.get(part, part) for part in command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(15)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err == "nbrnn: interrupted\n"


def test_a_signal_before_there_is_anything_to_save(text_file, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "empty")}  # ten seconds to compile
    command = [sys.executable, "-m", "nbrnn", "train", str(text_file), "--out", "run"]
    child = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err == "nbrnn: interrupted\n"


# ---------------------------------------------------------------- the other commands


def test_sample_prints_the_text_alone(nbrnn, run_folder):
    done = nbrnn("sample", run_folder, "--length", "100", "--seed", "3")
    assert len(done.stdout) == 100
    assert done.stderr == ""
    document = json.loads(nbrnn("sample", run_folder, "--length", "100", "--seed", "3", "--json").stdout)
    assert document["text"] == done.stdout
    assert nbrnn("sample", run_folder, "--prime", "Jane", "--length", "9").stdout.startswith("Jane")


def test_a_reader_may_stop_early(run_folder, text_file, tmp_path):
    for command in (f"sample {run_folder} --length 1000000", f"show {run_folder} --json"):
        shell = f"{sys.executable} -m nbrnn {command} | head -c 10"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, check=True)
        assert len(done.stdout) == 10
        assert done.stderr == b""
    train = f"{sys.executable} -m nbrnn train {text_file} {' '.join(FAST)} --out {tmp_path}/run"
    subprocess.run(["bash", "-c", f"{train} 2>/dev/null | true"], check=True)
    for _ in range(100):
        if (tmp_path / "run" / "loss.png").exists():
            break
        time.sleep(0.1)
    assert RunFolder(tmp_path / "run").read_summary()["status"] == "finished"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_as_stdout(run_folder):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "nbrnn", "show", str(run_folder), "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("nbrnn: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams_and_terminals_without_unicode(run_folder, closed):
    for command in (f"show {run_folder}", f"sample {run_folder}", "train - --updates 1"):
        shell = f"PYTHONIOENCODING=ascii {sys.executable} -m nbrnn {command} {closed}"
        done = subprocess.run(
            ["bash", "-c", shell], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == (2 if command.startswith("train") else 0)


def test_score(nbrnn, run_folder, text_file, tmp_path):
    document = json.loads(nbrnn("score", run_folder, text_file, "--json").stdout)
    assert document["characters"] == 5000
    assert document["replaced"] == 0
    assert set(document) == {"characters", "replaced", "model", "uniform", "unigram", "bigram"}
    table = nbrnn("score", run_folder, text_file).stdout
    assert f"{document['model']['bits_per_character']:.4g}" in table
    (tmp_path / "other.txt").write_text("Zen")
    assert "'Z'" in one_line_error(nbrnn("score", run_folder, "other.txt", code=2))
    assert (
        "1 of them replaced" in nbrnn("score", run_folder, "other.txt", "--replace-unknown", "t").stdout
    )
    assert "1,183,651" in nbrnn("score", run_folder, "federalist", "--replace-unknown", "t").stdout


def test_show(nbrnn, run_folder):
    document = json.loads(nbrnn("show", run_folder, "--json").stdout)
    assert document["config"]["hidden"] == 20
    assert document["last_sample"]["update"] == 800
    shown = nbrnn("show", run_folder).stdout
    assert "--hidden 20" in shown
    assert document["last_sample"]["text"] in shown
    assert "last.safetensors" in shown


def test_gradcheck(nbrnn, text_file):
    done = nbrnn("gradcheck", text_file, "--hidden", "3,5", "--seq-length", "10", "--json")
    document = json.loads(done.stdout)
    assert document["passed"]
    assert len(document["differences"]) == 2 * 5 * 3
    assert max(d["largest"] for d in document["differences"]) == document["largest"] < 1e-6
    strict = nbrnn("gradcheck", text_file, "--hidden", "3", "--tolerance", "1e-15", code=1)
    assert "FAILED" in strict.stdout
    assert all(len(line) <= 80 for line in strict.stdout.splitlines())


def test_corpora(nbrnn, tmp_path):
    rows = json.loads(nbrnn("corpora", "--json").stdout)
    assert [row["name"] for row in rows] == ["brontes", "federalist", "shakespeare"]
    assert rows[0]["updates_per_epoch"] == 27889
    assert "27,889" in nbrnn("corpora").stdout


def test_help_and_version(nbrnn):
    assert "--sigma" in nbrnn("train", "--help").stdout
    assert nbrnn().stdout == nbrnn("--help").stdout
    assert re.fullmatch(r"nbrnn \d+\.\d+\.\d+\n", nbrnn("--version").stdout)


def test_help_does_not_import_what_is_slow():
    code = "import sys, nbrnn.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "numba", "pandas", "matplotlib", "rich"} & set(done.stdout.split())


# ---------------------------------------------------------------- on a terminal


def on_terminal(*arguments, cwd, **environment):
    child = pexpect.spawn(
        sys.executable,
        ["-m", "nbrnn", *map(str, arguments)],
        cwd=str(cwd),
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment},
        dimensions=(24, 80),
        timeout=120,
        encoding="utf-8",
    )
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before


def test_progress_and_samples_are_seen_on_a_terminal(text_file, tmp_path):
    code, seen = on_terminal("train", text_file, "--updates", "3000", "--out", "run", cwd=tmp_path)
    assert code == 0
    for part in ("updates", "epoch", "nats", "bits", "/s", "update 0", "smooth loss, best"):
        assert part in seen, part
    assert "\x1b[" in seen
    _, plain = on_terminal(
        "train", text_file, "--updates", "3000", "--out", "b", cwd=tmp_path, NO_COLOR="1"
    )
    assert not re.search(r"\x1b\[[\d;]*3\dm", plain)


def test_control_characters_are_escaped_for_eyes():
    assert visible("a\r\r\nb\tc") == "a\nb\tc"
    assert visible("\x1b[31mred\x07\r\x9b\u202e\ud800") == r"\x1b[31mred\x07\r\x9b\u202e\ud800"
    assert visible("é—“’𝄞 ") == "é—“’𝄞 "
