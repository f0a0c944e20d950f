"""A test that opens a file outside the repository fails: elsewhere the file is another, or missing.

Other programs that a test starts are not watched, but what it forks is.
"""

import os
import sys
import tempfile
import zoneinfo
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REFUSED = 77  # the exit code of a forked process that opened such a file
outside = []  # what this process has opened


class OutsideError(Exception):
    """A file outside the repository was opened."""


def own_home():
    """Give tests a home folder without the settings and downloads of whoever runs them."""
    home = ROOT / ".pytest_cache" / "home"
    home.mkdir(parents=True, exist_ok=True)
    os.environ |= {"HOME": str(home), "USERPROFILE": str(home)}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR"):
        os.environ.pop(name, None)


def watch(report=outside.append):
    """Report each file outside that this process opens from now on."""
    folders = tuple(
        os.path.join(os.path.abspath(folder), "")
        for folder in (
            ROOT,
            tempfile.gettempdir(),
            *(sys.prefix, sys.base_prefix),
            *filter(os.path.isabs, sys.path),
            *zoneinfo.TZPATH,  # which pandas reads on its first table
            *("/dev", "/proc", "/sys"),  # also the temporary folder in memory
        )
    )
    # Matplotlib lists the system's fonts once; Python's own `platform` reads the file.
    folders += (
        "/usr/share/fonts/",
        "/usr/local/share/fonts/",
        "/Library/Fonts/",
        "/System/Library/Fonts/",
    )
    folders += ("/etc/os-release",)

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if not path.startswith(folders):
                report(path)

    sys.addaudithook(hook)


def check():
    """Raise OutsideError if files outside were opened."""
    if outside:
        raise OutsideError(f"opened outside the repository: {', '.join(outside)}")


def guarded(function, *arguments):
    """Call a function in a forked process, which ends when it opens a file outside."""

    def end(path):
        sys.stderr.write(f"opened outside the repository: {path}\n")
        os._exit(REFUSED)

    watch(end)
    function(*arguments)
