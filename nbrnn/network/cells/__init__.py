"""Which cells are there, and what are their parameters?

vanilla, gru, lstm   the arithmetic of each cell, as Passes
cell_interface       what the file of a cell provides
dispatch             the passes of the cell that a layer's type belongs to

To add one: the class of its parameters and its line in CELLS, and a file of the same name. What is here
imports no compiler, so that files can be read without one.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Vanilla(NamedTuple):
    """One layer's parameters, or their gradient."""

    U: Any  # (1, inputs, M): transposed, so that an input is a row
    W: Any  # (1, m, M)
    b: Any  # (1, M)


class GRU(NamedTuple):
    """The same for gates r, z, n, as torch has them; d is added to W h in gate n."""

    U: Any  # (3, inputs, M)
    W: Any  # (3, m, M)
    b: Any  # (3, M)
    d: Any  # (1, M)


class LSTM(NamedTuple):
    """The same for gates i, f, g, o, as torch has them."""

    U: Any  # (4, inputs, M)
    W: Any  # (4, m, M)
    b: Any  # (4, M)


class Cell(NamedTuple):
    """What a cell declares: all that the rest of the program knows of it."""

    parameters: type[Any]  # the NamedTuple of a layer: U, W, b, and vectors that belong to one gate
    gate_names: tuple[str, ...]  # in the order in which they are stacked
    states: tuple[str, ...]  # the rows of its state, h first
    planes: int  # in LayerWork.z and dz; 0: z are the states themselves, and dz is dh
    scaled_bias: tuple[float, ...]  # of each gate, where the initialization is `scaled`
    torch: str  # the name of its module in torch.nn, whose gates lie in the same order

    @property
    def gates(self) -> int:
        """The number of gates."""
        return len(self.gate_names)

    def shapes(self, m: int, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a layer's parameters as in the equations, with the gates stacked."""
        rows = self.gates * m
        others = dict.fromkeys(self.parameters._fields[3:], (m,))
        return {"W": (rows, m), "U": (rows, inputs), "b": (rows,), **others}


CELLS = {
    "vanilla": Cell(Vanilla, ("h",), ("h",), planes=0, scaled_bias=(0.0,), torch="RNN"),
    "gru": Cell(GRU, tuple("rzn"), ("h",), planes=4, scaled_bias=(0.0, 0.0, 0.0), torch="GRU"),
    "lstm": Cell(
        LSTM, tuple("ifgo"), ("h", "c"), planes=5, scaled_bias=(0.0, 1.0, 0.0, 0.0), torch="LSTM"
    ),
}
