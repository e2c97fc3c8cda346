"""Sums in float64: of rows, piece by piece, with the rounding error; and of whole arrays."""

import numpy as np
from fastloss_kernels.compiler.jit import block, called, public
from fastloss_kernels.elementary.double_word import two_sum
from fastloss_kernels.simd.raw_arrays import fill, row_array
from fastloss_kernels.simd.row_reduce import row_sums, row_sums_f64
from fastloss_kernels.typing import Array


@block
def rounded_sum(total: float, lost: float) -> float:
    """Return total + lost, rounded once; an infinite total has lost NaN and is returned alone."""
    return total if abs(total) == np.inf else total + lost


@block
def add_element(others: float, lost: float, one: float) -> float:
    """Return others + lost + one, rounded once.

    So the sum of a row does not depend on which of its elements was taken out before.
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
def add_rows(w: Array, rows: int, first: bool, total: Array, lost: Array) -> None:
    """Add the sums of the rows w, a piece of each, to (total, lost), or set these if `first`."""
    more, rest = row_array(), row_array()
    if w.size == rows:  # rows of one element: vector code over all of them
        for r in range(rows):
            more[r], rest[r] = np.float64(w[r]) + 0.0, 0.0  # of -0 the sum is 0
    else:
        row_sums(w, rows, w.size // rows, more, rest)
    add_sums(first, total, lost, more, rest, rows)


@called
def add_rows_f64(w: Array, rows: int, first: bool, total: Array, lost: Array) -> None:
    """Add the sums of rows like `add_rows`, with every element added in float64.

    So the sum minus one of its elements keeps all its digits.
    """
    more, rest = row_array(), row_array()
    row_sums_f64(w, rows, w.size // rows, more, rest)
    add_sums(first, total, lost, more, rest, rows)


LANES = 32  # four registers of 512 bits hide the latency of the additions


@public
def total(values: Array) -> float:
    """Sum of a flat array in float64, in an order that its length alone fixes.

    Element k goes to lane k mod 32; then the lanes are added. What float64 elements lose by
    rounding (two-sum) is added at the end. float32 elements would have to be a billion to lose
    what shows in a float32 result.

    Parameters
    ----------
    values : (n,) float32 or float64
        What to sum; best contiguous.

    Returns
    -------
    float
        The sum: 0 of nothing, and of infinities and NaN what arithmetic makes of them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import total
    >>> total(np.array([1e16, 1.0, -1e16]))
    1.0
    """
    sums, lost = row_array()[:LANES], row_array()[:LANES]
    fill(sums, 0.0)
    fill(lost, 0.0)
    for first in range(0, values.size, LANES):
        group = values[first : first + LANES]
        for k in range(group.size):
            sums[k], error = two_sum(sums[k], np.float64(group[k]))
            if values.itemsize == 8:
                lost[k] += error
    whole, rest = 0.0, 0.0
    for k in range(LANES):
        whole, error = two_sum(whole, sums[k])
        rest += error + lost[k]
    return whole if np.isnan(rest) else whole + rest  # NaN: an infinity was summed
