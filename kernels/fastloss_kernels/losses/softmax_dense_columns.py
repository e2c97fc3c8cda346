"""What a tile of logits and targets comes to: the largest logits, and the sums of all classes.

Logits are read twice, for no distance is known before the largest logit is: the second time with
the targets, for whatever is summed.


Softmax crossentropy with target rows, of rows that lie side by side, as they lie.

See `softmax_dense` for the formulas and `columns` for what a tile is. A tile is gone through for
the largest logits, then for all sums, and with the exponentials once more for the gradient. Rows
with large logits, or with sums that must be taken again, are left to the other way.
"""

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.compiler.linking import call_part
from fastloss_kernels.elementary.exp import exp_bounded
from fastloss_kernels.loops.row_inputs import clear_rows, clear_values, row_values
from fastloss_kernels.loops.targets import dense_targets
from fastloss_kernels.losses.softmax_dense_rows import dense_rows
from fastloss_kernels.losses.softmax_formulas import row_factors, target_losses, target_slopes
from fastloss_kernels.memory.columns import fetch_run, past_caches, run_of, send_run
from fastloss_kernels.memory.layout import lines_of, place_of, rows_of_tile
from fastloss_kernels.memory.rows import piece_size
from fastloss_kernels.reductions.argmax import largest_logits
from fastloss_kernels.reductions.exp_rows import close_sums, small_magnitude
from fastloss_kernels.reductions.sum_columns import (
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
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.codegen import REGISTER
from fastloss_kernels.simd.raw_arrays import copy, hold, memory, row_array, stacked, stacked_rows
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array


@block
def _terms(run: Array, t: Array, c: int, best: Array, top: Array, mine: Array, far: Array) -> None:
    """Set `far` to the distances of class c, and `mine` to its targets where it is at the top."""
    for r in range(run.size):
        mine[r] = t[r] if top[r] == np.int32(c) else mine[r]
        far[r] = t[r] * (best[r] - run[r]) if t[r] != 0 else 0


@block
def _exponentials(run: Array, c: int, top: Array, e: Array) -> None:
    """Set e to the exponentials of class c, 0 where it is at the top."""
    zero = e.dtype.type(0)
    for r in range(run.size):
        e[r] = zero if top[r] == np.int32(c) else exp_bounded(run[r])


@called
def sum_all(
    x: Array,
    targets: Array,
    first: int,
    rows: int,
    class_weight: Array,
    smoothing: float,
    best: Array,
    top: Array,
    w: Array | None,
    far: tuple[Array, Array],
    top_target: Array,
    all_targets: tuple[Array, Array],
    others: tuple[Array, Array],
    plans: Array,
    rooms: tuple[Array, Array, Array],
) -> None:
    """Set the sums of distances, of targets, and of the `others`' e^x, and what each of them lost.

    And the target of the largest logit. A w that is not None receives the exponentials, with 0 in
    the place of the largest, class after class. Of large logits they mean nothing. `rooms` have
    SUMS float64 each, 0 at first, and the `plans` are those of `sum_plans`.
    """
    classes, lanes, piece = x.shape[1], REGISTER // best.itemsize, piece_size(x.shape[1])
    x_place, x_step = place_of(x, first), lines_of(x)[1]
    t_place, t_step = place_of(targets, first), lines_of(targets)[1]
    x_box, t_box, own = stacked(best.dtype), stacked(best.dtype), stacked(best.dtype)
    terms, exponentials = stacked_rows(best.dtype), stacked_rows(best.dtype)
    far_room, t_room, e_room = rooms
    for start in range(0, classes, piece):
        plan, k = plans[0 if start + piece < classes else 1], 0
        while plan[k, 0] != END:
            what, slot, starts, c, following = step_of(plan, k, start)
            k += 1
            if what == MERGE:
                for room in rooms:
                    merge_runs(room, slot, rows, best)
                continue
            t_sums, t_lost = slot_of(t_room, slot, rows)
            for j in range(what):
                here = c + j * lanes
                ahead = here + lanes if j + 1 < what else following
                run_terms, e = (
                    terms[j * tuning.TILE_ROWS :][:rows],
                    exponentials[j * tuning.TILE_ROWS :][:rows],
                )
                for begin in range(0, rows, tuning.TILE_CHUNK):
                    some = slice(begin, min(begin + tuning.TILE_CHUNK, rows))
                    x_here, t_here = x_place + begin * x_step, t_place + begin * t_step
                    size, at = some.stop - begin, top[some]
                    fetch_run(x, x_here, ahead, size)
                    run = run_of(x, x_here, size, here, x_box)
                    y = run_of(targets, t_here, size, here, t_box)
                    t = dense_targets(y, size, here, class_weight, smoothing, classes, own)
                    _terms(run, t, here, best[some], at, top_target[some], run_terms[some])
                    add_run(t, starts and j == 0, t_sums[some], t_lost[some])  # as `fine_sums` do
                    fetch_run(targets, t_here, ahead, size)
                    _exponentials(run, here, at, e[some])
                if w is not None:
                    copy(e, w[here * rows : (here + 1) * rows])
            for parts, room in ((terms, far_room), (exponentials, e_room)):
                if what == FOUR:
                    add_four(parts, rows)
                sums, lost = slot_of(room, slot, rows)
                add_run(parts[:rows], starts, sums, lost)
        close_piece(far_room, rows, start == 0, far[0], far[1])
        close_piece(t_room, rows, start == 0, all_targets[0], all_targets[1])
        close_piece(e_room, rows, start == 0, others[0], others[1])


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
