"""How fast could it be? The core's own peaks, and nbrnn's time beside them, phase by phase."""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.c_loop import build
from bench.problem import Problem
from nbrnn.network import training_kernels
from nbrnn.network.buffers import Carry, History, Plan, training_buffers
from nbrnn.network.layout import Layout, zeros
from nbrnn.network.optimizers import AdaGrad, update_parameters
from nbrnn.network.propagation import (
    back_through_time,
    character_gradients,
    recurrent_gradients,
    through_time,
)
from nbrnn.network.readout import add_up_rows, logits, softmax_loss
from nbrnn.network.simd.jit import jit
from nbrnn.network.simd.matmul import matmul
from nbrnn.network.simd.registers import VECTOR_BYTES

TURNS = 15
WHOLE = "whole update"
# Operations for each number, counted in the kernels: exp by its polynomial and the two-step reduction,
# and tanh, which clamps and divides besides.
EXP_FLOPS = {"float32": 22, "float64": 34}
TANH_FLOPS = {"float32": 28, "float64": 40}


def medians(calls: dict[str, Callable[[], Any]], seconds: float = 0.01) -> dict[str, float]:
    """Return the median seconds of each call, over turns in which each is repeated for about so long."""
    repeats = {}
    for name, call in calls.items():
        call()
        begun = time.perf_counter()
        call()
        repeats[name] = max(1, int(seconds / (time.perf_counter() - begun)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            begun = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.perf_counter() - begun) / repeats[name])
    return {name: statistics.median(of_turns) for name, of_turns in times.items()}


@dataclass(frozen=True)
class Peak:
    """A loop of the core at its best: so many of some unit in each call."""

    amount: float
    call: Callable[[], Any]


