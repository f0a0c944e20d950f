"""The software, the machine and the command with which a run is computed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nbrnn.portable import processor_name
from nbrnn.storage.schemas import Environment


def current_environment(command: Sequence[str]) -> Environment:
    """Return what env.json says of a start of a run now, by the command that the user typed."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return Environment(**machine(), command=list(command), started=started)


@cache
def machine() -> dict[str, Any]:
    """Return what does not change while this process lives."""
    import llvmlite.binding

    from nbrnn.network.simd.registers import target_name

    return {
        "nbrnn": version("nbrnn"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "llvm": ".".join(map(str, llvmlite.binding.llvm_version_info)),
        "cpu": processor_name(),
        "cpu_target": target_name(),
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    """Return the commit of the clone that this package runs from or was installed from, if known."""
    package = Path(__file__).parents[1]
    root = package.parent
    if not (root / ".git").exists():
        origin = install_origin()
        if "vcs_info" in origin:
            return str(origin["vcs_info"]["commit_id"])
        if "dir_info" not in origin:
            return None
        root = Path(url2pathname(urlsplit(origin["url"]).path))
        if not is_copy(package, root / package.name):
            return None  # the clone has moved on since it was installed
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def is_copy(package: Path, original: Path) -> bool:
    """Return whether all modules of a package are those of another folder."""
    with suppress(OSError):
        modules = [path.relative_to(package) for path in package.rglob("*.py")]
        return all((package / name).read_bytes() == (original / name).read_bytes() for name in modules)
    return False


def install_origin() -> dict[str, Any]:
    """Return what the installer recorded of where the package came from (PEP 610)."""
    try:
        return dict(json.loads(distribution("nbrnn").read_text("direct_url.json") or "{}"))
    except (PackageNotFoundError, ValueError):
        return {}
