"""Arrays over memory whose references nobody counts: views of an array, and arrays on the stack.

Neither making such an array nor slicing it costs anything.
"""

import ctypes
from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.intrinsics import array_over, cgutils, compiled, data_of
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types


def flat_view(x: Array, like: Any, offset: int = 0) -> Array:
    """Return a flat, writeable array that begins `offset` bytes after x's first element.

    It has no end of its own: the caller computes every index from x's strides and shape. Its dtype
    is `like`, of the same width, so that bits can be read as integers. It does not keep x alive.
    """
    if x.size == 0:
        return np.empty(0, like)
    offset = int(offset)  # ctypes takes no NumPy integer
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


def view_3d(data: Array, shape: Any, strides: Any, like: Any) -> Array:
    """Return a view of `data`, a flat array, of like's type but for the dtype."""
    return np.lib.stride_tricks.as_strided(data, shape, strides)


@compiled(view_3d)
def _view_3d(typingctx: Any, data: Any, shape: Any, strides: Any, like: Any) -> Any:
    result = like.copy(dtype=data.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = data_of(context, builder, data, args[0])
        return array_over(context, builder, result, pointer, args[1], args[2])

    return result(data, shape, strides, like), codegen


def heap_array(size: int, like: Any) -> Array:
    """Return an uninitialised array, aligned to registers; `free` has to be called."""
    return np.full(size, _unset(like), like)


@compiled(heap_array)
def _heap_array(typingctx: Any, size: Any, like: Any) -> Any:
    result = types.Array(like.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word, room = args[0].type, 2 * tuning.REGISTER  # to align, and for the address to free
        size = builder.mul(args[0], word(like.dtype.bitwidth // 8))
        kind = ir.FunctionType(cgutils.voidptr_t, [word])
        allocate = cgutils.get_or_insert_function(builder.module, kind, "NRT_Allocate")
        memory = builder.call(allocate, [builder.add(size, word(room))])
        with builder.if_then(cgutils.is_null(builder, memory), likely=False):
            context.call_conv.return_user_exc(builder, MemoryError, ("no memory for scratch",))
        address = builder.add(builder.ptrtoint(memory, word), word(room))
        start = builder.inttoptr(
            builder.and_(address, word(-tuning.REGISTER)), memory.type.as_pointer()
        )
        builder.store(memory, builder.gep(start, [word(-1)]))
        return array_over(context, builder, result, start, args[0])

    return result(types.intp, like), codegen


def free(x: Array) -> None:
    """Free a `heap_array`, of which there may be views."""


@compiled(free)
def _free(typingctx: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = data_of(context, builder, x, args[0])
        start = builder.bitcast(start, cgutils.voidptr_t.as_pointer())
        memory = builder.load(builder.gep(start, [context.get_constant(types.intp, -1)]))
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "NRT_Free"), [memory])
        return context.get_dummy_value()

    return types.void(x), codegen


def _unset(like: Any) -> Any:
    """Return what plain Python fills new arrays with, so that reads before writes show."""
    like = np.dtype(like)
    return np.nan if like.kind == "f" else np.iinfo(like).min


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
