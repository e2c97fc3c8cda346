"""How a Python function gets a compiled form that is written in LLVM's language."""

from typing import Any

from numba import types
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template


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
