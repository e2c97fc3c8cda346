"""Sums of many numbers in float64."""

import numpy as np

from fastloss_kernels.jit import cached
from fastloss_kernels.rowsums import two_sum
from fastloss_kernels.typing import Array

LANES = 32  # four registers of 512 bits hide the latency of the additions


@cached
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
    sums, lost = np.zeros(LANES), np.zeros(LANES)
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
