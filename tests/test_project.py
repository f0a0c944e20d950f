"""What is imported is declared in pyproject.toml; the files beside it agree with it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, TOOL = PYPROJECT["project"], PYPROJECT["tool"]
OURS = {"nbrnn", "tests", "bench", "results"}
CALLED = {"sklearn": "scikit-learn"}  # where it is not installed
BY_HAND = {"torch", "optuna"}  # of `tox -e interop`, and for benchmarks


def canonical(requirement):
    name = re.match(r"[\w.-]+", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras):
    """Return the names of the distributions that nbrnn and these extras ask for."""
    requirements = list(PROJECT["dependencies"])
    for extra in extras:
        requirements += PROJECT["optional-dependencies"][extra]
        nested = re.findall(r"nbrnn\[(.*?)\]", " ".join(PROJECT["optional-dependencies"][extra]))
        requirements += declared(*(name for names in nested for name in names.split(",")))
    return {canonical(requirement) for requirement in requirements}


def imported(folder):
    """Return the top-level names that the modules of a folder import from elsewhere."""
    files = list((ROOT / folder).rglob("*.py"))
    found = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - OURS - {file.stem for file in files}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("nbrnn", ["corpora", "dask", "importance", "jupyter", "onnx"]),
        ("tests", ["test"]),
        ("bench", ["bench"]),
        ("results", []),
    ],
)
def test_what_is_imported_is_declared(folder, extras):
    distributions = packages_distributions()
    names = imported(folder) - BY_HAND
    assert folder == "results" or "numpy" in names
    undeclared = {
        name
        for name in names
        if not {canonical(found) for found in distributions.get(name, [CALLED.get(name, name)])}
        & declared(*extras)
    }
    assert undeclared == set()


def test_the_lowest_versions_are_the_declared_ones():
    extras = PROJECT["optional-dependencies"]
    requirements = [
        *PROJECT["dependencies"],
        *(
            line
            for name in ("corpora", "dask", "importance", "jupyter", "nojit", "onnx", "test")
            for line in extras[name]
        ),
    ]
    lowest = {}
    for requirement in map(Requirement, requirements):
        for specifier in requirement.specifier:
            if specifier.operator == ">=" and requirement.marker is None:
                lowest[requirement.name] = specifier.version
    lines = (ROOT / "tests" / "lowest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pinned == {**lowest, "click": pinned["click"]}


def test_the_citation_is_of_this_version():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    fields = dict(line.split(": ", 1) for line in lines if re.match(r"[\w-]+: ", line))
    assert {name: fields[name] for name in ("title", "version", "license", "abstract")} == {
        "title": PROJECT["name"],
        "version": PROJECT["version"],
        "license": PROJECT["license"],
        "abstract": PROJECT["description"],
    }
    assert {"cff-version", "message"} <= set(fields)  # without which, and authors, it is not valid
    assert "authors:" in lines


def test_each_release_says_whether_bits_changed():
    _, *releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    names = [release.partition("]")[0] for release in releases]
    numbers = ("0.9.0", "0.8.0", "0.7.1", "0.7.0", "0.6.0", "0.5.0", "0.4.0", "0.3.0", "0.2.0", "0.1.0")
    assert names == [f"[{number}" for number in numbers]
    for release in releases:
        assert re.search(
            r"^Bits changed: (no|yes, because .+|the first release)\.$", release, re.MULTILINE
        )


def test_the_page_of_an_index_has_no_link_to_files_beside_it():
    hook = TOOL["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text()
    assert re.search(r"\]\((?!https?:)", text)
    for each in hook["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    assert re.findall(r"\]\((?!https?:)", text) == []
