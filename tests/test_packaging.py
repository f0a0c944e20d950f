"""What pyproject.toml declares, held true."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

TESTS = Path(__file__).parent


def test_the_lowest_versions_are_the_declared_ones():
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [
        *project["dependencies"],
        *(line for name in ("corpora", "dask", "test") for line in extras[name]),
    ]
    lowest = {}
    for requirement in map(Requirement, declared):
        for specifier in requirement.specifier:
            if specifier.operator == ">=" and requirement.marker is None:
                lowest[requirement.name] = specifier.version
    lines = (TESTS / "lowest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins == lowest
