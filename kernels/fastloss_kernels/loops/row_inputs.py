"""What a caller says of each row: `scale`, the factor of its gradient, and `keep`.

Both have one value for all rows, or one for each.


Class labels: checked before anything is read with them.
"""

from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.simd.raw_arrays import fill
from fastloss_kernels.typing import Array


@block
def step(values: Array) -> int:
    """Return how far apart the values of neighbouring rows lie: 0 if one value serves all rows."""
    return 0 if values.size == 1 else 1


@block
def left_out(keep: Array, first: int, rows: int) -> bool:
    """Return whether any of these rows is not to be computed."""
    if keep.size == 1:
        return not keep[0]
    mine = keep[first : first + rows]
    kept = True
    for r in range(rows):
        kept &= mine[r]
    return not kept


@block
def row_values(values: Array, first: int, rows: int, mine: Array) -> None:
    """Fill `mine` with the values of a block of rows."""
    if values.size == 1:
        one = values[0]
        for r in range(rows):
            mine[r] = one
    else:
        theirs = values[first : first + rows]
        for r in range(rows):
            mine[r] = theirs[r]


@block
def clear_rows(keep: Array, first: int, rows: int, loss: Array, w: Array) -> None:
    """Set the losses of rows that are left out to 0, and their gradients w where there are any."""
    if not left_out(keep, first, rows):
        return
    kept, classes = step(keep), w.size // rows
    for r in range(rows):
        if not keep[(first + r) * kept]:
            loss[first + r] = 0
            fill(w[r * classes : (r + 1) * classes], 0)


@block
def clear_values(keep: Array, first: int, rows: int, values: Array) -> None:
    """Set the values of rows that are left out to 0."""
    if not left_out(keep, first, rows):
        return
    kept = step(keep)
    for r in range(rows):
        if not keep[(first + r) * kept]:
            values[r] = 0


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
