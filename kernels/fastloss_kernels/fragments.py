"""How a helper of the kernels is compiled: as far as LLVM's language, and no further.

Numba optimises every function, makes machine code of it, and then links its text into each caller,
to be optimised again. A helper that only kernels call needs none of that: what its caller inlines
or holds a copy of is optimised and compiled there, once.
"""

from typing import Any

from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


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
class _Lowering(NativeLowering):
    """Numba's lowering, into a `_Fragment`."""

    _name = "fragment_lowering"

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


class FragmentCompiler(CompilerBase):
    """Numba's compiler with that lowering in place of its own."""

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline there is."""
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes = [
            (_Lowering if kind is NativeLowering else kind, text) for kind, text in pipeline.passes
        ]
        pipeline.passes = passes
        pipeline.finalize()
        return [pipeline]
