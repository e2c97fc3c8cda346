"""How kernels are compiled: by Numba's compiler with fewer passes and three changes in lowering.

**References to arrays are not counted.** Those in arguments are held by the caller, no part returns
one, and a `heap_array` is freed by the part that made it. Numba counts at every slice, with an
atomic instruction that first waits for all non-temporal stores: a fifteenth of the time of large
gradients of sparse crossentropy, a fifth of those of probabilities.

**Helpers stop at LLVM IR.** Numba optimises every function, makes machine code of it, and links
it, with all that it calls, into each caller, to be optimised again. What only kernels call needs
none of that: it is linked, optimised and compiled once, in the part that calls it.

**Vectors are as wide as the processor's registers**, where LLVM would prefer 256 bits.
"""

from typing import Any

from llvmlite import ir

# Relies on the arguments of `make_function`, which makes what Python calls; else a TypeError.
from numba import _dynfunc  # type: ignore[attr-defined] # isort: skip
from numba import types

# Relies on the methods of these classes that are overridden below. One that is renamed would never
# be called: references would be counted and vectors be half as wide, which test_machine_code
# notices. A renamed class fails at import.
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

# Numba's passes for what the engine's functions do not have: closures made inside them, arithmetic
# on whole arrays, functions inlined as source, `literally` and `literal_unroll`. They take a tenth
# of the time of compiling. Relies on these names: a pass that is renamed runs again (slower);
# test_lowering notices.
_SPARED = frozenset(
    {
        "FindLiterallyCalls",
        "InlineClosureLikes",
        "InlineInlinables",
        "LiteralUnroll",
        "MakeFunctionToJitFunction",
        "NopythonRewrites",
    }
)

# In bits; LLVM takes at most what the processor has.
_WIDTH = '"prefer-vector-width"="512"'


class _BorrowingLower(Lower):
    """Numba's lowering, without counts of references and with vectors of full width."""

    def __init__(self, context: Any, *arguments: Any, **options: Any) -> None:
        # Relies on `enable_nrt`, which Numba asks before it counts.
        super().__init__(context.subtarget(enable_nrt=False), *arguments, **options)

    def setup_function(self, fndesc: Any) -> None:
        """Begin the function."""
        super().setup_function(fndesc)
        # Relies on llvmlite's attributes being a set of str; its own `add` knows few words.
        set.add(self.function.attributes, _WIDTH)


class _InterleavingLower(_BorrowingLower):
    """The same, for loops whose vectors are computed two at a time.

    A processor can hold some sixty instructions that wait for results of others. A loop as long as
    that is one chain of dependent operations, and the processor mostly waits, unless the operations
    of the next vector stand between them. LLVM interleaves short loops only.

    Relies on `lower_normal_function`, and on the head of a loop coming before its end among the
    blocks. Else no loop would be marked (slower); test_lowering notices.
    """

    def lower_normal_function(self, fndesc: Any) -> None:
        """Lower the function, and mark the branches that go back to the head of a loop."""
        super().lower_normal_function(fndesc)
        count = ir.Constant(ir.IntType(32), 2)
        hint = self.module.add_metadata(["llvm.loop.interleave.count", count])
        above = set()
        for part in self.function.blocks:
            above.add(part)
            for head in above.intersection(part.terminator.operands):
                loop = self.module.add_metadata([hint, head.name])  # with a name it is not shared
                loop.operands = loop, hint  # LLVM asks that a loop's metadata begin with themselves
                part.terminator.set_metadata("llvm.loop", loop)


def _makes_array(expression: Any, signature: Any, typemap: Any) -> bool:
    """Return whether an expression is an array of its own, not a view: by NumPy or an operator.

    Relies on the names of Numba's expressions; test_lowering notices others.
    """
    if not isinstance(getattr(signature, "return_type", None), types.Array):
        return False
    if getattr(expression, "op", "") != "call":
        return getattr(expression, "op", "") in ("binop", "inplace_binop", "unary")
    called = typemap[expression.func.name]
    module = getattr(getattr(called, "typing_key", None), "__module__", None) or ""
    return isinstance(called, types.BoundFunction) or module.startswith("numpy")


class _BorrowingLowering(NativeLowering):
    """The pass that lowers a function, which has to make no array: nobody would free it."""

    @property
    def lowering_class(self) -> Any:
        """Return the class that lowers a function."""
        return _BorrowingLower

    def run_pass(self, state: Any) -> bool:
        """Run it."""
        name = state.func_id.func_qualname
        calls = state.calltypes.items()
        if any(_makes_array(call, signature, state.typemap) for call, signature in calls):
            raise NotImplementedError(f"{name} makes an array: use heap_array or stack_array")
        return bool(super().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(_BorrowingLowering):
    _name: Any = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        if isinstance(state.return_type, types.Array):
            raise NotImplementedError(f"{state.func_id.func_qualname} returns an array")
        return super().run_pass(state)


class _Fragment(JITCodeLibrary):
    """IR that is linked into parts, as is what it calls, and never compiled by itself.

    Relies on `finalize`, which Numba calls before it links a library, and on the flag that says it
    was: else a fragment would be compiled after all (slower), or linking it would fail.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Leave linking and optimising to the parts."""
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _FragmentLowering(_BorrowingLowering):
    """Lowering into a `_Fragment`."""

    _name: Any = "fragment_lowering"

    def run_pass(self, state: Any) -> bool:
        context = state.targetctx
        state.library = _Fragment(context.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        if lowered.env.consts:
            raise NotImplementedError(f"{lowered.fndesc.qualname} refers to Python objects")
        # Callers find the code by the function that Python would call. As nothing calls it, its
        # address is 0. Relies on `no_compile` to leave that function out, and on "cr", the result.
        key = _dynfunc.make_function(
            lowered.fndesc.lookup_module(), state.func_id.func_name, "", 0, lowered.env, ()
        )
        # Relies on `_linking_libraries`, those of what the fragment calls, and so on.
        libraries = dict.fromkeys((state.library, *state.library._linking_libraries))
        context.insert_user_function(key, lowered.fndesc, list(libraries))
        state["cr"] = lowered._replace(cfunc=key)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _InterleavingLowering(_FragmentLowering):
    """Lowering into a `_Fragment` by `_InterleavingLower`."""

    _name: Any = "interleaving_lowering"

    @property
    def lowering_class(self) -> Any:
        return _InterleavingLower


class _Compiler(CompilerBase):
    """Numba's compiler without some passes and with its lowering replaced."""

    lowering: type[NativeLowering]

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline."""
        # Relies on `passes` being pairs of class and text; else a ValueError.
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (self.lowering if kind is NativeLowering else kind, text)
            for kind, text in pipeline.passes
            if kind.__name__ not in _SPARED
        ]
        pipeline.finalize()
        return [pipeline]


class PartCompiler(_Compiler):
    """For parts, which Python and kernels call."""

    lowering = _PartLowering


class FragmentCompiler(_Compiler):
    """For helpers, which only parts and other helpers call."""

    lowering = _FragmentLowering


class InterleavingCompiler(_Compiler):
    """For helpers with loops of long chains of arithmetic."""

    lowering = _InterleavingLowering
