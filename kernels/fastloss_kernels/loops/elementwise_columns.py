"""The losses whose elements do not meet, of rows that lie side by side; see `elements`.

They are worked on as they lie, like in `columns`: a run of one class of many rows at a time. Terms
are added to sums that stand side by side, in the order that sums of rows have elsewhere.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import generic
from fastloss_kernels.loops.elementwise import divide_sums, heaviest_answer, spread, write_elements
from fastloss_kernels.loops.row_inputs import clear_rows, clear_values, row_values
from fastloss_kernels.loops.targets import answers
from fastloss_kernels.memory.columns import fetch_run, past_caches, run_of, send_run
from fastloss_kernels.memory.layout import place_of, rows_of_tile
from fastloss_kernels.memory.rows import piece_size
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
from fastloss_kernels.simd.raw_arrays import fill, hold, memory, row_array, stacked, stacked_rows
from fastloss_kernels.typing import Array


@generic
def separable_columns(
    most: int,
    element: Any,
    first: int,
    last: int,
    x: Array,
    targets: Array,
    weight: Array,
    smoothing: float,
    low: float,
    high: float,
    divisor: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    """Do as `separable_rows`, in tiles of at most `most` rows."""
    kind = loss.dtype.type
    classes, lanes = x.shape[1], REGISTER // loss.itemsize
    piece = piece_size(classes)
    fused = grad is not None
    bounds = kind(low), kind(high)
    plain = smoothing == 0.0 and weight.size == 0
    past = past_caches(grad, loss)
    x_box, t_box, slopes = stacked(loss.dtype), stacked(loss.dtype), stacked(loss.dtype)
    late = stacked(loss.dtype), stacked(loss.dtype)
    early = stacked(loss.dtype), stacked(loss.dtype)
    boxes = stacked(loss.dtype), stacked(loss.dtype)
    scaled_boxes = stacked(loss.dtype), stacked(loss.dtype)
    weights, terms = stacked(loss.dtype), stacked_rows(loss.dtype)
    row_scale, total, lost = row_array(), row_array(), row_array()
    sums, plans = np.zeros(SUMS), sum_plans(classes, loss, FOUR)
    heaviest = heaviest_answer(weight, plain)

    i = first
    while i < last:
        rows = rows_of_tile(x, i, last, most)
        x_place, t_place = place_of(x, i), place_of(targets, i)
        if scale.size > 1 or i == first:
            n = rows if scale.size > 1 else most  # one value serves all tiles
            row_values(scale, i, n, row_scale)
            spread(
                row_scale,
                n,
                divisor,
                heaviest,
                (early[0][:n], early[1][:n]),
                (late[0][:n], late[1][:n]),
            )
        for start in range(0, classes, piece):
            plan, k = plans[0 if start + piece < classes else 1], 0
            while plan[k, 0] != END:
                what, slot, starts, c, following = step_of(plan, k, start)
                k += 1
                if what == MERGE:
                    merge_runs(sums, slot, rows, loss)
                    continue
                for j in range(what):
                    own = c + j * lanes
                    ahead = own + lanes if j + 1 < what else following
                    fetch_run(x, x_place, ahead, rows)
                    fetch_run(targets, t_place, ahead, rows)
                    x_run = run_of(x, x_place, rows, own, x_box)
                    t = run_of(targets, t_place, rows, own, t_box)
                    answer, scaled = (t, t), (t, t)
                    if not plain:
                        fill(weights[:rows], weight[own] if weight.size else kind(1))
                        answers(t, weights, smoothing, early, boxes, scaled_boxes)
                        answer, scaled = boxes, scaled_boxes
                    write_elements(
                        element,
                        plain,
                        fused,
                        rows,
                        x_run,
                        t,
                        answer,
                        scaled,
                        late,
                        bounds,
                        terms[j * tuning.TILE_ROWS :],
                        slopes,
                    )
                    if fused:
                        clear_values(keep, i, rows, slopes)
                        send_run(slopes[:rows], grad, place_of(grad, i), own, ahead, past)
                if what == FOUR:
                    add_four(terms, rows)
                slot_sums, rest = slot_of(sums, slot, rows)
                add_run(terms[:rows], starts, slot_sums, rest)
            close_piece(sums, rows, start == 0, total, lost)
        divide_sums(total, lost, divisor, memory(loss, loss.dtype)[i : i + rows])
        clear_rows(keep, i, rows, loss, loss[:0])
        i += rows
    hold(sums)
    hold(plans)
    settle()
