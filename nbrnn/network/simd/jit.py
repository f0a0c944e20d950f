"""With which flags is a kernel compiled? One decorator for each kind of function."""

from functools import partial

from llvmlite.binding import Linkage
from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import overload


class KernelLibrary(JITCodeLibrary):
    """The machine code of one kernel and of all functions that it calls."""

    def add_ir_module(self, ir_module):
        """Add a function that may use whole vectors.

        LLVM halves the vectors of Intel's processors with AVX-512, since old ones lower their clock rate
        for whole ones, which make an update 1.3 times as fast on an Emerald Rapids.
        """
        for function in ir_module.functions:
            if not function.is_declaration:
                set.add(function.attributes, '"prefer-vector-width"="512"')  # add() knows no such names
        super().add_ir_module(ir_module)

    def _finalize_specific(self):
        """Compile, with the functions that are called as private ones.

        Numba links them in as weak symbols. The process that compiles a kernel has compiled each of them
        alone before, and would resolve the symbols to that code, which rounds differently. A process
        that loads the kernel has only the code that is stored with it.
        """
        called = [f for f in self._final_module.functions if f.linkage == Linkage.linkonce_odr]
        for function in called:
            function.linkage = Linkage.internal
        try:
            super()._finalize_specific()
        finally:
            for function in called:  # a caller's library links this module, too
                function.linkage = Linkage.linkonce_odr


class KernelCompiler(Compiler):
    """Numba's compiler, with a KernelLibrary for each function."""

    library_class = KernelLibrary

    def define_pipelines(self):
        """Return Numba's passes, which fill the library that they find."""
        codegen, name = self.state.targetctx.codegen(), self.state.func_id.func_qualname
        self.state.library = self.library_class(codegen, name)
        self.state.library.enable_object_caching()
        return super().define_pipelines()


class PartLibrary(KernelLibrary):
    """The code of a function that is only ever inlined: LLVM has it optimized where it is inlined."""

    def _optimize_final_module(self):
        """Leave the code as it is."""

    def _finalize_final_module(self):
        """Make no machine code."""
        self._finalize_dynamic_globals()
        self._finalized = True


class PartCompiler(KernelCompiler):
    """The compiler of a function that Python does not call: compiling takes a tenth less time so."""

    library_class = PartLibrary

    def define_pipelines(self):
        """Return Numba's passes, without the one that makes the function callable."""
        self.state.flags.no_compile = True
        return super().define_pipelines()

    def compile_extra(self, func):
        """Return the code; Numba knows it by a built-in function of its own, which is never called."""
        result, name = super().compile_extra(func), [].append
        self.state.targetctx.insert_user_function(name, result.fndesc, [result.library])
        return result._replace(entry_point=name)


# What the compiler may do to arithmetic: round a b + c once, add in another order (so that a sum becomes
# one of vectors), take no care of the sign of 0, and divide by way of a reciprocal.
# Without nnan and ninf: the check for divergence relies on NaN and infinity.
FAST = {"contract", "reassoc", "nsz", "arcp"}

# nogil: a sweep's threads run side by side. error_model: a check for zero before each division would
# keep loops from becoming vector instructions.
# _nrt: kernels allocate nothing. Code that counts references to the arrays of every tuple would be three
# times as long, and take a third longer to compile. no_cfunc_wrapper: no C program calls a kernel.
kernel = partial(
    njit,
    nogil=True,
    error_model="numpy",
    pipeline_class=KernelCompiler,
    _nrt=False,
    no_cfunc_wrapper=True,
)
# forceinline: what is not given here, Numba takes over from the function that calls.
jit = kernel(fastmath=FAST, forceinline=False)
# For a kernel that allocates an array.
jit_allocating = kernel(fastmath=FAST, forceinline=False, _nrt=True)
# For short loops that are called often: to hand over arrays takes as long as such a loop.
jit_inline = kernel(fastmath=FAST, forceinline=True)
# For tanh and exp, without reassoc: it would undo the reduction in two steps.
jit_in_order = kernel(fastmath={"contract"}, forceinline=True)
# Written out where it is called, before that is compiled: costs neither a call nor a compilation.
jit_expand = kernel(inline="always")
# For functions that the types of their arguments choose. Not inline="always": Numba then drops writes to
# arrays that it takes from a tuple, `gradient.rows[t] = u`, as if nobody read them.
overload_inline = partial(
    overload,
    jit_options={
        "nogil": True,
        "error_model": "numpy",
        "fastmath": FAST,
        "forceinline": True,
        "pipeline_class": PartCompiler,
        "_nrt": False,
        "no_cfunc_wrapper": True,
        "no_cpython_wrapper": True,
    },
)
