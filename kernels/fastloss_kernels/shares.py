"""The shares of a row of probabilities: x / S, with S the sum of the row, clipped.

No share is ever formed: x is compared with what the clip bounds are of S.
"""

from typing import Any

from fastloss_kernels.jit import block
from fastloss_kernels.rowsums import add_fine
from fastloss_kernels.typing import Array, Scalar


@block
def row_totals(
    v: Array, rows: int, piece: int, total: Array, lost: Array, spare: tuple[Array, Array]
) -> None:
    """Set (total, lost) to the sums of the rows v; an infinite sum, which has no shares, to NaN.

    `total` is the sum rounded once: thousands of float64 lose more than its last place.
    """
    classes = v.size // rows
    for c in range(0, classes, piece):
        size = rows * min(piece, classes - c)
        add_fine(v[c : c + size], rows, c == 0, total, lost, spare)
    for r in range(rows):
        s = total[r] + (total[r] - total[r])
        total[r] = s + lost[r]
        lost[r] += s - total[r]


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
