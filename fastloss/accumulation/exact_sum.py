"""Sums of floats without rounding: they do not depend on the order of their terms."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

_PLACES = 1074
"""Every finite float64 is a whole multiple of 2**-1074, the smallest one above 0."""
_SPELLINGS = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}


@dataclass(frozen=True, slots=True)
class ExactSum:
    """A sum of float64 numbers, exact until it is read: a fixed-point (Kulisch) accumulator.

    The sum and quotients of sums are rounded once, to the nearest float64, and become infinite
    only if they are out of its range themselves. Python's integers hold the digits, 53 to 2,098
    bits and a few more for many terms; to add one takes about a microsecond.
    """

    units: int = 0
    """The sum of the finite terms, times 2**1074."""
    special: float = 0.0
    """The sum of the terms that are infinite or NaN, which is then the whole sum; else 0."""

    @classmethod
    def of(cls, value: float) -> ExactSum:
        """Return the sum of a single number."""
        if not math.isfinite(value):
            return cls(special=value)
        numerator, denominator = value.as_integer_ratio()  # the denominator is a power of two
        return cls(numerator << (_PLACES + 1 - denominator.bit_length()))

    def __add__(self, other: ExactSum) -> ExactSum:
        return ExactSum(self.units + other.units, self.special + other.special)

    def __bool__(self) -> bool:
        return bool(self.units or self.special)  # NaN is true

    def __float__(self) -> float:
        return self.special or _quotient(self.units, 1 << _PLACES)

    def __truediv__(self, divisor: ExactSum) -> float:
        """Return the quotient; the divisor is not 0."""
        if self.special or divisor.special:
            return float(self) / float(divisor)
        return _quotient(self.units, divisor.units)

    def to_json(self) -> list[float | str]:
        """Return a few numbers whose exact sum this is, the largest first; none for 0.

        Of a finite sum they are its nearest float64, that of the rest, and so on. What is not
        finite is a string, as JSON lacks it: "Infinity", "-Infinity" or "NaN".
        """
        if self.special:
            return [_SPELLINGS[str(self.special)]]
        parts: list[float | str] = []
        rest, limit = self, sys.float_info.max
        while rest:
            nearest = max(-limit, min(float(rest), limit))
            parts.append(nearest)
            rest += ExactSum.of(-nearest)
        return parts

    @classmethod
    def from_json(cls, name: str, parts: Any) -> ExactSum:
        """Return the sum that `to_json` wrote; else raise ValueError, which calls it `name`."""
        if isinstance(parts, list) and all(map(_is_part, parts)):
            return sum(map(cls.of, map(float, parts)), cls())
        spellings = ", ".join(_SPELLINGS.values())
        raise ValueError(f"{name} must be a list of numbers, or of {spellings}; got {parts!r}")


ZERO = ExactSum()


def _is_part(part: Any) -> bool:
    if isinstance(part, str):
        return part in _SPELLINGS.values()
    return type(part) in (float, int) and abs(part) <= sys.float_info.max  # False for NaN


def _quotient(dividend: int, divisor: int) -> float:
    """Return the nearest float64 to a quotient of integers."""
    try:
        return dividend / divisor  # rounded once by Python, whatever the size of the integers
    except OverflowError:
        return math.inf if (dividend > 0) == (divisor > 0) else -math.inf
