"""The processor that Numba compiles for, and the sizes of blocks that fill its vector registers."""

from typing import NamedTuple

from llvmlite import binding
from numba import config
from numba.core.codegen import get_host_cpu_features, initialize_llvm


class Blocks(NamedTuple):
    """The length of a vector, and how many rows a block has that fills the registers."""

    vector_bytes: int
    dot_rows: int  # of a matrix times a vector: each row has a sum, in one column of vectors
    vecmat_rows: int  # of a vector times a matrix: all rows have one sum
    window_rows: int  # of a product of matrices of one window: each row has sums in two columns
    matmul_rows: int  # of a product of matrices of several windows


# Keys: the letters with which the name of a register begins in LLVM's assembly.
# With SSE and NEON a vector is two registers: that halves the loads of numbers that multiply a whole
# row, and doubles the chains of additions, of which each waits for the one before.
#
# Multiply-adds a cycle in float32, modelled by `python -m bench.instructions`, for dot / vecmat /
# window / matmul rows and the length of a vector. The last two columns have the same blocks: the
# recurrence and the weight gradient of several windows.
#                                       dot  vecmat window  several windows
#   znver4       20/20/5/8, 64 bytes   15.9   14.2   10.6   11.6   15.9
#   haswell      12/12/5/6, 32 bytes    8.6    7.0   12.5   13.4   15.6
#                 8/ 8/5/4, 32 bytes    9.0    5.7   12.5    6.3    6.3
#   nehalem       4/ 4/2/2, 32 bytes    3.9    3.9    3.8    3.8    3.7
#                12/12/5/6, 32 bytes    2.9    3.3    2.3    2.4    3.1  up to 38 stack accesses
#                 4/ 4/5/4, 16 bytes    3.6    3.4    3.0    3.5    3.3
#   apple-m1      8/12/5/4, 32 bytes    7.8    6.4    8.6    7.8    9.0
#                12/12/5/6, 32 bytes    6.3    6.4    8.6    4.3    4.4  up to 40 moves
#                20/20/5/8, 16 bytes    4.2    3.8    5.5    5.9    7.9
#   neoverse-v1   8/12/5/4, 32 bytes   10.5    7.9   11.8   11.8   13.4
#                12/12/5/6, 32 bytes    7.1    7.9   11.8    5.5    5.8  up to 38 moves
#                20/20/5/8, 16 bytes   11.2    5.7    9.7   10.2   12.5
# With AVX-512 the clock decided: results/LOG.md.
BLOCKS = {
    "zmm": Blocks(
        64, dot_rows=20, vecmat_rows=20, window_rows=5, matmul_rows=8
    ),  # AVX-512: 32 of 64 bytes
    "ymm": Blocks(32, dot_rows=12, vecmat_rows=12, window_rows=5, matmul_rows=6),  # AVX: 16 of 32 bytes
    "xmm": Blocks(32, dot_rows=4, vecmat_rows=4, window_rows=2, matmul_rows=2),  # SSE: 16 of 16 bytes
    "v": Blocks(32, dot_rows=8, vecmat_rows=12, window_rows=5, matmul_rows=4),  # NEON: 32 of 16 bytes
}

SUM_OF_SIXTEEN = """
define <16 x float> @f(<16 x float> %a) "prefer-vector-width"="512" {
  %b = fadd <16 x float> %a, %a
  ret <16 x float> %b
}
"""


def target() -> tuple[str, str]:
    """Return the name of the processor that Numba compiles for, and its features.

    NUMBA_CPU_NAME and NUMBA_CPU_FEATURES choose them. A name alone leaves this machine's features;
    no features ("") mean those that LLVM knows the name to have.
    """
    name = binding.get_host_cpu_name() if config.CPU_NAME is None else config.CPU_NAME
    return name, get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES


def target_name() -> str:
    """Return the target in words: its name, and its features where they are not the name's own."""
    (name, features), host = target(), binding.get_host_cpu_name()
    if config.CPU_FEATURES is None:
        return name if name == host else f"{name} with the features of {host}"
    return f"{name} with {features}" if features else name


def target_blocks() -> Blocks:
    """Return the blocks for the registers in which LLVM adds sixteen numbers on the target."""
    initialize_llvm()
    name, features = target()
    llvm_target = binding.Target.from_triple(binding.get_process_triple())
    machine = llvm_target.create_target_machine(cpu=name, features=features)
    assembly = machine.emit_assembly(binding.parse_assembly(SUM_OF_SIXTEEN))
    found = (blocks for letters, blocks in BLOCKS.items() if f"{letters}0" in assembly)
    return next(found, BLOCKS["v"])


TARGET_BLOCKS = target_blocks()
VECTOR_BYTES = TARGET_BLOCKS.vector_bytes
