"""Sums that stand side by side: run after run of numbers is added to a run of sums.

The order is that of `row_sums`, so that a row has the same bits however it lies: class c goes to
lane c mod 16 (8 for float64), four registers at a time, and lanes are added in halves at the end.
Lane by lane, in the order of their turned bits, that takes one sum for each halving: the lanes 0
and 8 are the first pair, 4 and 12 the second, and so on.
"""

import numpy as np

from fastloss_kernels.jit import block
from fastloss_kernels.rowsums import two_sum
from fastloss_kernels.tiles import ROWS
from fastloss_kernels.typing import Array

SUMS = 2 * 5 * ROWS  # sums and what they lost, of a lane and of each of four halvings


@block
def add_run(part: Array, start: bool, total: Array, lost: Array) -> None:
    """Add a run of numbers to a run of sums, or set these to it if `start`.

    What rounding takes from sums of float32 does not show: there `lost` stays as it is, 0.
    """
    compensated = part.itemsize == 8
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
def merge_run(total: Array, lost: Array, more: Array, rest: Array, compensated: bool) -> None:
    """Add the second runs of sums to the first."""
    for k in range(more.size):
        total[k], error = two_sum(total[k], more[k])
        if compensated:
            lost[k] = lost[k] + rest[k] + error


@block
def slot_of(sums: Array, slot: int, rows: int) -> tuple[Array, Array]:
    """Return (sums, what they lost) of one of the halvings that are under way."""
    place = 2 * slot * ROWS
    return sums[place : place + rows], sums[place + ROWS : place + ROWS + rows]


@block
def turned(turn: int, lanes: int) -> tuple[int, int]:
    """Return (the lane whose number has the bits of `turn` turned over, how many bits are set)."""
    lane, ones = 0, 0
    while lanes > 1:
        lane, ones = 2 * lane + turn % 2, ones + turn % 2
        turn, lanes = turn // 2, lanes // 2
    return lane, ones
