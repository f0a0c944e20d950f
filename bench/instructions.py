"""Count the instructions in the inner loops of kernels, for processors that need not be here.

`python -m bench.instructions [--cpu haswell ...]` prints for each processor and kernel the loop with the
most multiply-adds: how many these are, how many accesses to the stack and moves between registers are
among them (a block too large for the registers shows there), the cycles of one round as llvm-mca models
them, and how many numbers are multiplied and added in a cycle.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from llvmlite import binding
from numba import config, typeof
from numba.core.codegen import JITCodeLibrary
from numba.core.registry import cpu_target

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
TRIPLES = {
    **dict.fromkeys(("znver4", "sapphirerapids", "znver3", "haswell", "sandybridge", "nehalem"), X86),
    **dict.fromkeys(("neoverse-v1", "apple-m1"), ARM),
}
MULTIPLY_ADD = re.compile(r"v?fn?m(add|sub)\d*p|fml[as]|fn?m(ad|sb)\b")
MULTIPLY = re.compile(r"v?mulp[sd]")  # where nothing multiplies and adds at once
STACK = re.compile(r"%[er]sp|\[sp")
MOVE = re.compile(r"v?mov[au]p[sd]\s+%\w+, %\w+$|mov\s+v\d+\.16b, v\d+")
ROUNDS = 100  # of a loop, for the model


def compile_for(cpu: str) -> None:
    """Let Numba compile for another processor, and keep it from running the result."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    codegen = cpu_target.target_context.codegen()  # made for this processor, since it can run things
    target = binding.Target.from_triple(TRIPLES[cpu])
    machine = target.create_target_machine(cpu=cpu, opt=config.OPT, reloc="static")
    binding.get_process_triple = lambda: TRIPLES[cpu]
    config.CPU_NAME, config.CPU_FEATURES = cpu, ""
    codegen._tm, codegen._data_layout = machine, str(machine.target_data)
    codegen._engine.add_module = codegen._engine._load_defined_symbols
    codegen.set_env = lambda name, env: None
    JITCodeLibrary._finalize_specific = lambda self: None
    JITCodeLibrary.get_pointer_to_function = lambda self, name: self._ensure_finalized() or 0


def kernels() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return kernels with arguments of the types that they are called with."""
    from nbrnn.network import optimizers
    from nbrnn.network.simd import exp_tanh, matmul

    matrix, flat, number = np.zeros((1, 16), np.float32), np.zeros(16, np.float32), np.float32(1)
    adagrad = optimizers.AdaGrad(number, number)
    span = number, flat, (flat,), flat, (0, 0)
    return {
        "add_matvecs": (matmul.add_matvecs, (matrix, 0, matrix, matrix, 0, 0, True)),
        "add_vecmat": (matmul.add_vecmat, (matrix, 0, matrix, 0, matrix, True)),
        "matmul": (matmul.matmul, (matrix, matrix[:, :5], matrix)),
        "add_matmul": (matmul.add_matmul, (matrix, 0, matrix, 0, 0, matrix)),
        "add_outer_products": (matmul.add_outer_products, (matrix, matrix, 0, matrix, 0, 0)),
        "tanh": (exp_tanh.tanh, (flat,)),
        "exp": (exp_tanh.exp, (flat,)),
        "update_span": (optimizers.update_span, (adagrad, *span)),
    }


def assembly(kernel: Any, arguments: tuple[Any, ...]) -> str:
    """Return the assembly of a kernel."""
    kernel.compile(tuple(map(typeof, arguments)))
    (compiled,) = kernel.overloads.values()
    text: str = compiled.library.get_asm_str()
    return text


def inner_loops(text: str) -> Iterator[list[str]]:
    """Give the instructions of each loop in which there is no other label."""
    label, body = "", []
    for line in map(str.strip, text.splitlines()):
        if match := re.match(r"(\.L\w+):", line):
            label, body = match[1], []
        elif line and not line.startswith((".", "# ", "//")):
            body.append(re.sub(r"\s*(# |//).*", "", line))
            if line.split()[-1] == label:
                yield body[:]


def multiplications(loop: list[str]) -> list[str]:
    """Return the instructions that multiply vectors (and add)."""
    return list(filter(MULTIPLY_ADD.match, loop)) or list(filter(MULTIPLY.match, loop))


def numbers(instruction: str) -> int:
    """Return how many numbers in float32 are in a register of an instruction; in SVE as in NEON."""
    return {"z": 16, "y": 8}.get("".join(re.findall(r"%([yz])mm", instruction)[:1]), 4)


def modelled_cycles(loop: list[str], cpu: str) -> float:
    """Return how long llvm-mca thinks that one round of a loop takes; NaN without it."""
    mca = shutil.which("llvm-mca-19") or shutil.which("llvm-mca")
    if mca is None:
        return float("nan")
    command = [mca, f"-mtriple={TRIPLES[cpu]}", f"-mcpu={cpu}", f"-iterations={ROUNDS}"]
    source = "\n".join(["loop:", *loop[:-1], re.sub(r"\S+$", "loop", loop[-1])])
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    (cycles,) = re.findall(r"Total Cycles:\s+(\d+)", done.stdout)
    return int(cycles) / ROUNDS


def rows(cpu: str) -> list[str]:
    """Return a line of the table for each kernel on one processor."""
    compile_for(cpu)
    lines = []
    for name, (kernel, arguments) in kernels().items():
        loop = max(inner_loops(assembly(kernel, arguments)), key=lambda loop: len(multiplications(loop)))
        stack, moves = (len(list(filter(find, loop))) for find in (STACK.search, MOVE.match))
        multiplied, cycles = multiplications(loop), modelled_cycles(loop, cpu)
        rate = sum(map(numbers, multiplied)) / cycles
        counts = f"{len(multiplied):4} {stack:6} {moves:6} {cycles:7.1f} {rate:8.1f}"
        lines.append(f"{cpu:15} {name:19} {counts}")
    return lines


def main() -> None:
    """Print the table; each processor has a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--cpu", nargs="+", choices=TRIPLES, default=list(TRIPLES), metavar="NAME")
    cpus = parser.parse_args().cpu
    print(f"{'processor':15} {'kernel':19} FMAs  stack  moves  cycles FMA/cycle")
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for lines in pool.map(rows, cpus):
            print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main()
