"""What operating systems do differently, with one meaning for all of them.

Flags and calls that only POSIX has are looked for by their own names: `pytest --portable` takes them
away.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from select import select
from typing import IO

try:
    from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined, unused-ignore]
except ImportError:  # only macOS has both
    F_FULLFSYNC = None

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
# Windows otherwise translates line ends.
COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# How long a file may stay open elsewhere that is to be replaced: Windows refuses to as long.
REPLACE_SECONDS = 10.0 if os.name == "nt" else 0.0


def open_to_read(path: str, flags: int) -> int:
    """Open a file as the `opener` of `open`, at once, also a pipe that has no writer yet."""
    try:
        return os.open(path, flags | COMMON | NO_WAIT)
    except PermissionError:
        if os.path.isdir(path):  # which POSIX opens, and then cannot read
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path) from None
        raise


def open_to_create(path: Path) -> int:
    """Open a new file for writing. Raises FileExistsError if there is one, or a link."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | COMMON | NO_FOLLOW, 0o666)


def open_to_append(path: Path) -> int:
    """Open an existing file to write at its end. Raises OSError for a link."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, not a file")
    return os.open(path, os.O_WRONLY | os.O_APPEND | COMMON | NO_WAIT | NO_FOLLOW)


def wait_for_writer(pipe: IO[bytes], seconds: float) -> bool:
    """Return whether a pipe has a writer within so many seconds; reading then waits for more."""
    if not NO_WAIT:  # opening it has waited
        return True
    has_writer = bool(select([pipe], [], [], seconds)[0])
    os.set_blocking(pipe.fileno(), True)
    return has_writer


def sync(descriptor: int) -> None:
    """Write a file or a folder to the disk, on macOS also out of the drive's own cache."""
    if F_FULLFSYNC is not None:
        with suppress(OSError):  # of a file system that has only fsync
            fcntl(descriptor, F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Write the renames in a folder to the disk, where folders can be opened: not on Windows."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Rename a file over another one, as soon as nobody has that open where this matters."""
    end = time.monotonic() + REPLACE_SECONDS
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)


def processor_name() -> str:
    """Return the processor's name, as the system has it."""
    import platform
    import subprocess

    with suppress(OSError):  # which the other system lacks
        if platform.system() == "Darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()  # on Windows PROCESSOR_IDENTIFIER
