"""The few machine operations Numba has no word for, each beside the Python that means the same.

Under ``NUMBA_DISABLE_JIT=1`` the Python bodies run; compiled code gets the LLVM instruction.
"""

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic
from numba.extending import overload

from fastloss_kernels.typing import Array, Scalar

intrinsic: Any = _intrinsic  # its type does not know that compiled code calls the result


def inlined(function: Any) -> Any:
    """Return the decorator that gives the Python `function` its compiled form, always inlined."""
    return overload(function, inline="always")


def fma(a: Scalar, b: Scalar, c: Scalar) -> Scalar:
    """Return a * b + c, rounded once (in plain Python: float32 nearly so, float64 twice)."""
    return type(a)(np.float64(a) * np.float64(b) + np.float64(c))


@intrinsic
def _fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, a, a), codegen


inlined(fma)(lambda a, b, c: lambda a, b, c: _fma(a, b, c))


def bits(x: Scalar) -> Any:
    """Return the bit pattern of a float as a signed integer of the same width."""
    return x.view(np.int32) if isinstance(x, np.float32) else np.float64(x).view(np.int64)


def from_bits(i: Any) -> Scalar:
    """Return the float whose bit pattern is the integer `i`."""
    return i.view(np.float32) if isinstance(i, np.int32) else np.int64(i).view(np.float64)


_PAIRS: dict[Any, Any] = {
    types.float32: types.int32,
    types.float64: types.int64,
    types.int32: types.float32,
    types.int64: types.float64,
}


@intrinsic
def _bitcast(typingctx: Any, x: Any) -> Any:
    to = _PAIRS[x]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(to))

    return to(x), codegen


inlined(bits)(lambda x: lambda x: _bitcast(x))


inlined(from_bits)(lambda i: lambda i: _bitcast(i))


def memory(x: Array, like: Any) -> Array:
    """Return a flat, writeable array over the memory that starts at `x`'s first element.

    It has no end of its own: the caller computes every index from `x`'s strides and shape. `like`
    is a dtype of the same width, to look at the bits.
    """
    if x.size == 0:
        return np.empty(0, like)
    low = x.__array_interface__["data"][0]
    span = sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)) + x.itemsize
    raw = (ctypes.c_char * span).from_address(low)
    return np.frombuffer(raw, like)


@intrinsic
def _memory(typingctx: Any, x: Any, like: Any) -> Any:
    result = types.Array(like.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        from numba.np.arrayobj import populate_array  # half of our import time, if at the top

        source = context.make_array(x)(context, builder, args[0])
        array = context.make_array(result)(context, builder)
        itemsize = context.get_constant(types.intp, like.dtype.bitwidth // 8)
        huge = context.get_constant(types.intp, 2**62)
        pointer = builder.bitcast(source.data, array.data.type)
        populate = {
            "data": pointer,
            "shape": cgutils.pack_array(builder, [huge]),
            "strides": cgutils.pack_array(builder, [itemsize]),
            "itemsize": itemsize,
            "meminfo": None,
            "parent": None,
        }
        populate_array(array, **populate)
        return array._getvalue()

    return result(x, like), codegen


inlined(memory)(lambda x, like: lambda x, like: _memory(x, like))


def prefetch(x: Array, start: int, size: int) -> None:
    """Ask for ``x[start:start + size]`` to be brought near; it need not exist. Changes nothing."""


@intrinsic
def _prefetch(typingctx: Any, x: Any, start: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        data = context.make_array(x)(context, builder, args[0]).data
        read, second_level, is_data = (ir.Constant(word, n) for n in (0, 2, 1))
        line = ir.Constant(args[2].type, 64 // (x.dtype.bitwidth // 8))
        first = ir.Constant(args[2].type, 0)
        with cgutils.for_range_slice(builder, first, args[2], line, inc=True) as (k, _):
            place = builder.gep(data, [builder.add(args[1], k)])
            builder.call(fetch, [builder.bitcast(place, byte), read, second_level, is_data])
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen


inlined(prefetch)(lambda x, start, size: lambda x, start, size: _prefetch(x, start, size))
