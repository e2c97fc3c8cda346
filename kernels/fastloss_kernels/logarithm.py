"""Logarithms that LLVM turns into vector code: no branch, no call, no table.

Every function has one body for float32 and one for float64, chosen by the type of its argument.
Coefficients are Chebyshev fits in 50 digits (``tools/fit_elementary.py`` prints them). The largest
errors are measured by ``tests/test_elementary.py``.

A normal u > 0 plus a tiny correction c is 2^e m + c with m in [3/4, 3/2). With f = m - 1
(exact) and d = c 2^-e its logarithm is e log(2) + log(1 + f) + d / (1 + f); as d is below half an
ulp of m, 1 - f + f^2 is as good as the reciprocal.
"""

import numpy as np
from numba import types

from fastloss_kernels.intrinsics import bits, fma, from_bits, inlined
from fastloss_kernels.jit import block
from fastloss_kernels.typing import Scalar

_F, _I = np.float32, np.int32
_FIELD_S, _BIAS_S, _FIELD_D, _BIAS_D = _I(23), _I(127), 52, 1023  # of the exponent's bits

_LEAST_S = _I(0x3F400000)  # 3/4
_LOG_HI_S, _LOG_LO_S = _F(0.693145751953125), _F(1.4286068203094173e-06)  # 15 bits: e * hi is exact
_LOG_S = (
    _F(0.3333333432674408),
    _F(-0.25000056624412537),
    _F(0.20000140368938446),
    _F(-0.16660816967487335),
    _F(0.14268305897712708),
    _F(-0.12639310956001282),
    _F(0.11680682003498077),
    _F(-0.09561339765787125),
    _F(0.042871978133916855),
)
_LEAST_D = 0x3FE8000000000000
_LOG_HI_D, _LOG_LO_D = 0.6931471805598903, 5.497923018708371e-14  # 42 bits
_LOG_D = (
    0.6666666666666666,
    0.40000000000007807,
    0.28571428567336676,
    0.2222222303822691,
    0.18181738421712204,
    0.15388835999460426,
    0.1321033443219967,
    0.13604216246696962,
)


