"""Where a run's code came from."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from nbrnn.runs import provenance


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that lets the package be installed, with what the installer recorded."""
    monkeypatch.setattr(
        provenance, "__file__", str(tmp_path / "site-packages" / "nbrnn" / "runs" / "x.py")
    )

    def call(record):
        text = None if record is None else json.dumps(record)
        monkeypatch.setattr(
            provenance, "distribution", lambda name: SimpleNamespace(read_text=lambda file: text)
        )
        return provenance.git_commit()

    return call


def test_an_installed_package_knows_the_commit_that_it_was_made_from(installed, tmp_path):
    clone = tmp_path / "a clone"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", clone]
    subprocess.run(["git", "init", "-q", clone], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert installed({"url": clone.as_uri(), "dir_info": {}}) == head.stdout.strip()
    vcs = {"vcs": "git", "commit_id": "1deb767", "requested_revision": "main"}
    assert installed({"url": "https://example.org/nbrnn.git", "vcs_info": vcs}) == "1deb767"


@pytest.mark.parametrize(
    "record",
    [
        None,
        {"url": "https://example.org/nbrnn.whl", "archive_info": {}},
        {"url": "file:///gone", "dir_info": {}},
    ],
)
def test_a_package_from_an_index_knows_none(installed, record):
    assert installed(record) is None
