"""Arithmetic of about 30 digits without overflow: double-double numbers with an exponent.

A wide number is ``(high, low, n)``, meaning (high + low) 2^n, where low is what high lost by
rounding. Algorithms of Dekker and Knuth; no fused operation is needed, so plain Python computes
the same bits as Numba. Relative error of add, mul, div: below 2^-100; of expm1, exp, log1p and log:
below 2^-90 (`tests/project/test_accuracy_program.py` holds all of them against mpmath).
"""

import math
from collections.abc import Callable
from typing import Any

from numba import njit

Wide = tuple[float, float, int]
ONE: Wide = (1.0, 0.0, 0)
compiled: Callable[[Callable[..., Any]], Any] = njit(nogil=True, error_model="numpy")

# log(2), 1/3! and 1/4! to twice the precision of a double.
LN2 = (0.6931471805599453, 2.3190468138462996e-17)
SIXTH = (0.16666666666666666, 9.25185853854297e-18)
TWENTY_FOURTH = (0.041666666666666664, 2.3129646346357427e-18)
HALVINGS = 9
SMALL, LARGE = 2.0**-200, 2.0**200  # beyond these the exponent is taken into n


@compiled
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b rounded, and the exact rest."""
    total = a + b
    gained = total - a
    return total, (a - (total - gained)) + (b - gained)


@compiled
def two_product(a: float, b: float) -> tuple[float, float]:
    """Return a * b rounded, and the exact rest, for products between 2^-960 and 2^960."""
    c = 134217729.0 * a
    a_high = c - (c - a)
    c = 134217729.0 * b
    b_high = c - (c - b)
    a_low, b_low = a - a_high, b - b_high
    p = a * b
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@compiled
def pair_sum(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """Return the sum of two pairs."""
    s, rest = two_sum(a, b)
    t, more = two_sum(a_low, b_low)
    s, rest = two_sum(s, rest + t)
    return two_sum(s, rest + more)


@compiled
def pair_product(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """Return the product of two pairs."""
    p, rest = two_product(a, b)
    return two_sum(p, rest + (a * b_low + a_low * b))


@compiled
def tidy(high: float, low: float, n: int) -> Wide:
    """Return the same number with `high` of a size that cannot overflow in a product."""
    if SMALL < abs(high) < LARGE:
        return high, low, n
    if high == 0.0 or not math.isfinite(high):
        return high, 0.0, 0
    _, e = math.frexp(high)
    return math.ldexp(high, -e), math.ldexp(low, -e), n + e


@compiled
def wide(x: float) -> Wide:
    """Return a double as a wide number."""
    return tidy(x, 0.0, 0)


@compiled
def plain(a: Wide) -> tuple[float, float]:
    """Return (high, low) without the exponent: 0 or infinite where doubles end."""
    return math.ldexp(a[0], a[2]), math.ldexp(a[1], a[2])


@compiled
def exponent(a: Wide) -> int:
    """Return the e of 2^e <= abs(a) < 2^(e + 1); very small for 0."""
    if a[0] == 0.0:
        return -1000000
    return int(math.frexp(a[0])[1] - 1 + a[2])


@compiled
def minus(a: Wide) -> Wide:
    """Return -a."""
    return -a[0], -a[1], a[2]


@compiled
def add(a: Wide, b: Wide) -> Wide:
    """Return a + b."""
    if a[0] == 0.0:
        return b
    if b[0] == 0.0:
        return a
    if a[2] < b[2]:
        a, b = b, a
    high, low, n = b
    if n != a[2]:
        high, low = math.ldexp(high, n - a[2]), math.ldexp(low, n - a[2])
    high, low = pair_sum(a[0], a[1], high, low)
    return tidy(high, low, a[2])


@compiled
def mul(a: Wide, b: Wide) -> Wide:
    """Return a * b."""
    high, low = pair_product(a[0], a[1], b[0], b[1])
    return tidy(high, low, a[2] + b[2])


@compiled
def div(a: Wide, b: Wide) -> Wide:
    """Return a / b."""
    q = a[0] / b[0]
    p, p_low = pair_product(q, 0.0, b[0], b[1])
    r, r_low = pair_sum(a[0], a[1], -p, -p_low)
    q_low = r / b[0]
    p, p_low = pair_product(q_low, 0.0, b[0], b[1])
    r, r_low = pair_sum(r, r_low, -p, -p_low)
    high, low = pair_sum(q, q_low, r / b[0], 0.0)
    return tidy(high, low, a[2] - b[2])


@compiled
def _expm1(r: float, r_low: float) -> tuple[float, float]:
    """Return e^r - 1 for abs(r) <= 0.36 as a pair of small relative error.

    Taylor at r / 2^9, where terms from the fifth on are below 2^-49 of the sum and plain doubles
    will do; then e^(2s) - 1 = y (2 + y) nine times.
    """
    step = 2.0**-HALVINGS
    s, s_low = r * step, r_low * step
    q = 1.0 / 120 + s * (1.0 / 720 + s * (1.0 / 5040 + s * (1.0 / 40320 + s / 362880)))
    y, y_low = pair_product(s, s_low, q, 0.0)
    y, y_low = pair_sum(y, y_low, TWENTY_FOURTH[0], TWENTY_FOURTH[1])
    y, y_low = pair_product(s, s_low, y, y_low)
    y, y_low = pair_sum(y, y_low, SIXTH[0], SIXTH[1])
    y, y_low = pair_product(s, s_low, y, y_low)
    y, y_low = pair_sum(y, y_low, 0.5, 0.0)
    z, z_low = pair_product(s, s_low, s, s_low)
    y, y_low = pair_product(z, z_low, y, y_low)
    y, y_low = pair_sum(s, s_low, y, y_low)
    for _ in range(HALVINGS):
        z, z_low = pair_product(y, y_low, y, y_low)
        y, y_low = pair_sum(2 * y, 2 * y_low, z, z_low)
    return y, y_low


@compiled
def exp(a: Wide) -> Wide:
    """Return e^a for a up to 10^9; 0 far below."""
    x, x_low = plain(a)
    if x < -1e9:
        return 0.0, 0.0, 0
    n = float(math.floor(x * 1.4426950408889634 + 0.5))
    p, rest = two_product(-n, LN2[0])
    r, r_low = pair_sum(x, x_low, p, rest - n * LN2[1])
    y, y_low = _expm1(r, r_low)
    high, low = pair_sum(1.0, 0.0, y, y_low)
    return high, low, int(n)


@compiled
def _log1p(x: float, x_low: float) -> Wide:
    """Return log(1 + x) for -0.3 < x < 0.42, of small relative error.

    With y = log(1 + x) as a double knows it, 1 + x = e^y (1 + w), and
    w = x + (e^-y - 1) + x (e^-y - 1) is so small that log(1 + w) = w - w^2 / 2.
    """
    y = math.log1p(x)
    e, e_low = _expm1(-y, 0.0)
    p, p_low = pair_product(x, x_low, e, e_low)
    w, w_low = pair_sum(x, x_low, e, e_low)
    w, w_low = pair_sum(w, w_low, p, p_low)
    high, low = pair_sum(y, 0.0, w, w_low - 0.5 * w * w)
    return tidy(high, low, 0)


@compiled
def log(a: Wide) -> Wide:
    """Return log(a) for a > 0, of small relative error also near 1."""
    _, e = math.frexp(a[0])
    high, low = math.ldexp(a[0], -e), math.ldexp(a[1], -e)
    if high < 0.7071067811865476:
        high, low, e = 2 * high, 2 * low, e - 1
    n = float(e + a[2])
    high, low = pair_sum(high, low, -1.0, 0.0)
    p, rest = two_product(n, LN2[0])
    return add(_log1p(high, low), (p, rest + n * LN2[1], 0))


@compiled
def log1p(a: Wide) -> Wide:
    """Return log(1 + a) for a > -1, of small relative error also where a is tiny."""
    if exponent(a) < -300:
        return a
    x, x_low = plain(a)
    return _log1p(x, x_low) if -0.29 < x < 0.42 else log(add((1.0, 0.0, 0), a))


@compiled
def minus_log(a: Wide) -> Wide:
    """Return -log(a)."""
    return minus(log(a))


@compiled
def size_of(hard: bool, value: Wide, a: Wide, b: Wide) -> int:
    """Return the exponent of `value` for hard targets, else that of the larger of a and b."""
    return exponent(value) if hard else max(exponent(a), exponent(b))


@compiled
def put(out: Any, k: int, value: Wide, size: int) -> None:
    """Write a number and the exponent of its size into row k of `out`."""
    out[k, 0], out[k, 1], out[k, 2], out[k, 3] = value[0], value[1], value[2], size


@compiled
def get(out: Any, k: int) -> Wide:
    """Return the number in row k of `out`."""
    return out[k, 0], out[k, 1], int(out[k, 2])
