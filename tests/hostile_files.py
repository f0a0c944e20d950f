"""What may stand where a file is expected: by accident, by other programs, by an attacker."""

import os
import shutil
import socket
import stat

import pytest

from nbrnn.portable import NO_WAIT

SPARSE = 3 * 2**30  # bytes that a file claims, and that the disk does not hold


def link_outside(path, outside):
    """The file that was there, or a new one, but outside and behind a link."""
    move_out(path, outside)
    path.symlink_to(outside / path.name)


def hard_link(path, outside):
    move_out(path, outside)
    os.link(outside / path.name, path)


def move_out(path, outside):
    if path.is_file():
        shutil.move(path, outside / path.name)
    else:
        make_way(path)
        (outside / path.name).write_text("precious")


def link_to_folder(path, outside):
    make_way(path)
    path.symlink_to(outside, target_is_directory=True)


def folder_outside(path, outside):
    """The folder that was there, but outside and behind a link."""
    if path.is_dir():
        shutil.move(path, outside / "moved")
    else:
        make_way(path)
        (outside / "moved").mkdir()
    path.symlink_to(outside / "moved", target_is_directory=True)


def link_to(target):
    def put(path, outside):
        make_way(path)
        path.symlink_to(target)

    return put


def loop(path, outside):
    make_way(path)
    path.symlink_to(path.name)


def pipe(path, outside):
    make_way(path)
    os.mkfifo(path)


def unix_socket(path, outside):
    make_way(path)
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's name may have a hundred characters
        server.bind(path.name)
        os.chdir(here)


def device(path, outside):
    make_way(path)
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # that of /dev/zero


def folder(path, outside):
    make_way(path)
    (path / "within").mkdir(parents=True)


def sparse(path, outside):
    make_way(path)
    with path.open("wb") as file:
        file.truncate(SPARSE)


def content(data):
    def put(path, outside):
        make_way(path)
        path.write_bytes(data)

    return put


def unreadable(path, outside):
    if not path.exists():
        path.write_text("")
    path.chmod(0)


def missing(path, outside):
    make_way(path)


def make_way(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


KINDS = {
    "link outside": link_outside,
    "hard link": hard_link,
    "link to a folder": link_to_folder,
    "folder outside": folder_outside,
    "link to zeros": link_to("/dev/zero"),
    "link to a full device": link_to("/dev/full"),
    "link to nowhere": link_to("/dev/null"),
    "link to own memory": link_to("/proc/self/mem"),
    "dangling link": link_to("/nonexistent/file"),
    "loop": loop,
    "pipe": pipe,
    "socket": unix_socket,
    "device": device,
    "folder": folder,
    "sparse file": sparse,
    "empty file": content(b""),
    "text file": content(b"a stranger's\n"),
    "deep file": content(b"[" * 200_000),
    "unreadable file": unreadable,
    "missing": missing,
}
if not NO_WAIT:  # a system without pipes
    KINDS = {name: put for name, put in KINDS.items() if name not in ("pipe", "socket", "device")}
elif os.geteuid() != 0:
    del KINDS["device"]

QUICK = ("link outside", "pipe", "sparse file")
BY_KIND = pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)


def everything_in(folder):
    """Return what is in a folder: names, and the content of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
