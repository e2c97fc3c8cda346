"""Sums of columns: each row of a tile has the bits that `row_sums` would give it.

The order is that of `row_sums`: class c goes to lane c mod 16 (8 for float64), four registers at a
time, and lanes are added in halves at the end. Visited in bit-reversed order, lanes need one slot
of sums for each halving: lanes 0 and 8 are the first pair, 4 and 12 the second, and so on. A plan
lists the steps; `sum_in_order` walks over it.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.double_word import two_sum
from fastloss_kernels.memory.columns import Tile
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.reductions.sum_rows import add_sums
from fastloss_kernels.simd.scalar import itemsize
from fastloss_kernels.typing import Array

# Sums and their rounding errors, of a lane and of each of four halvings.
SUMS = 2 * 5 * tuning.TILE_ROWS

# A plan is a list of steps (what, slot, class, whether it starts the slot, the class after that).
# A step adds one column, of `class`, or four, each as many classes further as there are lanes, to a
# slot of sums; or it merges the next slot into this one.
MERGE, ONE, FOUR, END = 0, 1, 4, -1
WORDS = 5


@block
def _bit_reversed(turn: int, lanes: int) -> int:
    """Return the lane whose number is `turn` with its bits reversed."""
    lane = 0
    while lanes > 1:
        lane = 2 * lane + turn % 2
        turn, lanes = turn // 2, lanes // 2
    return lane


@called
def _write_plan(width: int, lanes: int, most: int, plan: Array) -> None:
    """Write the plan of the sum over `width` classes, whose steps take at most so many columns."""
    end, slot = 0, 0
    whole = width - width % (FOUR * lanes) if most == FOUR else 0
    for turn in range(lanes):
        lane = _bit_reversed(turn, lanes)
        c = lane
        while c < width:
            what = FOUR if c < whole else ONE
            plan[end], plan[end + 1], plan[end + 2], plan[end + 3] = what, slot, c, c == lane
            end, c = end + WORDS, c + what * lanes
        slot, half = slot + 1, 1
        while turn & half:  # two neighbouring slots, of as many lanes, are complete
            slot -= 1
            if _bit_reversed(turn - half + 1, lanes) < width:  # else the second has no class
                plan[end], plan[end + 1] = MERGE, slot - 1
                end += WORDS
            half *= 2
    plan[end] = END
    following = 0
    for step in range(end - WORDS, -1, -WORDS):
        if plan[step] != MERGE:
            plan[step + 4], following = following, plan[step + 2]


@block
def plans_size(classes: int, like: Array, most: int) -> int:
    """Return the length of the array for `write_plans`."""
    # Up to three single columns a lane behind the fours, a merge for each but one, and the end.
    steps = piece_size(classes) // most + 4 * (tuning.REGISTER // like.itemsize)
    return 2 * steps * WORDS


@block
def write_plans(classes: int, like: Array, most: int, plans: Array) -> None:
    """Write two plans: of the pieces of rows of like's dtype, and of the last piece.

    `most` is FOUR for the order of `row_sums`, where four registers are added before they are
    added to the sums, or ONE for that of `row_sums_f64`.
    """
    piece, lanes = piece_size(classes), tuning.REGISTER // like.itemsize
    _write_plan(piece, lanes, most, plans)
    _write_plan((classes - 1) % piece + 1, lanes, most, plans[plans.size // 2 :])


@block
def _compensated(like: Array) -> bool:
    """Return whether sums of such numbers keep the rounding error; float32 does not show it."""
    return itemsize(like) == 8


@block
def add_column(part: Array, start: bool, total: Array, lost: Array) -> None:
    """Add a column to the sums of its rows, or set these to it if `start`.

    The error of float32 columns, `lost`, stays as it is: 0.
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
    """Add four columns of terms, `TILE_ROWS` apart; the first receives their sum."""
    size = tuning.TILE_ROWS
    first, second = terms[:rows], terms[size : size + rows]
    third, fourth = terms[2 * size : 2 * size + rows], terms[3 * size : 3 * size + rows]
    for r in range(rows):
        first[r] = (first[r] + second[r]) + (third[r] + fourth[r])


@block
def _merge(sums: Array, slot: int, rows: int, like: Array) -> None:
    """Add the sums of the next slot to those of a slot; they are of numbers like these."""
    compensated = _compensated(like)
    (total, lost), (more, rest) = slot_of(sums, slot, rows), slot_of(sums, slot + 1, rows)
    for k in range(more.size):
        total[k], error = two_sum(total[k], more[k])
        if compensated:
            lost[k] = lost[k] + rest[k] + error


@block
def workspace(tile: Tile, number: int) -> Array:
    """Return one of the tile's workspaces for `sum_in_order`."""
    return tile.sums[number * SUMS : (number + 1) * SUMS]


@block
def slot_of(sums: Array, slot: int, rows: int) -> tuple[Array, Array]:
    """Return (sums, their rounding errors) of one of the halvings that are under way."""
    size = tuning.TILE_ROWS
    place = 2 * slot * size
    return sums[place : place + rows], sums[place + size : place + size + rows]


@block
def _close_piece(sums: Array, rows: int, first: bool, total: Array, lost: Array) -> None:
    """Add the result of a plan to the sums of the rows, or set these to it if `first`."""
    more, rest = slot_of(sums, 0, rows)
    for r in range(rows):
        rest[r] = rest[r] if rest[r] == rest[r] else 0.0  # NaN: infinities, as in `row_sums`
    add_sums(first, total, lost, more, rest, rows)


@block
def sum_in_order(
    add: Any, state: Any, tile: Tile, workspaces: Any, results: Any, like: Array
) -> None:
    """Sum the columns of a tile in the order of its plans: one sum for each workspace.

    ``add(state, (count, slot, starts, c, following))`` has to add `count` columns, ONE or FOUR, the
    first of class c and the others as many classes further as a register has lanes, to a slot of
    each workspace, or to set the slot if `starts`. The class `following` comes next. `workspaces`
    have SUMS float64 each, 0 at first; `results` are pairs (sums, rounding errors) to set. What is
    summed has like's dtype.
    """
    classes, rows, plan = tile.classes, tile.rows, tile.plans
    piece = piece_size(classes)
    for start in range(0, classes, piece):
        k = 0 if start + piece < classes else plan.size // 2
        while plan[k] != END:
            what, slot = plan[k], plan[k + 1]
            if what == MERGE:
                for sums in workspaces:
                    _merge(sums, slot, rows, like)
            else:
                c, following = start + plan[k + 2], start + plan[k + 4]
                add(state, (what, slot, plan[k + 3] != 0, c, following))
            k += WORDS
        for n in range(len(workspaces)):
            total, lost = results[n]
            _close_piece(workspaces[n], rows, start == 0, total, lost)
