"""The shares of a row of probabilities: x / S, with S the sum of the row, clipped.

No share is ever formed: x is compared with what the clip bounds are of S.
"""

from fastloss_kernels.jit import block
from fastloss_kernels.rowsums import add_fine, two_sum
from fastloss_kernels.typing import Array, Scalar


@block
def row_totals(
    v: Array, rows: int, piece: int, total: Array, lost: Array, spare: tuple[Array, Array]
) -> None:
    """Set (total, lost) to the sums of the rows v; an infinite sum, which has no shares, to NaN."""
    classes = v.size // rows
    for c in range(0, classes, piece):
        size = rows * min(piece, classes - c)
        add_fine(v[c : c + size], rows, c == 0, total, lost, spare)
    for r in range(rows):
        total[r], lost[r] = two_sum(total[r], lost[r])
        total[r] += total[r] - total[r]


@block
def inside(s: Scalar, low: Scalar, high: Scalar) -> tuple[Scalar, Scalar]:
    """Return the least and the largest x of a row with sum s whose share is not clipped."""
    return min(low * s, high * s), max(low * s, high * s)
