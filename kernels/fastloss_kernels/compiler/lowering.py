"""How the functions of the kernels are compiled: as Numba does, but for three things.

**References are not counted** to arrays that a function is given: who calls it holds them, and no
part returns one. Numba counts at every slice, by an instruction that no other thread may interrupt
and that first waits for all that was written past the caches. Of large gradients of sparse
crossentropy it took a fifteenth of the time, of those of probabilities a fifth.

**Helpers stop at LLVM's language.** Numba optimises every function, makes machine code of it, and
then links its text into each caller, to be optimised again. What only kernels call needs none of
that: what its caller inlines or holds a copy of is optimised and compiled there, once.
"""

from typing import Any

from numba import _dynfunc  # type: ignore[attr-defined] # isort: skip
from numba import types
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering


def _uncounted(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return the code of an array, or of what may hold arrays, without their references' counts."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        return array._getvalue()
    items: Any = kind if isinstance(kind, types.BaseTuple) else ()
    if isinstance(kind, types.Optional):  # its value comes first, then whether there is one
        items = (kind.type,)
    for k, item in enumerate(items):
        one = _uncounted(context, builder, item, builder.extract_value(value, k))
        value = builder.insert_value(value, one, k)
    return value


# As LLVM reads it: in bits, of which it takes as many as the processor's registers have.
_WIDTH = '"prefer-vector-width"="512"'


class _Borrowing(Lower):
    """Numba's lowering of a function whose arrays are the caller's and whose vectors are wide."""

    def setup_function(self, fndesc: Any) -> None:
        """Begin the function."""
        super().setup_function(fndesc)
        set.add(self.function.attributes, _WIDTH)  # its own `add` only knows words

    def extract_function_arguments(self) -> Any:
        """Return the arguments, the arrays among them without a count of references."""
        given = super().extract_function_arguments()
        for k, kind in enumerate(self.fndesc.argtypes):
            given[k] = _uncounted(self.context, self.builder, kind, given[k])
        return given


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(NativeLowering):
    _name = "part_lowering"

    @property
    def lowering_class(self) -> Any:
        """Return what lowers a function."""
        return _Borrowing

    def run_pass(self, state: Any) -> bool:
        if isinstance(state.return_type, types.Array):
            raise NotImplementedError(f"{state.func_id.func_qualname} returns an array")
        return bool(super().run_pass(state))


class _Fragment(JITCodeLibrary):
    """Code that is linked into that of its callers and never run by itself."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        """Leave it to the callers."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _FragmentLowering(NativeLowering):
    """Lowering into a `_Fragment`."""

    _name = "fragment_lowering"

    @property
    def lowering_class(self) -> Any:
        """Return what lowers a function."""
        return _Borrowing

    def run_pass(self, state: Any) -> bool:
        context = state.targetctx
        state.library = _Fragment(context.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        if lowered.env.consts:
            raise NotImplementedError(f"{lowered.fndesc.qualname} refers to Python objects")
        # Callers look the code up by what Python would call. It is never called: its address is 0.
        key = _dynfunc.make_function(
            lowered.fndesc.lookup_module(), state.func_id.func_name, "", 0, lowered.env, ()
        )
        context.insert_user_function(key, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=key)
        return True


class _Compiler(CompilerBase):
    """Numba's compiler with a lowering of ours in place of its own."""

    lowering: type[NativeLowering]

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline there is."""
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (self.lowering if kind is NativeLowering else kind, text)
            for kind, text in pipeline.passes
        ]
        pipeline.finalize()
        return [pipeline]


class PartCompiler(_Compiler):
    """For what Python and kernels call."""

    lowering = _PartLowering


class FragmentCompiler(_Compiler):
    """For what only parts and other helpers call."""

    lowering = _FragmentLowering
