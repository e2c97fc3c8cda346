"""What a caller gives for each row: `scale`, the factor of its gradient, `keep` and its label.

`scale` and `keep` have one value for all rows, or one for each. Rows where `keep` is False are
masked: they are not looked at, and their loss and gradient are 0.
"""

from typing import Any, NamedTuple

from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.layout import Layout, layout_beside, layout_of
from fastloss_kernels.simd.cache_hints import prefetch
from fastloss_kernels.simd.raw_arrays import fill
from fastloss_kernels.typing import Array


class Batch(NamedTuple):
    """What a kernel is given, but for its options and the gradient."""

    x: Layout
    labels: Any  # class labels; without them the target rows, and of no use
    targets: Layout  # with class labels that of the predictions, and of no use
    scale: Any
    keep: Any
    loss: Any


@block
def batch_of(x: Array, targets: Array, scale: Array, keep: Array, loss: Array) -> Batch:
    """Return the batch of a part's arguments."""
    rows = layout_of(x, loss)
    return Batch(rows, targets, layout_beside(rows, targets, loss), scale, keep, loss)


@block
def _step(values: Array) -> int:
    """Return the distance of the values of neighbouring rows: 0 if one value serves all rows."""
    return 0 if values.size == 1 else 1


@block
def any_masked(keep: Array, first: int, rows: int) -> bool:
    """Return whether any of these rows is masked."""
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
def zero_masked_rows(keep: Array, first: int, rows: int, loss: Array, w: Array) -> None:
    """Set the losses of masked rows to 0, and their gradients w where there are any."""
    if not any_masked(keep, first, rows):
        return
    zero_masked(keep, first, rows, loss)
    if w.size == rows:
        zero_masked(keep, first, rows, w)
        return
    step, classes = _step(keep), w.size // rows
    for r in range(rows):
        if not keep[(first + r) * step]:
            fill(w[r * classes : (r + 1) * classes], 0)


@block
def zero_masked(keep: Array, first: int, rows: int, values: Array) -> None:
    """Set the values of masked rows to 0."""
    if not any_masked(keep, first, rows):
        return
    if keep.size == 1:
        fill(values[:rows], 0)
        return
    mine, zero = keep[first : first + rows], values.dtype.type(0)
    for r in range(rows):
        values[r] = values[r] if mine[r] else zero


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
            if keep[i * _step(keep)] and not 0 <= labels[i] < classes:
                return i
    return -1


@block
def masked_labels(labels: Array, keep: Array, first: int, rows: int, target: Array) -> None:
    """Fill `target` with the labels of a block of rows, and 0 where a row is masked."""
    mine = labels[first : first + rows]
    for r in range(rows):
        target[r] = mine[r]
    if any_masked(keep, first, rows):
        step = _step(keep)
        for r in range(rows):
            target[r] = target[r] if keep[(first + r) * step] else 0


@block
def load_labels(b: Any, batch: Batch, target: Array) -> None:
    """Fill `target` with the labels of a block, and prefetch those of the next one."""
    masked_labels(batch.labels, batch.keep, b.first, b.rows, target)
    prefetch(batch.labels, b.first + b.rows, b.rows)
