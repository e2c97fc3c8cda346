"""Blocks of whole rows: where they lie in memory, how they are read, summed and written back.

Predictions, dense targets and gradients are arrays of shape (outer, classes, inner). Row i is
``[i // inner, :, i % inner]``. A block is read from, and worked on in, contiguous memory: the
array's own where its rows lie one behind the other, else a scratch that `gather` fills and
`scatter` empties.
"""

import numpy as np

from fastloss_kernels.intrinsics import memory, prefetch
from fastloss_kernels.jit import block
from fastloss_kernels.lanes import lane_sum
from fastloss_kernels.typing import Array

# About 8,192 elements a block: with the work array and the scratch of a dense loss this stays in a
# 48 KB first-level cache. Rows longer than a block are summed in pieces of 4,096.
BLOCK = 8192
PIECE = 4096
# While a block is worked on the next one is fetched, so much at a time: memory does not wait for
# arithmetic, nor arithmetic for memory.
CHUNK = 512


@block
def rows_per_block(classes: int) -> int:
    """Return how many rows of `classes` elements make a block, at least one."""
    return max(1, BLOCK // max(1, classes))


@block
def row_count(x: Array) -> int:
    """Return outer * inner."""
    return int(x.shape[0] * x.shape[2])


@block
def contiguous(x: Array) -> bool:
    """Return whether the rows of x lie one behind the other."""
    outer, classes, inner = x.shape
    return (
        inner == 1
        and (classes == 1 or x.strides[1] == x.itemsize)
        and (outer == 1 or x.strides[0] == classes * x.itemsize)
    )


@block
def gather(x: Array, first: int, rows: int, work: Array) -> None:
    """Copy the rows `first` to ``first + rows`` of x into `work`, in its dtype."""
    classes, inner = x.shape[1], x.shape[2]
    for r in range(rows):
        source = x[(first + r) // inner, :, (first + r) % inner]
        target = work[r * classes : (r + 1) * classes]
        for c in range(classes):
            target[c] = source[c]


@block
def scatter(work: Array, first: int, rows: int, grad: Array) -> None:
    """Copy `work` into the rows `first` to ``first + rows`` of the gradient."""
    classes, inner = grad.shape[1], grad.shape[2]
    for r in range(rows):
        target = grad[(first + r) // inner, :, (first + r) % inner]
        source = work[r * classes : (r + 1) * classes]
        for c in range(classes):
            target[c] = source[c]


@block
def window(x: Array, scratch: Array, first: int, rows: int) -> Array:
    """Return rows of x as one contiguous array: its own memory, or `scratch` filled with them."""
    size = rows * x.shape[1]
    if contiguous(x) and x.itemsize == scratch.itemsize:
        start = first * x.shape[1]
        return memory(x, scratch.dtype)[start : start + size]
    gather(x, first, rows, scratch)
    return scratch[:size]


@block
def coming(x: Array, scratch: Array, first: int) -> Array:
    """Return the memory from row `first` of x on, to be fetched ahead, where rows lie in it."""
    if contiguous(x) and x.itemsize == scratch.itemsize:
        return memory(x, scratch.dtype)[first * x.shape[1] :]
    return scratch[:0]


@block
def fetch(ahead: Array, start: int) -> None:
    """Fetch one chunk of what is `coming`."""
    if ahead.size:
        prefetch(ahead, start, CHUNK)


@block
def inbox_size(x: Array, work: Array) -> int:
    """Return the length of the scratch that `window` needs for blocks of x."""
    if contiguous(x) and x.itemsize == work.itemsize:
        return 0
    return rows_per_block(x.shape[1]) * x.shape[1]


@block
def piece_size(classes: int) -> int:
    """Return how many classes are worked on at a time: all of them where a block holds the row."""
    return max(1, classes if classes <= BLOCK else PIECE)


@block
def work_array(
    x: Array, v: Array, grad: Array | None, own: Array, first: int, rows: int
) -> tuple[Array, int, bool]:
    """Return (array to work in, 1 if it holds whole rows else 0, whether it is v).

    v is the `window` of these rows of x. The work array is the gradient's own block where that is
    contiguous, else the scratch `own`. Without a gradient nothing of a long row is needed twice,
    and `own` holds a piece of it.
    """
    classes = x.shape[1]
    if grad is None:
        if not contiguous(x):
            return v, 1, True
        if classes > BLOCK:
            return own, 0, False
        return own[: rows * classes], 1, False
    size = rows * classes
    if contiguous(grad) and grad.itemsize == own.itemsize:
        start = first * classes
        w = memory(grad, own.dtype)[start : start + size]
        return w, 1, contiguous(x) and x.ctypes.data == grad.ctypes.data
    return own[:size], 1, False


@block
def hand_over(w: Array, grad: Array | None, first: int, rows: int) -> None:
    """Write the finished rows to the gradient, unless they were worked on in its own memory."""
    if grad is None:
        return
    if not (contiguous(grad) and grad.itemsize == w.itemsize):
        scatter(w, first, rows, grad)


@block
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return (a + b rounded, the exact rest)."""
    total = a + b
    gained = total - a
    return total, (a - (total - gained)) + (b - gained)


@block
def row_pair(w: Array, start: int, size: int) -> tuple[float, float]:
    """Return (the float64 sum of one row, what it lost by rounding).

    The order is fixed by the length alone: pieces of 4,096, each summed by `lane_sum`.
    """
    total, lost = lane_sum(w, start, min(PIECE, size))
    for k in range(start + PIECE, start + size, PIECE):
        piece, rest = lane_sum(w, k, min(PIECE, start + size - k))
        total, error = two_sum(total, piece)
        lost += error + rest
    return total, lost if lost == lost else 0.0  # NaN: an infinity was summed


@block
def row_sum(w: Array, start: int, size: int) -> float:
    """Return the float64 sum of one row, rounded once."""
    total, lost = row_pair(w, start, size)
    return total + lost


@block
def with_one(others: float, lost: float, one: float) -> float:
    """Return others + lost + one, rounded once.

    So the sum of a row does not depend on which of its elements was kept out.
    """
    total, error = two_sum(others, one)
    return total + (error + lost)


@block
def split_sum(w: Array, start: int, size: int, at: int) -> tuple[float, float, float]:
    """Return (w[start + at], the sum of the row's other elements, the sum of all).

    Nothing is added and taken off again: where all the others are 0 so is their sum. An `at` that
    is outside of the row stands for an element 0.
    """
    if not 0 <= at < size:
        others = row_sum(w, start, size)
        return 0.0, others, others
    before, lost_before = row_pair(w, start, at)
    after, lost_after = row_pair(w, start + at + 1, size - at - 1)
    others, error = two_sum(before, after)
    lost = error + lost_before + lost_after
    mine = np.float64(w[start + at])
    return mine, others + lost, with_one(others, lost, mine)


@block
def copy(source: Array, target: Array) -> None:
    """Copy `source` into `target`, which is as long."""
    for k in range(target.size):
        target[k] = source[k]


@block
def fill(w: Array, value: float) -> None:
    """Set every element of w to `value`."""
    for k in range(w.size):
        w[k] = value
