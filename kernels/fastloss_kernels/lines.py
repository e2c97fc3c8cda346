"""How rows lie in memory: those of a block one behind the other, or side by side, or apart.

Predictions, dense targets and gradients are arrays of shape (outer, classes, inner). Row i is
``[i // inner, :, i % inner]``.
"""

from fastloss_kernels.interleave import SHORT
from fastloss_kernels.intrinsics import STACKED
from fastloss_kernels.jit import block
from fastloss_kernels.typing import Array

# About 4,096 elements a block: predictions, targets and what is made of them stay in a first-level
# cache of 48 KB. And not so many rows that what is kept of each would leave it. Longer rows are
# worked on in pieces of that size.
BLOCK = 4096
ROWS = STACKED
# Two rows of a quarter of a megabyte, and what comes next, crowd a second-level cache.
LONG = 2**18


@block
def rows_per_block(x: Array) -> int:
    """Return how many rows of x make a block, at least one."""
    rows = BLOCK // max(1, x.shape[1])
    if x.shape[1] * x.itemsize <= SHORT:  # loops over these rows have no remainder
        rows -= rows % 64
    return max(1, min(ROWS, rows))


@block
def is_long(x: Array) -> bool:
    """Return whether of rows of x hardly more than one has room in a second-level cache."""
    return x.shape[1] * x.itemsize > LONG


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
