"""The target that Numba compiles for, and the blocks for its registers."""

import subprocess
import sys

import pytest
from llvmlite import binding
from numba import config

from nbrnn.network.simd import registers

X86 = "x86_64-unknown-linux-gnu"
ARM = "aarch64-unknown-linux-gnu"


@pytest.fixture
def choose(monkeypatch):
    """Return a function that chooses a target as NUMBA_CPU_NAME and NUMBA_CPU_FEATURES do."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()

    def call(name, features, triple=X86):
        monkeypatch.setattr(config, "CPU_NAME", name)
        monkeypatch.setattr(config, "CPU_FEATURES", features)
        monkeypatch.setattr(binding, "get_process_triple", lambda: triple)

    return call


@pytest.mark.parametrize(
    ("name", "features", "triple", "letters"),
    [
        ("haswell", "", X86, "ymm"),
        ("haswell", "+avx512f", X86, "zmm"),
        ("nehalem", "", X86, "xmm"),
        ("generic", "", X86, "xmm"),
        ("sapphirerapids", "", X86, "zmm"),  # of which LLVM by itself halves the vectors
        ("sapphirerapids", "-avx512f", X86, "ymm"),
        ("neoverse-v1", "", ARM, "v"),
        ("apple-m1", "", "arm64-apple-darwin", "v"),
        ("pwr9", "", "powerpc64le-unknown-linux-gnu", "v"),
    ],
)
def test_blocks_fit_the_registers_of_the_target(choose, name, features, triple, letters):
    choose(name, features, triple)
    assert registers.target_blocks() == registers.BLOCKS[letters]
    assert registers.target_name() == (f"{name} with {features}" if features else name)


def test_the_name_of_this_machine_alone_changes_nothing(choose):
    host, triple = binding.get_host_cpu_name(), binding.get_process_triple()
    choose(None, None, triple)
    blocks = registers.target_blocks()
    assert registers.target_name() == host
    choose(host, None, triple)
    assert (registers.target_blocks(), registers.target_name()) == (blocks, host)


def test_another_name_alone_has_the_features_of_this_machine(choose):
    choose("another", None)
    assert registers.target() == ("another", registers.get_host_cpu_features())
    assert registers.target_name() == f"another with the features of {binding.get_host_cpu_name()}"


@pytest.mark.slow
def test_to_import_the_kernels_leaves_numba_as_it_is():
    program = """
from numba import config
settings = lambda: {name: getattr(config, name) for name in dir(config) if name.isupper()}
before = settings()
from nbrnn.network import kernel_cache
assert settings() == before
"""
    subprocess.run([sys.executable, "-c", program], check=True)
