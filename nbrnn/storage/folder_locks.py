"""Lock a folder for one process, and check that it is ours to write in."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nbrnn.errors import LockedError, NbrnnError, StoreError, WriteError
from nbrnn.storage.safe_files import is_there, is_unfinished

LOCK = ".lock"
IMPOSSIBLE_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # of some network file systems
PATIENCE = 0.5  # seconds: a process that only asks `is_at_work` is soon gone


class Folder:
    """A folder in which one process at a time may be at work."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name, sound or not."""
        return is_there(self / name)

    def locked(self) -> AbstractContextManager[None]:
        """Make the folder this process's own, as `locked` does."""
        return locked(self.path)

    def is_at_work(self) -> bool:
        """Return whether a process is at work here."""
        return is_at_work(self.path)


@contextmanager
def locked(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Make a folder this process's own; the lock ends with the process.

    Raises LockedError if another process does not leave it within `patience` seconds, StoreError if
    it cannot be a folder, WriteError if it cannot be written or locked.
    """
    # A file that only marks the lock, the fallback of filelock, would outlive a killed process.
    lock = FileLock(folder / LOCK, timeout=patience, fallback_to_soft=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_lock(folder / LOCK)
        lock.acquire()
    except Timeout:
        raise LockedError(f"another process is at work in {folder}: wait until it ends") from None
    except (FileExistsError, NotADirectoryError):
        there = next((place for place in (folder, *folder.parents) if is_there(place)), folder)
        raise StoreError(f"{there} is not a folder: give another one") from None
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise WriteError(
                f"{folder} is on a file system without locks: give a folder on another"
            ) from None
        kind = StoreError if error.errno in IMPOSSIBLE_NAME else WriteError
        raise kind(f"cannot write in {folder}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


def is_at_work(folder: Path) -> bool:
    """Return whether a process is at work in a folder, without making a lock."""
    if not is_there(folder / LOCK):
        return False
    try:
        with locked(folder, patience=0):
            return False
    except LockedError:
        return True
    except NbrnnError:  # not ours to write in, so that nobody can tell
        return False


def check_lock(path: Path) -> None:
    """Raise StoreError for a lock that is a link, hard or symbolic, or no regular file."""
    with suppress(FileNotFoundError):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise StoreError(f"{path} is not an ordinary file: delete it")


def is_empty_but_for(folder: Path, name: str) -> bool:
    """Return whether a folder is missing, or holds at most our lock and an unfinished file `name`.

    Raises StoreError if it cannot be read.
    """
    if not os.path.isdir(folder):
        return True
    try:
        return all(entry == LOCK or is_unfinished(entry, name) for entry in os.listdir(folder))
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {error.strerror or error}") from None


def check_folders(named: Path, folder: Path) -> None:
    """Raise StoreError where a link, or a file, lies between a named folder and one below it."""
    place = named
    for part in folder.relative_to(named).parts:
        place /= part
        if os.path.islink(place):
            raise StoreError(
                f"{place} is a link, through which nbrnn does not write: put a folder in its place"
            )
        if is_there(place) and not os.path.isdir(place):
            raise StoreError(f"{place} is a file: give another folder")
