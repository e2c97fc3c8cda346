"""From the arguments of an activation to its result: check, call a kernel.

A kernel reads and writes rows of shape (outer, classes, inner), as those of losses do.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from fastloss_kernels.launch import launch_activation
from numpy.typing import ArrayLike

from fastloss.arguments.arrays import (
    FLOAT32,
    FLOAT64,
    DType,
    as_array,
    check_out,
    complete,
    convert,
    float_dtype,
    kernel_input,
    kernel_output,
    result_dtype,
)
from fastloss.arguments.gradient_cache import empty_output
from fastloss.arguments.layout import Array, Axis, Layout, layout_for
from fastloss.typing import FloatArray

_FLAT_ROW = 4096
"""Elements of a row where rows mean nothing: some for each thread, and more than a block has."""


def of_rows(kernel: Any, x: ArrayLike, axis: object, out: Any, dtype: Any) -> FloatArray:
    """Return a kernel's `out`, an array of x's shape."""
    array, output, working = _checked(x, dtype)
    layout = layout_for(array.shape, _axes(axis), "x")
    result = _destination(array, out, output, working)
    _write(kernel, array, np.asarray(result), layout, working)
    return result


def of_elements(kernel: Any, x: ArrayLike, out: Any, dtype: Any) -> FloatArray:
    """Return `out` of a kernel to which axes mean nothing."""
    array, output, working = _checked(x, dtype)
    result = _destination(array, out, output, working)
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    source, target = array.transpose(order), np.asarray(result).transpose(order)
    pieces = [(source, target)]
    if source.flags.c_contiguous and target.flags.c_contiguous:
        whole = source.size // _FLAT_ROW * _FLAT_ROW
        a, b = source.reshape(-1), target.reshape(-1)
        pieces = [(a[:whole].reshape(-1, _FLAT_ROW), b[:whole].reshape(-1, _FLAT_ROW))]
        pieces += [(a[whole:].reshape(1, -1), b[whole:].reshape(1, -1))]
    for source, target in pieces:
        if source.size:
            _write(kernel, source, target, layout_for(source.shape, -1), working)
    return result if result.ndim or out is not None else result[()]


def row_values(kernel: Any, x: ArrayLike, axis: object, out: Any, dtype: Any) -> FloatArray:
    """Return what a kernel computes of each row of x: an array without `axis`, or a scalar."""
    array, output, working = _checked(x, dtype)
    layout = layout_for(array.shape, _axes(axis), "x")
    if out is not None:
        like = np.broadcast_to(array.dtype.type(0), layout.loss_shape)
        check_out(out, like, working, {"x": array}, itself="", argument="x without axis")
    layout = layout.with_fewest_copies(array, None, None)
    values = np.empty(layout.row_count, working)
    launch_activation(kernel, kernel_input(array, layout, working), values, None)
    if out is None:
        result = convert(values, output).reshape(layout.loss_shape)
        return result if result.ndim else result[()]
    given: FloatArray = out
    given[...] = convert(values, given.dtype).reshape(layout.loss_shape)
    return given


def _checked(x: ArrayLike, dtype: Any) -> tuple[Array, DType, DType]:
    """Return x as an array, the dtype of a new result and the working dtype."""
    array, given = as_array("x", x), float_dtype(dtype)
    output = result_dtype(x, array) if given is None else given
    return array, output, FLOAT64 if output == FLOAT64 else FLOAT32


def _axes(axis: object) -> Axis:
    if axis is None:
        return None
    several = isinstance(axis, list | tuple)
    given: Any = axis if several else (axis,)
    try:
        axes = tuple(map(operator.index, given))
    except TypeError:
        raise ValueError(
            f"axis must be an integer, a sequence of integers or None, got {axis!r}"
        ) from None
    return axes if several else axes[0]


def _destination(array: Array, out: Any, output: DType, working: DType) -> FloatArray:
    """Return the array that receives the result: `out`, or a new one in x's memory order."""
    if out is None:
        return empty_output(array, output)
    check_out(out, array, working, {"x": array}, itself="x", argument="x")
    given: FloatArray = out
    return given


def _write(kernel: Any, array: Array, target: FloatArray, layout: Layout, working: DType) -> None:
    """Write a kernel's output to `target`."""
    layout = layout.with_fewest_copies(array, target, None)
    output = kernel_output(target, layout, working)
    rows = kernel_input(array, layout, working)
    launch_activation(kernel, rows, np.empty(layout.row_count, working), output)
    complete(target, output, layout)
