"""Categorical crossentropy of a block of rows of probabilities with targets: its arithmetic.

The formulas are those of `probability_dense`. Targets are given as rows, or as labels of which
smoothed one-hot rows are made; see `target_piece`.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, interleaved_block
from fastloss_kernels.elementary.log import log
from fastloss_kernels.elementary.log_core import log_sum, split
from fastloss_kernels.elementary.log_ratio import log_reduced, power_of_two
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.targets import target_piece
from fastloss_kernels.losses.probability_formulas import (
    guarded,
    log_of_sum,
    ratio,
    row_guard,
    row_sum,
    row_totals,
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
from fastloss_kernels.simd.scalar import bits, fma
from fastloss_kernels.typing import Array, Scalar

_CHUNK = 128
"""Elements that are processed at a time, and once more if one of them is above half of the sum.

Few rows have more than one such element, so most of a row is processed once.
"""


@interleaved_block
def _far_terms(v: Array, t: Array, row: Any, logs: Any, terms: Array, kept: Array | None) -> Any:
    """Set `terms` to t log(p) as if p <= 1/2, and `kept` to the t not clipped.

    With x = 2^e (1 + f) and S = 2^n (1 + g), log p = (e - n) log(2) + log(1 + f) - log(1 + g)
    without a division. For p <= 1/2 that is at least log(2) in size, each of the last two terms at
    most 0.41: what they lose by rounding is a fraction of an ulp. Near p = 1 all three cancel.

    `logs` are n, log(1 + g), and log p at the two bounds. Return the largest bit pattern of v,
    which is that of its largest element: as integers, positive floats have the same order.
    """
    (_, _, least, most), (exponent, log_mantissa, at_least, at_most) = row, logs
    kind, zero = v.dtype.type, at_most - at_most
    largest = bits(zero)
    for k in range(v.size):
        f, e = split(v[k])
        y = log_sum(f, kind(e) - exponent, -log_mantissa)
        below, above = v[k] < least, v[k] > most
        terms[k] = t[k] * (at_least if below else at_most if above else y)
        if kept is not None:
            kept[k] = zero if below | above else t[k]
        largest = bits(v[k]) if bits(v[k]) > largest else largest
    return largest


@block
def _near_terms(v: Array, t: Array, row: Any, at_most: Scalar, terms: Array) -> None:
    """Set the `terms` of elements above half of the sum: log p is that of the quotient S / x."""
    (s, rest, _, most), zero = row, at_most - at_most
    for k in range(v.size):
        if v[k] + v[k] > s:
            f, e = ratio(s, rest, v[k])
            terms[k] = t[k] * (at_most if v[k] > most else -log_reduced(f, e, zero))


@block
def _log_terms(v: Array, t: Array, row: Any, logs: Any, terms: Array, kept: Array | None) -> None:
    """Set `terms` to t log(p) for elements v of one row, and `kept` to the t not clipped.

    `row` is a `row_sum`, `logs` those of `_far_terms`.
    """
    for first in range(0, v.size, _CHUNK):
        chunk = slice(first, min(first + _CHUNK, v.size))
        some = None if kept is None else kept[chunk]
        largest = _far_terms(v[chunk], t[chunk], row, logs, terms[chunk], some)
        if largest > bits(row[0] * v.dtype.type(0.5)):
            _near_terms(v[chunk], t[chunk], row, logs[3], terms[chunk])


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
def _far_slopes(v: Array, t: Array, row: Any, factors: Any, slopes: Array) -> Any:
    """Set `slopes` to A - t S / x as if p <= 1/2; return the largest bit pattern of v.

    ``factors = (*_factors of the row, A rounded, its rounding error)``.
    """
    (s, rest, least, most), (factor, flat, kept, lost) = row, factors
    zero, share = s - s, rest / s
    largest = bits(zero)
    for k in range(v.size):
        q = zero if (v[k] < least) | (v[k] > most) else s / v[k]
        # What rounding took from S counts as a share of the quotient.
        own = fma(-t[k], q, kept) + fma(-t[k] * q, share, lost)
        slopes[k] = (factor if own != 0 else flat) * own
        largest = bits(v[k]) if bits(v[k]) > largest else largest
    return largest


@block
def _near_slopes(v: Array, t: Array, row: Any, factors: Any, slopes: Array) -> None:
    """Set the `slopes` of elements above half of the sum that are not clipped.

    As A - t S / x = (A - t) - t (S / x - 1), nothing is lost where t is nearly A and x nearly S.
    """
    (s, rest, _, most), (factor, flat, kept, lost) = row, factors
    one = s / s
    for k in range(v.size):
        if v[k] + v[k] > s and v[k] <= most:
            f, e = ratio(s, rest, v[k])
            scale = power_of_two(e, s)
            own = fma(-t[k], fma(f, scale, scale - one), (kept - t[k]) + lost)
            slopes[k] = (factor if own != 0 else flat) * own


@block
def _slopes(v: Array, t: Array, row: Any, factors: Any, slopes: Array) -> None:
    """Set `slopes` to those of elements v of one row."""
    for first in range(0, v.size, _CHUNK):
        chunk = slice(first, min(first + _CHUNK, v.size))
        largest = _far_slopes(v[chunk], t[chunk], row, factors, slopes[chunk])
        if largest > bits(row[0] * v.dtype.type(0.5)):
            _near_slopes(v[chunk], t[chunk], row, factors, slopes[chunk])


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
    ends = log(low), log(high)
    room, arrays = b.scratch.room, b.scratch.temporaries
    changed, terms, kept, own = arrays, arrays[room:], arrays[2 * room :], arrays[3 * room :]
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
            by = row_guard(total[r], b.loss)
            sums = row_sum(kind, total[r], lost[r], by, low, high)
            logs = (*log_of_sum(total[r], lost[r], by, b.loss), *ends)
            row = slice(r * width, (r + 1) * width)
            prefetch_chunks(ahead, c + r * width, width)
            x = guarded(v[row], by, own)
            if grad is None:
                _log_terms(x, t[row], sums, logs, terms[row], None)
            else:
                _log_terms(x, t[row], sums, logs, terms[row], kept[row])
        add_rows(terms[:size], rows, c == 0, value, value_lost)
        if grad is not None:
            add_rows_f64(kept[:size], rows, c == 0, slope, slope_lost)
    for r in range(rows):
        b.loss[r] = kind(0.0 - rounded_sum(value[r], value_lost[r]))
    if grad is not None:
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            size = rows * width
            v = b.x[c : c + size]
            t = target_piece(y, 0, rows, c, width, change, classes, changed)
            for r in range(rows):
                by = row_guard(total[r], b.loss)
                sums = row_sum(kind, total[r], lost[r], by, low, high)
                a = kind(slope[r])
                factor, flat = _factors(b.scale[r], total[r], kind)
                factors = factor, flat, a, kind((slope[r] - a) + slope_lost[r])
                row = slice(r * width, (r + 1) * width)
                x = guarded(v[row], by, own)
                _slopes(x, t[row], sums, factors, terms[row])
            write_chunk(terms, b.out[c : c + size], size, b.streamed)
