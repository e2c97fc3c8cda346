"""Softmax crossentropy with target rows, of class-major rows, one column after the other.

See `softmax_dense` for the formulas. A tile is read for its largest logits, for no gap is known
before these are; then with the targets for all sums; and its exponentials once more for the
gradient. Tiles with large logits, or whose gaps must be summed again, are left to the rows part.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.exp import exp_in_range
from fastloss_kernels.loops.row_inputs import Batch, zero_masked
from fastloss_kernels.loops.targets import dense_targets
from fastloss_kernels.losses.softmax_formulas import (
    TargetSums,
    row_factors,
    target_losses,
    target_slopes,
)
from fastloss_kernels.memory.columns import Tile, load_column, prefetch_column, store_column
from fastloss_kernels.memory.layout import Layout, layout_of, offset_of
from fastloss_kernels.reductions.argmax import largest_logits
from fastloss_kernels.reductions.exp_rows import ExpSums, close_sums, small_magnitude
from fastloss_kernels.reductions.sum_columns import (
    FOUR,
    add_column,
    add_four,
    slot_of,
    sum_in_order,
    workspace,
)
from fastloss_kernels.simd.raw_arrays import copy, row_array, stack_array, stack_block
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array


class _State(NamedTuple):
    """What the steps of the sums have in common."""

    rows: Any
    x: Any
    targets: Any
    offsets: Any  # of the tile's rows in x and targets
    options: Any
    best: Any  # each row's largest logit
    top: Any  # and its class
    top_target: Any
    kept: Any  # None, or room for all exponentials, class after class
    gaps: Any  # room for four columns
    exponentials: Any  # likewise
    sums: Any  # workspaces of the gaps, the targets and the exponentials


@block
def _gap_terms(
    x: Array, t: Array, c: int, best: Array, top: Array, top_target: Array, gaps: Array
) -> None:
    """Set `gaps` to those of class c, and `top_target` to its targets where it is at the top."""
    for r in range(x.size):
        top_target[r] = t[r] if top[r] == np.int32(c) else top_target[r]
        gaps[r] = t[r] * (best[r] - x[r]) if t[r] != 0 else 0


@block
def _exponentials(x: Array, c: int, top: Array, e: Array) -> None:
    """Set e to the exponentials of class c, 0 where it is at the top."""
    zero = e.dtype.type(0)
    for r in range(x.size):
        e[r] = zero if top[r] == np.int32(c) else exp_in_range(x[r])


@block
def _keep(e: Array, c: int, kept: Array | None) -> None:
    """Copy a column of exponentials to its place, if they are kept."""
    if kept is not None:
        copy(e, kept[c * e.size : (c + 1) * e.size])


@block
def _add(s: _State, step: Any) -> None:
    """Add the gaps, targets and exponentials of one or four columns to a slot of their sums.

    Of the next column a chunk is prefetched at a time: more than the processor can wait for at
    once would have the arithmetic wait too.
    """
    count, slot, starts, c, following = step
    rows, like, (class_weight, smoothing) = s.rows, s.best, s.options
    lanes, size = tuning.REGISTER // like.itemsize, tuning.TILE_ROWS
    (x_offset, t_offset), (gap_sums, target_sums, exp_sums) = s.offsets, s.sums
    x_scratch, t_scratch, changed = (
        stack_array(like.dtype),
        stack_array(like.dtype),
        stack_array(like.dtype),
    )
    t_total, t_lost = slot_of(target_sums, slot, rows)
    for j in range(count):
        own = c + j * lanes
        ahead = own + lanes if j + 1 < count else following
        gaps, e = s.gaps[j * size :][:rows], s.exponentials[j * size :][:rows]
        for begin in range(0, rows, tuning.TILE_CHUNK):
            chunk = slice(begin, min(begin + tuning.TILE_CHUNK, rows))
            n, top = chunk.stop - begin, s.top[chunk]
            x_here, t_here = x_offset + begin * s.x.row_step, t_offset + begin * s.targets.row_step
            prefetch_column(s.x, x_here, ahead, n)
            x = load_column(s.x, x_here, own, n, x_scratch)
            y = load_column(s.targets, t_here, own, n, t_scratch)
            t = dense_targets(y, n, own, class_weight, smoothing, s.x.classes, changed)
            _gap_terms(x, t, own, s.best[chunk], top, s.top_target[chunk], gaps[chunk])
            # One column at a time, like `add_rows_f64`.
            add_column(t, starts and j == 0, t_total[chunk], t_lost[chunk])
            prefetch_column(s.targets, t_here, ahead, n)
            _exponentials(x, own, top, e[chunk])
        _keep(e, own, s.kept)
    for terms, sums in ((s.gaps, gap_sums), (s.exponentials, exp_sums)):
        if count == FOUR:
            add_four(terms, rows)
        total, lost = slot_of(sums, slot, rows)
        add_column(terms[:rows], starts, total, lost)


@called
def _sum_tile(
    tile: Tile,
    batch: Batch,
    options: Any,
    best: Array,
    top: Array,
    kept: Array | None,
    sums: ExpSums,
    targets: TargetSums,
) -> None:
    """Set all sums of a tile; `kept`, unless None, receives its exponentials, 0 at the top."""
    x, y, like = batch.x, batch.targets, tile.loss
    workspaces = workspace(tile, 0), workspace(tile, 1), workspace(tile, 2)
    state = _State(
        rows=tile.rows,
        x=x,
        targets=y,
        offsets=(offset_of(x, tile.first), offset_of(y, tile.first)),
        options=options,
        best=best,
        top=top,
        top_target=targets.top,
        kept=kept,
        gaps=stack_block(like.dtype),
        exponentials=stack_block(like.dtype),
        sums=workspaces,
    )
    results = (
        (targets.gaps, targets.gaps_lost),
        (targets.total, targets.lost),
        (sums.others, sums.lost),
    )
    sum_in_order(_add, state, tile, workspaces, results, best)


@called
def _write_gradient(
    tile: Tile,
    batch: Batch,
    options: Any,
    factor: Array,
    minus: Array,
    top: Array,
    slope: Array,
    out: Layout,
) -> None:
    """Write factor e^x + minus t, and `slope` to the class of the largest logit."""
    (class_weight, smoothing), rows, kept, classes = options, tile.rows, tile.kept, out.classes
    y_offset, offset = offset_of(batch.targets, tile.first), offset_of(out, tile.first)
    scratch, changed, column = (
        stack_array(kept.dtype),
        stack_array(kept.dtype),
        stack_array(kept.dtype),
    )
    kind = kept.dtype.type
    for c in range(classes):
        prefetch_column(batch.targets, y_offset, min(c + 1, classes - 1), rows)
        y = load_column(batch.targets, y_offset, c, rows, scratch)
        t = dense_targets(y, rows, c, class_weight, smoothing, classes, changed)
        e, here = kept[c * rows : (c + 1) * rows], np.int32(c)
        for r in range(rows):
            each = fma(e[r], factor[r], minus[r] * t[r])
            column[r] = kind(slope[r]) if top[r] == here else each
        zero_masked(batch.keep, tile.first, rows, column)
        store_column(column[:rows], out, offset, c, min(c + 4, classes - 1))


@block
def dense_tile(tile: Tile, batch: Batch, options: Any, grad: Array | None) -> bool:
    """Process a tile if its logits are small and its gaps are not subnormal."""
    rows, like = tile.rows, tile.loss
    best, top = stack_array(like.dtype), stack_array(np.int32)
    sums = ExpSums(row_array(), row_array(), row_array(), row_array())
    targets = TargetSums(
        row_array(), row_array(), row_array(), row_array(), row_array(), row_array()
    )
    row_factor = row_array()
    kept = None if grad is None else tile.kept
    largest = largest_logits(batch.x, tile.first, rows, best, top)
    _sum_tile(tile, batch, options, best, top, kept, sums, targets)
    fine = row_factors(targets, tile.scale, rows, row_factor, like)
    if not fine or largest > small_magnitude(tile.classes, row_factor, rows, like):
        return False
    for r in range(rows):
        sums.label[r] = exp_in_range(best[r])
    close_sums(sums, rows)
    target_losses(sums, targets, rows, like)
    if grad is not None:
        factor, minus = stack_array(like.dtype), stack_array(like.dtype)
        target_slopes(sums, targets, tile.scale, rows, row_factor, minus)
        for r in range(rows):
            factor[r] = like.dtype.type(row_factor[r])
        out = layout_of(grad, like)
        _write_gradient(tile, batch, options, factor, minus, top, sums.label, out)
    return True
