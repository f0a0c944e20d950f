"""Whatever is imported is declared in pyproject.toml."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"nbrnn", "tests", "bench", "results"}
BY_HAND = {"torch"}  # installed by those who want to compare with it


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
        ("nbrnn", ["corpora", "dask", "jupyter"]),
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
        if not {canonical(found) for found in distributions.get(name, [name])} & declared(*extras)
    }
    assert undeclared == set()
