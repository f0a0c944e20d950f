"""What the file of a cell provides: its arithmetic in time, for one window and for B windows at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nbrnn.network.simd.jit import jit_expand


class Passes(NamedTuple):
    """Three plain functions, which the compiler takes up.

    `layer` is the layer's parameters, `work` its LayerWork, in whose arrays one row, for several windows
    B rows, are a step. Before `step` the planes work.z hold U x + b for every gate; before `step_back`
    work.dh holds the gradient of h_t that comes from above.

    step(layer, work, t): fill the states after step t, in work.s, from those before it.
    step_back(layer, work, t): fill work.dz at step t, after step t + 1 has been done.
    gradients(layer, work, gradient): fill the gradients of all parameters but U and b, which follow from
    work.dz.
    """

    step: Callable[..., Any]
    step_back: Callable[..., Any]
    gradients: Callable[..., Any]


@jit_expand
def windows(work):
    """Return the number of windows B of a LayerWork."""
    return work.s.shape[1] - work.dh.shape[0]
