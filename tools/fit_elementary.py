"""Print the coefficients that `exp.py`, `log_core.py` and `log_ratio.py` are built on.

Fits, constant term first and rounded to the type they are used in, of

    (e^r - 1 - r) / r^2            on |r| <= log(2) / 2,
    (log(1 + f) - f + f^2/2) / f^3 on [-1/4, 1/2], short and long, and on [-0.336, 1/2] (float32),
    (2 atanh(s) / s - 2) / s^2     as a polynomial in s^2, s = f / (2 + f), 8 and 4 terms (float64).

The first and the last are Chebyshev fits (mpmath, 50 digits), printed with their largest error; the
others make the relative error of log(1 + f) small, which near 0 forgives much: that saves a term.

    python tools/fit_elementary.py
"""

from collections.abc import Callable

import numpy as np
from mpmath import atanh, chebyfit, exp, log, log1p, mp, mpf, nstr, sqrt
from numpy.polynomial import Polynomial, chebyshev

mp.dps = 50
NODES = 2000
ROUNDS = 60


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
    """Print the Chebyshev fit of f with so many coefficients."""
    coefficients, error = chebyfit(f, ends, terms, error=True)
    print(f"{name}, error {nstr(error, 3)}")
    for c in reversed(coefficients):
        print("   ", float(kind(float(c))))


def show_log_tail(low: float, high: float, terms: int) -> None:
    """Print the fit of `log_tail` that makes the largest relative error of the logarithm least.

    Lawson's iteration: least squares, in which the places where the error is large count more from
    round to round, until it is as large everywhere.
    """
    middle, half = (low + high) / 2, (high - low) / 2
    node = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    f = middle + half * node
    exact = np.array([float(log_tail(mpf(value))) for value in f])
    relative = np.abs(f**3 / np.log1p(f))
    importance = np.ones(NODES)
    for _ in range(ROUNDS):
        fit = chebyshev.chebfit(node, exact, terms - 1, w=np.sqrt(importance) * relative)
        error = np.abs(chebyshev.chebval(node, fit) - exact) * relative
        importance *= error / error.max() + 1e-3
        importance /= importance.sum()
    print(f"log on [{low}, {high}], float32, relative error {error.max():.3g}")
    for c in Polynomial(chebyshev.cheb2poly(fit))(Polynomial([-middle / half, 1 / half])).coef:
        print("   ", float(np.float32(c)))


if __name__ == "__main__":
    half = log(2) / 2 * mpf("1.0001")
    show("exp, float32", exp_tail, [-half, half], 5, np.float32)
    show("exp, float64", exp_tail, [-half, half], 11, np.float64)
    show_log_tail(-0.25, 0.5, 8)
    show_log_tail(-0.25, 0.5, 9)
    show_log_tail(-0.336, 0.5, 9)
    top = (mpf("0.336") / (2 - mpf("0.336"))) ** 2
    show("log, float64", atanh_tail, [mpf(0), top], 8, np.float64)
    show("log, float64 for a float32 loss", atanh_tail, [mpf(0), top], 4, np.float64)
