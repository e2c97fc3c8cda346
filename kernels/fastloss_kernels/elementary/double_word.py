"""Sums of rows in float64, one piece of a row after the other, with what rounding took.

Targets that are smoothed and weighted on the way in, each rounded once.

A smoothed target t (1 - s) + s / C is a sum of two products whose factors are no floats themselves:
rounding after each step would cost the gradients up to two ulp before they are begun.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return (a + b rounded, the exact rest)."""
    total = a + b
    gained = total - a
    return total, (a - (total - gained)) + (b - gained)


Pair = tuple[Scalar, Scalar]  # a number as a float and what rounding took from it


@block
def _rounded(high: float, low: float, like: Array) -> Any:
    """Return high + low, |low| <= ulp(high) / 2, as a pair of like's dtype."""
    kind = like.dtype.type
    first = kind(high)
    return first, kind((high - np.float64(first)) + low)


@block
def times(weight: Scalar, number: Pair) -> Any:
    """Return weight * number as a pair."""
    high, low = number
    first = weight * high
    return first, fma(weight, low, fma(weight, high, -first))


@block
def product(a: Pair, b: Pair) -> Scalar:
    """Return a * b, rounded about once."""
    first, rest = times(b[0], a)
    return first + fma(a[0], b[1], rest)
