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

from fastloss_kernels.bindings import compiled
from fastloss_kernels.jit import BLOCK
from fastloss_kernels.typing import Array, Scalar

intrinsic: Any = _intrinsic  # its type does not know that compiled code calls the result


def inlined(function: Any) -> Any:
    """Return the decorator that gives the Python `function` its compiled form, a `block`."""
    return overload(function, jit_options=BLOCK)


def fma(a: Scalar, b: Scalar, c: Scalar) -> Scalar:
    """Return a * b + c, rounded once (in plain Python: float32 nearly so, float64 twice)."""
    return type(a)(np.float64(a) * np.float64(b) + np.float64(c))


@compiled(fma)
def _fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, a, a), codegen


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


@compiled(bits)
@compiled(from_bits)
def _bitcast(typingctx: Any, x: Any) -> Any:
    to = _PAIRS[x]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(to))

    return to(x), codegen


def cut(i: Any, like: Any) -> Any:
    """Return the integer `i` in the width of `like`: arithmetic of integers has made it wider."""
    return type(like)(i)


@compiled(cut)
def _cut(typingctx: Any, i: Any, like: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], i, like)

    return like(i, like), codegen


def memory(x: Array, like: Any, offset: int = 0) -> Array:
    """Return a flat, writeable array over the memory `offset` bytes behind x's first element.

    It has no end of its own: the caller computes every index from `x`'s strides and shape. `like`
    is a dtype of the same width, to look at the bits.
    """
    if x.size == 0:
        return np.empty(0, like)
    low = x.__array_interface__["data"][0] + offset
    span = sum((n - 1) * max(s, 0) for n, s in zip(x.shape, x.strides, strict=True)) + x.itemsize
    raw = (ctypes.c_char * max(span - offset, x.itemsize)).from_address(low)
    return np.frombuffer(raw, like)


def _borrowed(context: Any, builder: Any, kind: Any, pointer: Any, size: int) -> Any:
    """Return code for an array over memory that nobody counts references to."""
    from numba.np.arrayobj import populate_array  # half of our import time, if at the top

    array = context.make_array(kind)(context, builder)
    itemsize = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    length = context.get_constant(types.intp, size)
    populate = {
        "data": builder.bitcast(pointer, array.data.type),
        "shape": cgutils.pack_array(builder, [length]),
        "strides": cgutils.pack_array(builder, [itemsize]),
        "itemsize": itemsize,
        "meminfo": None,
        "parent": None,
    }
    populate_array(array, **populate)
    return array._getvalue()


@compiled(memory)
def _memory(typingctx: Any, x: Any, like: Any, offset: Any = 0) -> Any:
    result = types.Array(like.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = context.make_array(x)(context, builder, args[0])
        pointer = cgutils.pointer_add(builder, source.data, args[2])
        return _borrowed(context, builder, result, pointer, 2**62)

    return result(x, like, types.intp), codegen


def hold(x: Array) -> None:
    """Use x for nothing, so that it lives until here: no view by `memory` keeps its memory."""


@compiled(hold)
def _hold(typingctx: Any, x: Any) -> Any:
    return types.void(x), lambda context, builder, signature, args: context.get_dummy_value()


STACKED = 512


def stacked(like: Any) -> Array:
    """Return an array of 512 elements on the stack, uninitialised; it must not leave the function.

    Neither allocating it nor slicing it costs anything: references to it are not counted.
    """
    return np.empty(STACKED, like)


def stacked_rows(like: Any) -> Array:
    """Return an array like `stacked`, with room for 512 registers of 64 bytes."""
    return np.empty(STACKED * 64 // like.itemsize, like)


def row_array() -> Array:
    """Return a `stacked` array of float64: room for one number of each row of a block."""
    return np.empty(STACKED)


def _on_stack(kind: Any, size: int) -> Any:
    """Return the code generator of an array of `size` elements on the stack."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        room = ir.ArrayType(context.get_data_type(kind.dtype), size)
        with builder.goto_entry_block():  # Numba's own helper would fill it with zeros
            pointer = builder.alloca(room)
        pointer.align = 64
        return _borrowed(context, builder, kind, pointer, size)

    return codegen


@compiled(stacked)
def _stacked(typingctx: Any, like: Any) -> Any:
    kind = types.Array(like.dtype, 1, "C")
    return kind(like), _on_stack(kind, STACKED)


@compiled(stacked_rows)
def _stacked_rows(typingctx: Any, like: Any) -> Any:
    kind = types.Array(like.dtype, 1, "C")
    return kind(like), _on_stack(kind, STACKED * 64 // (like.dtype.bitwidth // 8))


@compiled(row_array)
def _row_array(typingctx: Any) -> Any:
    kind = types.Array(types.float64, 1, "C")
    return kind(), _on_stack(kind, STACKED)
