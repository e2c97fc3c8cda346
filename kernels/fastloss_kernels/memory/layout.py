"""How rows lie in memory: those of a block one behind the other, or side by side, or apart.

Predictions, dense targets and gradients are arrays of shape (outer, classes, inner). Row i is
``[i // inner, :, i % inner]``.


Tiles: rows that lie side by side, of all classes; each class is a run of neighbours.
"""

from collections.abc import Callable
from typing import Any

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.typing import Array


@block
def rows_per_block(x: Array) -> int:
    """Return how many rows of x make a block, at least one."""
    rows = tuning.BLOCK // max(1, x.shape[1])
    if x.shape[1] * x.itemsize <= tuning.SHORT_ROW:  # loops over these rows have no remainder
        rows -= rows % tuning.ROW_MULTIPLE
    return max(1, min(tuning.BLOCK_ROWS, rows))


@block
def is_long(x: Array) -> bool:
    """Return whether of rows of x hardly more than one has room in a second-level cache."""
    return x.shape[1] * x.itemsize > tuning.LONG_ROW


@block
def lines_of(x: Array) -> tuple[int, int, int]:
    """Return (rows side by side, bytes from one to the next, bytes from line to line)."""
    outer, _, inner = x.shape
    if inner == 1:
        return outer, x.strides[0], 0
    return inner, x.strides[2], x.strides[0]


@block
def place_of(x: Array, row: int) -> int:
    """Return how many bytes behind the first the row lies."""
    length, step, next_line = lines_of(x)
    return row // length * next_line + row % length * step


@block
def packed(x: Array) -> bool:
    """Return whether all rows of x lie one behind the other."""
    outer, classes, inner = x.shape
    row = classes * x.itemsize
    return (
        (classes == 1 or x.strides[1] == x.itemsize)
        and (inner == 1 or x.strides[2] == row)
        and (outer == 1 or x.strides[0] == inner * row)
    )


@block
def contiguous(x: Array) -> bool:
    """Return whether each block of x is contiguous: rows are packed, or one is a block."""
    return packed(x) or (rows_per_block(x) == 1 and x.strides[1] == x.itemsize)


@block
def side_by_side(x: Array) -> bool:
    """Return whether neighbours in memory are the same class of different rows."""
    return lines_of(x)[1] == x.itemsize and x.strides[1] != x.itemsize


@block
def rows_per_tile(x: Array, grad: Array | None) -> int:
    """Return how many rows make a tile, 0 if those of x have no class or are not side by side."""
    if x.shape[1] == 0:
        return 0
    length, step, _ = lines_of(x)
    most = (
        tuning.TILE_ROWS
        if grad is None
        else min(tuning.TILE_ROWS, tuning.TILE_ELEMENTS // x.shape[1])
    )
    if min(length, most) < tuning.TILE_ROWS_LEAST or abs(step) >= abs(x.strides[1]):
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
