"""What a caller says of each row: `scale`, the factor of its gradient, and `keep`.

Both have one value for all rows, or one for each.
"""

from fastloss_kernels.blocks import fill
from fastloss_kernels.jit import block
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
