"""Each instruction on blocks does, compiled, what its Python function says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding
from numba import njit
from numba.core.errors import TypingError

from nbrnn.network.simd import vector_ops, vector_types

DTYPES = [np.float32, np.float64]


@njit
def loaded_and_stored(C, A):
    vector_ops.store(vector_ops.load(A, 1, 3, 2, 2), C, 1, 5)


@njit
def broadcast(C, A):
    vector_ops.store(vector_ops.broadcast(A, 1, 3, 4), C, 1, 5)
    vector_ops.store(vector_ops.broadcast(A.T, 2, 0, 3), C, 0, 0)


@njit
def arithmetic(C, A):
    column, row = vector_ops.load(A, 0, 1, 3, 1), vector_ops.load(A, 2, 4, 1, 2)
    number = A[0, 0]
    block = vector_ops.zeros(A, 3, 2)
    block += column * row
    vector_ops.store(number * block - row + column - (block + number) * number, C, 1, 2)


@njit
def selected(C, A):
    a, b = vector_ops.load(A, 0, 1, 2, 1), vector_ops.load(A, 1, 4, 1, 2)
    vector_ops.store(vector_ops.maximum(a, b), C, 0, 0)
    vector_ops.store(vector_ops.minimum(a, b), C, 2, 0)
    vector_ops.store(vector_ops.minimum(vector_ops.maximum(a, -A[0, 0]), A[0, 0]), C, 4, 0)
    C[5, 0] = vector_ops.maximum(A[0, 0], A[1, 1])
    C[5, 1] = vector_ops.reduce_max(vector_ops.load(A, 2, 0, 1, 1))


@njit
def sums(C, A):
    block = vector_ops.load(A, 0, 0, 6, 1)
    vector_ops.add_row_sums(C, 1, 2, block)
    vector_ops.store(vector_ops.sum_rows(vector_ops.load(A, 0, 0, 5, 2)), C, 2, 0)
    vector_ops.store(vector_ops.sum_rows(vector_ops.load(A, 3, 0, 1, 1)), C, 3, 0)


@njit
def roots(C, A):
    vector_ops.store(vector_ops.reciprocal_root(vector_ops.load(A, 0, 0, 2, 2)), C, 0, 0)
    C[3, 0] = vector_ops.reciprocal_root(A[0, 0])


@njit
def reciprocals(C, A):
    vector_ops.store(vector_ops.reciprocal(vector_ops.load(A, 0, 0, 2, 2)), C, 0, 0)
    vector_ops.store(vector_ops.square_root(vector_ops.load(A, 0, 0, 2, 1)), C, 3, 0)
    C[5, 0], C[5, 1] = vector_ops.reciprocal(A[0, 0]), vector_ops.square_root(A[0, 0])


@njit
def tuples(C, A):
    for i in (3, 19):
        pair = vector_ops.load_each((A[0], A[1]), i, vector_ops.load(A, 0, 0, 1, 1))
        vector_ops.store_each((pair[0] + pair[1], pair[1]), (C[0], C[1]), i)
    pair = vector_ops.load_each((A[2], A[3]), 5, A[0, 0])
    vector_ops.store_each((pair[1], pair[0] + pair[1]), (C[2], C[3]), 6)
    vector_ops.store_each(vector_ops.load_each((), 0, A[0, 0]), (), 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "function",
    [loaded_and_stored, broadcast, arithmetic, selected, sums, roots, reciprocals, tuples],
    ids=lambda f: f.__name__,
)
def test_compiled_and_in_python_it_is_the_same(function, dtype):
    A = np.random.default_rng(0).uniform(0.5, 2, (6, 48)).astype(dtype)
    A[1] *= -1 if function is selected else 1
    compiled, meant = np.zeros((6, 48), dtype), np.zeros((6, 48), dtype)
    function(compiled, A)
    function.py_func(meant, A)
    assert meant.any()
    assert np.allclose(compiled, meant, rtol=0, atol=100 * np.finfo(dtype).eps)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_sums_of_vectors_of_any_length(monkeypatch, vector_bytes, dtype):
    for module in (vector_types, vector_ops):
        monkeypatch.setattr(module, "VECTOR_BYTES", vector_bytes)
    test_compiled_and_in_python_it_is_the_same(njit(sums.py_func), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_is_neither_larger_nor_smaller(dtype):
    A = np.ones((6, 48), dtype)
    A[1, 4] = np.nan
    C = np.zeros((6, 48), dtype)
    selected(C, A)
    assert (C[:4:2, 0] == 1).all()
    A[1, 4], A[0, 1] = 1, np.nan
    selected(C, A)
    assert np.isnan(C[[0, 2, 4], 0]).all()


@pytest.mark.parametrize(
    ("function", "exactly"), [(roots, lambda x: 1 / np.sqrt(x)), (reciprocals, lambda x: 1 / x)]
)
@pytest.mark.parametrize(("dtype", "wide"), [(np.float32, np.float64), (np.float64, np.longdouble)])
def test_estimates_are_refined_to_3_ulp(function, exactly, dtype, wide):
    limits = np.finfo(dtype)
    x = np.geomspace(limits.tiny * 4, limits.max / 8, 48_000).astype(dtype).reshape(-1, 48)
    C, worst, block = np.zeros((6, 48), dtype), 0, (slice(2), slice(2 * vector_ops.lanes(x)))
    for A in np.split(x, 500):
        function(C, A)
        exact = exactly(A[block].astype(wide))
        worst = max(worst, np.max(np.abs(C[block] - exact) / np.spacing(exact.astype(dtype))))
    assert worst < 3


@njit
def unlike(C, A, B):
    vector_ops.store(vector_ops.load(A, 0, 0, 2, 1) + vector_ops.load(B, 0, 0, 3, 1), C, 0, 0)


@njit
def mixed(C, A, B):
    vector_ops.store(vector_ops.load(A, 0, 0, 1, 1) * B[0, 0], C, 0, 0)


@pytest.mark.parametrize(("function", "dtype"), [(unlike, np.float32), (mixed, np.float64)])
def test_what_does_not_go_together_does_not_compile(function, dtype):
    A, B = np.ones((6, 48), np.float32), np.ones((6, 48), dtype)
    with pytest.raises(TypingError, match="No implementation of function"):
        function(A, A, B)


# Tests of what kernels are made of, and of the gradients of one and of several windows in one precision.
PARTS = "transpose or products or tanh or exp or edges or estimates or (naive_program or used_again) and"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "feature", "chosen"),
    [
        ("haswell", "avx2", f"{PARTS} float32"),
        ("nehalem", "sse4.2", f"{PARTS} float64 or numpy or feeds or numerical"),
    ],
)
def test_the_kernels_are_right_on_older_processors(tmp_path, name, feature, chosen):
    if not binding.get_host_cpu_features().get(feature):
        pytest.skip(f"this processor does not run what is compiled for {name}")
    older = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ""}
    environment = {**os.environ, **older, "NUMBA_CACHE_DIR": str(tmp_path)}
    modules = ("exp_tanh", "matmul", "batches", "training_kernels", "optimizers", "vector_ops")
    files = [str(Path(__file__).with_name(f"test_{module}.py")) for module in modules]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default"]
    command += ["-m", "not slow", "-k", chosen, *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
