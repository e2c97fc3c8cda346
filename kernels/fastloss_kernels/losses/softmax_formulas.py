"""How far the classes of a row are below its largest logit, weighted: t_c (x_k - x_c).

Where their sum is near the smallest normal number most terms are subnormal, rounded to a multiple
of 2^-149 (float32) as if they had few digits. N such roundings are at most N 2^-150 off, below a
twentieth of an ulp where N is up to 2^17 and the sum at least 2^-105. Below 2^-100 it is therefore
taken again, of targets that are 2^24 times as large: now N roundings are N 2^-174, which is as
little of an ulp of any normal number. No target overflows, for where the sum is that small none
is above 2^49. For float64 the same holds with 2^-1022 in the place of 2^-126.


From the sums of a row's exponentials to its loss and slopes.

The formulas are those of `softmax_sparse`, and for target rows of `softmax_dense`. Throughout,
``sums = (chosen, others, total)``: the exponential of each row's label, or of its largest logit,
the sum of all others, and that of all. Of target rows there are also the sums ``far = (of distances
to the largest logit, what that lost)`` and ``targets = (the largest logit's, of the others, of all,
what that lost)``.


Rows of logits -> rows of e^x 2^-K, with the power K that keeps every digit of ``x - max``.

Subtracting the largest logit would round: for x = 0.1 and a maximum of 50 the difference has lost
32 ulp of e^(x - 50). Instead n of e^x = 2^n e^r is lowered by a whole number K. Where all |x| of a
block are below 51 (float32) or 340 (float64; see `small_magnitude`), e^x and its products with the
row's factor stay normal without any K: K = 0 and no row's maximum is needed. Otherwise K puts the
row's largest element near 2^56 (2^200), so that an element is a normal number itself wherever its
probability times a scale of up to 2^56 (2^200) is one.

Whether a block's logits are small comes out of the same pass as their exponentials: where they turn
out not to be, the pass is made again, with every row's K. In place the logits would be gone by
then, so there a pass that only looks comes first.
"""

from typing import Any, TypeAlias

import numpy as np
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.log import log
from fastloss_kernels.elementary.log_ratio import log1p_quotient
from fastloss_kernels.loops.targets import dense_targets
from fastloss_kernels.reductions.exp_rows import HEADROOM_D, HEADROOM_S
from fastloss_kernels.reductions.sum_rows import add_rows, whole_sum
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array

LIFT = 2.0**24

SMALL = 2.0**26  # times the smallest normal number


@block
def distances(v: Array, t: Array, rows: int, c0: int, top: Array, terms: Array) -> None:
    """Set `terms` to t_c (x_k - x_c) for the classes `c0` onwards, and to 0 where t_c is 0."""
    classes, width = v.size // rows, t.size // rows
    for r in range(rows):
        largest = v[r * classes + top[r]]
        x_row = v[r * classes + c0 : r * classes + c0 + width]
        t_row, row = t[r * width : (r + 1) * width], terms[r * width : (r + 1) * width]
        for c in range(width):
            row[c] = t_row[c] * (largest - x_row[c]) if t_row[c] != 0 else 0


@block
def subnormal_terms(distance: float, others: float, like: Array) -> bool:
    """Return whether a sum of distances must be taken again.

    Rows all of whose targets are at the top need it not: their distance is 0, and so is `others`,
    the sum of their other targets.
    """
    small = abs(distance) < SMALL * np.finfo(like.dtype).tiny
    return small and (distance != 0 or others > 0)


@called
def refine_distances(
    v: Array,
    y: Array,
    rows: int,
    piece: int,
    class_weight: Array,
    smoothing: float,
    top: Array,
    others: Array,
    sums: tuple[Array, Array],
    boxes: tuple[Array, Array],
    spare: tuple[Array, Array],
) -> None:
    """Take sums of rows with targets y again where they have subnormal terms.

    ``sums = (distance, what it lost)``, `others` are the sums of the targets that are not at
    the top, and `boxes` are room for a piece of the targets and of the terms.
    """
    changed, terms = boxes
    distance, lost = sums
    classes = v.size // rows
    for r in range(rows):
        if subnormal_terms(distance[r], others[r], v):
            row, of_row = slice(r * classes, (r + 1) * classes), slice(r, r + 1)
            for c in range(0, classes, piece):
                y_part = y[row][c : c + piece]
                t = dense_targets(y_part, 1, c, class_weight, smoothing, classes, changed)
                lifted = changed[: t.size]
                for k in range(t.size):
                    lifted[k] = t[k] * v.dtype.type(LIFT)
                distances(v[row], lifted, 1, c, top[of_row], terms[: t.size])
                add_rows(terms[: t.size], 1, c == 0, distance[of_row], lost[of_row], spare)
            distance[r], lost[r] = distance[r] / LIFT, lost[r] / LIFT


Targets: TypeAlias = tuple[Array, Array, Array, Array]

# A sum of exponentials is below 2^491 times the number of classes: its products with targets up to
# 2^400 are finite. Larger targets, of float64 alone, are divided by 2^512 meanwhile.
ENORMOUS, LESS = 2.0**400, 2.0**-512


