"""What simd/ uses of Numba's code generation beyond its public documentation.

Intrinsics also rely on the context that Numba gives them: ``get_constant``, ``get_data_type``,
``get_value_type``, ``cast`` and ``get_dummy_value`` (of a function without a result). A missing one
is an AttributeError when a kernel is first compiled.
"""

from typing import Any

from numba import types

# Loops, conditions and stack variables for llvmlite's builder, as Numba's own intrinsics use them.
# A helper that is renamed is an AttributeError when a kernel is first compiled.
from numba.core import cgutils as cgutils


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the pointer to an array's first element."""
    # Relies on an array's struct and its field `data`; without them an AttributeError.
    return context.make_array(kind)(context, builder, array).data


def array_over(context: Any, builder: Any, kind: Any, pointer: Any, size: int) -> Any:
    """Return a flat array over memory whose references nobody counts."""
    # Relies on the seven fields of an array's struct, two of which are null: no memory is owned,
    # none is released. With other fields `populate_array` raises ValueError.
    from numba.np.arrayobj import populate_array  # half of our import time, if at the top

    array = context.make_array(kind)(context, builder)
    itemsize = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    populate_array(
        array,
        data=builder.bitcast(pointer, array.data.type),
        shape=cgutils.pack_array(builder, [context.get_constant(types.intp, size)]),
        strides=cgutils.pack_array(builder, [itemsize]),
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
