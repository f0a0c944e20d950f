"""Valid JSON and CSV with wrong values: each command works, or says in one line what is wrong."""

import json
import random
import shutil
import warnings
from collections import Counter

import pytest
from harness import DATA, TEXT, copy_old

from nbrnn.storage.run_folder import RunFolder

VALUES = [
    "null", "true", "-1", "0", "1.5", "1e400", "-1e308", "1" + "0" * 400, "9" * 5000, "NaN",
    '""', r'"\u0000"', r'"\ud800"', r'"\u001b[31m"', "[]", "{}", "[[[]]]", "[null]", "[" * 2000,
    "18446744073709551616",
]  # fmt: skip
CELLS = [
    "nan", "inf", "-inf", "", "1e400", "1" + "0" * 400, "-5", "0", "x", "1,2", "\0", "é", "#", "1e308",
]  # fmt: skip
FILES = {
    "run": ["config.json", "env.json", "summary.json", "metrics.csv", "samples.jsonl"],
    "interrupted": ["config.json", "env.json", "summary.json", "metrics.csv", "samples.jsonl"],
    "sweep": ["sweep.json"],
}
COMMANDS = {
    "run": [
        ["show", "run"],
        ["show", "run", "--json"],
        ["sample", "run", "--length", "5"],
        ["score", "run", TEXT],
        ["compare", "run", DATA / "sweep"],
        ["report", "run", "--text", TEXT, "--out", "report-of-run", "-q"],
        ["train", "--resume", "run", "--updates", "900", "-q"],
    ],
    "sweep": [
        ["sweep", TEXT, "--updates", "10", "--hidden", "5", "--seeds", "0", "--out", "sweep", "-q"],
        ["compare", "sweep"],
    ],
}
COMMANDS["interrupted"] = [[part.replace("run", "interrupted") if part == "run" else part
                            for part in command] for command in COMMANDS["run"]]  # fmt: skip

pytestmark = pytest.mark.usefixtures("without_pictures", "without_figures")


def places(value, place=()):
    """Return where in a JSON document there is a value."""
    inside = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [place, *(deeper for key, part in inside for deeper in places(part, (*place, key)))]


def mutated_json(text, rng):
    document = json.loads(text)
    *way, last = rng.choice(places(document)) or (None,)
    if last is None:
        return rng.choice(VALUES)
    holder = document
    for key in way:
        holder = holder[key]
    if rng.random() < 0.15:
        del holder[last]
        return json.dumps(document)
    holder[last] = "HERE"
    return json.dumps(document).replace('"HERE"', rng.choice(VALUES))


def mutated_row(row, rng):
    cells = row.split(",")
    cells[rng.randrange(len(cells))] = rng.choice(CELLS)
    return ",".join(cells)


def mutate(path, rng):
    """Put something else in the place of one value in a file."""
    mutated = mutated_row if path.suffix == ".csv" else mutated_json
    if path.suffix == ".json":
        path.write_text(mutated(path.read_text(), rng))
        return
    lines = path.read_text().splitlines()
    number = rng.randrange(len(lines))
    lines[number] = mutated(lines[number], rng)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.timeout(120)
def test_wrong_values(seed, nbrnn, tmp_path):
    rng, resumed = random.Random(seed), Counter()
    for _ in range(30):
        name = rng.choice(["run", "run", "interrupted", "interrupted", "sweep"])
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        copy_old(name, tmp_path / name)
        path = tmp_path / name / rng.choice(FILES[name])
        mutate(path, rng)
        content = path.read_bytes()
        for command in COMMANDS[name]:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                done = nbrnn(*command, code=(0, 1, 2))
            about = (command, path.name, content)
            assert "Traceback" not in done.stderr, about
            if done.returncode:
                assert len(done.stderr.splitlines()) == 1, about
            if "--resume" in command:
                resumed[done.returncode == 0] += 1
                if done.returncode == 0:
                    assert RunFolder(tmp_path / name).read_checkpoint("last").update == 900, about
                elif '"source"' not in str(content):  # refused for the damage, not for want of the text
                    assert "no longer there" not in done.stderr, about
    assert min(resumed[True], resumed[False]) > 0
