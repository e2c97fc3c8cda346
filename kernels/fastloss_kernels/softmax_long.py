"""Softmax crossentropy with class labels, of rows that fill registers: one row after the other.

See `softmax_sparse` for the formulas.
"""

from fastloss_kernels.blocks import piece_size
from fastloss_kernels.crossentropy import far_losses, near_losses, slopes
from fastloss_kernels.intrinsics import row_array, stacked
from fastloss_kernels.jit import block, kernel, part
from fastloss_kernels.labelled import labelled_part, labelled_parts
from fastloss_kernels.lanes import scale_rows
from fastloss_kernels.scaling import exponential_sums, lower_rows, lower_sums
from fastloss_kernels.traffic import Ahead, Traffic
from fastloss_kernels.typing import Array


@block
def _long_rows(
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
    power, shift, height, gap = stacked(target.dtype), row_array(), row_array(), row_array()
    chosen, others, total, lost = row_array(), row_array(), row_array(), row_array()
    scaling, sums, spare = (
        (power, shift, height, gap),
        (chosen, others, total),
        (row_array(), row_array()),
    )
    small = exponential_sums(
        v,
        w,
        whole,
        same,
        rows,
        piece_size(classes),
        scale,
        target,
        scaling,
        sums,
        lost,
        spare,
        ahead,
        traffic,
    )
    near_losses(sums, rows, loss)
    if not small:
        far_losses(sums, height, gap, rows, loss)
    if grad is not None:
        if not small:
            lower_rows(w, rows, scale)
            lower_sums(sums, rows, scale, loss)
        factor, slope = stacked(loss.dtype), stacked(loss.dtype)
        slopes(sums, scale, rows, factor, slope)
        scale_rows(w, rows, classes, factor)
        for r in range(rows):
            w[r * classes + target[r]] = slope[r]


@part
def long_part(
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
    return labelled_part(_long_rows, first, last, x, labels, scale, keep, loss, grad)


@kernel(long_part)
def softmax_crossentropy_long(
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Do as `softmax_crossentropy_sparse`, for rows that are not short."""
    arguments = (x, labels, scale, keep, loss, grad)
    return labelled_parts(long_part, threads, x, labels, keep, arguments)
