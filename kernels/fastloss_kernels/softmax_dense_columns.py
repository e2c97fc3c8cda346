"""Softmax crossentropy with target rows, of rows that lie side by side, as they lie.

See `softmax_dense` for the formulas and `columns` for what a tile is. A tile is gone through for
the largest logits, then for all sums, and with the exponentials once more for the gradient. Rows
with large logits, or with sums that must be taken again, are left to the other way.
"""

import numpy as np

from fastloss_kernels.caches import settle
from fastloss_kernels.calls import call_part
from fastloss_kernels.columnsums import FOUR, SUMS, sum_plans
from fastloss_kernels.crossentropy import row_factors, target_losses, target_slopes
from fastloss_kernels.exponential import exp_bounded
from fastloss_kernels.intrinsics import fma, hold, memory, row_array, stacked
from fastloss_kernels.jit import called
from fastloss_kernels.lines import place_of
from fastloss_kernels.rows import clear_rows, clear_values, row_values
from fastloss_kernels.runs import fetch_run, past_caches, run_of, send_run
from fastloss_kernels.scaling import close_sums, small_magnitude
from fastloss_kernels.softmax_dense_rows import dense_rows
from fastloss_kernels.softmax_dense_sums import largest_logits, sum_all
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.tiles import rows_of_tile
from fastloss_kernels.typing import Array


@called
def _write_gradient(
    w: Array,
    targets: Array,
    first: int,
    rows: int,
    class_weight: Array,
    smoothing: float,
    factor: Array,
    minus: Array,
    top: Array,
    slope: Array,
    keep: Array,
    grad: Array,
) -> None:
    """Write factor w + minus t to the gradient, and `slope` to the class of the largest logit."""
    classes, past = grad.shape[1], past_caches(grad, w)
    t_place, offset = place_of(targets, first), place_of(grad, first)
    box, own, out = stacked(w.dtype), stacked(w.dtype), stacked(w.dtype)
    kind = w.dtype.type
    for c in range(classes):
        ahead = min(c + 1, classes - 1)
        fetch_run(targets, t_place, ahead, rows)
        y = run_of(targets, t_place, rows, c, box)
        t = dense_targets(y, rows, c, class_weight, smoothing, classes, own)
        e, here = w[c * rows : (c + 1) * rows], np.int32(c)
        for r in range(rows):
            each = fma(e[r], factor[r], minus[r] * t[r])
            out[r] = kind(slope[r]) if top[r] == here else each
        clear_values(keep, first, rows, out)
        send_run(out[:rows], grad, offset, c, min(c + 4, classes - 1), past)


@called
def dense_columns(
    first: int,
    last: int,
    most: int,
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    """Do as `dense_rows` where rows lie side by side, in tiles of at most `most` rows."""
    classes = x.shape[1]
    best, top = stacked(loss.dtype), stacked(np.dtype(np.int32))
    row_scale, factor, minus = row_array(), stacked(loss.dtype), stacked(loss.dtype)
    chosen, others, total, lost = row_array(), row_array(), row_array(), row_array()
    far, row_factor = (row_array(), row_array()), row_array()
    top_target, other, all_targets, targets_lost = (
        row_array(),
        row_array(),
        row_array(),
        row_array(),
    )
    target_sums, sums = (top_target, other, all_targets, targets_lost), (chosen, others, total)
    rooms, plans = np.zeros((3, SUMS)), sum_plans(classes, loss, FOUR)
    box = np.empty(0 if grad is None else most * classes, loss.dtype)
    w = None if grad is None else memory(box, loss.dtype)
    i = first
    while i < last:
        rows = rows_of_tile(x, i, last, most)
        row_values(scale, i, rows, row_scale)
        largest = largest_logits(x, i, rows, best, top)
        sum_all(
            x,
            targets,
            i,
            rows,
            class_weight,
            smoothing,
            best,
            top,
            w,
            far,
            top_target,
            (all_targets, targets_lost),
            (others, lost),
            plans,
            (rooms[0], rooms[1], rooms[2]),
        )
        fine = row_factors(far, target_sums, row_scale, rows, row_factor, loss)
        if not fine or largest > small_magnitude(classes, row_factor, rows, loss):
            arguments = (x, targets, class_weight, smoothing, scale, keep, loss, grad)
            call_part(dense_rows, i, i + rows, arguments)
            i += rows
            continue
        for r in range(rows):
            chosen[r] = exp_bounded(best[r])
        close_sums(sums, lost, rows)
        target_losses(sums, far, target_sums, rows, memory(loss, loss.dtype)[i : i + rows])
        clear_rows(keep, i, rows, loss, loss[:0])
        if grad is not None:
            target_slopes(sums, target_sums, row_scale, row_factor, rows, factor, minus)
            _write_gradient(
                w,
                targets,
                i,
                rows,
                class_weight,
                smoothing,
                factor,
                minus,
                top,
                chosen,
                keep,
                grad,
            )
        i += rows
    hold(rooms)
    hold(plans)
    hold(box)
    settle()
