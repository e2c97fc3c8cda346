"""How a Python function gets LLVM instructions as its compiled form.

The Python function itself runs under ``NUMBA_DISABLE_JIT=1`` and carries the docstring. At the end
stands what LLVM's language needs of Numba. Code generators also rely on the context that Numba
gives them: ``get_constant``, ``get_data_type``, ``get_value_type``, ``cast`` and
``get_dummy_value`` (of a function without a result). A missing one is an AttributeError when a
kernel is first compiled.
"""

from typing import Any

from numba import types

# Loops, conditions and stack variables for llvmlite's builder, as Numba's own intrinsics use them.
# A helper that is renamed is an AttributeError when a kernel is first compiled.
from numba.core import cgutils as cgutils

# The three that `numba.extending.intrinsic` is made of: a template types the calls of a function
# and generates their code. If one is renamed the import fails; if their protocol changes, the first
# call of a `compiled` function is a TypingError.
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template


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
