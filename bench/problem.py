"""The experiments that all implementations do: a text, and the weights to start from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from nbrnn.corpus import load


@dataclass(frozen=True)
class Problem:
    """m hidden units, B windows of T characters of a text of K different ones; all draws from seed 0.

    `codes` (N,) int32 is the text; `theta` has W (m, m), U (m, K), V (K, m), b (m,), c (K,).
    """

    m: int = 100
    T: int = 25
    K: int = 80
    batch: int = 1  # B
    optimizer: Literal["adagrad", "adam"] = "adagrad"
    loss: Literal["sum", "mean"] = "sum"  # over the T B characters
    eta: float = 0.1
    beta1: float = 0.9  # Adam's
    beta2: float = 0.999
    sigma: float = 0.1
    epsilon: float = 1e-8
    clip: float = 5.0
    dtype: str = "float32"

    @property
    def scale(self) -> float:
        """By what the sum of the characters' losses is multiplied."""
        return 1.0 if self.loss == "sum" else 1 / (self.T * self.batch)

    @cached_property
    def codes(self) -> np.ndarray:
        """Return brontes with K characters: the rarest made one, or all in several forms."""
        codes = load("brontes").codes
        counts = np.bincount(codes)
        rank = np.empty_like(counts)
        rank[np.argsort(-counts, kind="stable")] = np.arange(counts.size)
        ranked = np.minimum(rank[codes], self.K - 1)
        if counts.size < self.K:  # each character in several forms, as many as the text can have
            forms = -(-self.K // counts.size)
            form = np.random.default_rng(0).integers(forms, size=codes.size)
            ranked = np.minimum(rank[codes] * forms + form, self.K - 1)
        return ranked.astype(np.int32)

    @property
    def updates_per_epoch(self) -> int:
        """After how many updates all streams begin again, from h = 0."""
        return (self.codes.size - 1) // (self.T * self.batch)

    @property
    def first_characters(self) -> np.ndarray:
        """Return where in the text each stream begins (B,)."""
        return np.arange(self.batch) * ((self.codes.size - 1) // self.batch)

    @property
    def streams(self) -> np.ndarray:
        """Return the streams side by side (., B): update n reads T + 1 rows, from n T on."""
        length = self.updates_per_epoch * self.T + 1
        columns = [self.codes[first : first + length] for first in self.first_characters]
        return np.ascontiguousarray(np.transpose(columns))

    @property
    def theta(self) -> dict[str, np.ndarray]:
        """Return the parameters at the start, in this problem's precision."""
        rng = np.random.default_rng(0)
        m, K = self.m, self.K
        shapes = {"W": (m, m), "U": (m, K), "V": (K, m)}
        theta = {name: self.sigma * rng.standard_normal(shape) for name, shape in shapes.items()}
        theta |= {"b": np.zeros(m), "c": np.zeros(K)}
        return {name: np.ascontiguousarray(array, self.dtype) for name, array in theta.items()}


IN_BATCHES = Problem(batch=32, optimizer="adam", loss="mean", eta=0.001, clip=math.inf)
