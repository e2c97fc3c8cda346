"""From the sums of a row's exponentials to its loss and slopes.

The formulas are those of `softmax_sparse`, and for target rows of `softmax_dense`; the sums those
of `ExpSums`, in which the class that was taken out is the label, or that of the largest logit.

Gaps: how far the classes of a row are below its largest logit, weighted: t_c (x_k - x_c). Where
their sum is near the smallest normal number most terms are subnormal, rounded to a multiple of
2^-149 (float32) as if they had few digits. N such roundings are at most N 2^-150 off, below a
twentieth of an ulp where N is up to 2^17 and the sum at least 2^-105. Below 2^-100 it is therefore
taken again, of targets that are 2^24 times as large: now N roundings are N 2^-174, which is as
little of an ulp of any normal number. No target overflows, for where the sum is that small none is
above 2^49. For float64 the same holds with 2^-1022 in the place of 2^-126.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log import log
from fastloss_kernels.elementary.log_ratio import log1p_ratio
from fastloss_kernels.reductions.exp_rows import (
    HEADROOM_F32,
    HEADROOM_F64,
    ExpSums,
    RowExponents,
)
from fastloss_kernels.reductions.sum_rows import rounded_sum
from fastloss_kernels.simd.scalar import TINY_F32, TINY_F64, fma, itemsize
from fastloss_kernels.typing import Array

# A factor scale / S must stay normal: rows with a smaller scale lose their headroom for it.
SMALLEST_SCALE = 2.0**-40
SUBNORMAL_GUARD = 2.0**24  # by this gaps are multiplied where their terms are subnormal
SMALL_GAPS = 2.0**26  # their sum, in units of the smallest normal number
# A sum of exponentials is below 2^491 times the number of classes: its products with targets up to
# 2^400 are finite. Larger targets, of float64 alone, are divided by 2^512 meanwhile.
ENORMOUS, REDUCED = 2.0**400, 2.0**-512
_LOW_F32, _LOW_F64 = 2.0**-HEADROOM_F32, 2.0**-HEADROOM_F64


class TargetSums(NamedTuple):
    """Sums of each row's targets, and of its gaps, in float64."""

    top: Any  # the target of the largest logit
    others: Any  # the sum of the others
    total: Any
    lost: Any  # the rounding error of `total`
    gaps: Any
    gaps_lost: Any


@block
def near_losses(sums: ExpSums, rows: int, loss: Array) -> None:
    """Set the losses of rows from log1p(others / label)."""
    for r in range(rows):
        loss[r] = loss.dtype.type(log1p_ratio(sums.others[r], sums.label[r], loss))


@block
def far_losses(sums: ExpSums, scaling: RowExponents, rows: int, loss: Array) -> None:
    """Set the losses of rows whose label is far below the largest logit, from log S - x_y.

    Its e^x is not normal then, or the quotient overflowed. NaN comes this way too.
    """
    for r in range(rows):
        label, others = sums.label[r], sums.others[r]
        near = label >= (TINY_F32 if itemsize(loss) == 4 else TINY_F64) and others / label < np.inf
        if not near:
            above = log(sums.total[r]) - scaling.log_max[r]
            loss[r] = loss.dtype.type(scaling.label_gap[r] + above)


@block
def slopes(sums: ExpSums, scale: Array, rows: int, factor: Array, slope: Array) -> None:
    """Set the factor of each row's exponentials, and the gradient of its label."""
    for r in range(rows):
        others, total = sums.others[r], sums.total[r]
        each = scale[r] / total
        factor[r] = factor.dtype.type(each)
        share = others / total  # 1 if all are others: then the slope is -scale itself
        small = share < TINY_F64  # but perhaps not times such a scale
        slope[r] = slope.dtype.type(-(others * each if small else share * scale[r]))


@block
def rescale_factor(scale: float, like: Array) -> Any:
    """Return by what a row's exponentials and sums are multiplied before its gradient: 1 or 2^-h.

    Only then, for a loss must not depend on the scale. What 2^-h makes subnormal is nothing times
    such a scale.
    """
    low = _LOW_F32 if itemsize(like) == 4 else _LOW_F64
    return like.dtype.type(low if 0.0 < abs(scale) < SMALLEST_SCALE else 1.0)


@block
def rescale_sums(sums: ExpSums, rows: int, scale: Array, like: Array) -> None:
    """Multiply the sums of rows by their `rescale_factor`."""
    label, others, total, _ = sums
    for r in range(rows):
        by = rescale_factor(scale[r], like)
        label[r], others[r], total[r] = label[r] * by, others[r] * by, total[r] * by


@block
def rescale_rows(w: Array, rows: int, scale: Array) -> None:
    """Multiply the rows w by their `rescale_factor`."""
    width = w.size // rows
    for r in range(rows):
        by = rescale_factor(scale[r], w)
        if by != 1:
            row = w[r * width : (r + 1) * width]
            for c in range(width):
                row[c] *= by


@block
def subnormal_gaps(gaps: float, others: float, like: Array) -> bool:
    """Return whether a sum of gaps has subnormal terms and must be taken again.

    Not if all targets are at the largest logit: then it is 0, and so is `others`, the sum of the
    other targets.
    """
    small = abs(gaps) < SMALL_GAPS * (TINY_F32 if itemsize(like) == 4 else TINY_F64)
    return small and (gaps != 0 or others > 0)


@block
def row_factors(targets: TargetSums, scale: Array, rows: int, factor: Array, like: Array) -> bool:
    """Set the factor of each row's softmax, and the sums of the other targets.

    Returns whether no sum of gaps must be taken again.
    """
    fine = True
    for r in range(rows):
        total, lost = targets.total[r], targets.lost[r]
        factor[r] = scale[r] * rounded_sum(total, lost)
        targets.others[r] = rounded_sum(total - targets.top[r], lost)
        fine &= not subnormal_gaps(targets.gaps[r], targets.others[r], like)
    return fine


@block
def target_losses(sums: ExpSums, targets: TargetSums, rows: int, loss: Array) -> None:
    """Set the losses of target rows."""
    for r in range(rows):
        total = rounded_sum(targets.total[r], targets.lost[r])
        gaps = rounded_sum(targets.gaps[r], targets.gaps_lost[r])
        below = log1p_ratio(sums.others[r], sums.label[r], loss)  # log S - largest logit
        exponentials = sums.total[r]
        below = below if exponentials == exponentials else exponentials  # NaN of either sign
        loss[r] = loss.dtype.type(gaps + total * below)


@block
def target_slopes(
    sums: ExpSums, targets: TargetSums, scale: Array, rows: int, factor: Array, minus: Array
) -> None:
    """Set the factors of exponentials and targets; `sums.label` becomes the top class's slope.

    `factor` holds those of each row's softmax at first.
    """
    kind = minus.dtype.type
    for r in range(rows):
        s, total, others = scale[r], sums.total[r], sums.others[r]
        factor[r] = factor[r] / total
        minus[r] = kind(-s)
        top, other = targets.top[r], targets.others[r]
        by = REDUCED if abs(top) > ENORMOUS or abs(other) > ENORMOUS else 1.0
        top, other = top * by, other * by
        # total_t p_k - t_k of the largest logit, with what is in both taken out; and the rounding
        # errors of the products and the quotient added.
        less = top * others
        rest = fma(other, sums.label[r], -less)
        rest += fma(-top, others, less)
        q = s / total
        more = fma(-q, total, s) / total * rest  # NaN if s is infinite
        sums.label[r] = fma(q, rest, more if abs(more) < np.inf else 0.0) / by
