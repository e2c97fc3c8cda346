"""How a Python function gets its compiled form: an LLVM instruction, or a body for each dtype.

The Python function itself runs under ``NUMBA_DISABLE_JIT=1`` and carries the docstring.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import BLOCK
from numba import types

# The three that `numba.extending.intrinsic` is made of: a template types the calls of a function
# and generates their code. If one is renamed the import fails; if their protocol changes, the first
# call of a `compiled` function is a TypingError.
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template
from numba.extending import overload


def overload_block(function: Any) -> Any:
    """Return the decorator that gives the Python `function` its compiled form, a `block`."""
    return overload(function, jit_options=BLOCK, strict=False)  # strict compares annotations too


def by_dtype(f32: Callable[..., Any], f64: Callable[..., Any]) -> Any:
    """Return the decorator of a function that is `f32` for float32 and `f64` for float64.

    The argument called ``like`` decides, or else the first one. Of the decorated function only the
    signature and the docstring are used. In compiled code the chosen body is a `block`.
    """

    def decorate(function: Any) -> Any:
        names = list(signature(function).parameters)
        decisive = names.index("like") if "like" in names else 0

        @wraps(function)
        def python(*arguments: Any) -> Any:
            dtype = getattr(arguments[decisive], "dtype", float)
            return (f32 if dtype == np.float32 else f64)(*arguments)

        def choose(*kinds: Any) -> Any:
            dtype = getattr(kinds[decisive], "dtype", kinds[decisive])
            return f32 if dtype == types.float32 else f64

        overload_block(python)(choose)
        return python

    return decorate


def compiled(function: Any) -> Any:
    """Return the decorator of what compiled code gets for `function`: an intrinsic's definition.

    Arguments are cast to the types of the signature that the definition returns. An overload that
    calls an intrinsic would do the same, but would be compiled by itself, once for each type, which
    costs more than all that the instruction takes.
    """

    def decorate(definition: Any) -> Any:
        template = make_intrinsic_template(function, definition, function.__name__)
        infer(template)
        infer_global(function, types.Function(template))
        return definition

    return decorate
