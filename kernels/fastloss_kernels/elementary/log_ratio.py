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
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.compiler.overloads import inlined
from fastloss_kernels.elementary.log import log1p
from fastloss_kernels.elementary.log_core import log_sum_double, sum_single
from fastloss_kernels.simd.scalar import bits, fma, from_bits
from fastloss_kernels.typing import Array, Scalar
from numba import types

_F, _I = np.float32, np.int32

_FIELD_S, _FIELD_D = _I(23), 52

_NEAR_S, _NEAR_D = _I(0x00404000), 0x0008080000000000  # c in units of the exponent's last bit

# (log(1 + f) - f + f^2/2) / f^3 for f in [-0.336, 1/2], see tools/fit_elementary.py.
_LOG_S = (
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


@block
def _aligned_single(u: Scalar, p: Scalar) -> tuple[Scalar, Any]:
    e = _I(_I(_I(bits(u) - bits(p)) + _NEAR_S) >> _FIELD_S)
    return from_bits(_I(bits(u) - _I(e << _FIELD_S))), e


@block
def _aligned_double(u: Scalar, p: Scalar) -> tuple[Scalar, Any]:
    e = (bits(u) - bits(p) + _NEAR_D) >> _FIELD_D
    return from_bits(bits(u) - (e << _FIELD_D)), e


def aligned(u: Scalar, p: Scalar) -> tuple[Scalar, Any]:
    """Return (v, e) with u = v 2^e and v / p in [2/3, 3/2], for positive normal numbers u and p."""
    return _aligned_single(u, p) if u.dtype == _F else _aligned_double(u, p)


inlined(aligned)(
    lambda u, p: (
        (lambda u, p: _aligned_single(u, p))
        if u == types.float32
        else (lambda u, p: _aligned_double(u, p))
    )
)


@block
def _log_aligned_single(f: Scalar, e: Any, rest: Scalar) -> Scalar:
    q = fma(_LOG_S[8], f, _LOG_S[7])
    q = fma(q, f, _LOG_S[6])
    q = fma(q, f, _LOG_S[5])
    q = fma(q, f, _LOG_S[4])
    q = fma(q, f, _LOG_S[3])
    q = fma(q, f, _LOG_S[2])
    q = fma(q, f, _LOG_S[1])
    q = fma(q, f, _LOG_S[0])
    return sum_single(f, _F(e), fma(q, f, _F(-0.5)), rest)


@block
def _log_aligned_double(f: Scalar, e: Any, rest: Scalar) -> Scalar:
    return log_sum_double(f, np.float64(e), rest)


def log_aligned(f: Scalar, e: Any, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest for f in [-0.336, 1/2] and a tiny rest.

    Error: below 1.7 ulp, in which f counts as exact to its last place.
    """
    return _log_aligned_single(f, e, rest) if f.dtype == _F else _log_aligned_double(f, e, rest)


inlined(log_aligned)(
    lambda f, e, rest: (
        (lambda f, e, rest: _log_aligned_single(f, e, rest))
        if f == types.float32
        else (lambda f, e, rest: _log_aligned_double(f, e, rest))
    )
)


@block
def _power_single(e: Any) -> Scalar:
    return from_bits(_I(_I(e + _I(127)) << _FIELD_S))


@block
def _power_double(e: Any) -> Scalar:
    return from_bits((e + 1023) << _FIELD_D)


def power(e: Any, like: Scalar) -> Scalar:
    """Return 2^e in like's type, in which it must be a normal number."""
    return _power_single(e) if like.dtype == _F else _power_double(e)


inlined(power)(
    lambda e, like: (
        (lambda e, like: _power_single(e))
        if like == types.float32
        else (lambda e, like: _power_double(e))
    )
)


@block
def _log1p_quotient_single(a: float, b: float) -> float:
    # With u = a + b = v 2^e and s = (v - b) / (v + b): log(u / b) = 2 atanh(s) + e log(2). That is
    # one division where a quotient and its logarithm take two. Where u is next to b and has lost
    # digits of a, v - b is a itself.
    v, e = aligned(a + b, b)
    s = (a if e == 0 else v - b) / (v + b)
    z = s * s
    q = fma(_ATANH[3], z, _ATANH[2])
    q = fma(q, z, _ATANH[1])
    q = fma(q, z, _ATANH[0])
    return fma(np.float64(e), _LOG2, fma(s * z, q, s + s))


@block
def _log1p_quotient_double(a: float, b: float) -> float:
    return log1p(a / b)


def log1p_quotient(a: float, b: float, like: Array) -> float:
    """Return log(1 + a / b) for float64 a >= 0 and b > 0, normal, to the digits of like's type.

    Error: below 2^-32 of it for float32, below 2 ulp for float64. Of other numbers, any number.
    """
    work = _log1p_quotient_single if like.itemsize == 4 else _log1p_quotient_double
    return work(np.float64(a), np.float64(b))


inlined(log1p_quotient)(
    lambda a, b, like: (
        (lambda a, b, like: _log1p_quotient_single(np.float64(a), np.float64(b)))
        if like.dtype == types.float32
        else (lambda a, b, like: _log1p_quotient_double(np.float64(a), np.float64(b)))
    )
)
