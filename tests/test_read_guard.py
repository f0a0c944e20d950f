"""A test that opens a file outside the repository fails, in a process that it forks, too."""

from contextlib import suppress

import pytest
from child_processes import execute
from read_guard import REFUSED, OutsideError

OPEN = "import contextlib\nwith contextlib.suppress(OSError): open('/home/x')"


@pytest.mark.xfail(raises=OutsideError, strict=True)
def test_a_file_outside():
    with suppress(OSError), open("/home/x"):
        pass


def test_a_file_of_its_own(tmp_path):
    (tmp_path / "x").write_text("")


@pytest.mark.slow
def test_a_file_outside_in_a_forked_process(fork, tmp_path):
    assert fork(execute, OPEN, tmp_path).wait() == REFUSED
    assert fork(execute, OPEN.replace("/home/", ""), tmp_path).wait() == 0
