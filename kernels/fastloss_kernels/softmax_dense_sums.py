"""What a tile of logits and targets comes to: the largest logits, and the sums of all classes.

Logits are read twice, for no distance is known before the largest logit is: the second time with
the targets, for whatever is summed.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import copy, piece_size
from fastloss_kernels.columnsums import (
    END,
    FOUR,
    MERGE,
    add_four,
    add_run,
    close_piece,
    merge_runs,
    slot_of,
    step_of,
)
from fastloss_kernels.exponential import exp_bounded
from fastloss_kernels.intrinsics import bits, stacked, stacked_rows
from fastloss_kernels.jit import block, called
from fastloss_kernels.lines import lines_of, place_of
from fastloss_kernels.registers import REGISTER
from fastloss_kernels.runs import fetch_run, run_of
from fastloss_kernels.scaling import ordered
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.tiles import ROWS
from fastloss_kernels.typing import Array

# Of the next run so much is fetched at a time, between arithmetic: more than the processor can wait
# for at once would have the arithmetic wait too.
CHUNK = ROWS // 4


@called
def largest_logits(x: Array, first: int, rows: int, best: Array, top: Array) -> Any:
    """Set `best` and `top` to each row's first largest logit and its class, as `top_class` does.

    Returns the `largest_magnitude` of the rows; if that is NaN's they mean nothing.
    """
    offset, step, last = place_of(x, first), lines_of(x)[1], x.shape[1] - 1
    zero, lowest = bits(best.dtype.type(0)), bits(best.dtype.type(-0.0))
    box, largest = stacked(best.dtype), zero
    for c in range(x.shape[1]):
        here = np.int32(c)
        for begin in range(0, rows, CHUNK):
            end = min(begin + CHUNK, rows)
            place, size = offset + begin * step, end - begin
            fetch_run(x, place, min(c + 1, last), size)
            run, high, at = run_of(x, place, size, c, box), best[begin:end], top[begin:end]
            for r in range(size):
                largest = max(largest, bits(abs(run[r])))
                above = ordered(bits(run[r]), zero, lowest) > ordered(bits(high[r]), zero, lowest)
                above |= here == 0
                high[r] = run[r] if above else high[r]
                at[r] = here if above else at[r]
    return largest


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
                run_terms, e = terms[j * ROWS :][:rows], exponentials[j * ROWS :][:rows]
                for begin in range(0, rows, CHUNK):
                    some = slice(begin, min(begin + CHUNK, rows))
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
