"""How much memory may be used, as a machine and its control groups tell it."""

from types import SimpleNamespace

import pytest

from nbrnn import available_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return the folder of a made-up system with 2,000,000 bytes left, and no control groups yet."""
    machine = SimpleNamespace(available=2_000_000)
    monkeypatch.setattr(available_memory.psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(available_memory, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(available_memory, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def test_a_system_without_control_groups(system):
    assert available_memory.available() == 2_000_000


@pytest.mark.parametrize(
    ("own", "root", "files", "cached", "unlimited"),
    [
        ("1:cpu:/\n0::/batch/job\n", "", ("max", "current"), "inactive_file", "max"),
        (
            "4:memory:/batch/job\n1:cpu:/\n0::/\n",
            "memory",
            ("limit_in_bytes", "usage_in_bytes"),
            "total_inactive_file",
            str(2**63 - 4096),
        ),
    ],
    ids=["v2", "v1"],
)
def test_a_group_may_have_less_and_one_above_it_even_less(system, own, root, files, cached, unlimited):
    (system / "own").write_text(own)
    job = system / "groups" / root / "batch" / "job"
    job.mkdir(parents=True)

    def limit(group, *values, reclaimable=0):
        for file, value in zip(files, values, strict=True):
            (group / f"memory.{file}").write_text(f"{value}\n")
        (group / "memory.stat").write_text(f"anon 1\n{cached} {reclaimable}\n")

    limit(job, 1_000_000, 200_000, reclaimable=50_000)
    limit(job.parent, unlimited, 9)
    assert available_memory.available() == 850_000
    limit(job.parent, 500, 9)
    assert available_memory.available() == 491


def test_this_machine_has_some():
    assert available_memory.available() > 2**20
