"""How a Python function gets its compiled form: LLVM instructions, or a body for each dtype.

The Python function itself runs under ``NUMBA_DISABLE_JIT=1`` and carries the docstring. At the end
stands what LLVM's language needs of Numba. Code generators also rely on the context that Numba
gives them: ``get_constant``, ``get_data_type``, ``get_value_type``, ``cast`` and
``get_dummy_value`` (of a function without a result). A missing one is an AttributeError when a
kernel is first compiled.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import BLOCK
from numba import types

# Loops, conditions and stack variables for llvmlite's builder, as Numba's own intrinsics use them.
# A helper that is renamed is an AttributeError when a kernel is first compiled.
from numba.core import cgutils as cgutils

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


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the pointer to an array's first element."""
    # Relies on an array's struct and its field `data`; without them an AttributeError.
    return context.make_array(kind)(context, builder, array).data


def array_over(
    context: Any,
    builder: Any,
    kind: Any,
    pointer: Any,
    shape: Any,
    strides: Any = None,
) -> Any:
    """Return an array over memory whose references nobody counts.

    Flat arrays have no `strides`, and their `shape` is a number.
    """
    # Relies on the seven fields of an array's struct, two of which are null: no memory is owned.
    # With other fields `populate_array` raises ValueError.
    from numba.np.arrayobj import populate_array  # half of our import time, if at the top

    array = context.make_array(kind)(context, builder)
    itemsize = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    if strides is None:
        size = context.get_constant(types.intp, shape) if isinstance(shape, int) else shape
        shape = cgutils.pack_array(builder, [size])
        strides = cgutils.pack_array(builder, [itemsize])
    populate_array(
        array,
        data=builder.bitcast(pointer, array.data.type),
        shape=shape,
        strides=strides,
        itemsize=itemsize,
        meminfo=None,
        parent=None,
    )
    return array._getvalue()


def cpu_features() -> list[str]:
    """Return the features of the processor that is compiled for, as LLVM names them: "+f16c"."""
    # Relies on `magic_tuple` being (target triple, processor, features); were it not, "+f16c" would
    # not be found, and rounding to float16 would take integer arithmetic: slower, same bits.
    from numba.core.registry import cpu_target  # only compiling needs it

    features: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return features.split(",")
