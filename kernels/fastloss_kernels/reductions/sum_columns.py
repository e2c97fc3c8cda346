"""Sums that stand side by side: run after run of numbers is added to a run of sums.

The order is that of `row_sums`, so that a row has the same bits however it lies: class c goes to
lane c mod 16 (8 for float64), four registers at a time, and lanes are added in halves at the end.
Lane by lane, in the order of their turned bits, that takes one sum for each halving: the lanes 0
and 8 are the first pair, 4 and 12 the second, and so on. A plan says it step by step.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.double_word import two_sum
from fastloss_kernels.memory.rows import piece_size
from fastloss_kernels.reductions.sum_rows import add_sums
from fastloss_kernels.simd.codegen import REGISTER
from fastloss_kernels.typing import Array

SUMS = 2 * 5 * tuning.TILE_ROWS  # sums and what they lost, of a lane and of each of four halvings

# A plan is a list of steps (what, slot, class, whether it starts the slot, the class after that).
# A step adds one run, of `class`, or four, each as many classes further as there are lanes, to a
# slot of sums; or it merges the next slot into this one.
MERGE, ONE, FOUR, END = 0, 1, 4, -1

WORDS = 5


@block
def _turned(turn: int, lanes: int) -> int:
    """Return the lane whose number has the bits of `turn` turned over."""
    lane = 0
    while lanes > 1:
        lane = 2 * lane + turn % 2
        turn, lanes = turn // 2, lanes // 2
    return lane


@called
def _write_plan(width: int, lanes: int, most: int, plan: Array) -> None:
    """Write the plan of the sum over `width` classes, whose steps take at most so many runs."""
    steps, slot = 0, 0
    whole = width - width % (FOUR * lanes) if most == FOUR else 0
    for turn in range(lanes):
        lane = _turned(turn, lanes)
        c = lane
        while c < width:
            what = FOUR if c < whole else ONE
            plan[steps, 0], plan[steps, 1], plan[steps, 2], plan[steps, 3] = (
                what,
                slot,
                c,
                c == lane,
            )
            steps, c = steps + 1, c + what * lanes
        slot, half = slot + 1, 1
        while turn & half:  # two neighbouring slots, of as many lanes, are complete
            slot -= 1
            if _turned(turn - half + 1, lanes) < width:  # else the second has no class
                plan[steps, 0], plan[steps, 1] = MERGE, slot - 1
                steps += 1
            half *= 2
    plan[steps, 0] = END
    following = 0
    for step in range(steps - 1, -1, -1):
        if plan[step, 0] != MERGE:
            plan[step, 4], following = following, plan[step, 2]


@called
def sum_plans(classes: int, like: Array, most: int) -> Array:
    """Return two plans: of the pieces of rows of like's dtype, and of the last piece.

    `most` is FOUR for the order of `row_sums`, where four registers are added before they are
    added to the sums, or ONE for that of `fine_sums`.
    """
    piece, lanes = piece_size(classes), REGISTER // like.itemsize
    # Up to three single runs a lane behind the fours, a merge for each but one, and the end.
    plans = np.empty((2, piece // most + 4 * lanes, WORDS), np.int64)
    _write_plan(piece, lanes, most, plans[0])
    _write_plan((classes - 1) % piece + 1, lanes, most, plans[1])
    return plans


@block
def step_of(plan: Array, k: int, start: int) -> Any:
    """Return step k of the plan of the piece that begins with class `start`."""
    c, following = start + int(plan[k, 2]), start + int(plan[k, 4])
    return plan[k, 0], int(plan[k, 1]), plan[k, 3] != 0, c, following


@block
def _compensated(like: Array) -> bool:
    """Return whether sums of numbers like these keep what rounding takes: float32's do not show it.

    The dtype knows at compile time, other than `itemsize`: loops have no branch.
    """
    return np.finfo(like.dtype).bits == 64


@block
def add_run(part: Array, start: bool, total: Array, lost: Array) -> None:
    """Add a run of numbers to a run of sums, or set these to it if `start`.

    Of sums of float32 `lost` stays as it is, 0.
    """
    compensated = _compensated(part)
    if start:
        for k in range(part.size):
            total[k] = np.float64(part[k])
            if compensated:
                lost[k] = 0.0
    else:
        for k in range(part.size):
            total[k], error = two_sum(total[k], np.float64(part[k]))
            if compensated:
                lost[k] += error


@block
def add_four(terms: Array, rows: int) -> None:
    """Add four runs of terms, `TILE_ROWS` apart; the first receives their sum."""
    first, second = terms[:rows], terms[tuning.TILE_ROWS : tuning.TILE_ROWS + rows]
    third, fourth = (
        terms[2 * tuning.TILE_ROWS : 2 * tuning.TILE_ROWS + rows],
        terms[3 * tuning.TILE_ROWS : 3 * tuning.TILE_ROWS + rows],
    )
    for r in range(rows):
        first[r] = (first[r] + second[r]) + (third[r] + fourth[r])


@block
def merge_runs(sums: Array, slot: int, rows: int, like: Array) -> None:
    """Add the sums of the next slot to those of a slot; they are of numbers like these."""
    compensated = _compensated(like)
    (total, lost), (more, rest) = slot_of(sums, slot, rows), slot_of(sums, slot + 1, rows)
    for k in range(more.size):
        total[k], error = two_sum(total[k], more[k])
        if compensated:
            lost[k] = lost[k] + rest[k] + error


@block
def slot_of(sums: Array, slot: int, rows: int) -> tuple[Array, Array]:
    """Return (sums, what they lost) of one of the halvings that are under way."""
    place = 2 * slot * tuning.TILE_ROWS
    return sums[place : place + rows], sums[
        place + tuning.TILE_ROWS : place + tuning.TILE_ROWS + rows
    ]


@block
def close_piece(sums: Array, rows: int, first: bool, total: Array, lost: Array) -> None:
    """Add what a plan has come to to the sums of the rows, or set these to it if `first`."""
    more, rest = slot_of(sums, 0, rows)
    for r in range(rows):
        rest[r] = rest[r] if rest[r] == rest[r] else 0.0  # NaN: infinities, as in `row_sums`
    add_sums(first, total, lost, more, rest, rows)
