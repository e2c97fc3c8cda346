"""Arrays over memory whose references nobody counts: views of an array, and arrays on the stack.

Neither making such an array nor slicing it costs anything.
"""

import ctypes
from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.compiler.overloads import array_over, cgutils, compiled, data_of
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types


def flat_view(x: Array, like: Any, offset: int = 0) -> Array:
    """Return a flat, writeable array that begins `offset` bytes after x's first element.

    It has no end of its own: the caller computes every index from x's strides and shape. Its dtype
    is `like`, of the same width, so that bits can be read as integers. It keeps nothing alive: see
    `keep_alive`.
    """
    if x.size == 0:
        return np.empty(0, like)
    low = x.__array_interface__["data"][0] + offset
    span = sum((n - 1) * max(s, 0) for n, s in zip(x.shape, x.strides, strict=True)) + x.itemsize
    raw = (ctypes.c_char * max(span - offset, x.itemsize)).from_address(low)
    return np.frombuffer(raw, like)


@compiled(flat_view)
def _flat_view(typingctx: Any, x: Any, like: Any, offset: Any = 0) -> Any:
    result = types.Array(like.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = cgutils.pointer_add(builder, data_of(context, builder, x, args[0]), args[2])
        return array_over(context, builder, result, pointer, 2**62)

    return result(x, like, types.intp), codegen


def keep_alive(x: Array) -> None:
    """Keep x alive until here, for views of it by `flat_view`."""


@compiled(keep_alive)
def _keep_alive(typingctx: Any, x: Any) -> Any:
    return types.void(x), lambda context, builder, signature, args: context.get_dummy_value()


def _unset(like: Any) -> Any:
    """Return what plain Python fills stack arrays with, so that reads before writes show."""
    return np.nan if like.kind == "f" else -(2**30)


def stack_array(like: Any) -> Array:
    """Return an uninitialised array of 512 elements on the stack, valid until the function ends."""
    return np.full(tuning.STACK_ROWS, _unset(like), like)


def stack_block(like: Any) -> Array:
    """Return an array like `stack_array`, with room for 512 registers."""
    return np.full(tuning.STACK_ROWS * tuning.REGISTER // like.itemsize, _unset(like), like)


def row_array() -> Array:
    """Return a `stack_array` array of float64: room for one number of each row of a block."""
    return np.full(tuning.STACK_ROWS, np.nan)


def _on_stack(dtype: Any, size: int, *arguments: Any) -> Any:
    """Return the definition of an intrinsic for an uninitialised array on the stack."""
    kind = types.Array(dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        room = ir.ArrayType(context.get_data_type(dtype), size)
        with builder.goto_entry_block():  # `cgutils.alloca_once` would fill it with zeros
            pointer = builder.alloca(room)
        pointer.align = tuning.REGISTER
        return array_over(context, builder, kind, pointer, size)

    return kind(*arguments), codegen


@compiled(stack_array)
def _stack_array(typingctx: Any, like: Any) -> Any:
    return _on_stack(like.dtype, tuning.STACK_ROWS, like)


@compiled(stack_block)
def _stack_block(typingctx: Any, like: Any) -> Any:
    return _on_stack(
        like.dtype, tuning.STACK_ROWS * tuning.REGISTER // (like.dtype.bitwidth // 8), like
    )


@compiled(row_array)
def _row_array(typingctx: Any) -> Any:
    return _on_stack(types.float64, tuning.STACK_ROWS)


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
