"""How a kernel calls its part: by a symbol, so that it holds no copy of the part's code.

Linked in as text, as Numba does with all it calls, the part would be optimised again and made into
machine code at each of the five levels that a parallel loop is compiled in. Instead the part is
compiled once, by itself, and LLVM is told its address under a name that is the same in every
process. Whatever holds such a call and is loaded from a cache, be it a user's own function, first
has the part compiled or loaded: that is what Numba's list of reload functions is for.
"""

import hashlib
from functools import partial
from importlib import import_module
from typing import Any

import llvmlite.binding as ll
from fastloss_kernels.compiler.overloads import compiled
from numba import types
from numba.core import cgutils


def call_part(part: Any, first: int, last: int, arguments: tuple[Any, ...]) -> Any:
    """Return ``part(first, last, *arguments)``."""
    return part(first, last, *arguments)


def _provide(module: str, name: str, kinds: tuple[Any, ...]) -> Any:
    """Have a part compiled for `kinds` and LLVM told where it is; return what was compiled."""
    part = getattr(import_module(module), name)
    part.compile(kinds)
    result = part.overloads[kinds]
    address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    ll.add_symbol(_symbol(module, name, kinds), address)
    return result


def _symbol(module: str, name: str, kinds: tuple[Any, ...]) -> str:
    digest = hashlib.sha256(str(kinds).encode()).hexdigest()
    return f"{module}.{name}.{digest}"


@compiled(call_part)
def _call_part(typingctx: Any, part: Any, first: Any, last: Any, arguments: Any) -> Any:
    function = part.dispatcher.py_func
    kinds = (types.intp, types.intp, *arguments.types)
    place = (function.__module__, function.__name__, kinds)
    result = _provide(*place).signature.return_type

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        context.active_code_library._reload_init.add(partial(_provide, *place))
        convention = context.call_conv
        kind = convention.get_function_type(result, kinds)
        callee = cgutils.get_or_insert_function(builder.module, kind, _symbol(*place))
        values = (args[1], args[2], *cgutils.unpack_tuple(builder, args[3]))
        status, value = convention.call_function(builder, callee, result, kinds, values)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return value

    return result(part, types.intp, types.intp, arguments), codegen
