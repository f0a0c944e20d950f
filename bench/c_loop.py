"""C, compiled on the spot: rnn.c."""

import ctypes
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.problem import Problem
from nbrnn.network.simd.registers import VECTOR_BYTES

FLAGS = ["-O3", "-march=native", "-ffast-math", "-fPIC", "-c"]
if platform.machine() in ("x86_64", "AMD64"):
    FLAGS += ["-mprefer-vector-width=512"]  # as nbrnn has it, too


def build(source: str, dtype: str) -> ctypes.CDLL:
    """Compile a file of this folder for a precision, and load it. ImportError: no compiler that can."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise ImportError("there is no C compiler, cc")
    real, lanes = (
        {"float32": "float", "float64": "double"}[dtype],
        VECTOR_BYTES // np.dtype(dtype).itemsize,
    )
    types = [f"-Dreal={real}", f"-DBYTES={VECTOR_BYTES}", f"-DLANES={lanes}"]
    with tempfile.TemporaryDirectory() as folder:
        path, code = Path(__file__).with_name(source), Path(folder) / "code.o"
        library = Path(folder) / "library.so"
        # Linked with -ffast-math, it would make small numbers 0 in the whole process that loads it.
        link = [compiler, "-shared", str(code), "-o", str(library), "-lm"]
        for command in ([compiler, *FLAGS, *types, str(path), "-o", str(code)], link):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise ImportError(f"the C compiler cannot compile {source}: {first_error(done.stderr)}")
        return ctypes.CDLL(str(library))


def first_error(text: str) -> str:
    """Return the first line of a compiler's output that names an error."""
    return next((line for line in text.splitlines() if "error" in line), text)


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    functions = build("rnn.c", problem.dtype)
    doubles, whole = np.ctypeslib.ndpointer(np.float64), np.ctypeslib.ndpointer(np.int32)
    functions.begin.restype = ctypes.c_void_p
    functions.begin.argtypes = [ctypes.c_int] * 3 + [ctypes.c_long, whole] + [doubles] * 3
    functions.begin.argtypes += [ctypes.c_double] * 3
    functions.train.argtypes = [ctypes.c_void_p, ctypes.c_long, doubles]
    codes, theta = problem.codes, problem.theta
    weights = [np.ascontiguousarray(theta[name], np.float64) for name in ("W", "U", "V")]
    settings = problem.eta, problem.epsilon, problem.clip
    net = functions.begin(problem.m, problem.K, problem.T, codes.size, codes, *weights, *settings)

    def train(updates):
        losses = np.empty(updates)
        functions.train(net, updates, losses)
        return losses

    train.keeps = codes  # which the library reads
    return train
