"""Print the coefficients that `exponential.py` and `logarithm.py` are built on.

Chebyshev fits (mpmath, 50 digits) of

    (e^r - 1 - r) / r^2            on |r| <= log(2) / 2,
    (log(1 + f) - f + f^2/2) / f^3 on [-1/4, 1/2]                           (float32),
    (2 atanh(s) / s - 2) / s^2     as a polynomial in s^2, s = f / (2 + f)   (float64),

constant term first, rounded to the type they are used in, with the largest error of the fit.

    python tools/fit_elementary.py
"""

from collections.abc import Callable

import numpy as np
from mpmath import atanh, chebyfit, exp, log, log1p, mp, mpf, nstr, sqrt

mp.dps = 50


def exp_tail(r: mpf) -> mpf:
    """Return (e^r - 1 - r) / r^2."""
    return (exp(r) - 1 - r) / r**2 if abs(r) > mpf(10) ** -15 else mpf(1) / 2 + r / 6


def log_tail(f: mpf) -> mpf:
    """Return (log(1 + f) - f + f^2 / 2) / f^3."""
    return (log1p(f) - f + f * f / 2) / f**3 if abs(f) > mpf(10) ** -12 else mpf(1) / 3 - f / 4


def atanh_tail(z: mpf) -> mpf:
    """Return (2 atanh(s) / s - 2) / s^2 for z = s^2."""
    s = sqrt(z)
    return (2 * atanh(s) / s - 2) / z if z > mpf(10) ** -16 else mpf(2) / 3 + 2 * z / 5


def show(name: str, f: Callable[[mpf], mpf], ends: list[mpf], terms: int, kind: type) -> None:
    """Print the fit of f with so many coefficients."""
    coefficients, error = chebyfit(f, ends, terms, error=True)
    print(f"{name}, error {nstr(error, 3)}")
    for c in reversed(coefficients):
        print("   ", float(kind(float(c))))


if __name__ == "__main__":
    half = log(2) / 2 * mpf("1.0001")
    low, high = -mpf(1) / 4, mpf(1) / 2
    show("exp, float32", exp_tail, [-half, half], 5, np.float32)
    show("exp, float64", exp_tail, [-half, half], 11, np.float64)
    show("log, float32", log_tail, [low, high], 9, np.float32)
    top = (high / (2 + high)) ** 2 * mpf("1.0001")
    show("log, float64", atanh_tail, [mpf(0), top], 8, np.float64)
