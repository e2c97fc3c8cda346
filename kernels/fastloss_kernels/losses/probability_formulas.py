"""Normalised probabilities of a row: x / S, with S the sum of the row, clipped.

No quotient is ever formed: x is compared with the clip bounds times S.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log import log, log1p, log_double_word
from fastloss_kernels.elementary.log_core import scaled_down, split
from fastloss_kernels.elementary.log_ratio import nearest_binade, power_of_two
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.streaming import Prefetch, prefetch_piece
from fastloss_kernels.reductions.sum_rows import add_rows_f64
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


class LabelSums(NamedTuple):
    """Each row's element of its label's class, and the sum of all, in float64."""

    label: Any
    total: Any
    lost: Any  # the rounding error of `total`


@block
def round_totals(total: Array, lost: Array, rows: int) -> None:
    """Have `total` be the sum rounded once: thousands of float64 lose more than its last place.

    An infinite sum, by which nothing can be normalised, becomes NaN.
    """
    for r in range(rows):
        s = total[r] + (total[r] - total[r])
        total[r] = s + lost[r]
        lost[r] += s - total[r]


@block
def row_totals(v: Array, rows: int, total: Array, lost: Array, ahead: Prefetch) -> None:
    """Set (total, lost) to the sums of the rows v, as `round_totals` leaves them."""
    classes = v.size // rows
    piece = piece_size(classes)
    for c in range(0, classes, piece):
        size = rows * min(piece, classes - c)
        prefetch_piece(ahead, c, size)
        add_rows_f64(v[c : c + size], rows, c == 0, total, lost)
    round_totals(total, lost, rows)


@block
def row_guard(total: float, like: Array) -> Any:
    """Return what to multiply a row by whose sum is `total`, and the sum: nearly always 1.

    It makes a negative sum positive. Where the sum is so small that elements that are not clipped,
    or a bound, are subnormal, it is a power of two.
    """
    least = 2.0**-100 if like.itemsize == 4 else 2.0**-990
    sign = -1.0 if total < 0 else 1.0
    return like.dtype.type(sign * 2.0**64 if abs(total) < least else sign)


@block
def row_sum(kind: Any, total: float, lost: float, by: Scalar, low: Scalar, high: Scalar) -> Any:
    """Return (the sum of a row times `by`, its rounding error, least and largest unclipped x)."""
    s = kind(total * by)
    return s, kind((total * by - s) + lost * by), low * s, high * s


@block
def guarded(v: Array, by: Scalar, own: Array) -> Array:
    """Return the elements v of a row times `by`: in `own`, or v itself if that is 1."""
    if by == 1:
        return v
    for k in range(v.size):
        own[k] = v[k] * by
    return own[: v.size]


@block
def ratio(s: Scalar, rest: Scalar, x: Scalar) -> tuple[Scalar, Any]:
    """Return (f, e) with (s + rest) / x = (1 + f) 2^e."""
    near, e = nearest_binade(s, x)
    return ((near - x) + rest * power_of_two(-e, s)) / x, e


@block
def log_of_sum(total: float, lost: float, by: float, like: Array) -> tuple[Any, Any]:
    """Return (e, y) in like's dtype: the logarithm of a row's sum times `by` is e log(2) + y.

    y lies in [log(3/4), log(3/2)].
    """
    f, e = split(total * by)
    y = log_double_word(1.0 + f, scaled_down(lost * by, e))
    kind = like.dtype.type
    return kind(e), kind(y if total != 0 else np.nan)


@block
def losses_and_slopes(
    sums: LabelSums, scale: Array, rows: int, eps: float, slope: Array, loss: Array
) -> None:
    """Set the losses of some rows, and the slopes that all classes but the label's share.

    ``sums.label`` becomes the slopes of the labels.
    """
    (label, total, lost), kind = sums, loss.dtype.type
    low, high = kind(eps), kind(1.0 - eps)
    log_low, log_high = log(np.float64(low)), log(np.float64(high))
    for r in range(rows):
        others = (total[r] - label[r]) + lost[r]
        odds = others / label[r]
        by = np.float64(row_guard(total[r], loss))
        x, s = kind(label[r] * by), kind(total[r] * by)
        below = x < low * s
        clipped = below | (x > high * s)  # a NaN goes on as NaN
        loss[r] = kind(-(log_low if below else log_high) if clipped else log1p(odds))
        factor = np.nan if total[r] == 0 else scale[r] / total[r]
        factor = 0.0 if clipped else factor
        label_slope = odds * factor
        if loss.itemsize == 8:  # two of its five roundings, made good; NaN where odds are inf
            missing = fma(-odds, label[r], others) / label[r] * factor
            missing += fma(-factor, total[r], scale[r]) / total[r] * odds
            label_slope = fma(odds, factor, missing if abs(missing) < np.inf else 0.0)
        # One NaN, whatever LLVM makes of the operands' order: rows and columns have the same bits.
        slope[r] = kind(factor if factor == factor else np.nan)
        label_slope = label_slope if label_slope == label_slope else np.nan
        label[r] = 0.0 if clipped else -label_slope
