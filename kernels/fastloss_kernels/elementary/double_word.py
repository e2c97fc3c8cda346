"""Double-word arithmetic: a number as the unevaluated sum of a float and its rounding error.

Row sums carry their rounding errors that way. So do targets that are smoothed and weighted: in
t (1 - s) + s / C no factor is a float, and rounding after each step would cost the gradients up to
two ulp before they are begun.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar

DoubleWord = tuple[Scalar, Scalar]  # (the number rounded, the rounding error)


@block
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return (a + b rounded, the exact rounding error)."""
    total = a + b
    gained = total - a
    return total, (a - (total - gained)) + (b - gained)


@block
def to_double_word(high: float, low: float, like: Array) -> Any:
    """Return high + low, |low| <= ulp(high) / 2, as a pair of like's dtype."""
    kind = like.dtype.type
    first = kind(high)
    return first, kind((high - np.float64(first)) + low)


@block
def scaled_double_word(weight: Scalar, number: DoubleWord) -> Any:
    """Return weight * number as a pair."""
    high, low = number
    first = weight * high
    return first, fma(weight, low, fma(weight, high, -first))


@block
def rounded_product(a: DoubleWord, b: DoubleWord) -> Scalar:
    """Return a * b, rounded about once."""
    first, rest = scaled_double_word(b[0], a)
    return first + fma(a[0], b[1], rest)
