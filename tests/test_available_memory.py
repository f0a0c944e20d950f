"""How much memory may be used, as a machine and its control groups tell it."""

import math

import pytest

from nbrnn import available_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return the folder of a made-up system that tells nothing yet."""
    monkeypatch.setattr(available_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(available_memory, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(available_memory, "OWN_CGROUP", tmp_path / "own")
    return tmp_path


def test_a_system_that_tells_nothing(system):
    assert available_memory.available() == math.inf


def test_what_the_machine_has_left(system):
    (system / "meminfo").write_text("MemTotal: 3000 kB\nMemAvailable: 2000 kB\nHugePages_Total: 0\n")
    assert available_memory.available() == 2000 * 1024


def test_a_group_may_have_less_and_one_above_it_even_less(system):
    (system / "meminfo").write_text("MemAvailable: 2000 kB\n")
    (system / "own").write_text("1:cpu:/\n0::/batch/job\n")
    job = system / "groups" / "batch" / "job"
    job.mkdir(parents=True)
    for group, limit, used, cached in ((job, 1_000_000, 200_000, 50_000), (job.parent, "max", 9, 0)):
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    assert available_memory.available() == 850_000
    (job.parent / "memory.max").write_text("500\n")
    assert available_memory.available() == 491


def test_this_machine_has_some():
    assert available_memory.available() > 2**20
