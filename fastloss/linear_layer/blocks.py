"""Crossentropy of the logits inputs @ kernel + bias, a block of rows at a time.

The logits of a block are computed by BLAS, become their own gradient in place, and are multiplied
into the gradients of inputs, kernel and bias before the next block takes their memory. Rows that
do not count (masked, ignored or of weight 0) are in no block: what they hold, NaN too, reaches no
gradient, and they take no time.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastloss_kernels.launch import launch, single_threaded
from numpy.typing import ArrayLike

from fastloss.arguments.arrays import FLOAT32, FLOAT64, DType, as_array, convert, result_dtype
from fastloss.arguments.layout import Array
from fastloss.evaluate import by_name, kernel_arguments, result
from fastloss.evaluate import inputs as row_inputs
from fastloss.linear_layer.gradients import (
    BiasGradient,
    Gradient,
    InputsGradient,
    KernelGradient,
    LinearGradients,
    RowAccess,
    Rows,
    gradient_arrays,
    matrix_for_blas,
)
from fastloss.loss_specs import LossSpec
from fastloss.typing import FloatArray

BLOCK_BYTES = 1 << 21
"""Size of a block's logits, which are written twice and read four times while they are in cache.

On AMD Zen 5 (512 KiB of second-level cache a core, 32 MiB of third) with 64 inputs and 100 classes,
1 to 4 MiB took the same time within 10 %, 8 MiB in float64 a fifth more. The larger of the sizes
that are as fast is taken, as BLAS starts and joins its threads two or three times a block.
"""
_FEWEST_ROWS, _MOST_ROWS = 256, 4096
"""Bounds of a block's rows. A block reads the kernel twice, and reads and writes its gradient: for
256 float32 rows one byte for some 100 operations, which memory keeps up with. With 32,000 classes
512 rows took 7 % less time, and twice the memory."""

_KEEP = np.ones(1, np.bool_)  # all rows of a block count


def evaluate_linear(
    spec: LossSpec,
    y_true: ArrayLike,
    inputs: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    reduction: str | None = None,
    upstream: ArrayLike | None = None,
    wanted: Sequence[str] = (),
    out: LinearGradients | None = None,
    dtype: DType | None = None,
    block_rows: int | None = None,
) -> tuple[Any, LinearGradients]:
    """Return the loss, and the `wanted` gradients: "inputs", "kernel", "bias".

    spec is that of a loss of logits and labels. reduction, wanted and dtype have been checked by
    the caller. Nothing is written to `out` before all arguments have been checked.
    """
    given = {"inputs": inputs, "kernel": kernel}
    if bias is not None:
        given["bias"] = bias
    targets = as_array("y_true", y_true)
    arguments = {name: as_array(name, value) for name, value in given.items()}
    x, w, b = arguments["inputs"], arguments["kernel"], arguments.get("bias")
    _check_shapes(targets, x, w, b)
    output = dtype
    if output is None:
        dtypes = [result_dtype(value, arguments[name]) for name, value in given.items()]
        output = FLOAT64 if FLOAT64 in dtypes else FLOAT32
    # Zeros that take no memory stand for the logits: labels, weights and the reduction are
    # prepared for all rows at once, as they are for logits that exist.
    unmade = np.broadcast_to(output.type(0), (*x.shape[:-1], w.shape[1]))
    arrays, layout, output, working = row_inputs(
        spec, targets, unmade, sample_weight, mask, upstream, None, output, False
    )
    row_arguments, layout, labels, plan, losses, _, _ = kernel_arguments(
        spec, arrays, layout, output, working, reduction, None, False
    )
    size = checked_block_rows(block_rows) or _rows_for_cache(w.shape[1] * working.itemsize)
    results = gradient_arrays(out, arguments, wanted, by_name(spec, arrays), output, working)
    if labels is not None:
        labels.check_classes(layout, plan.valid)

    with np.errstate(all="ignore"):
        w = matrix_for_blas(w, working)
        gradients: list[Gradient] = []
        if results.kernel is not None:
            gradients.append(KernelGradient(results.kernel, working))
        if results.bias is not None:
            gradients.append(BiasGradient(results.bias))
        if results.inputs is not None:  # last, as it may be written where the inputs lie
            gradients.append(InputsGradient(results.inputs, w))
        with single_threaded():  # BLAS uses the cores in between
            _each_block(spec, row_arguments, x, w, b, gradients, size)
    return result(layout, plan, losses, None, None, output, dtype), results


def _each_block(
    spec: LossSpec,
    arguments: tuple[Any, ...],
    x: Array,
    w: FloatArray,
    b: Array | None,
    gradients: Sequence[Gradient],
    size: int,
) -> None:
    """Compute row losses and gradients in blocks of at most `size` of the rows that count."""
    _, ids, options, scale, keep, losses, _ = arguments
    every = keep.all()
    kept = np.flatnonzero(np.broadcast_to(keep, losses.shape))
    x_rows, bias = RowAccess(x), None if b is None else convert(b, w.dtype)
    scratch = np.empty((min(size, kept.size), w.shape[1]), w.dtype)
    for start in range(0, kept.size, size):
        stop = min(start + size, kept.size)
        rows: Rows = slice(start, stop) if every else kept[start:stop]
        block = matrix_for_blas(x_rows[rows], w.dtype)
        logits = np.matmul(block, w, out=scratch[: len(block)])
        if bias is not None:
            logits += bias
        logits3 = logits[:, :, None]
        row_losses = losses[rows]
        launch(
            spec.kernel,
            logits3,
            ids[rows],
            options,
            scale if scale.size == 1 else scale[rows],
            _KEEP,
            row_losses,
            logits3 if gradients else None,
        )
        losses[rows] = row_losses
        for gradient in gradients:
            gradient.add(rows, block, logits)
    left_out = np.flatnonzero(np.broadcast_to(~keep, losses.shape))
    losses[left_out] = 0.0
    for gradient in gradients:
        gradient.finish(left_out)


def _check_shapes(y_true: Array, x: Array, w: Array, b: Array | None) -> None:
    """Raise ValueError for shapes that do not fit, with the shapes that would."""
    if x.ndim == 0:
        raise ValueError("inputs must have the shape (..., d), got shape ()")
    d, rows = x.shape[-1], x.shape[:-1]
    if w.ndim != 2 or w.shape[0] != d:
        hint = ": pass kernel.T" if w.ndim == 2 and w.shape[1] == d else ""
        raise ValueError(
            f"kernel must have the shape ({d}, C) for inputs of shape {x.shape},"
            f" got {w.shape}{hint}"
        )
    if b is not None and b.shape != w.shape[1:]:
        raise ValueError(
            f"bias must have the shape {w.shape[1:]} for a kernel of shape {w.shape}, got {b.shape}"
        )
    if y_true.shape not in (rows, (*rows, 1)):
        raise ValueError(
            f"y_true must have the shape {rows} or {(*rows, 1)}, one label for each row of inputs"
            f" of shape {x.shape}, got {y_true.shape}"
        )


def checked_block_rows(value: object) -> int | None:
    """Return `value`, a positive integer or None; raise ValueError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < 1:
        raise ValueError(f"block_rows must be a positive integer or None, got {value!r}")
    return operator.index(value)


def _rows_for_cache(row_bytes: int) -> int:
    """Return the number of rows of a block whose logits have `row_bytes` a row."""
    return min(max(_FEWEST_ROWS, BLOCK_BYTES // max(1, row_bytes)), _MOST_ROWS)
