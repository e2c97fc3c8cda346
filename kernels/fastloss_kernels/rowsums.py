"""Sums of rows in float64, one piece of a row after the other, with what rounding took."""

import numpy as np

from fastloss_kernels.jit import block, called
from fastloss_kernels.lanes import fine_sums, row_sums
from fastloss_kernels.typing import Array


@block
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return (a + b rounded, the exact rest)."""
    total = a + b
    gained = total - a
    return total, (a - (total - gained)) + (b - gained)


@block
def whole_sum(total: float, lost: float) -> float:
    """Return total + lost, rounded once. What an infinite sum lost is no number."""
    return total if abs(total) == np.inf else total + lost


@block
def with_one(others: float, lost: float, one: float) -> float:
    """Return others + lost + one, rounded once.

    So the sum of a row does not depend on which of its elements was kept out.
    """
    total, error = two_sum(others, one)
    return total + (error + lost)


@block
def add_sums(first: bool, total: Array, lost: Array, more: Array, rest: Array, rows: int) -> None:
    """Add the sums (more, rest) of some rows to (total, lost), or set them to these if `first`."""
    for r in range(rows):
        if first:
            total[r], lost[r] = more[r], rest[r]
        else:
            total[r], error = two_sum(total[r], more[r])
            lost[r] += error + rest[r]


@called
def add_rows(
    w: Array, rows: int, first: bool, total: Array, lost: Array, spare: tuple[Array, Array]
) -> None:
    """Add the sums of the rows w to (total, lost), or set them to these if `first`.

    w holds a piece of each row, and `spare` is room for its sums.
    """
    row_sums(w, rows, w.size // rows, spare[0], spare[1])
    add_sums(first, total, lost, spare[0], spare[1], rows)


@called
def add_fine(
    w: Array, rows: int, first: bool, total: Array, lost: Array, spare: tuple[Array, Array]
) -> None:
    """Do as `add_rows`, but add no float32: the sums minus an element have all their digits."""
    fine_sums(w, rows, w.size // rows, spare[0], spare[1])
    add_sums(first, total, lost, spare[0], spare[1], rows)
