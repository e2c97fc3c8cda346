"""Softmax crossentropy with target rows, of rows that lie side by side, as they lie.

See `softmax_dense` for the formulas and `columns` for what a tile is. A tile is gone through for
the largest logits, then for the sums over targets, then for the exponentials, and with these once
more for the gradient. Rows with large logits, or with sums that must be taken again, are left to
the other way.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import piece_size, row_array
from fastloss_kernels.caches import settle
from fastloss_kernels.calls import call_part
from fastloss_kernels.columns import exponential_columns
from fastloss_kernels.columnsums import (
    END,
    FOUR,
    MERGE,
    SUMS,
    add_four,
    add_run,
    close_piece,
    merge_runs,
    slot_of,
    step_of,
    sum_plans,
)
from fastloss_kernels.crossentropy import row_factors, target_losses, target_slopes
from fastloss_kernels.exponential import exp_bounded
from fastloss_kernels.intrinsics import bits, fma, hold, memory, stacked, stacked_rows
from fastloss_kernels.jit import block, called
from fastloss_kernels.lines import place_of
from fastloss_kernels.registers import REGISTER
from fastloss_kernels.rows import clear_rows, clear_values, row_values
from fastloss_kernels.runs import fetch_run, past_caches, run_of, send_run
from fastloss_kernels.scaling import close_sums, ordered, small_magnitude
from fastloss_kernels.softmax_dense_rows import dense_rows
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.tiles import ROWS, rows_of_tile
from fastloss_kernels.typing import Array


@block
def _largest_logits(x: Array, first: int, rows: int, best: Array, top: Array, box: Array) -> Any:
    """Set `best` and `top` to each row's first largest logit and its class, as `top_class` does.

    Returns the `largest_magnitude` of the rows; if that is NaN's they mean nothing.
    """
    offset, last = place_of(x, first), x.shape[1] - 1
    zero, lowest = bits(box.dtype.type(0)), bits(box.dtype.type(-0.0))
    largest = zero
    for c in range(x.shape[1]):
        fetch_run(x, offset, min(c + 1, last), rows)
        run, here = run_of(x, offset, rows, c, box), np.int32(c)
        for r in range(rows):
            largest = max(largest, bits(abs(run[r])))
            above = ordered(bits(run[r]), zero, lowest) > ordered(bits(best[r]), zero, lowest)
            above |= here == 0
            best[r] = run[r] if above else best[r]
            top[r] = here if above else top[r]
    return largest


@called
def _sum_targets(
    x: Array,
    targets: Array,
    first: int,
    rows: int,
    class_weight: Array,
    smoothing: float,
    best: Array,
    top: Array,
    far: tuple[Array, Array],
    top_target: Array,
    total: Array,
    lost: Array,
    plans: Array,
    sums: tuple[Array, Array],
) -> None:
    """Set the sums of distances `far`, and of targets, and the target of the largest logit."""
    classes, lanes = x.shape[1], REGISTER // best.itemsize
    piece, x_place, t_place = piece_size(classes), place_of(x, first), place_of(targets, first)
    x_box, t_box, own = stacked(best.dtype), stacked(best.dtype), stacked(best.dtype)
    terms = stacked_rows(best.dtype)
    for start in range(0, classes, piece):
        plan, k = plans[0 if start + piece < classes else 1], 0
        while plan[k, 0] != END:
            what, slot, starts, c, following = step_of(plan, k, start)
            k += 1
            if what == MERGE:
                merge_runs(sums[0], slot, rows, best)
                merge_runs(sums[1], slot, rows, best)
                continue
            t_sums, t_rest = slot_of(sums[1], slot, rows)
            for j in range(what):
                here = c + j * lanes
                ahead = here + lanes if j + 1 < what else following
                fetch_run(x, x_place, ahead, rows)
                fetch_run(targets, t_place, ahead, rows)
                run = run_of(x, x_place, rows, here, x_box)
                y = run_of(targets, t_place, rows, here, t_box)
                t = dense_targets(y, rows, here, class_weight, smoothing, classes, own)
                part, small = terms[j * ROWS : j * ROWS + rows], np.int32(here)
                for r in range(rows):
                    top_target[r] = t[r] if top[r] == small else top_target[r]
                    part[r] = t[r] * (best[r] - run[r]) if t[r] != 0 else 0
                add_run(t, starts and j == 0, t_sums, t_rest)  # the order of `fine_sums`
            if what == FOUR:
                add_four(terms, rows)
            slot_sums, rest = slot_of(sums[0], slot, rows)
            add_run(terms[:rows], starts, slot_sums, rest)
        close_piece(sums[0], rows, start == 0, far[0], far[1])
        close_piece(sums[1], rows, start == 0, total, lost)


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
    far, row_factor, part = (row_array(), row_array()), row_array(), stacked(loss.dtype)
    top_target, other, all_targets, targets_lost = (
        row_array(),
        row_array(),
        row_array(),
        row_array(),
    )
    target_sums, sums = (top_target, other, all_targets, targets_lost), (chosen, others, total)
    far_room, room, plans = np.zeros(SUMS), np.zeros(SUMS), sum_plans(classes, loss, FOUR)
    box = np.empty(0 if grad is None else most * classes, loss.dtype)
    w = None if grad is None else memory(box, loss.dtype)
    i = first
    while i < last:
        rows = rows_of_tile(x, i, last, most)
        row_values(scale, i, rows, row_scale)
        largest = _largest_logits(x, i, rows, best, top, part)
        _sum_targets(
            x,
            targets,
            i,
            rows,
            class_weight,
            smoothing,
            best,
            top,
            far,
            top_target,
            all_targets,
            targets_lost,
            plans,
            (far_room, room),
        )
        fine = row_factors(far, target_sums, row_scale, rows, row_factor, loss)
        if not fine or largest > small_magnitude(classes, row_factor, rows, loss):
            arguments = (x, targets, class_weight, smoothing, scale, keep, loss, grad)
            call_part(dense_rows, i, i + rows, arguments)
            i += rows
            continue
        exponential_columns(x, i, rows, top, False, w, others, lost, part, plans, room)
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
    hold(far_room)
    hold(room)
    hold(plans)
    hold(box)
    settle()
