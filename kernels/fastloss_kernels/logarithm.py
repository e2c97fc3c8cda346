"""Logarithms that LLVM turns into vector code: no branch, no call, no table.

Every function has one body for float32 and one for float64, chosen by the type of its argument.
``tools/fit_elementary.py`` prints the coefficients. The largest errors are measured by
``tests/test_elementary.py`` and, over all float32, by ``make accuracy``.

Each of them writes its number as 2^e (1 + f) with f in [-1/4, 1/2], f exact or rounded once, and
ends in log(1 + f) + e log(2), small terms first. What the sum of the two large terms, f and
e log(2), loses goes back in with the small ones. Integer arithmetic and additions cost next to
nothing beside multiplications, of which a processor does fewer at a time: there are as few as can
be. NaN reaches the result as ``u - u``, since no bit pattern that went through integers keeps it.
"""

import numpy as np
from numba import types

from fastloss_kernels.intrinsics import bits, fma, from_bits, inlined
from fastloss_kernels.jit import block
from fastloss_kernels.typing import Scalar

_F, _I = np.float32, np.int32
_FIELD_S, _BIAS_S, _FIELD_D, _BIAS_D = _I(23), _I(127), 52, 1023  # of the exponent's bits

_LEAST_S = _I(0x3F400000)  # 3/4
# log(2) rounded to float32 is so near log(2), by luck, that e = 127 takes 0.03 ulp from 127 log(2).
_LOG2_S = _F(0.6931471805599453)
_LOG_S = (
    _F(0.3333345055580139),
    _F(-0.2500009536743164),
    _F(0.19990861415863037),
    _F(-0.1664731204509735),
    _F(0.14478400349617004),
    _F(-0.13161195814609528),
    _F(0.10462995618581772),
    _F(-0.0450744666159153),
)
# With a term more, where a last tenth of an ulp counts.
_CAREFUL_S = (
    _F(0.33333340287208557),
    _F(-0.2500016391277313),
    _F(0.19999605417251587),
    _F(-0.16655296087265015),
    _F(0.14276240766048431),
    _F(-0.12727785110473633),
    _F(0.11700654029846191),
    _F(-0.09116142243146896),
    _F(0.037672463804483414),
)
_LEAST_D = 0x3FE8000000000000
_LOG_HI_D, _LOG_LO_D = 0.6931471805598903, 5.497923018708371e-14  # 42 bits: e * hi is exact
_LOG_D = (
    0.6666666666666666,
    0.40000000000008945,
    0.28571428566828483,
    0.22222223122221121,
    0.18181731878529966,
    0.15389095448433648,
    0.13205269171552392,
    0.13642832517558282,
)


@block
def _split_single(u: Scalar) -> tuple[Scalar, Scalar]:
    """Return (f, e) of the normal number ``u = 2^e (1 + f)``."""
    e = _I(_I(bits(u) - _LEAST_S) >> _FIELD_S)
    return from_bits(_I(bits(u) - _I(e << _FIELD_S))) - _F(1), e


@block
def _split_double(u: Scalar) -> tuple[Scalar, Scalar]:
    e = (bits(u) - _LEAST_D) >> _FIELD_D
    return from_bits(bits(u) - (e << _FIELD_D)) - 1.0, e


@block
def _lowered_single(c: Scalar, e: Scalar) -> Scalar:
    """Return c 2^-e. A larger e may count as 126: such a c is nothing to 2^e (1 + f)."""
    return c * from_bits(_I(_I(_BIAS_S - min(e, _I(126))) << _FIELD_S))


@block
def _lowered_double(c: Scalar, e: Scalar) -> Scalar:
    return c * from_bits((_BIAS_D - min(e, 1022)) << _FIELD_D)


@block
def _log_tail_single(f: Scalar) -> Scalar:
    """Return (log(1 + f) - f + f^2/2) / f^3."""
    q = fma(_LOG_S[7], f, _LOG_S[6])
    q = fma(q, f, _LOG_S[5])
    q = fma(q, f, _LOG_S[4])
    q = fma(q, f, _LOG_S[3])
    q = fma(q, f, _LOG_S[2])
    q = fma(q, f, _LOG_S[1])
    return fma(q, f, _LOG_S[0])


