"""Tiles: rows that lie side by side, of all classes; each class is a run of neighbours."""

from collections.abc import Callable
from typing import Any

from fastloss_kernels.halves import widen
from fastloss_kernels.intrinsics import STACKED, memory
from fastloss_kernels.jit import block
from fastloss_kernels.lines import lines_of, place_of
from fastloss_kernels.typing import Array

ROWS = STACKED
# Runs of fewer rows are left to the way that puts rows together: they cost as much or more.
LINE = 64
# The scratch for the gradient, 8 MB of float32, bounds the rows of a tile as well. It need not stay
# in a second-level cache: long runs are worth more.
TILE = 2**21


@block
def rows_per_tile(x: Array, grad: Array | None) -> int:
    """Return how many rows make a tile, 0 if those of x have no class or are not side by side."""
    if x.shape[1] == 0:
        return 0
    length, step, _ = lines_of(x)
    most = ROWS if grad is None else min(ROWS, TILE // x.shape[1])
    if min(length, most) < LINE or abs(step) >= abs(x.strides[1]):
        return 0
    tiles = (length + most - 1) // most
    even = (length + tiles - 1) // tiles
    return min(most, (even + 15) // 16 * 16)


def enough(rows: Any) -> Callable[[Array, Array], Any]:
    """Return the way of a kernel to `rows`, which has no columns: there is less to compile."""
    return lambda x, loss: rows if x.strides[1] == x.itemsize else None


@block
def rows_of_tile(x: Array, first: int, last: int, most: int) -> int:
    """Return how many rows from `first` on make the next tile: all of one line."""
    length, _, _ = lines_of(x)
    return min(most, last - first, length - first % length)


@block
def plain(x: Array, like: Array) -> bool:
    """Return whether runs of x can be worked on where they lie."""
    return lines_of(x)[1] == x.itemsize and x.itemsize == like.itemsize


@block
def pick_classes(x: Array, first: int, rows: int, target: Array, picked: Array) -> None:
    """Set `picked` to each row's element of class `target`."""
    offset, step = place_of(x, first), lines_of(x)[1]
    for r in range(rows):
        here = offset + r * step + int(target[r]) * x.strides[1]
        picked[r] = widen(memory(x, x.dtype, here)[0])
