"""The few machine operations Numba has no word for, each beside the Python that means the same.

Under ``NUMBA_DISABLE_JIT=1`` the Python bodies run; compiled code gets the LLVM instruction.


How a Python function gets a compiled form that is written in LLVM's language.
"""

from typing import Any

from fastloss_kernels.compiler.jit import BLOCK
from numba import types
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template
from numba.extending import intrinsic as _intrinsic
from numba.extending import overload

intrinsic: Any = _intrinsic  # its type does not know that compiled code calls the result


def inlined(function: Any) -> Any:
    """Return the decorator that gives the Python `function` its compiled form, a `block`."""
    return overload(function, jit_options=BLOCK)


def compiled(function: Any) -> Any:
    """Return the decorator of what compiled code gets for `function`: an intrinsic's definition.

    An overload that calls an intrinsic would do the same. But it would be compiled by itself, once
    for each type, which costs more than all that the instruction takes.
    """

    def decorate(definition: Any) -> Any:
        template = make_intrinsic_template(function, definition, function.__name__)
        infer(template)
        infer_global(function, types.Function(template))
        return definition

    return decorate
