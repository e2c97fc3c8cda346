"""Softmax crossentropy with target rows, of contiguous rows.

See `softmax_dense` for the formulas.
"""

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.kernel import each_part, kernel, part
from fastloss_kernels.loops.row_inputs import clear_rows, row_values
from fastloss_kernels.loops.targets import dense_targets
from fastloss_kernels.losses.softmax_formulas import (
    distances,
    lower_rows,
    lower_sums,
    refine_distances,
    row_factors,
    target_losses,
    target_slopes,
)
from fastloss_kernels.memory.layout import is_long, rows_per_block
from fastloss_kernels.memory.rows import (
    hand_over,
    inbox_size,
    piece_size,
    room_for,
    row_count,
    scratch_size,
    window,
    work_array,
)
from fastloss_kernels.memory.streaming import early_and_late, fetch_piece, send_rest, traffic_of
from fastloss_kernels.reductions.argmax import top_class, top_class_ahead
from fastloss_kernels.reductions.exp_rows import exponential_sums
from fastloss_kernels.reductions.sum_rows import add_fine, add_rows
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.raw_arrays import fill, hold, memory, row_array, stacked
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array


@block
def _subtract(w: Array, t: Array, rows: int, factor: Array, minus: Array) -> None:
    """Turn exponentials w into factor w + minus t."""
    width = w.size // rows
    for r in range(rows):
        row, t_row = w[r * width : (r + 1) * width], t[r * width : (r + 1) * width]
        f, m = factor[r], minus[r]
        for c in range(width):
            row[c] = fma(row[c], f, m * t_row[c])


@part
def dense_rows(
    first: int,
    last: int,
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    """Write the losses and gradients of some rows."""
    kind = loss.dtype.type
    classes = x.shape[1]
    if classes == 0:  # a sum over nothing, and not one element to read
        fill(loss[first:last], kind(0))
        return
    block_rows, piece = rows_per_block(x), piece_size(classes)
    share = (first, last, block_rows)
    own = np.empty(scratch_size(x, grad, loss), loss.dtype)
    target_box = np.empty(inbox_size(targets, loss, block_rows), loss.dtype)
    boxes = np.empty((2, block_rows * piece), loss.dtype)
    changed, terms = memory(boxes[0], loss.dtype), memory(boxes[1], loss.dtype)
    top, power = stacked(np.dtype(np.int64)), stacked(np.dtype(np.int64))
    row_scale, factor, minus = row_array(), stacked(loss.dtype), stacked(loss.dtype)
    shift, height, gap = row_array(), row_array(), row_array()
    chosen, others, total, lost = row_array(), row_array(), row_array(), row_array()
    distance, distance_lost = row_array(), row_array()
    top_target, other_targets = row_array(), row_array()
    all_targets, targets_lost = row_array(), row_array()
    far, row_factor = (distance, distance_lost), row_array()
    target_sums = top_target, other_targets, all_targets, targets_lost
    spare = (row_array(), row_array())
    traffic = traffic_of(own, grad, stacked(np.dtype(np.int64)))

    for i in range(first, last, block_rows):
        rows, room = min(block_rows, last - i), room_for(x, grad, own, i, share)
        v, y = window(x, room, i, share), window(targets, target_box, i, share)
        w, whole, same = work_array(x, v, grad, room, i, rows)
        row_values(scale, i, rows, row_scale)
        x_early, x_late = early_and_late(x, i, rows)
        t_early, t_late = early_and_late(targets, i, rows)
        if is_long(x):  # a block by itself
            top[0] = top_class_ahead(v, x_early)
        else:
            for r in range(rows):
                top[r] = top_class(v[r * classes : (r + 1) * classes])
        for c in range(0, classes, piece):
            size = rows * min(piece, classes - c)
            if is_long(targets):
                fetch_piece(t_early, c, size)
            t = dense_targets(y[c : c + size], rows, c, class_weight, smoothing, classes, changed)
            # Where the exponentials will be there is room: one array less in the cache.
            part = terms[:size] if same else w[c * whole : c * whole + size]
            for r in range(rows):
                if c <= top[r] < c + size // rows:
                    top_target[r] = t[r * (size // rows) + top[r] - c]
            add_fine(t, rows, c == 0, all_targets, targets_lost, spare)
            distances(v, t, rows, c, top, part)
            add_rows(part, rows, c == 0, distance, distance_lost, spare)
        fine = row_factors(far, target_sums, row_scale, rows, row_factor, loss)
        if not fine:
            refine_distances(
                v,
                y,
                rows,
                piece,
                class_weight,
                smoothing,
                top,
                other_targets,
                far,
                (changed, terms),
                spare,
            )
        scaling, sums = (power, shift, height, gap), (chosen, others, total)
        small = exponential_sums(
            v,
            w,
            whole,
            same,
            rows,
            piece,
            row_factor,
            top,
            scaling,
            sums,
            lost,
            spare,
            (x_late, t_late),
            traffic,
        )
        mine = memory(loss, loss.dtype)[i : i + rows]
        target_losses(sums, far, target_sums, rows, mine)
        if grad is not None:
            if not small:
                lower_rows(w, rows, row_factor)
                lower_sums(sums, rows, row_factor, loss)
            target_slopes(sums, target_sums, row_scale, row_factor, rows, factor, minus)
            for c in range(0, classes, piece):
                size = rows * min(piece, classes - c)
                y_part = y[c : c + size]
                t = dense_targets(y_part, rows, c, class_weight, smoothing, classes, changed)
                _subtract(w[c : c + size], t, rows, factor, minus)
            for r in range(rows):
                w[r * classes + top[r]] = kind(chosen[r])
            clear_rows(keep, i, rows, loss, w)
            hand_over(w, x, grad, i, share, traffic)
        else:
            clear_rows(keep, i, rows, loss, w[:0])
    send_rest(traffic)
    hold(own)
    hold(target_box)
    hold(boxes)
    settle()


@kernel(dense_rows)
def softmax_crossentropy_dense_rows(
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Do as `softmax_crossentropy_dense`, in the way of rows that lie one behind the other."""
    arguments = (x, targets, class_weight, smoothing, scale, keep, loss, grad)
    each_part(dense_rows, row_count(x), threads, arguments)
