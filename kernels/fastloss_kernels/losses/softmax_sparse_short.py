"""Softmax crossentropy with class labels, of rows of a few classes.

The arithmetic of `softmax_sparse`, on columns: rows are deinterleaved, so that a register holds one
class of many rows, the label is found by comparing, and nothing is done for one row at a time. Of
rows this short, what is done once a row would cost more than their e^x.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.double_word import two_sum
from fastloss_kernels.elementary.exp import exp_in_range, exp_scaled
from fastloss_kernels.loops.row_inputs import Batch, load_labels
from fastloss_kernels.losses.softmax_formulas import (
    far_losses,
    near_losses,
    rescale_factor,
    rescale_sums,
    slopes,
)
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import (
    Prefetches,
    StoreQueue,
    no_prefetch,
    prefetch_block,
    prefetch_chunks,
    store_chunk,
)
from fastloss_kernels.reductions.exp_rows import (
    ExpSums,
    RowExponents,
    close_sums,
    row_exponents,
    small_magnitude,
)
from fastloss_kernels.simd.deinterleave import to_columns, to_rows
from fastloss_kernels.simd.raw_arrays import row_array, stack_array, stack_block
from fastloss_kernels.simd.scalar import bits
from fastloss_kernels.typing import Array


@block
def _exponentials(columns: Array, ahead: Prefetches, queue: StoreQueue) -> Any:
    """Replace every x by e^x, interleaved with memory traffic; return the largest |x| as bits."""
    largest = bits(columns.dtype.type(0))
    for k in range(0, columns.size, tuning.CHUNK):
        prefetch_chunks(ahead, k, tuning.CHUNK)
        store_chunk(queue)
        e = columns[k : k + tuning.CHUNK]
        for c in range(e.size):
            largest = max(largest, bits(abs(e[c])))
            e[c] = exp_in_range(e[c])
    return largest


@block
def _scaled_exponentials(columns: Array, side: int, rows: int, scaling: RowExponents) -> None:
    """Replace every x of the columns by e^(x - shift) 2^-K of its row."""
    kind = columns.dtype.type
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(rows):
            column[r] = exp_scaled(column[r] - kind(scaling.shift[r]), scaling.exponent[r])


@block
def _rescale(columns: Array, side: int, rows: int, scale: Array) -> None:
    """Multiply each row of the columns by its `rescale_factor`."""
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(rows):
            column[r] *= rescale_factor(scale[r], column)


@block
def _sums(columns: Array, side: int, label: Array, sums: ExpSums) -> None:
    """Set the `sums` of each row but for the total, in the order of the classes, in float64."""
    of_label, others, _, lost = sums
    zero = columns.dtype.type(0)
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(side):
            e, taken, first = column[r], label[r] == np.int32(c), c == 0
            of_label[r] = e if taken else (zero if first else of_label[r])
            before = 0.0 if first else others[r]
            others[r], error = two_sum(before, np.float64(zero if taken else e))
            if column.itemsize == 8:
                lost[r] = error if first else lost[r] + error


@block
def _write_gradient(columns: Array, side: int, label: Array, factor: Array, slope: Array) -> None:
    """Multiply each row of the columns by its factor; its label's element becomes `slope`."""
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(side):
            g, most = slope[r], column[r] * factor[r]
            column[r] = g if label[r] == np.int32(c) else most


@block
def short_block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    """Process a block of rows of at most `tuning.SHORT_ROW` bytes."""
    rows, multiple = b.rows, tuning.ROW_MULTIPLE
    side = (rows + multiple - 1) // multiple * multiple
    columns = stack_block(b.loss.dtype)[: b.classes * side]
    labels, label = stack_array(np.int64), stack_array(np.int32)
    load_labels(b, batch, labels)
    for r in range(rows):
        label[r] = labels[r]
    sums = ExpSums(stack_array(b.loss.dtype), row_array(), row_array(), row_array())
    scaling = RowExponents(stack_array(np.int64), row_array(), row_array(), row_array())
    to_columns(b.x, rows, b.classes, columns, side)
    for c in range(0, columns.size, side):
        for r in range(rows, side):
            columns[c + r] = 0
    ahead = (prefetch_block(batch.x, b.first, rows), no_prefetch(b.loss))
    small = small_magnitude(b.classes, b.scale, rows, b.x)
    fast = _exponentials(columns, ahead, b.queue) <= small
    if not fast:
        row_exponents(b.x, rows, labels, scaling)
        to_columns(b.x, rows, b.classes, columns, side)
        _scaled_exponentials(columns, side, rows, scaling)
    _sums(columns, side, label, sums)
    if columns.itemsize == 8:
        close_sums(sums, rows)
    else:
        for r in range(rows):
            sums.total[r] = sums.others[r] + sums.label[r]
    near_losses(sums, rows, b.loss)
    if not fast:
        far_losses(sums, scaling, rows, b.loss)
    if grad is not None:
        if not fast:
            _rescale(columns, side, rows, b.scale)
            rescale_sums(sums, rows, b.scale, b.loss)
        factor, slope = stack_array(b.loss.dtype), stack_array(b.loss.dtype)
        slopes(sums, b.scale, rows, factor, slope)
        _write_gradient(columns, side, label, factor, slope)
        to_rows(b.out, rows, b.classes, columns, side)
