"""Exponentials and their sums of class-major rows, one column after the other.

Rows are processed as they lie: a column becomes exponentials, without the label's element, is added
to sums of all rows of the tile, and is kept in a scratch for the gradient. No row is packed.

Sums have the order they have elsewhere, so a row has the same bits in every layout. For few classes
that is the order of the classes (see `softmax_sparse_short`), for more that of `sum_columns`.
Columns are far apart in memory: they are long, and the next ones are prefetched.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.exp import exp_in_range
from fastloss_kernels.memory.columns import Tile, load_column, prefetch_column
from fastloss_kernels.memory.layout import Layout, offset_of
from fastloss_kernels.reductions.exp_rows import ExpSums
from fastloss_kernels.reductions.sum_columns import ONE, add_column, slot_of, sum_in_order
from fastloss_kernels.simd.raw_arrays import fill, stack_array
from fastloss_kernels.simd.scalar import bits
from fastloss_kernels.typing import Array, Scalar

Columns: TypeAlias = tuple[Array, Array, Array, Array]


class _State(NamedTuple):
    """What the steps of a sum have in common."""

    x: Any
    offset: Any
    rows: Any
    target: Any  # the class that is taken out of each row
    kept: Any  # None, or room for all exponentials, class after class
    terms: Any  # room for a column of exponentials
    scratch: Any  # room for a column of logits
    sums: Any
    largest: Any  # one integer: the `largest_magnitude` so far


@block
def _exp_of_others(x: Scalar, c: int, target: int, zero: Scalar) -> Scalar:
    """Return e^x of an element of class c, 0 if that is the target."""
    return zero if c == target else exp_in_range(x)


@block
def _one(x: Array, c: int, target: Array, kept: Array | None, terms: Array) -> Any:
    """Set `terms`, and c's column of `kept`, to the exponentials of a column.

    Returns their `largest_magnitude`.
    """
    size, zero = terms.size, terms.dtype.type(0)
    if kept is not None:
        w = kept[c * size : (c + 1) * size]
    largest = bits(zero)
    for k in range(size):
        largest = max(largest, bits(abs(x[k])))
        e = _exp_of_others(x[k], c, target[k], zero)
        terms[k] = e
        if kept is not None:
            w[k] = e
    return largest


@block
def _four(
    x: Columns, c: int, target: Array, kept: Array | None, start: int, apart: int, terms: Array
) -> Any:
    """Process four columns like `_one`; `terms` receives their sum.

    They are a register's lanes of classes apart. In `kept` they begin at `start` and are `apart`.
    """
    x0, x1, x2, x3 = x
    size, lanes, zero = terms.size, tuning.REGISTER // terms.itemsize, terms.dtype.type(0)
    if kept is not None:
        w = kept[start:]
        w0, w1 = w[:size], w[apart : apart + size]
        w2, w3 = w[2 * apart : 2 * apart + size], w[3 * apart : 3 * apart + size]
    largest = bits(zero)
    for k in range(size):
        low = max(bits(abs(x0[k])), bits(abs(x1[k])))
        high = max(bits(abs(x2[k])), bits(abs(x3[k])))
        largest = max(largest, max(low, high))
        e0 = _exp_of_others(x0[k], c, target[k], zero)
        e1 = _exp_of_others(x1[k], c + lanes, target[k], zero)
        e2 = _exp_of_others(x2[k], c + 2 * lanes, target[k], zero)
        e3 = _exp_of_others(x3[k], c + 3 * lanes, target[k], zero)
        terms[k] = (e0 + e1) + (e2 + e3)
        if kept is not None:
            w0[k] = e0
            w1[k] = e1
            w2[k] = e2
            w3[k] = e3
    return largest


@block
def _add(s: _State, step: Any) -> None:
    """Add the exponentials of one or four columns to a slot of the sums."""
    count, slot, starts, c, following = step
    rows, chunk, lanes = s.rows, tuning.TILE_CHUNK, tuning.REGISTER // s.terms.itemsize
    total, lost = slot_of(s.sums, slot, rows)
    if count == ONE:
        prefetch_column(s.x, s.offset, following, rows)
        column = load_column(s.x, s.offset, c, rows, s.scratch)
        size = _one(column, c, s.target[:rows], s.kept, s.terms[:rows])
        s.largest[0] = max(s.largest[0], size)
        add_column(s.terms[:rows], starts, total, lost)
        return
    for r in range(0, rows, chunk):
        n, here = min(chunk, rows - r), s.offset + r * s.x.row_step
        for j in range(count):
            prefetch_column(s.x, here, following + j * lanes, n)
        columns = (
            load_column(s.x, here, c, n, s.scratch),
            load_column(s.x, here, c + lanes, n, s.scratch[chunk:]),
            load_column(s.x, here, c + 2 * lanes, n, s.scratch[2 * chunk :]),
            load_column(s.x, here, c + 3 * lanes, n, s.scratch[3 * chunk :]),
        )
        start, apart = c * rows + r, lanes * rows
        size = _four(columns, c, s.target[r : r + n], s.kept, start, apart, s.terms[:n])
        s.largest[0] = max(s.largest[0], size)
        add_column(s.terms[:n], starts, total[r : r + n], lost[r : r + n])


@called
def exponential_columns(
    tile: Tile, x: Layout, target: Array, kept: Array | None, sums: ExpSums, in_order: bool
) -> Any:
    """Set ``sums.others`` and ``sums.lost`` to the sums of e^x of each row but for class `target`.

    `kept`, unless None, receives the exponentials, with 0 in the place of the target, class after
    class. Classes are added `in_order`, or in that of the tile's plans. Returns the
    `largest_magnitude` of the rows: nothing here means anything unless that is small; see
    `exp_rows`.
    """
    rows, like = tile.rows, tile.loss
    terms, scratch = stack_array(like.dtype), stack_array(like.dtype)
    largest = stack_array(np.int64)
    largest[0] = 0
    offset, workspace = offset_of(x, tile.first), tile.sums
    state = _State(x, offset, rows, target, kept, terms, scratch, workspace, largest)
    if in_order:
        fill(sums.lost[:rows], 0.0)
        for c in range(x.classes):
            column = load_column(x, offset, c, rows, scratch)
            size = _one(column, c, target[:rows], kept, terms[:rows])
            largest[0] = max(largest[0], size)
            add_column(terms[:rows], c == 0, sums.others, sums.lost)
    else:
        sum_in_order(_add, state, tile, (workspace,), ((sums.others, sums.lost),), terms)
    return largest[0]
