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
from numba.np.arrayobj import populate_array

from fastloss_kernels.typing import Array, Scalar

intrinsic: Any = _intrinsic  # its type does not know that compiled code calls the result

LANES = 8  # doubles in one 512-bit register; four such accumulators hide the latency of an addition
STEP = 4 * LANES


def inlined(function: Any) -> Any:
    """Return the decorator that gives the Python `function` its compiled form, always inlined."""
    return overload(function, inline="always")


def fma(a: Scalar, b: Scalar, c: Scalar) -> Scalar:
    """Return a * b + c, rounded once when compiled."""
    return a * b + c


@intrinsic
def _fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, a, a), codegen


inlined(fma)(lambda a, b, c: lambda a, b, c: _fma(a, b, c))


def bits(x: Scalar) -> Any:
    """Return the bit pattern of a float as a signed integer of the same width."""
    return x.view(np.int32 if x.dtype == np.float32 else np.int64)


def from_bits(i: Any) -> Scalar:
    """Return the float whose bit pattern is the integer `i`."""
    return i.view(np.float32 if i.dtype == np.int32 else np.float64)


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


def lane_sum(w: Array, start: int, size: int) -> float:
    """Return the float64 sum of ``w[start:start + size]`` in an order that `size` alone fixes.

    Element k goes to lane k % 32; the lanes are added pairwise, then the tail one by one.
    """
    whole = size - size % STEP
    lanes = np.zeros(STEP)
    for k in range(start, start + whole, STEP):
        lanes += w[k : k + STEP]
    four = lanes.reshape(4, LANES)
    eight = (four[0] + four[1]) + (four[2] + four[3])
    quad = eight[:4] + eight[4:]
    pair = quad[:2] + quad[2:]
    total = pair[0] + pair[1]
    for k in range(start + whole, start + size):
        total += np.float64(w[k])
    return float(total)


@intrinsic
def _lane_sum(typingctx: Any, w: Any, start: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(w)(context, builder, args[0]).data
        first, count = args[1], args[2]
        element = context.get_data_type(w.dtype)
        wide = ir.VectorType(ir.DoubleType(), LANES)
        narrow = ir.VectorType(element, LANES)
        zero = ir.Constant(wide, [0.0] * LANES)
        align = w.dtype.bitwidth // 8
        base = builder.gep(data, [first])

        def const(n: int) -> Any:
            return ir.Constant(count.type, n)

        def widen(value: Any) -> Any:
            if element == ir.DoubleType():
                return value
            to = wide if isinstance(value.type, ir.VectorType) else ir.DoubleType()
            return builder.fpext(value, to)

        slots = [cgutils.alloca_once_value(builder, zero) for _ in range(4)]
        whole = builder.sub(count, builder.srem(count, const(STEP)))
        with cgutils.for_range_slice(builder, const(0), whole, const(STEP), inc=True) as (k, _):
            for j, slot in enumerate(slots):
                pointer = builder.gep(base, [builder.add(k, const(j * LANES))])
                pointer = builder.bitcast(pointer, narrow.as_pointer())
                value = builder.load(pointer, align=align)
                builder.store(builder.fadd(builder.load(slot), widen(value)), slot)
        a, b, c, d = (builder.load(slot) for slot in slots)
        value = builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
        half = LANES // 2
        while half:
            indices = ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(half)))
            upper = ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(half, 2 * half)))
            undef = ir.Constant(value.type, ir.Undefined)
            value = builder.fadd(
                builder.shuffle_vector(value, undef, indices),
                builder.shuffle_vector(value, undef, upper),
            )
            half //= 2
        total = cgutils.alloca_once_value(
            builder, builder.extract_element(value, ir.Constant(ir.IntType(32), 0))
        )
        with cgutils.for_range_slice(builder, whole, count, const(1), inc=True) as (k, _):
            value = widen(builder.load(builder.gep(base, [k])))
            builder.store(builder.fadd(builder.load(total), value), total)
        return builder.load(total)

    return types.float64(w, types.intp, types.intp), codegen


inlined(lane_sum)(lambda w, start, size: lambda w, start, size: _lane_sum(w, start, size))
