"""From the sums of a row's exponentials to its loss and slopes.

The formulas are those of `softmax_sparse`, and for target rows of `softmax_dense`. Throughout,
``sums = (chosen, others, total)``: the exponential of each row's label, or of its largest logit,
the sum of all others, and that of all. Of target rows there are also the sums ``far = (of distances
to the largest logit, what that lost)`` and ``targets = (the largest logit's, of the others, of all,
what that lost)``.
"""

from typing import TypeAlias

import numpy as np

from fastloss_kernels.distances import subnormal_terms
from fastloss_kernels.intrinsics import fma
from fastloss_kernels.jit import block
from fastloss_kernels.logarithm import log
from fastloss_kernels.quotient import log1p_quotient
from fastloss_kernels.rowsums import whole_sum
from fastloss_kernels.typing import Array

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
