"""Train many small character-level recurrent networks, fast, on an ordinary CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbrnn.analysis.result_tables import read_runs
    from nbrnn.api import run, sweep
    from nbrnn.checks.check import check
    from nbrnn.config import RunConfig
    from nbrnn.corpus import load
    from nbrnn.runs.model import Model
    from nbrnn.runs.observer import Observer

    __version__: str

__all__ = ["Model", "Observer", "RunConfig", "__version__", "check", "load", "read_runs", "run", "sweep"]

# Each is imported when it is first used, so that `nbrnn --help` is instant.
HOMES = {
    "Model": "nbrnn.runs.model",
    "Observer": "nbrnn.runs.observer",
    "RunConfig": "nbrnn.config",
    "check": "nbrnn.checks.check",
    "load": "nbrnn.corpus",
    "read_runs": "nbrnn.analysis.result_tables",
    "run": "nbrnn.api",
    "sweep": "nbrnn.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("nbrnn")
    if name not in HOMES:
        raise AttributeError(f"module 'nbrnn' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