def peaks(layout: Layout, touched: int) -> dict[str, Peak]:
    """Return loops over buffers of the sizes that the update has."""
    library = build("peaks.c", layout.dtype.name)
    size, lanes = layout.dtype.itemsize, VECTOR_BYTES // layout.dtype.itemsize

    def buffer(numbers: int) -> tuple[np.ndarray, int]:
        vectors = -(-numbers // (8 * lanes)) * 8
        array = zeros((vectors * lanes,), layout.dtype)
        array += 1
        return array, vectors

    def peak(amount: float, name: str, *arguments: Any) -> Peak:
        function = getattr(library, name)
        function.restype = ctypes.c_double
        converted = [
            ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_long(a)
            for a in arguments
        ]
        return Peak(amount, lambda kept=arguments: function(*converted))

    (small, small_vectors), (roots, _) = buffer(4096 // size * 4), buffer(4096 // size * 4)
    W, W_vectors = buffer(layout.m * layout.M)
    three = [buffer(touched)[0] for _ in range(3)]
    vectors = three[0].size // lanes
    n = 200
    return {
        "flops": peak(2 * 12 * lanes * 100_000, "multiply_adds", 100_000),
        "first_level_bytes": peak(VECTOR_BYTES * small_vectors * n, "reading", small, small_vectors, n),
        "W_bytes": peak(VECTOR_BYTES * W_vectors * n, "reading", W, W_vectors, n),
        "streamed_numbers": peak(three[0].size * n, "streaming", *three, vectors, n),
        "roots": peak(small.size * n, "roots", roots, small, small.size, n),
    }


@jit
def repeat_forward(n, layer, work, x):
    """The recurrence forward, n times."""
    for _ in range(n):
        through_time(layer, work, (x, True))


@jit
def repeat_logits(n, theta, y, h, p, losses, scale):
    """The logits, their softmax and the loss, n times."""
    for _ in range(n):
        logits(theta, h, p)
        softmax_loss(p, y, losses, scale)


@jit
def repeat_backward(n, theta, layer, work, do):
    """The gradient along the recurrence, n times."""
    K = theta.c.size
    for _ in range(n):
        matmul(work.dh, do[:, :K], theta.V)
        back_through_time(layer, work, do.shape[0])


@jit
def repeat_gradients(n, gradient, layer, work, of_layer, do, x):
    """The gradients of all weights, n times."""
    K = gradient.c.size
    for _ in range(n):
        matmul(gradient.V, do[:, :K].T, work.s[0, 1:])
        add_up_rows(gradient.c, do)
        recurrent_gradients(layer, work, of_layer)
        character_gradients(of_layer, work, gradient.rows, x)


@jit
def repeat_update(n, optimizer, clip, theta, memory, gradient, touched):
    """A step of the optimizer on all that a window touches, n times."""
    for _ in range(n):
        update_parameters(optimizer, clip, theta, memory, gradient, touched)


def measure(problem: Problem) -> dict[str, Any]:
    """Return peaks, and for each phase nbrnn's microseconds and those at the peaks."""
    layout = Layout(problem.m, problem.K, np.dtype(problem.dtype))
    m, M, K, T, size = problem.m, layout.M, problem.K, problem.T, layout.dtype.itemsize
    real = layout.dtype.type
    buffers = training_buffers(layout, layout.pack(problem.theta), T, memory=1)
    theta, memory, gradient, work = buffers.theta, buffers.memory, buffers.gradient, buffers.work
    codes = problem.codes
    x, y = codes[:T], codes[1 : T + 1]
    gradient.rows[:] = x
    layer, own, of_layer = theta.layers[0], work.layers[0], gradient.layers[0]
    p = work.p
    dense = theta.flat.size - layer.U.size + np.unique(x).size * M
    optimizer = AdaGrad(real(problem.eta), real(problem.epsilon))
    clip, scale = real(problem.clip), real(problem.scale)
    n = 20
    starts, reset = np.arange(n)[:, None] * T, np.arange(n)[:, None] == 0
    plan = Plan(starts, reset, np.full(n, problem.eta, layout.dtype))
    history = History.empty(n)
    exp_flops, tanh_flops = EXP_FLOPS[problem.dtype], TANH_FLOPS[problem.dtype]
    phases = {
        "forward recurrence": lambda: repeat_forward(n, layer, own, x),
        "logits and softmax": lambda: repeat_logits(n, theta, y, own.x, p, work.losses, scale),
        "backward recurrence": lambda: repeat_backward(n, theta, layer, own, p),
        "weight gradients": lambda: repeat_gradients(n, gradient, layer, own, of_layer, p, x),
        "AdaGrad": lambda: repeat_update(n, optimizer, clip, theta, memory, gradient, work.touched),
    }
    trained = training_buffers(layout, layout.pack(problem.theta), T, memory=1)
    whole = {
        WHOLE: lambda: training_kernels.train(
            trained, optimizer, clip, scale, codes, plan, Carry(), history
        )
    }
    core_loops = peaks(layout, dense)
    seconds = medians({**{name: loop.call for name, loop in core_loops.items()}, **phases, **whole})
    core = {name: loop.amount / seconds[name] for name, loop in core_loops.items()}
    flops = core["flops"]

    def recurrence(steps: int) -> float:
        return max(2 * steps * m * m / flops, steps * m * M * size / core["W_bytes"])

    limits = {
        "forward recurrence": recurrence(T) + tanh_flops * T * m / flops,
        "logits and softmax": (2 * T * m * K + exp_flops * T * K) / flops,
        "backward recurrence": recurrence(T - 1) + 2 * T * m * K / flops,
        "weight gradients": 2 * T * m * (m + K) / flops,
        "AdaGrad": max(dense / core["streamed_numbers"], dense / core["roots"]),
    }
    limits[WHOLE] = sum(limits.values())
    rows = [
        {"phase": name, "microseconds": seconds[name] / n * 1e6, "limit": limit * 1e6}
        for name, limit in limits.items()
    ]
    for row in rows:
        row["ratio"] = row["microseconds"] / row["limit"]
    return {"peaks": core, "phases": rows}


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(Problem(dtype=sys.argv[1]))))
