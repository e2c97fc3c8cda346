"""From the sums of a row's exponentials to its loss and slopes: the formulas of `softmax_sparse`.

Throughout, ``sums = (chosen, others, total)``: the exponential of each row's label, the sum of all
others, and that of all.
"""

import numpy as np

from fastloss_kernels.jit import block
from fastloss_kernels.logarithm import log, log1p
from fastloss_kernels.typing import Array


@block
def near_losses(sums: tuple[Array, Array, Array], rows: int, loss: Array) -> None:
    """Set the losses of rows whose label is not far from the top."""
    chosen, others, _ = sums
    for r in range(rows):
        loss[r] = loss.dtype.type(log1p(others[r] / chosen[r]))


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
