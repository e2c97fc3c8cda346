"""The few machine operations Numba has no word for, each beside the Python that means the same.

Under ``NUMBA_DISABLE_JIT=1`` the Python bodies run; compiled code gets the LLVM instruction.


Blocks of whole rows: how many rows they have, and in which memory they are worked on.

A block is read from, and worked on in, contiguous memory: the array's own where its rows lie one
behind the other, else a scratch that is filled and emptied: with the rows of one block, or of many
where rows lie side by side in memory.
"""

import ctypes
from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.compiler.overloads import compiled
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types
from numba.core import cgutils


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


def _unset(like: Any) -> Any:
    """Return what plain Python fills stack arrays with: whoever reads before writing is found."""
    return np.nan if like.kind == "f" else -(2**30)


def stacked(like: Any) -> Array:
    """Return an array of 512 elements on the stack, uninitialised; it must not leave the function.

    Neither allocating it nor slicing it costs anything: references to it are not counted.
    """
    return np.full(tuning.STACK_ROWS, _unset(like), like)


def stacked_rows(like: Any) -> Array:
    """Return an array like `stacked`, with room for 512 registers of 64 bytes."""
    return np.full(tuning.STACK_ROWS * 64 // like.itemsize, _unset(like), like)


def row_array() -> Array:
    """Return a `stacked` array of float64: room for one number of each row of a block."""
    return np.full(tuning.STACK_ROWS, np.nan)


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
    return kind(like), _on_stack(kind, tuning.STACK_ROWS)


@compiled(stacked_rows)
def _stacked_rows(typingctx: Any, like: Any) -> Any:
    kind = types.Array(like.dtype, 1, "C")
    return kind(like), _on_stack(kind, tuning.STACK_ROWS * 64 // (like.dtype.bitwidth // 8))


@compiled(row_array)
def _row_array(typingctx: Any) -> Any:
    kind = types.Array(types.float64, 1, "C")
    return kind(), _on_stack(kind, tuning.STACK_ROWS)


@block
def copy(source: Array, target: Array) -> None:
    """Copy `source` into `target`, which is as long."""
    for k in range(target.size):
        target[k] = source[k]


@block
def fill(w: Array, value: float) -> None:
    """Set every element of w to `value`."""
    for k in range(w.size):
        w[k] = value
