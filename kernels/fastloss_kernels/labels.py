"""Class labels: checked before anything is read with them."""

from fastloss_kernels.jit import block, called
from fastloss_kernels.rows import left_out, step
from fastloss_kernels.typing import Array


@called
def first_bad_label(labels: Array, first: int, last: int, classes: int, keep: Array) -> int:
    """Return the first kept row whose label is not one of ``0 ... classes - 1``, or -1."""
    mine, bad = labels[first:last], False
    if keep.size == 1:  # no early exit: these loops are vector code
        for k in range(mine.size):
            bad |= (mine[k] < 0) | (mine[k] >= classes)
    else:
        kept = keep[first:last]
        for k in range(mine.size):
            bad |= kept[k] & ((mine[k] < 0) | (mine[k] >= classes))
    if bad:
        for i in range(first, last):
            if keep[i * step(keep)] and not 0 <= labels[i] < classes:
                return i
    return -1


@block
def kept_labels(labels: Array, keep: Array, first: int, rows: int, target: Array) -> None:
    """Fill `target` with the labels of a block of rows; a row that is left out gets class 0."""
    mine = labels[first : first + rows]
    for r in range(rows):
        target[r] = mine[r]
    if left_out(keep, first, rows):
        kept = step(keep)
        for r in range(rows):
            target[r] = target[r] if keep[(first + r) * kept] else 0


@block
def take_out(w: Array, rows: int, width: int, c0: int, target: Array, taken: Array) -> None:
    """Move the element of class `target` of each row from w to `taken`, leaving 0 in its place.

    w holds the classes `c0` to ``c0 + width`` of each row; rows whose class lies elsewhere stay.
    """
    for r in range(rows):
        c = target[r] - c0
        if 0 <= c < width:
            taken[r] = w[r * width + c]
            w[r * width + c] = 0
