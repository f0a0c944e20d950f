"""Is the hand-written gradient right? Every weight against numerical differences, in float64."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock

import numpy as np

from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError
from nbrnn.network import compiled, loops, rnn
from nbrnn.network.params import NAMES, Array, Layout, Parameters, Work, generator

CASES = ("h0 = 0", "h0 random", "second window")

# Of the numerical differences. The first leaves errors up to 3e-7 at sigma 0.1, m = 100. Where it
# leaves more than GOOD the others are tried and the best is kept, as at sigma 0.01 (1.2e-6 with the
# first alone) and at sigma 0.3, where the loss is so curved that it takes the smaller ones. A wrong
# gradient agrees with none.
STEPS = (3e-3, 1e-2, 1e-3, 1e-4, 1e-5)
GOOD = 1e-7
PIECE = 100  # weights in one call of the kernel, between which Python sees a signal


@dataclass(frozen=True)
class Difference:
    """How far the gradient of one parameter is from the numerical one, in one case.

    largest: over all elements, of |ga - gn| / max(1e-6, |ga| + |gn|). norm: the same of the norms.
    """

    hidden: int
    parameter: str
    weights: int
    case: str
    largest: float
    norm: float


def gradcheck(
    corpus: Corpus,
    hidden: int,
    seq_length: int = 25,
    sigma: float = 0.1,
    seed: int = 0,
    progress: Callable[[int, int], object] = lambda done, derivatives: None,
) -> list[Difference]:
    """Compare the gradient that training computes with numerical differences, for every weight.

    Three cases: from h_0 = 0, from a random h_0 in (-1, 1) (with h_0 = 0 a wrong dW of the first
    step would go unseen), and in the second of two windows, from the state that the first left.
    `progress` is told, by several threads, how many derivatives are taken, and of how many.
    Raises CorpusError for a text shorter than two windows.
    """
    T = seq_length
    if len(corpus) < 2 * T + 1:
        raise CorpusError(f"{corpus.name}: two windows need at least {2 * T + 1} characters")
    for kernel in ("evaluate", "forward", "softmax_loss", "backward", "numerical_gradient"):
        compiled.ready(kernel, "float64")
    layout = Layout(hidden, len(corpus.alphabet), np.dtype(np.float64))
    total = len(CASES) * sum(indices.size for indices in flat_indices(layout).values())
    taken, lock, cancelled = 0, Lock(), Event()

    def tell(derivatives: int) -> None:
        nonlocal taken
        with lock:
            taken += derivatives
            progress(taken, total)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            compared = threads.map(
                lambda case: compare(corpus, layout, T, sigma, seed, case, cancelled, tell), CASES
            )
            return [difference for differences in compared for difference in differences]
        finally:
            cancelled.set()


def compare(
    corpus: Corpus,
    layout: Layout,
    T: int,
    sigma: float,
    seed: int,
    case: str,
    cancelled: Event,
    tell: Callable[[int], None],
) -> list[Difference]:
    """Compare the two gradients in one case."""
    hidden = layout.m
    theta, work = layout.initial(sigma, generator(seed, "start")), layout.work(T)
    if case == "h0 random":
        work.h[0, :hidden] = generator(seed, "gradcheck").uniform(-1, 1, hidden)
    elif case == "second window":
        loops.evaluate(theta, work, corpus.codes[: T + 1])  # leaves the last state in h[0]
    start = T if case == "second window" else 0
    codes = corpus.codes[start : start + T + 1]
    x, y = codes[:-1], codes[1:]
    gradient = layout.gradient(T)
    rnn.forward(theta, x, work.h, work.p)
    rnn.softmax_loss(work.p, y, work.losses)
    rnn.backward(theta, gradient, x, work.h, work.p, work.da)
    analytic = layout.named(gradient)
    weights = flat_indices(layout)
    differences = []
    for name in NAMES:
        ga = analytic[name].ravel()
        gn = numerical_gradient(theta, work, codes, weights[name].ravel(), ga, cancelled, tell)
        largest = float(relative_error(ga, gn).max())
        of_norms = norm(ga - gn) / max(1e-6, norm(ga) + norm(gn))
        of_norms = of_norms if np.isfinite(of_norms) else 1.0
        differences.append(Difference(hidden, name, ga.size, case, largest, of_norms))
    return differences


def flat_indices(layout: Layout) -> dict[str, Array]:
    """Return for each parameter, shaped as in the equations, where in the buffer its elements lie."""
    numbered = Layout(layout.m, layout.K, np.dtype(np.int64)).parameters()
    numbered.flat[:] = np.arange(numbered.flat.size)
    return layout.named(numbered)


def numerical_gradient(
    theta: Parameters,
    work: Work,
    codes: Array,
    indices: Array,
    analytic: Array,
    cancelled: Event,
    tell: Callable[[int], None] = lambda derivatives: None,
) -> Array:
    """Return the derivatives for some elements of the buffer, each by the step that does it best.

    `tell` is told how many more are taken, if with the first step only. Ends early, with nonsense,
    once `cancelled` is set.
    """
    best = np.full(indices.size, np.inf)
    for step in STEPS:
        error = relative_error(analytic, best)
        open_ = np.flatnonzero(error > GOOD)
        if open_.size == 0:
            break
        gradient = np.empty(open_.size)
        for piece in range(0, open_.size, PIECE):
            if cancelled.is_set():
                return best
            part = slice(piece, piece + PIECE)
            loops.numerical_gradient(theta, work, codes, indices[open_[part]], step, gradient[part])
            if step == STEPS[0]:
                tell(gradient[part].size)
        better = relative_error(analytic[open_], gradient) <= error[open_]
        best[open_[better]] = gradient[better]
    return best


def norm(array: Array) -> float:
    """Return the Euclidean norm."""
    return float(np.linalg.norm(array))


def relative_error(ga: Array, gn: Array) -> Array:
    """Return |ga - gn| / max(1e-6, |ga| + |gn|), element by element; 1, the largest, for NaN."""
    with np.errstate(invalid="ignore"):
        error: Array = np.abs(ga - gn) / np.maximum(1e-6, np.abs(ga) + np.abs(gn))
    return np.nan_to_num(error, nan=1.0)
