"""The shares of a row of probabilities: x / S, with S the sum of the row, clipped.

No share is ever formed: x is compared with what the clip bounds are of S.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log import log, log1p
from fastloss_kernels.memory.streaming import Coming, fetch_piece
from fastloss_kernels.reductions.sum_rows import add_fine
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def round_totals(total: Array, lost: Array, rows: int) -> None:
    """Have `total` be the sum rounded once: thousands of float64 lose more than its last place.

    An infinite sum, which has no shares, becomes NaN.
    """
    for r in range(rows):
        s = total[r] + (total[r] - total[r])
        total[r] = s + lost[r]
        lost[r] += s - total[r]


@block
def row_totals(
    v: Array,
    rows: int,
    piece: int,
    total: Array,
    lost: Array,
    spare: tuple[Array, Array],
    ahead: Coming,
) -> None:
    """Set (total, lost) to the sums of the rows v, as `round_totals` leaves them.

    `ahead` is what is `coming`.
    """
    classes = v.size // rows
    for c in range(0, classes, piece):
        size = rows * min(piece, classes - c)
        fetch_piece(ahead, c, size)
        add_fine(v[c : c + size], rows, c == 0, total, lost, spare)
    round_totals(total, lost, rows)


@block
def lift(total: float, like: Array) -> Any:
    """Return the power of two to multiply a row by, whose sum is `total`, and the sum: often 1.

    Where the sum is as small as that, elements that are not clipped, or a bound, are subnormal.
    """
    least = 2.0**-100 if like.itemsize == 4 else 2.0**-990
    return like.dtype.type(2.0**64 if abs(total) < least else 1.0)


@block
def inside(s: Scalar, low: Scalar, high: Scalar) -> tuple[Scalar, Scalar]:
    """Return the least and the largest x of a row with sum s whose share is not clipped."""
    return min(low * s, high * s), max(low * s, high * s)


@block
def losses_and_slopes(
    sums: tuple[Array, Array, Array],
    row_scale: Array,
    rows: int,
    bounds: tuple[Any, Any],
    slope: Array,
    mine: Array,
) -> None:
    """Set the losses `mine` of some rows, and the slopes that all classes but the label's share.

    ``sums = (chosen, total, lost)``. The elements of the labels, `chosen`, become their slopes.
    """
    kind = mine.dtype.type
    (chosen, total, lost), (low, high) = sums, bounds
    log_low, log_high = log(np.float64(low)), log(np.float64(high))
    for r in range(rows):
        others = (total[r] - chosen[r]) + lost[r]
        odds = others / chosen[r]
        from_, to = inside(kind(total[r]), low, high)
        x_r = kind(chosen[r])
        clipped = (x_r < from_) | (x_r > to)  # a NaN goes on as NaN
        below = (x_r < from_) == (total[r] >= 0)  # a negative sum turns the bounds round
        mine[r] = kind(-(log_low if below else log_high) if clipped else log1p(odds))
        factor = np.nan if total[r] == 0 else row_scale[r] / total[r]
        factor = 0.0 if clipped else factor
        label_slope = odds * factor
        if mine.itemsize == 8:  # two of its five roundings, made good; NaN where odds are inf
            missing = fma(-odds, chosen[r], others) / chosen[r] * factor
            missing += fma(-factor, total[r], row_scale[r]) / total[r] * odds
            label_slope = fma(odds, factor, missing if abs(missing) < np.inf else 0.0)
        slope[r], chosen[r] = kind(factor), 0.0 if clipped else -label_slope
