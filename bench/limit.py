"""How fast could it be? The core's own peaks, and nbrnn's time beside them, phase by phase."""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.c_loop import build
from bench.problem import Problem
from nbrnn import kernels
from nbrnn.params import Layout, zeros

TURNS = 15
# Operations for each number, counted in the kernels: the polynomial of exp with its two-step
# reduction, and what tanh adds to it.
EXP_FLOPS, TANH_FLOPS = 24, 30


def fastest(call: Callable[[], Any], seconds: float = 0.02) -> float:
    """Return the median over turns of the seconds of a call, each repeated to take about so long."""
    begun = time.perf_counter()
    call()
    repeats = max(1, int(seconds / (time.perf_counter() - begun)))
    times = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        for _ in range(repeats):
            call()
        times.append((time.perf_counter() - begun) / repeats)
    return statistics.median(times)


def peaks(layout: Layout, touched: int) -> dict[str, float]:
    """Return what this core does in a second, with buffers of the sizes that the update has."""
    library = build("peaks.c", layout.dtype.name)
    size, lanes = layout.dtype.itemsize, 64 // layout.dtype.itemsize

    def buffer(numbers: int) -> tuple[np.ndarray, int]:
        vectors = -(-numbers // (8 * lanes)) * 8
        array = zeros((vectors * lanes,), layout.dtype)
        array += 1
        return array, vectors

    def run(name: str, *arguments: Any) -> float:
        function = getattr(library, name)
        function.restype = ctypes.c_double
        converted = [
            ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_long(a)
            for a in arguments
        ]
        return fastest(lambda: function(*converted))

    small, small_vectors = buffer(4096 // size * 4)
    W, W_vectors = buffer(layout.m * layout.M)
    three = [buffer(touched) for _ in range(3)]
    n = 200
    return {
        "flops": 2 * 12 * lanes * 100_000 / run("multiply_adds", 100_000),
        "first_level_bytes": 64 * small_vectors * n / run("reading", small, small_vectors, n),
        "W_bytes": 64 * W_vectors * n / run("reading", W, W_vectors, n),
        "streamed_numbers": three[0][1]
        * lanes
        * n
        / run("streaming", *(array for array, _ in three), three[0][1], n),
        "roots": small.size * n / run("roots", small, small.copy(), small.size, n),
    }


@kernels.jit
def repeat_forward(n, theta, x, h):
    """The recurrence forward, n times."""
    for _ in range(n):
        kernels.forward_states(theta, x, h)


@kernels.jit
def repeat_logits(n, theta, y, h, p, losses):
    """The logits, their softmax and the loss, n times."""
    for _ in range(n):
        kernels.logits(theta, h, p)
        kernels.softmax_loss(p, y, losses)


@kernels.jit
def repeat_backward(n, theta, h, do, da):
    """The gradient along the recurrence, n times."""
    for _ in range(n):
        kernels.backward_states(theta, h, do, da)


@kernels.jit
def repeat_gradients(n, grad, x, h, do, da):
    """The gradients of all weights, n times."""
    for _ in range(n):
        kernels.weight_gradients(grad, x, h, do, da)


@kernels.jit
def repeat_adagrad(n, theta, G, grad, x, touched, eta, epsilon, clip):
    """AdaGrad on all that a window touches, n times."""
    for stamp in range(n):
        kernels.descend(theta, G, grad, x, touched, stamp, eta, epsilon, clip)


def measure(problem: Problem) -> dict[str, Any]:
    """Return peaks, and for each phase nbrnn's microseconds and those at the peaks."""
    layout = Layout(problem.m, problem.K, np.dtype(problem.dtype))
    m, M, K, T, size = problem.m, layout.M, problem.K, problem.T, layout.dtype.itemsize
    real = layout.dtype.type
    theta, G, grad = layout.pack(problem.theta), layout.parameters(), layout.parameters()
    work, codes = layout.work(T), problem.codes
    x, y = codes[:T], codes[1 : T + 1]
    dense = theta.flat.size - theta.U.size + np.unique(x).size * M
    core = peaks(layout, dense)
    settings = real(problem.eta), real(problem.epsilon), real(problem.clip)
    n = 20
    calls = {
        "forward recurrence": lambda: repeat_forward(n, theta, x, work.h),
        "logits and softmax": lambda: repeat_logits(n, theta, y, work.h, work.p, work.losses),
        "backward recurrence": lambda: repeat_backward(n, theta, work.h, work.p, work.da),
        "weight gradients": lambda: repeat_gradients(n, grad, x, work.h, work.p, work.da),
        "AdaGrad": lambda: repeat_adagrad(n, theta, G, grad, x, work.touched, *settings),
    }
    flops, recurrent = core["flops"], T * m * M * size / core["W_bytes"]
    limits = {
        "forward recurrence": max(2 * T * m * m / flops, recurrent) + TANH_FLOPS * T * m / flops,
        "logits and softmax": (2 * T * m * K + EXP_FLOPS * T * K) / flops,
        "backward recurrence": max(2 * T * m * m / flops, recurrent) + 2 * T * m * K / flops,
        "weight gradients": 2 * T * m * (m + K) / flops,
        "AdaGrad": max(dense / core["streamed_numbers"], dense / core["roots"]),
    }
    phases = []
    for name, call in calls.items():
        call()
        ours, limit = fastest(call) / n * 1e6, limits[name] * 1e6
        phases.append({"phase": name, "microseconds": ours, "limit": limit, "ratio": ours / limit})
    ours, limit = (sum(phase[column] for phase in phases) for column in ("microseconds", "limit"))
    phases.append({"phase": "whole update", "microseconds": ours, "limit": limit, "ratio": ours / limit})
    return {"peaks": core, "phases": phases}


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    print(json.dumps(measure(Problem(dtype=sys.argv[1]))))
