"""The house stays such that it fits in the head: no long modules, no long functions."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nbrnn"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 350
MOST_LINES_OF_A_FUNCTION = 60  # without its head, which lists the options of a command


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_are_short(module):
    source = module.read_text()
    assert len(source.splitlines()) <= MOST_LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = [
        (node.end_lineno - node.body[0].lineno + 1, node.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, functions)
    ]
    assert max(lengths, default=(0, ""))[0] <= MOST_LINES_OF_A_FUNCTION, max(lengths)


def test_what_systems_do_differently_is_in_one_module():
    special = re.compile(
        r"\b((import|from) (fcntl|termios|resource|select)|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC"
        r"|os\.name|sys\.platform)\b"
    )
    for path in PACKAGE.rglob("*.py"):
        code = ast.unparse(ast.parse(path.read_text()))  # without comments
        imports = "\n".join(line for line in code.splitlines() if "import" in line or "os." in line)
        assert path.name == "portable.py" or not special.search(imports), path