@block
def _log_parts_single(u: Scalar, c: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """Return (f, d, e) of the normal number u plus its correction c."""
    e = _I(_I(bits(u) - _LEAST_S) >> _FIELD_S)
    m = from_bits(_I(bits(u) - _I(e << _FIELD_S)))
    d = c * from_bits(_I(_I(_BIAS_S - min(e, _I(126))) << _FIELD_S))
    return m - _F(1), d, _F(e)


@block
def _log_sum_single(f: Scalar, d: Scalar, e: Scalar) -> Scalar:
    """Return log(1 + f) + d / (1 + f) + e log(2), small terms first."""
    q = fma(_LOG_S[8], f, _LOG_S[7])
    q = fma(q, f, _LOG_S[6])
    q = fma(q, f, _LOG_S[5])
    q = fma(q, f, _LOG_S[4])
    q = fma(q, f, _LOG_S[3])
    q = fma(q, f, _LOG_S[2])
    q = fma(q, f, _LOG_S[1])
    q = fma(q, f, _LOG_S[0])
    z = f * f
    s = fma(z * f, q, fma(_F(-0.5), z, fma(d, fma(f, f - _F(1), _F(1)), e * _LOG_LO_S)))
    # Two-sum of e log(2) and f: what their rounded sum lost goes back in with the small terms.
    big = fma(e, _LOG_HI_S, f)
    lost = fma(e, _LOG_HI_S, -big) + f
    return big + (lost + s)


@block
def _log_parts_double(u: Scalar, c: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    e = (bits(u) - _LEAST_D) >> _FIELD_D
    m = from_bits(bits(u) - (e << _FIELD_D))
    d = c * from_bits((_BIAS_D - min(e, 1022)) << _FIELD_D)
    return m - 1.0, d, np.float64(e)


@block
def _log_sum_double(f: Scalar, d: Scalar, e: Scalar) -> Scalar:
    # With s = f / (2 + f): log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R(s^2))), a form in
    # which the rounding of s only touches the small terms.
    s = f / (2.0 + f)
    z = s * s
    q = fma(_LOG_D[7], z, _LOG_D[6])
    q = fma(q, z, _LOG_D[5])
    q = fma(q, z, _LOG_D[4])
    q = fma(q, z, _LOG_D[3])
    q = fma(q, z, _LOG_D[2])
    q = fma(q, z, _LOG_D[1])
    q = fma(q, z, _LOG_D[0])
    half = 0.5 * f * f
    tiny = fma(d, fma(f, f - 1.0, 1.0), e * _LOG_LO_D)
    small = fma(s, fma(q, z, half), tiny) - half
    big = fma(e, _LOG_HI_D, f)
    lost = fma(e, _LOG_HI_D, -big) + f
    return big + (lost + small)


@block
def _log1p_single(x: Scalar) -> Scalar:
    u = _F(1) + x
    c = _F(1) - (u - x) if x > _F(1) else x - (u - _F(1))
    f, d, e = _log_parts_single(u, c)
    y = _log_sum_single(f, d, e)
    y = y if x < _F(np.inf) else x
    y = y if x != _F(-1) else _F(-np.inf)
    return _F(np.nan) if x < _F(-1) else y


@block
def _log1p_double(x: Scalar) -> Scalar:
    u = 1.0 + x
    c = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    f, d, e = _log_parts_double(u, c)
    y = _log_sum_double(f, d, e)
    y = y if x < np.inf else x
    y = y if x != -1.0 else -np.inf
    return np.nan if x < -1.0 else y


def log1p(x: Scalar) -> Scalar:
    """Return log(1 + x): -inf at -1, NaN below it, inf at inf. Error: below 1 ulp."""
    return _log1p_single(x) if x.dtype == _F else _log1p_double(x)


inlined(log1p)(
    lambda x: (lambda x: _log1p_single(x)) if x == types.float32 else (lambda x: _log1p_double(x))
)


@block
def _log_single(x: Scalar) -> Scalar:
    tiny = x < _F(1.1754944e-38)  # subnormal (or not positive): scale by 2^24 first
    f, d, e = _log_parts_single(x * _F(16777216.0) if tiny else x, _F(0))
    y = _log_sum_single(f, d, e - (_F(24) if tiny else _F(0)))
    y = y if x < _F(np.inf) else x
    y = y if x != _F(0) else _F(-np.inf)
    return _F(np.nan) if x < _F(0) else y


@block
def _log_double(x: Scalar) -> Scalar:
    tiny = x < 2.2250738585072014e-308
    f, d, e = _log_parts_double(x * 18014398509481984.0 if tiny else x, 0.0)
    y = _log_sum_double(f, d, e - (54.0 if tiny else 0.0))
    y = y if x < np.inf else x
    y = y if x != 0.0 else -np.inf
    return np.nan if x < 0.0 else y


def log(x: Scalar) -> Scalar:
    """Return log(x): -inf at 0, NaN below it, inf at inf. Error: below 1 ulp."""
    return _log_single(x) if x.dtype == _F else _log_double(x)


inlined(log)(
    lambda x: (lambda x: _log_single(x)) if x == types.float32 else (lambda x: _log_double(x))
)


@block
def _log1p_unit_single(x: Scalar) -> Scalar:
    above = x > _F(0.5)
    f = (x - _F(1)) * _F(0.5) if above else x
    return _log_sum_single(f, _F(0), _F(1) if above else _F(0))


@block
def _log1p_unit_double(x: Scalar) -> Scalar:
    above = x > 0.5
    f = (x - 1.0) * 0.5 if above else x
    return _log_sum_double(f, 0.0, 1.0 if above else 0.0)


def log1p_unit(x: Scalar) -> Scalar:
    """Return log(1 + x) for x from 0 to 1, NaN at NaN. Error: below 1 ulp.

    1 + x, or its half, is 1 + f with an exact f: nothing has to be corrected.
    """
    return _log1p_unit_single(x) if x.dtype == _F else _log1p_unit_double(x)


inlined(log1p_unit)(
    lambda x: (
        (lambda x: _log1p_unit_single(x))
        if x == types.float32
        else (lambda x: _log1p_unit_double(x))
    )
)


@block
def _log_pair_single(u: Scalar, c: Scalar) -> Scalar:
    f, d, e = _log_parts_single(u, c)
    return _log_sum_single(f, d, e) if u == u else u


@block
def _log_pair_double(u: Scalar, c: Scalar) -> Scalar:
    f, d, e = _log_parts_double(u, c)
    return _log_sum_double(f, d, e) if u == u else u


def log_pair(u: Scalar, c: Scalar) -> Scalar:
    """Return log(u + c) for a positive normal u and a c of at most an ulp of it; NaN at NaN.

    c is what rounding took from u: with it the relative error stays near 1 ulp also where u is
    nearly 1.
    """
    return _log_pair_single(u, c) if u.dtype == _F else _log_pair_double(u, c)


inlined(log_pair)(
    lambda u, c: (
        (lambda u, c: _log_pair_single(u, c))
        if u == types.float32
        else (lambda u, c: _log_pair_double(u, c))
    )
)
