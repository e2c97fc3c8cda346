"""Softmax crossentropy of a block of rows with targets: its arithmetic.

The formulas are those of `softmax_dense`. Targets are given as rows, or as labels of which smoothed
one-hot rows are made; see `target_piece`.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.targets import target_piece
from fastloss_kernels.losses.softmax_formulas import (
    SUBNORMAL_GUARD,
    TargetSums,
    rescale_rows,
    rescale_sums,
    row_factors,
    subnormal_gaps,
    target_losses,
    target_slopes,
)
from fastloss_kernels.memory.layout import is_long, piece_size
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import prefetch_passes, prefetch_piece
from fastloss_kernels.reductions.argmax import top_class, top_class_ahead
from fastloss_kernels.reductions.exp_rows import ExpSums, RowExponents, exponential_sums
from fastloss_kernels.reductions.sum_rows import add_rows, add_rows_f64
from fastloss_kernels.simd.raw_arrays import row_array, stack_array
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array


@block
def _gaps(v: Array, t: Array, rows: int, c0: int, top: Array, terms: Array) -> None:
    """Set `terms` to t_c (x_k - x_c) for the classes `c0` onwards, and to 0 where t_c is 0."""
    classes, width = v.size // rows, t.size // rows
    for r in range(rows):
        largest = v[r * classes + top[r]]
        x_row = v[r * classes + c0 : r * classes + c0 + width]
        t_row, row = t[r * width : (r + 1) * width], terms[r * width : (r + 1) * width]
        for c in range(width):
            row[c] = t_row[c] * (largest - x_row[c]) if t_row[c] != 0 else 0


@called
def _refine_gaps(b: Block, y: Array, options: Any, top: Array, sums: TargetSums) -> None:
    """Sum the gaps of rows with targets y again where they have subnormal terms."""
    v = b.x
    changed, terms = b.scratch.temporaries, b.scratch.temporaries[b.scratch.room :]
    classes, piece = b.classes, piece_size(b.classes)
    for r in range(b.rows):
        if subnormal_gaps(sums.gaps[r], sums.others[r], v):
            row, of_row = slice(r * classes, (r + 1) * classes), slice(r, r + 1)
            for c in range(0, classes, piece):
                width = min(piece, classes - c)
                t = target_piece(y, r, 1, c, width, options, classes, changed)
                guarded = changed[: t.size]
                for k in range(t.size):
                    guarded[k] = t[k] * v.dtype.type(SUBNORMAL_GUARD)
                _gaps(v[row], guarded, 1, c, top[of_row], terms[: t.size])
                add_rows(terms[: t.size], 1, c == 0, sums.gaps[of_row], sums.gaps_lost[of_row])
            sums.gaps[r] /= SUBNORMAL_GUARD
            sums.gaps_lost[r] /= SUBNORMAL_GUARD


@block
def _target_sums(
    b: Block, y: Array, options: Any, top: Array, sums: TargetSums, ahead: Any
) -> None:
    """Sum the targets y of a block and their gaps, and pick those of the largest logits."""
    v, rows = b.x, b.rows
    classes, piece = b.classes, piece_size(b.classes)
    changed, terms = b.scratch.temporaries, b.scratch.temporaries[b.scratch.room :]
    for c in range(0, classes, piece):
        width = min(piece, classes - c)
        size = rows * width
        prefetch_piece(ahead, c, size)
        t = target_piece(y, 0, rows, c, width, options, classes, changed)
        # Where the exponentials will be there is room: one array less in the cache.
        gaps = terms[:size] if b.in_place else b.out[c * b.whole : c * b.whole + size]
        for r in range(rows):
            if c <= top[r] < c + width:
                sums.top[r] = t[r * width + top[r] - c]
        add_rows_f64(t, rows, c == 0, sums.total, sums.lost)
        _gaps(v, t, rows, c, top, gaps)
        add_rows(gaps, rows, c == 0, sums.gaps, sums.gaps_lost)


@block
def _subtract_targets(b: Block, y: Array, options: Any, factor: Array, minus: Array) -> None:
    """Turn the exponentials of a block into factor e^x + minus t."""
    rows, classes, piece = b.rows, b.classes, piece_size(b.classes)
    kind, changed = b.out.dtype.type, b.scratch.temporaries
    for c in range(0, classes, piece):
        width = min(piece, classes - c)
        w = b.out[c : c + rows * width]
        t = target_piece(y, 0, rows, c, width, options, classes, changed)
        for r in range(rows):
            row, t_row = w[r * width : (r + 1) * width], t[r * width : (r + 1) * width]
            f, m = kind(factor[r]), minus[r]
            for k in range(width):
                row[k] = fma(row[k], f, m * t_row[k])


@block
def process_targets(
    b: Block, batch: Batch, y: Array, options: Any, grad: Array | None, ahead: Any
) -> None:
    """Process a block with the targets y, see `target_piece`; `ahead` prefetches the next ones."""
    rows, classes = b.rows, b.classes
    top, factor = stack_array(np.int64), row_array()
    sums = ExpSums(row_array(), row_array(), row_array(), row_array())
    scaling = RowExponents(stack_array(np.int64), row_array(), row_array(), row_array())
    targets = TargetSums(
        row_array(), row_array(), row_array(), row_array(), row_array(), row_array()
    )
    x_early, x_late = prefetch_passes(batch.x, b.first, rows)
    t_early, t_late = ahead
    if is_long(batch.x):  # a block by itself
        top[0] = top_class_ahead(b.x, x_early)
    else:
        for r in range(rows):
            top[r] = top_class(b.x[r * classes : (r + 1) * classes])
    _target_sums(b, y, options, top, targets, t_early)
    if not row_factors(targets, b.scale, rows, factor, b.loss):
        _refine_gaps(b, y, options, top, targets)
    small = exponential_sums(b, factor, top, sums, scaling, (x_late, t_late))
    target_losses(sums, targets, rows, b.loss)
    if grad is not None:
        if not small:
            rescale_rows(b.out, rows, factor)
            rescale_sums(sums, rows, factor, b.loss)
        minus = stack_array(b.loss.dtype)
        target_slopes(sums, targets, b.scale, rows, factor, minus)
        _subtract_targets(b, y, options, factor, minus)
        for r in range(rows):
            b.out[r * classes + top[r]] = b.loss.dtype.type(sums.label[r])
