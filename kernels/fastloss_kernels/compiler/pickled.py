"""Compiled code as bytes, and back."""

import pickle
from typing import Any

import llvmlite.binding as ll

# Relies on `_reduce` and `_rebuild` of what was compiled, and on the shape of what they exchange.
# If it changes, loading fails silently and every process compiles (test_disk_cache notices), or
# saving ends the first call with an exception.
from numba.core.compiler import CompileResult

# Relies on `dumps` to pickle what `_rebuild` takes.
from numba.core.serialize import dumps


def loaded(target_context: Any, body: bytes | memoryview) -> Any:
    """Return compiled code, ready to run; an exception if it refers to what is not installed."""
    inlined, parts = pickle.loads(body)
    compiled = CompileResult._rebuild(target_context, *parts)
    if not inlined:
        # Relies on this attribute, the module that callers link. Without it Numba raises
        # RuntimeError for a caller that tries; with the stubs in it the caller would crash.
        compiled.library._shared_module = None
    return compiled


def dumped(compiled: Any, inlined: bool) -> bytes:
    """Return compiled code as bytes, with its bitcode if it is `inlined`: linked by callers.

    An "environment" holds the Python objects that compiled code refers to; loading one imports its
    function's module. Those of Numba's array functions are empty, and their modules import SciPy
    where it is installed: a quarter of a second for nothing. LLVM's bitcode, twice as long as the
    machine code, serves callers that link it, which parts do not have: see `linking`.
    """
    # Relies on these ends: the library is (name, "object", (machine code, bitcode)), environments
    # have `consts` and `globals`. From the bitcode Numba learns which functions there are; one that
    # it does not find gets address 0. So there is a stub for each name.
    (name, kind, (code, bitcode)), *parts, environments = compiled._reduce()
    kept = (e for e in environments if e.consts or not e.globals["__name__"].startswith("numba."))
    if not inlined:
        functions = compiled.library._final_module.functions
        names = [function.name for function in functions if not function.is_declaration]
        stubs = "".join(f'define void @"{one}"() {{ ret void }}\n' for one in names)
        bitcode = ll.parse_assembly(stubs).as_bitcode()
    return dumps((inlined, ((name, kind, (code, bitcode)), *parts, tuple(kept))))