@block
def near_losses(sums: tuple[Array, Array, Array], rows: int, loss: Array) -> None:
    """Set the losses of rows whose label is not far from the top."""
    chosen, others, _ = sums
    for r in range(rows):
        loss[r] = loss.dtype.type(log1p_quotient(others[r], chosen[r], loss))


@block
def far_losses(
    sums: tuple[Array, Array, Array], height: Array, gap: Array, rows: int, loss: Array
) -> None:
    """Set the losses of the others; see `powers` for `height` and `gap`.

    Their label is so far below the top that its e^x is not normal, or that the quotient
    overflowed. NaN comes this way too.
    """
    chosen, others, total = sums
    for r in range(rows):
        near = chosen[r] >= np.finfo(loss.dtype).tiny and others[r] / chosen[r] < np.inf
        if not near:
            loss[r] = loss.dtype.type(gap[r] + (log(total[r]) - height[r]))


@block
def slopes(
    sums: tuple[Array, Array, Array], scale: Array, rows: int, factor: Array, slope: Array
) -> None:
    """Set the factor of each row's exponentials, and the gradient of its label."""
    _, others, total = sums
    for r in range(rows):
        each = scale[r] / total[r]
        factor[r] = factor.dtype.type(each)
        share = others[r] / total[r]  # 1 if all are others: then the slope is -scale itself
        small = share < np.finfo(np.float64).tiny  # but perhaps not times such a scale
        slope[r] = slope.dtype.type(-(others[r] * each if small else share * scale[r]))


@block
def row_factors(
    far: tuple[Array, Array], targets: Targets, scale: Array, rows: int, factor: Array, like: Array
) -> bool:
    """Set what each row's softmax is multiplied by, and the sums of the other targets.

    Returns whether the distances need not be taken again; see `distances`.
    """
    top, other, total, lost = targets
    fine = True
    for r in range(rows):
        factor[r] = scale[r] * whole_sum(total[r], lost[r])
        other[r] = whole_sum(total[r] - top[r], lost[r])
        fine &= not subnormal_terms(far[0][r], other[r], like)
    return fine


@block
def target_losses(
    sums: tuple[Array, Array, Array],
    far: tuple[Array, Array],
    targets: Targets,
    rows: int,
    loss: Array,
) -> None:
    """Set the losses of target rows."""
    (chosen, others, _), (_, _, total, lost) = sums, targets
    for r in range(rows):
        t_sum, distance = whole_sum(total[r], lost[r]), whole_sum(far[0][r], far[1][r])
        below = log1p_quotient(others[r], chosen[r], loss)  # the largest logit is, below log S
        loss[r] = loss.dtype.type(distance + t_sum * below)


@block
def target_slopes(
    sums: tuple[Array, Array, Array],
    targets: Targets,
    scale: Array,
    row_factor: Array,
    rows: int,
    factor: Array,
    minus: Array,
) -> None:
    """Set the factors of exponentials and targets; `chosen` becomes the largest logit's slope."""
    (chosen, others, total), (top_target, other_targets, _, _) = sums, targets
    kind = factor.dtype.type
    for r in range(rows):
        s, top, other = scale[r], top_target[r], other_targets[r]
        factor[r] = kind(row_factor[r] / total[r])
        minus[r] = kind(-s)
        by = LESS if abs(top) > ENORMOUS or abs(other) > ENORMOUS else 1.0
        top, other = top * by, other * by
        # t_sum p_k - t_k of the largest logit, with what is in both taken out; and what the
        # products and the quotient lost put back
        less = top * others[r]
        rest = fma(other, chosen[r], -less)
        rest += fma(-top, others[r], less)
        q = s / total[r]
        more = fma(-q, total[r], s) / total[r] * rest  # NaN if s is infinite
        chosen[r] = fma(q, rest, more if abs(more) < np.inf else 0.0) / by


# A factor scale / S must stay normal: rows with a smaller scale lose their headroom for it.
SMALLEST_SCALE = 2.0**-40


@block
def lowering(scale: float, like: Array) -> Any:
    """Return by what a row's exponentials and sums are multiplied before its gradient: 1 or 2^-h.

    Only then, for a loss must not depend on the scale. What 2^-h makes subnormal is nothing times
    such a scale.
    """
    low = 2.0**-HEADROOM_S if like.itemsize == 4 else 2.0**-HEADROOM_D
    return like.dtype.type(low if 0.0 < abs(scale) < SMALLEST_SCALE else 1.0)


@block
def lower_sums(sums: tuple[Array, Array, Array], rows: int, scale: Array, like: Array) -> None:
    """Multiply the sums of rows by their `lowering`."""
    chosen, others, total = sums
    for r in range(rows):
        by = lowering(scale[r], like)
        chosen[r], others[r], total[r] = chosen[r] * by, others[r] * by, total[r] * by


@block
def lower_rows(w: Array, rows: int, scale: Array) -> None:
    """Multiply the rows w by their `lowering`."""
    width = w.size // rows
    for r in range(rows):
        by = lowering(scale[r], w)
        if by != 1:
            row = w[r * width : (r + 1) * width]
            for c in range(width):
                row[c] *= by
