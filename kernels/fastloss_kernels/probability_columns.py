"""Crossentropy of probabilities with class labels, of rows that lie side by side, as they lie.

See `probability_sparse` for the formulas and `columns` for what a tile is. Nothing of a row but its
sum and its label's element is needed, so its other elements are read once.
"""

import numpy as np

from fastloss_kernels.blocks import copy, piece_size
from fastloss_kernels.caches import settle
from fastloss_kernels.columnsums import (
    END,
    MERGE,
    ONE,
    SUMS,
    add_run,
    close_piece,
    merge_runs,
    slot_of,
    step_of,
    sum_plans,
)
from fastloss_kernels.intrinsics import hold, memory, row_array, stacked
from fastloss_kernels.jit import block, called
from fastloss_kernels.labels import kept_labels
from fastloss_kernels.lines import place_of
from fastloss_kernels.rows import clear_rows, clear_values, row_values
from fastloss_kernels.runs import fetch_run, past_caches, run_of, send_run
from fastloss_kernels.shares import losses_and_slopes, round_totals
from fastloss_kernels.tiles import pick_classes, rows_of_tile
from fastloss_kernels.typing import Array


@block
def _column_totals(
    x: Array,
    first: int,
    rows: int,
    total: Array,
    lost: Array,
    box: Array,
    plans: Array,
    sums: Array,
) -> None:
    """Do as `row_totals` with some rows that lie side by side."""
    classes, offset = x.shape[1], place_of(x, first)
    piece = piece_size(classes)
    for start in range(0, classes, piece):
        plan, k = plans[0 if start + piece < classes else 1], 0
        while plan[k, 0] != END:
            what, slot, starts, c, following = step_of(plan, k, start)
            k += 1
            if what == MERGE:
                merge_runs(sums, slot, rows, box)
                continue
            fetch_run(x, offset, following, rows)
            slot_sums, rest = slot_of(sums, slot, rows)
            add_run(run_of(x, offset, rows, c, box), starts, slot_sums, rest)
        close_piece(sums, rows, start == 0, total, lost)
    round_totals(total, lost, rows)


@block
def _write_slopes(
    target: Array, slope: Array, chosen: Array, rows: int, grad: Array, first: int
) -> None:
    """Write `slope` to all classes of rows that lie side by side, `chosen` to their target's."""
    past, offset, last = past_caches(grad, slope), place_of(grad, first), grad.shape[1] - 1
    box, mine = stacked(slope.dtype), target[:rows]
    for c in range(grad.shape[1]):
        for r in range(rows):
            box[r] = chosen[r] if mine[r] == c else slope[r]
        send_run(box[:rows], grad, offset, c, min(c + 4, last), past)


@called
def probability_columns(
    first: int,
    last: int,
    most: int,
    x: Array,
    labels: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    """Do as `probability_crossentropy_rows`, in tiles of at most `most` rows."""
    kind = loss.dtype.type
    bounds = kind(eps), kind(1.0 - eps)
    target, slope, picked = stacked(np.dtype(np.int64)), stacked(loss.dtype), stacked(loss.dtype)
    row_scale, chosen, total, lost = row_array(), row_array(), row_array(), row_array()
    sums, room, plans = (chosen, total, lost), np.zeros(SUMS), sum_plans(x.shape[1], loss, ONE)
    i = first
    while i < last:
        rows = rows_of_tile(x, i, last, most)
        kept_labels(labels, keep, i, rows, target)
        row_values(scale, i, rows, row_scale)
        _column_totals(x, i, rows, total, lost, picked, plans, room)
        pick_classes(x, i, rows, target, picked)
        copy(picked[:rows], chosen[:rows])
        losses_and_slopes(sums, row_scale, rows, bounds, slope, memory(loss, loss.dtype)[i:][:rows])
        clear_rows(keep, i, rows, loss, loss[:0])
        if grad is not None:
            clear_values(keep, i, rows, slope)
            clear_values(keep, i, rows, chosen)
            _write_slopes(target, slope, chosen, rows, grad, i)
        i += rows
    hold(room)
    hold(plans)
    settle()
