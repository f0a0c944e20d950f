"""With `pytest --portable`, nbrnn runs as on a system without POSIX: imported before nbrnn.

`nbrnn.portable` is imported with an `os` that lacks its flags, that opens no folder, and that replaces
no file at the first attempt, as where a reader has the file open; without fcntl, and with a `select`
that takes no files.
"""

import os
import sys
from itertools import count
from types import SimpleNamespace

if "--portable" in sys.argv:
    os.environ["NBRNN_PORTABLE"] = "1"  # also for processes of pytest-xdist and forked ones


class OtherSystem:
    """What `os` is elsewhere."""

    name = "nt"
    MISSING = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "set_blocking")
    attempts = count()

    def __getattr__(self, name):
        if name in self.MISSING:
            raise AttributeError(name)
        return getattr(os, name)

    def open(self, path, *flags):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return os.open(path, *flags)

    def replace(self, source, target):
        if next(self.attempts) % 2 == 0:
            raise PermissionError(13, "Permission denied", source)
        os.replace(source, target)


def select(*arguments):
    raise OSError(10038, "not a socket")


if os.environ.get("NBRNN_PORTABLE"):
    others = {"os": OtherSystem(), "fcntl": None, "select": SimpleNamespace(select=select)}
    before = {name: sys.modules.get(name, __import__(name)) for name in others}
    import nbrnn.errors  # which portable is to find imported

    sys.modules.update(others)
    try:
        import nbrnn.portable
    finally:
        sys.modules.update(before)
    assert nbrnn.portable.NO_WAIT == 0
