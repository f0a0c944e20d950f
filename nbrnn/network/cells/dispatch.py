"""The passes of the cell that the type of `layer` belongs to, known when a kernel is compiled."""

from importlib import import_module

from nbrnn.network.cells import CELLS
from nbrnn.network.cells.cell_interface import Passes
from nbrnn.network.simd.jit import overload_inline

MODULE_OF = {cell.parameters: import_module(f"{__package__}.{name}") for name, cell in CELLS.items()}


def chosen(passes, name):
    """Return a function of (layer, work, ...) that is the one of this name of the layer's cell."""

    def of_layer(layer, work, argument):
        return getattr(getattr(MODULE_OF[type(layer)], passes), name)(layer, work, argument)

    @overload_inline(of_layer, strict=False)
    def _of_layer(layer, work, argument):  # pragma: no cover (only the compiler calls it)
        return getattr(getattr(MODULE_OF[layer.instance_class], passes), name)

    return of_layer


WINDOW = Passes(*(chosen("WINDOW", name) for name in Passes._fields))
BATCH = Passes(*(chosen("BATCH", name) for name in Passes._fields))