@block
def _careful_sum_single(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest, with the half of f^2 not rounded on its own."""
    q = fma(_CAREFUL_S[8], f, _CAREFUL_S[7])
    q = fma(q, f, _CAREFUL_S[6])
    q = fma(q, f, _CAREFUL_S[5])
    q = fma(q, f, _CAREFUL_S[4])
    q = fma(q, f, _CAREFUL_S[3])
    q = fma(q, f, _CAREFUL_S[2])
    q = fma(q, f, _CAREFUL_S[1])
    q = fma(q, f, _CAREFUL_S[0])
    z = f * f
    big = fma(e, _LOG2_S, f)
    lost = fma(e, _LOG2_S, -big) + f
    return big + (lost + fma(z * f, q, fma(_F(-0.5), z, rest)))


@block
def sum_single(f: Scalar, e: Scalar, tail: Scalar, rest: Scalar) -> Scalar:
    """Return f + f^2 tail + e log(2) + rest, all float32."""
    big = fma(e, _LOG2_S, f)
    lost = fma(e, _LOG2_S, -big) + f
    return big + fma(f * f, tail, lost + rest)


@block
def _log_sum_single(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest, with two multiplications less."""
    return sum_single(f, e, fma(_log_tail_single(f), f, _F(-0.5)), rest)


@block
def log_sum_double(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest, all float64, for f in [-0.336, 1/2]."""
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
    small = fma(s, fma(q, z, half), fma(e, _LOG_LO_D, rest)) - half
    big = fma(e, _LOG_HI_D, f)
    lost = fma(e, _LOG_HI_D, -big) + f
    return big + (lost + small)


@block
def _log1p_single(x: Scalar) -> Scalar:
    u = _F(1) + x
    c = _F(1) - (u - x) if x > _F(1) else x - (u - _F(1))
    f, e = _split_single(u)
    # log(1 + f + d) is d / (1 + f) more, and d so small that a parabola, 0.0133 off, will do.
    d = _lowered_single(c, e)
    y = _careful_sum_single(f, _F(e), fma(d, f * fma(f, _F(0.8533), _F(-1.0667)), d))
    y = y if x < _F(np.inf) else x
    y = y if x != _F(-1) else _F(-np.inf)
    return _F(np.nan) if x < _F(-1) else y


@block
def _log1p_double(x: Scalar) -> Scalar:
    u = 1.0 + x
    c = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    f, e = _split_double(u)
    d = _lowered_double(c, e)
    y = log_sum_double(f, np.float64(e), fma(d, f * fma(f, 0.8533, -1.0667), d))
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
    f, e = _split_single(x * _F(16777216.0) if tiny else x)
    y = _careful_sum_single(f, _F(e) - (_F(24) if tiny else _F(0)), _F(0))
    y = y if x < _F(np.inf) else x
    y = y if x != _F(0) else _F(-np.inf)
    return _F(np.nan) if x < _F(0) else y


@block
def _log_double(x: Scalar) -> Scalar:
    tiny = x < 2.2250738585072014e-308  # subnormal (or not positive): scale by 2^54 first
    f, e = _split_double(x * 18014398509481984.0 if tiny else x)
    y = log_sum_double(f, np.float64(e) - (54.0 if tiny else 0.0), 0.0)
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
    large = _LOG2_S if above else _F(0)
    big = large + f
    tail = fma(_log_tail_single(f), f, _F(-0.5))
    return big + fma(f * f, tail, (large - big) + f)


@block
def _log1p_unit_double(x: Scalar) -> Scalar:
    above = x > 0.5
    f = (x - 1.0) * 0.5 if above else x
    return log_sum_double(f, 1.0 if above else 0.0, 0.0)


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
def _log_normal_single(u: Scalar) -> Scalar:
    f, e = _split_single(u)
    return _log_sum_single(f, _F(e), u - u)


@block
def _log_normal_double(u: Scalar) -> Scalar:
    f, e = _split_double(u)
    return log_sum_double(f, np.float64(e), u - u)


def log_normal(u: Scalar) -> Scalar:
    """Return log(u) for a positive normal u, NaN at NaN. Error: below 1 ulp."""
    return _log_normal_single(u) if u.dtype == _F else _log_normal_double(u)


inlined(log_normal)(
    lambda u: (
        (lambda u: _log_normal_single(u))
        if u == types.float32
        else (lambda u: _log_normal_double(u))
    )
)


@block
def _log_pair_single(u: Scalar, c: Scalar) -> Scalar:
    m, e = _split_single(u)
    d = _lowered_single(c, e)
    f = m + d
    return _log_sum_single(f, _F(e), (d - (f - m)) + (u - u))


@block
def _log_pair_double(u: Scalar, c: Scalar) -> Scalar:
    m, e = _split_double(u)
    d = _lowered_double(c, e)
    f = m + d
    return log_sum_double(f, np.float64(e), (d - (f - m)) + (u - u))


def log_pair(u: Scalar, c: Scalar) -> Scalar:
    """Return log(u + c) for a positive normal u and a c of at most an ulp of it; NaN at NaN.

    c is what rounding took from u: with it the relative error stays near 1 ulp also where u is
    nearly 1. What rounding takes from 1 + f is added to the logarithm as it is, not over 1 + f.
    """
    return _log_pair_single(u, c) if u.dtype == _F else _log_pair_double(u, c)


inlined(log_pair)(
    lambda u, c: (
        (lambda u, c: _log_pair_single(u, c))
        if u == types.float32
        else (lambda u, c: _log_pair_double(u, c))
    )
)
