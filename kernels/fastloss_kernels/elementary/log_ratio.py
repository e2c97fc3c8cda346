"""The logarithm of a quotient u / p without the quotient: nothing is rounded that log would show.

Where u is nearly p, log(u / p) is nearly (u - p) / p, and u / p has lost the digits of it. So u is
first multiplied by the power of two that brings it next to p: v = u 2^-e, with v / p in [2/3, 3/2].
There v - p is exact (Sterbenz), f = (v - p) / p is rounded once, and

    log(u / p) = log(1 + f) + e log(2),        u / p = (1 + f) 2^e.

Exponent and digits of a float, read as one number, are its logarithm to base 2 within 0.0861 (0 at
powers of two, most in between). So the difference of two bit patterns is that of their
logarithms within +- 0.0861, and e = floor(difference + c) leaves log2(v / p) in [-c - 0.0861,
1 - c + 0.0861]. c = 0.50195 makes that [-0.588, 0.5842]: v / p between 0.665 and 1.4993.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import by_dtype
from fastloss_kernels.elementary.log import log1p
from fastloss_kernels.elementary.log_core import log_sum_f64, sum_with_tail_f32
from fastloss_kernels.simd.scalar import (
    BIAS_F32,
    BIAS_F64,
    EXPONENT_F32,
    EXPONENT_F64,
    bits,
    fma,
    from_bits,
    horner,
)
from fastloss_kernels.typing import Array, Scalar

_F, _I = np.float32, np.int32

_NEAR_F32, _NEAR_F64 = _I(0x00404000), 0x0008080000000000  # c in units of the exponent's last bit

# (log(1 + f) - f + f^2/2) / f^3 for f in [-0.336, 1/2], see tools/fit_elementary.py.
_LOG_F32 = (
    _F(0.3333325982093811),
    _F(-0.25000178813934326),
    _F(0.20005831122398376),
    _F(-0.16663721203804016),
    _F(0.14144591987133026),
    _F(-0.12405800074338913),
    _F(0.1239112839102745),
    _F(-0.11981703341007233),
    _F(0.06160441413521767),
)

# (2 atanh(s) / s - 2) / s^2 for s^2 <= 0.0408, with an error of 2^-33.4 of 2 atanh(s).
_ATANH = (0.6666666624563686, 0.40000330081839713, 0.2853118651405352, 0.2377826522493069)

_LOG2 = 0.6931471805599453


def _nearest_binade_f32(u: Scalar, p: Scalar) -> Any:
    e = _I(_I(_I(bits(u) - bits(p)) + _NEAR_F32) >> EXPONENT_F32)
    return from_bits(_I(bits(u) - _I(e << EXPONENT_F32))), e


def _nearest_binade_f64(u: Scalar, p: Scalar) -> Any:
    e = (bits(u) - bits(p) + _NEAR_F64) >> EXPONENT_F64
    return from_bits(bits(u) - (e << EXPONENT_F64)), e


@by_dtype(_nearest_binade_f32, _nearest_binade_f64)
def nearest_binade(u: Scalar, p: Scalar) -> Any:
    """Return (v, e) with u = v 2^e and v / p in [2/3, 3/2], for positive normal numbers u and p."""


def _log_reduced_f32(f: Scalar, e: Any, rest: Scalar) -> Scalar:
    return sum_with_tail_f32(f, _F(e), fma(horner(f, _LOG_F32), f, _F(-0.5)), rest)


@by_dtype(_log_reduced_f32, log_sum_f64)
def log_reduced(f: Scalar, e: Any, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest for f in [-0.336, 1/2] and a tiny rest.

    Error: below 1.7 ulp, in which f counts as exact to its last place.
    """


def _power_of_two_f32(e: Any, like: Scalar) -> Scalar:
    return from_bits(_I(_I(e + BIAS_F32) << EXPONENT_F32))


def _power_of_two_f64(e: Any, like: Scalar) -> Scalar:
    return from_bits((e + BIAS_F64) << EXPONENT_F64)


@by_dtype(_power_of_two_f32, _power_of_two_f64)
def power_of_two(e: Any, like: Scalar) -> Scalar:
    """Return 2^e in like's type, in which it must be a normal number."""


def _log1p_ratio_f32(a: float, b: float, like: Array) -> Any:
    # With u = a + b = v 2^e and s = (v - b) / (v + b): log(u / b) = 2 atanh(s) + e log(2). That is
    # one division where a quotient and its logarithm take two. Where u is next to b and has lost
    # digits of a, v - b is a itself.
    a, b = np.float64(a), np.float64(b)
    v, e = nearest_binade(a + b, b)
    s = (a if e == 0 else v - b) / (v + b)
    z = s * s
    return fma(np.float64(e), _LOG2, fma(s * z, horner(z, _ATANH), s + s))


def _log1p_ratio_f64(a: float, b: float, like: Array) -> Any:
    return log1p(np.float64(a) / np.float64(b))


@by_dtype(_log1p_ratio_f32, _log1p_ratio_f64)
def log1p_ratio(a: float, b: float, like: Array) -> Any:
    """Return log(1 + a / b) in float64 for a >= 0 and b > 0, normal, to the digits of like's type.

    Error: below 2^-32 of it for float32, below 2 ulp for float64. Of other numbers, any number.
    """
