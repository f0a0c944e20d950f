"""Is the hand-written gradient right? Every weight against numerical differences, in float64."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event, Lock

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError
from nbrnn.network import kernel_cache, sampling_kernels, training_kernels
from nbrnn.network.buffers import Work, batch_work, set_states_before, states_before, window_work
from nbrnn.network.layout import Layout, Parameters, generator
from nbrnn.typing import Array

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


def worst(differences: Sequence[Difference]) -> float:
    """Return the largest relative error of any weight; NaN if one is."""
    return float(np.max([difference.largest for difference in differences]))


@dataclass
class Windows:
    """The windows of one update, each with the state before it."""

    codes: Array
    starts: Array  # (B,)
    works: list[Work]  # for each window, with the states before it
    scale: float  # of the sum of all losses, in the loss

    def window(self, b: int, T: int) -> Array:
        """Return the characters of a window, and the one after them."""
        piece: Array = self.codes[self.starts[b] : self.starts[b] + T + 1]
        return piece


def gradcheck(
    corpus: Corpus,
    config: RunConfig,
    progress: Callable[[int, int], object] = lambda done, derivatives: None,
) -> list[Difference]:
    """Compare the gradient that training computes with numerical differences, for every weight.

    That of the loss of a batch, at the start of a run with this config, in float64, without dropout.
    Three cases: from h_0 = 0, from random h_0 in (-1, 1) (with h_0 = 0 a wrong dW of the first step
    would go unseen), and in the second of two windows of each stream, from the state that the first
    left. `progress` is told, by several threads, how many derivatives are taken, and of how many. Raises
    CorpusError for a text shorter than two batches of windows.
    """
    T, B = config.seq_length, config.batch
    if len(corpus) < 2 * T * B + 1:
        what = f"--seq-length {T}" + (f" and --batch {B}" if B > 1 else "")
        least = f"at least {2 * T * B + 1:,} characters"
        raise CorpusError(f"{corpus.name}: with {what} the text needs {least}")
    K, float64 = len(corpus.alphabet), np.dtype(np.float64)
    layout = Layout(config.hidden, K, float64, config.cell, config.layers)
    for kernel in ("evaluate", "numerical_gradient", "batch_gradient" if B > 1 else "window_gradient"):
        kernel_cache.ready_for(kernel, layout)
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
                lambda case: compare(corpus, config, layout, case, cancelled, tell), CASES
            )
            return [difference for differences in compared for difference in differences]
        finally:
            cancelled.set()


def compare(
    corpus: Corpus,
    config: RunConfig,
    layout: Layout,
    case: str,
    cancelled: Event,
    tell: Callable[[int], None],
) -> list[Difference]:
    """Compare the two gradients in one case."""
    theta = layout.initial(generator(config.seed, "start"), config.sigma, config.init)
    windows = windows_of(corpus, config, layout, theta, case)
    B, T = config.batch, config.seq_length
    work = window_work(layout, T) if B == 1 else batch_work(layout, T, B)
    set_states_before(work, np.concatenate([states_before(each) for each in windows.works], axis=2))
    gradient = layout.gradient(T * B)
    training_kernels.loss_gradient(theta, gradient, work, corpus.codes, windows.starts, windows.scale)
    analytic, weights = layout.named(gradient), flat_indices(layout)
    differences = []
    for name in layout.shapes:
        ga = analytic[name].ravel()
        gn = numerical_gradient(theta, windows, weights[name].ravel(), ga, cancelled, tell)
        largest = float(relative_error(ga, gn).max())
        of_norms = norm(ga - gn) / max(1e-6, norm(ga) + norm(gn))
        of_norms = of_norms if np.isfinite(of_norms) else 1.0
        differences.append(Difference(layout.m, name, ga.size, case, largest, of_norms))
    return differences


def windows_of(
    corpus: Corpus, config: RunConfig, layout: Layout, theta: Parameters, case: str
) -> Windows:
    """Return the first windows, or the second ones, of streams through the text, with their states."""
    B, T = config.batch, config.seq_length
    starts = np.arange(B) * ((len(corpus) - 1) // B)
    works = [window_work(layout, T) for _ in range(B)]
    windows = Windows(corpus.codes, starts, works, config.characters_in_loss / (T * B))
    if case == "h0 random":
        shape = B, layout.layers, len(layout.kind.states), 1, layout.m
        states = generator(config.seed, "gradcheck").uniform(-1, 1, shape)
        for work, state in zip(works, states, strict=True):
            set_states_before(work, state)
    elif case == "second window":
        for b, work in enumerate(works):
            sampling_kernels.evaluate(theta, work, windows.window(b, T))  # leaves its last states there
        windows.starts = starts + T
    return windows


def flat_indices(layout: Layout) -> dict[str, Array]:
    """Return for each parameter, shaped as in the equations, where in the buffer its elements lie."""
    numbered = replace(layout, dtype=np.dtype(np.int64)).parameters()
    numbered.flat[:] = np.arange(numbered.flat.size)
    return layout.named(numbered)


def numerical_gradient(
    theta: Parameters,
    windows: Windows,
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
            gradient[part] = derivatives(theta, windows, indices[open_[part]], step)
            if step == STEPS[0]:
                tell(gradient[part].size)
        better = relative_error(analytic[open_], gradient) <= error[open_]
        best[open_[better]] = gradient[better]
    return best


def derivatives(theta: Parameters, windows: Windows, indices: Array, step: float) -> Array:
    """Return those of the loss of all windows, one window after the other."""
    total, of_window = np.zeros(indices.size), np.empty(indices.size)
    for b, work in enumerate(windows.works):
        codes = windows.window(b, work.losses.size)
        training_kernels.numerical_gradient(theta, work, codes, indices, step, of_window)
        total += windows.scale * of_window
    return total


def norm(array: Array) -> float:
    """Return the Euclidean norm."""
    return float(np.linalg.norm(array))


def relative_error(ga: Array, gn: Array) -> Array:
    """Return |ga - gn| / max(1e-6, |ga| + |gn|), element by element; 1, the largest, for NaN."""
    with np.errstate(invalid="ignore"):
        error: Array = np.abs(ga - gn) / np.maximum(1e-6, np.abs(ga) + np.abs(gn))
    return np.nan_to_num(error, nan=1.0)
