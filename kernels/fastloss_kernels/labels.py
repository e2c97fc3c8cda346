"""Class labels: checked before anything is read with them."""

from fastloss_kernels.jit import block, called
from fastloss_kernels.rows import left_out, step
from fastloss_kernels.typing import Array


@called
def first_bad_label(labels: Array, first: int, last: int, classes: int, keep: Array) -> int:
    """Return the first kept row whose label is not one of ``0 ... classes - 1``, or -1."""
    kept = step(keep)
    bad = 0
    for i in range(first, last):  # no early exit: this loop is vector code
        inside = (labels[i] >= 0) & (labels[i] < classes)
        bad |= keep[i * kept] & (not inside)
    if bad:
        for i in range(first, last):
            if keep[i * kept] and not 0 <= labels[i] < classes:
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
