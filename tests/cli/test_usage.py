"""What goes wrong on the command line: one line that says what, and exit code 2."""

import os
import shutil
import subprocess
import sys

import pytest
from harness import one_line_error, run_program

from nbrnn.escaping import visible

FAST = ["--hidden", "5", "--updates", "300"]


@pytest.fixture
def usage_error(nbrnn, tmp_path):
    """Return a function that calls the program in this process and returns its one-line error."""

    def call(*arguments):
        line = one_line_error(nbrnn(*arguments, code=2))
        assert os.listdir(tmp_path) == []
        return line

    return call


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--epochs", ["0", "-1", "nan", "1e9", "99999999999", ""]),
        ("--hidden", ["inf", "2.5", "1000000000"]),
        ("--sample-length", ["1000000000000"]),
        ("--eta", ["0", "nan", "1e300", "abc"]),
        ("--seed", ["1.5", "9" * 30]),
        ("--dtype", ["float16", ""]),
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
        (["train", "."], "folder"),
        (["train", ""], "the name of the text is empty"),
        (["train", "--epochs", "1", "--updates", "1"], "not both"),
        (
            ["train", "{text}", "--updates", "19900001"],
            "made-up: --updates 19,900,001 exceeds the limit of 19,900,000 (100,000 epochs)",
        ),
        (
            ["train", "{text}", "--epochs", "100001"],
            "--epochs 100,001 exceeds the limit of 100,000",
        ),
        (["train", "--resume", "nothing"], "nothing"),
        (["train", "--resume", "x", "--out", "y"], "--resume"),
        (["train", "{text}", "--seq-length", "5000"], "at least 5,001"),
        (["train", "{text}", "--out", "{text}"], "not a folder"),
        (["sample", "nothing"], "nothing"),
        (["sample", "/"], "neither the folder of a run"),
        (["score", "nothing", "{text}"], "nothing"),
        (["show", "nothing"], "nothing"),
        (["gradcheck", "{text}", "--hidden", "5,x"], "--hidden"),
        (["gradcheck", "{text}", "--tolerance", "nan"], "--tolerance"),
        (
            ["gradcheck", "{text}", "--seq-length", "2500"],
            "with --seq-length 2500 the text needs at least 5,001 characters",
        ),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_one_line(usage_error, text_file, arguments, said):
    line = usage_error(*(a.format(text=text_file) for a in arguments))
    assert said in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--length", "-1"), ("--length", "1000000000000"), ("--temperature", "nan"),
        ("--temperature", "-1"), ("--temperature", "1e-300"), ("--top-p", "0"), ("--top-p", "1.1"),
        ("--top-p", "inf"), ("--top-k", "-1"), ("--seed", "-1"), ("--checkpoint", "worst"),
        ("--top-k", "9223372036854775808"), ("--prime", "Zürich"),
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
def test_a_damaged_file_is_one_line(nbrnn, run_folder, tmp_path, name, content):
    damaged = shutil.copytree(run_folder, tmp_path / "damaged")
    (damaged / name).write_text(content)
    line = one_line_error(nbrnn("show", damaged, code=2))
    assert f"{name}{', line 1,' * (name == 'samples.jsonl')} is damaged" in line


def test_a_name_cannot_control_the_terminal(nbrnn, run_folder, tmp_path):
    hostile = shutil.copytree(run_folder, tmp_path / "hostile")
    config = (hostile / "config.json").read_text()
    (hostile / "config.json").write_text(config.replace('"made-up"', '"\\u001b[31m"'))
    assert "\x1b" not in nbrnn("show", hostile).stdout


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_a_folder_that_cannot_be_written(nbrnn, text_file, tmp_path):
    assert "cannot write in" in one_line_error(nbrnn("train", text_file, "--out", "/proc/run", code=1))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.geteuid() == 0:
        pytest.skip("no folder is closed to root: run the test as another user")
    assert "cannot write in" in one_line_error(nbrnn("train", text_file, "--out", closed, code=1))


def test_a_line_end_in_the_name_of_a_folder_leaves_one_line(nbrnn, text_file, tmp_path):
    (tmp_path / "a file").write_text("")
    line = one_line_error(nbrnn("train", text_file, "--out", "a file/new\nrun", code=2))
    assert "is not a folder" in line


@pytest.mark.parametrize(
    "command",
    [
        ["show"], ["sample"], ["report"], ["compare"], ["train"], ["score", "{run}"],
        ["train", "--resume"], ["train", "{text}", "--out"], ["sweep", "{text}", "--out"],
        ["report", "{run}", "--out"],
    ],
)  # fmt: skip
def test_a_name_that_is_too_long_is_wrong_usage(usage_error, text_file, run_folder, command):
    usage_error(*(part.format(text=text_file, run=run_folder) for part in command), "x" * 300)


def test_a_name_in_a_title_cannot_control_the_terminal(nbrnn, run_folder, text_file, tmp_path):
    hostile = tmp_path / "\x1b[31m"
    hostile.write_text(text_file.read_text())
    done = nbrnn("score", run_folder, hostile)
    assert r"\x1b[31m" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_matplotlib_needs_no_backend_and_no_home(text_file, tmp_path):
    folders = ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in folders}
    environment |= {"MPLBACKEND": "nonsense", "HOME": str(text_file / "home")}
    train = ["train", text_file, "--hidden", "2", "--updates", "0", "--out", tmp_path / "run", "-q"]
    assert run_program(*train, env=environment).stderr == ""
    assert (tmp_path / "run" / "loss.png").exists()


@pytest.mark.slow
def test_warnings_of_libraries_are_not_printed():
    code = (
        "import warnings, nbrnn.cli.presets\n"
        "from nbrnn.cli.main import app\n"
        "nbrnn.cli.presets.print_wrapped = lambda text: warnings.warn(text)\n"
        "app(['presets'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_control_characters_are_escaped_for_eyes():
    assert visible("a\r\r\nb\tc") == "a\nb\tc"
    assert visible("\x1b[31mred\x07\r\x9b\u202e\ud800") == r"\x1b[31mred\x07\r\x9b\u202e\ud800"
    assert visible("é—“’𝄞 ") == "é—“’𝄞 "
