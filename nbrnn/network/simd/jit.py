"""With which flags is a kernel compiled? One decorator for each kind of function."""

from functools import partial

from numba import njit
from numba.extending import overload

# What the compiler may do to arithmetic: round a b + c once, add in another order (so that a sum becomes
# one of vectors), take no care of the sign of 0, and divide by way of a reciprocal.
# Without nnan and ninf: the check for divergence relies on NaN and infinity.
FAST = {"contract", "reassoc", "nsz", "arcp"}

# nogil: a sweep's threads run side by side. error_model: a check for zero before each division would
# keep loops from becoming vector instructions.
jit = njit(nogil=True, error_model="numpy", fastmath=FAST)
# For short loops that are called often: to hand over arrays takes as long as such a loop.
jit_inline = njit(nogil=True, error_model="numpy", fastmath=FAST, forceinline=True)
# For tanh and exp, without reassoc: it would undo the reduction in two steps.
jit_in_order = njit(nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
# Written out where it is called, before that is compiled: costs neither a call nor a compilation.
jit_expand = njit(nogil=True, error_model="numpy", inline="always")
# For functions that the types of their arguments choose. Not inline="always": Numba then drops writes to
# arrays that it takes from a tuple, `gradient.rows[t] = u`, as if nobody read them.
overload_inline = partial(
    overload,
    jit_options={"nogil": True, "error_model": "numpy", "fastmath": FAST, "forceinline": True},
)
