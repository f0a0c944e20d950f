"""Errors that a user can cause and mend: each is shown as one line, without a traceback."""

from __future__ import annotations

import re
import sys
from pathlib import Path

# Who made an environment for one program alone leaves this file in it; pip leaves none.
INSTALLERS = {"pipx_metadata.json": "pipx install --force", "uv-receipt.toml": "uv tool install --force"}


# Keywords of the Python interface that are no option without its hyphens.
KEYWORDS = {"--out": "folder", "--replace-unknown": "replacement"}


class NbrnnError(Exception):
    """An error whose message says what is wrong and what to do; `exit_code` is the program's.

    The message names options. Python prints a note after it, which says what their keywords are.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        options = dict.fromkeys(re.findall(r"--[a-z][a-z0-9-]*", message))
        names = [(option, KEYWORDS.get(option, option[2:].replace("-", "_"))) for option in options]
        if names:
            self.add_note(f"In Python {', '.join(f'{option} is {name}' for option, name in names)}.")


class ConfigError(NbrnnError):
    """A setting outside its range, or settings that contradict each other."""


class CorpusError(NbrnnError):
    """A text that cannot be found, read or trained on."""


class StoreError(NbrnnError):
    """A folder or a file of a run that cannot be read, is damaged, or belongs to something else."""


class LockedError(StoreError):
    """A folder in which another process is at work."""


class ClusterError(NbrnnError):
    """A dask scheduler that does not answer, or workers that cannot do the work."""


class SweepError(NbrnnError):
    """A sweep that cannot be done as requested."""


class CheckError(NbrnnError):
    """A file of another program's arrays that cannot be read or understood."""


class WriteError(NbrnnError):
    """A file that cannot be written: full disk, missing permission."""

    exit_code = 1


def install_command(extra: str) -> str:
    """Return the command that installs an extra, as users installed nbrnn: no package index has it."""
    found = [how for file, how in INSTALLERS.items() if (Path(sys.prefix) / file).exists()]
    return f'{found[0] if found else "pip install"} ".[{extra}]" in a clone of nbrnn'
