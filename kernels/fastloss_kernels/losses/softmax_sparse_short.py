"""Softmax crossentropy of rows so short that what is done once a row costs more than their e^x.

The arithmetic of `softmax_sparse`, on columns (see `interleave`): a register has one class of many
rows, the label is found by comparing, and nothing is done for one row at a time.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.double_word import two_sum
from fastloss_kernels.elementary.exp import exp_bounded, exp_scaled
from fastloss_kernels.loops.kernel import kernel, labelled_parts, part
from fastloss_kernels.loops.rows import labelled_part
from fastloss_kernels.losses.softmax_formulas import (
    far_losses,
    lower_sums,
    lowering,
    near_losses,
    slopes,
)
from fastloss_kernels.memory.streaming import Ahead, Traffic, fetch_next, send
from fastloss_kernels.reductions.exp_rows import close_sums, powers, small_magnitude
from fastloss_kernels.simd.deinterleave import to_columns, to_rows
from fastloss_kernels.simd.raw_arrays import row_array, stacked, stacked_rows
from fastloss_kernels.simd.scalar import bits
from fastloss_kernels.typing import Array


@block
def _exponentials(columns: Array, ahead: Ahead, traffic: Traffic) -> Any:
    """Replace every x by e^x, between which memory is kept busy; return the largest |x| as bits."""
    largest = bits(columns.dtype.type(0))
    for k in range(0, columns.size, tuning.CHUNK):
        fetch_next(ahead, k, tuning.CHUNK)
        send(traffic)
        e = columns[k : k + tuning.CHUNK]
        for c in range(e.size):
            largest = max(largest, bits(abs(e[c])))
            e[c] = exp_bounded(e[c])
    return largest


@block
def _scaled(columns: Array, side: int, rows: int, shift: Array, power: Array) -> None:
    """Replace every x of the columns by e^(x - shift) 2^-power of its row."""
    kind = columns.dtype.type
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(rows):
            column[r] = exp_scaled(column[r] - kind(shift[r]), power[r])


@block
def _lower(columns: Array, side: int, rows: int, scale: Array) -> None:
    """Multiply each row of the columns by its `lowering`."""
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(rows):
            column[r] *= lowering(scale[r], column)


@block
def _sums(columns: Array, side: int, label: Array, sums: tuple[Array, Array, Array]) -> None:
    """Set `sums` to each row's element at its label, the sum of the others and what that lost.

    The order is that of the classes, in float64.
    """
    chosen, others, lost = sums
    zero = columns.dtype.type(0)
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(side):
            e, taken, first = column[r], label[r] == np.int32(c), c == 0
            chosen[r] = e if taken else (zero if first else chosen[r])
            before = 0.0 if first else others[r]
            others[r], error = two_sum(before, np.float64(zero if taken else e))
            if column.itemsize == 8:
                lost[r] = error if first else lost[r] + error


@block
def _gradients(columns: Array, side: int, label: Array, factor: Array, at_label: Array) -> None:
    """Multiply each row of the columns by its factor, and set the element at its label."""
    for c in range(columns.size // side):
        column = columns[c * side : (c + 1) * side]
        for r in range(side):
            g, most = at_label[r], column[r] * factor[r]
            column[r] = g if label[r] == np.int32(c) else most


@called
def _short_rows(
    v: Array,
    w: Array,
    whole: int,
    same: bool,
    rows: int,
    scale: Array,
    target: Array,
    loss: Array,
    grad: Array | None,
    ahead: Ahead,
    traffic: Traffic,
) -> None:
    classes = v.size // rows
    side = (rows + tuning.ROW_MULTIPLE - 1) // tuning.ROW_MULTIPLE * tuning.ROW_MULTIPLE
    columns = stacked_rows(loss.dtype)[: classes * side]
    label, chosen = stacked(np.dtype(np.int32)), stacked(loss.dtype)
    others, lost, total = row_array(), row_array(), row_array()
    power, shift, height, gap = stacked(target.dtype), row_array(), row_array(), row_array()
    for r in range(rows):
        label[r] = target[r]
    to_columns(v, rows, classes, columns, side)
    for c in range(0, columns.size, side):
        for r in range(rows, side):
            columns[c + r] = 0
    small = small_magnitude(classes, scale, rows, v)
    fast = _exponentials(columns, ahead, traffic) <= small
    if not fast:
        powers(v, rows, target, (power, shift, height, gap))
        to_columns(v, rows, classes, columns, side)
        _scaled(columns, side, rows, shift, power)
    _sums(columns, side, label, (chosen, others, lost))
    sums = (chosen, others, total)
    if columns.itemsize == 8:
        close_sums(sums, lost, rows)
    else:
        for r in range(rows):
            total[r] = others[r] + chosen[r]
    near_losses(sums, rows, loss)
    if not fast:
        far_losses(sums, height, gap, rows, loss)
    if grad is not None:
        if not fast:
            _lower(columns, side, rows, scale)
            lower_sums(sums, rows, scale, loss)
        factor, at_label = stacked(loss.dtype), stacked(loss.dtype)
        slopes(sums, scale, rows, factor, at_label)
        _gradients(columns, side, label, factor, at_label)
        to_rows(w, rows, classes, columns, side)


@part
def short_part(
    first: int,
    last: int,
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> int:
    """Write the losses and gradients of some rows; return the first bad label's row, or -1."""
    return labelled_part(_short_rows, first, last, x, labels, scale, keep, loss, grad)


@kernel(short_part)
def softmax_crossentropy_short(
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Do as `softmax_crossentropy_sparse`, for rows of at most `SHORT` bytes."""
    arguments = (x, labels, scale, keep, loss, grad)
    return labelled_parts(short_part, threads, x, labels, keep, arguments)
