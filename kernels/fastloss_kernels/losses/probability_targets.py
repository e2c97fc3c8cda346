"""Categorical crossentropy of a block of rows of probabilities with targets: its arithmetic.

The formulas are those of `probability_dense`. Targets are given as rows, or as labels of which
smoothed one-hot rows are made; see `target_piece`.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, interleaved_block
from fastloss_kernels.elementary.log import log
from fastloss_kernels.elementary.log_ratio import log_reduced, power_of_two
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.targets import target_piece
from fastloss_kernels.losses.probability_formulas import (
    guarded,
    ratio,
    row_sum,
    row_totals,
    subnormal_guard,
)
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import (
    prefetch_chunks,
    prefetch_passes,
    write_chunk,
)
from fastloss_kernels.reductions.sum_rows import add_rows, add_rows_f64, rounded_sum
from fastloss_kernels.simd.raw_arrays import row_array
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@interleaved_block
def _log_terms(v: Array, t: Array, row: Any, ends: Any, terms: Array, kept: Array) -> None:
    """Set `terms` to -t log(p) for elements v of one row, and `kept` to the t not clipped.

    `row` is a `row_sum`, and ``ends = (-log p at the lower bound, at the upper)``.
    """
    (s, rest, least, most), (at_least, at_most) = row, ends
    zero = at_most - at_most
    for k in range(t.size):
        f, e = ratio(s, rest, v[k])
        y = log_reduced(f, e, v[k] - v[k])
        below, above = v[k] < least, v[k] > most
        terms[k] = t[k] * (at_least if below else at_most if above else y)
        kept[k] = zero if below | above else t[k]


@block
def _factors(scale: float, total: float, kind: Any) -> Any:
    """Return scale / S, and what an element is multiplied by where the loss is flat: 0 stays 0.

    It is finite with the scale, while 1 / S is infinite of a sum S below 2^-128 (float32).
    """
    factor = kind(scale / total)
    tiny = abs(factor) == np.inf and abs(scale) < np.inf
    sign = kind(1) if factor > 0 else kind(-1)
    return factor, (sign if tiny else factor)


@interleaved_block
def _slopes(v: Array, t: Array, row: Any, factors: Any, one: Scalar, slopes: Array) -> None:
    """Set `slopes` to those of elements v of one row, A - t S / x: each difference on its own.

    ``factors = (*_factors of the row, A rounded, its rounding error)``. As A - t S / x = (A - t) -
    t (S / x - 1), nothing is lost where t is nearly A and x nearly S.
    """
    (s, rest, least, most), (factor, flat, kept, lost) = row, factors
    for k in range(t.size):
        f, e = ratio(s, rest, v[k])
        scale = power_of_two(e, s)
        odds = fma(f, scale, scale - one)
        own = fma(-t[k], odds, (kept - t[k]) + lost)
        own = kept + lost if (v[k] < least) | (v[k] > most) else own
        slopes[k] = (factor if own != 0 else flat) * own


@block
def process_targets(
    b: Block, batch: Batch, y: Array, options: Any, grad: Array | None, targets_ahead: Any
) -> None:
    """Process a block with the targets y; see `target_piece`."""
    class_weight, smoothing, eps = options
    change = class_weight, smoothing
    kind, rows, classes = b.loss.dtype.type, b.rows, b.classes
    piece = piece_size(classes)
    low, high = kind(eps), kind(1.0 - eps)
    log_low, log_high = -log(low), -log(high)
    room, arrays = b.scratch.room, b.scratch.temporaries
    changed, terms, kept = arrays, arrays[room:], arrays[2 * room :]
    total, lost, value, value_lost = row_array(), row_array(), row_array(), row_array()
    slope, slope_lost = row_array(), row_array()  # sums of the targets that are not clipped
    early, late = prefetch_passes(batch.x, b.first, rows)
    row_totals(b.x, rows, total, lost, early)
    ahead = (late, targets_ahead)
    for c in range(0, classes, piece):
        width = min(piece, classes - c)
        size = rows * width
        v = b.x[c : c + size]
        t = target_piece(y, 0, rows, c, width, change, classes, changed)
        for r in range(rows):
            by = subnormal_guard(total[r], b.loss)
            sums = row_sum(kind, total[r], lost[r], by, low, high)
            ends = (log_low, log_high) if total[r] >= 0 else (log_high, log_low)
            row = slice(r * width, (r + 1) * width)
            prefetch_chunks(ahead, c + r * width, width)
            x = guarded(v[row], by, terms[row])
            _log_terms(x, t[row], sums, ends, terms[row], kept[row])
        add_rows(terms[:size], rows, c == 0, value, value_lost)
        add_rows_f64(kept[:size], rows, c == 0, slope, slope_lost)
    for r in range(rows):
        b.loss[r] = kind(rounded_sum(value[r], value_lost[r]))
    if grad is not None:
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            size = rows * width
            v = b.x[c : c + size]
            t = target_piece(y, 0, rows, c, width, change, classes, changed)
            for r in range(rows):
                by = subnormal_guard(total[r], b.loss)
                sums = row_sum(kind, total[r], lost[r], by, low, high)
                a = kind(slope[r])
                factor, flat = _factors(b.scale[r], total[r], kind)
                factors = factor, flat, a, kind((slope[r] - a) + slope_lost[r])
                row = slice(r * width, (r + 1) * width)
                x = guarded(v[row], by, terms[row])
                _slopes(x, t[row], sums, factors, kind(1), terms[row])
            write_chunk(terms, b.out[c : c + size], size, b.streamed)
