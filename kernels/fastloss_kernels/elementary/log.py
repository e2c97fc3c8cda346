"""The logarithms of every number: no branch, no call, no table, so that LLVM makes vector code.

Every function has one body for float32 and one for float64, chosen by the type of its argument,
and ends in a sum of `logsum`. The largest errors are measured by
``tests/engine/elementary/test_exp_and_log.py`` and, over all float32, by ``make accuracy``. NaN
reaches the result as an argument that is compared.


Logarithms of numbers of a known range, each with less to do than that of every number.

They are vector code like those of `logarithm`, and measured with them. NaN reaches the result as
``u - u``, since no bit pattern that went through integers keeps it.
"""

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.compiler.overloads import inlined
from fastloss_kernels.elementary.log_core import (
    LOG2_S,
    careful_sum_single,
    log_sum_double,
    log_sum_single,
    log_tail_single,
    lowered_double,
    lowered_single,
    split_double,
    split_single,
)
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Scalar
from numba import types

_F = np.float32


@block
def _log1p_single(x: Scalar) -> Scalar:
    u = _F(1) + x
    c = _F(1) - (u - x) if x > _F(1) else x - (u - _F(1))
    f, e = split_single(u)
    f, c = (x, _F(0)) if e == 0 else (f, c)  # 1 + x in [3/4, 3/2]: there x is f, and not rounded
    # log(1 + f + d) is d / (1 + f) more, and d so small that a parabola, 0.0133 off, will do.
    d = lowered_single(c, e)
    y = careful_sum_single(f, _F(e), fma(d, f * fma(f, _F(0.8533), _F(-1.0667)), d))
    y = y if x < _F(np.inf) else x
    y = y if x != _F(-1) else _F(-np.inf)
    return _F(np.nan) if x < _F(-1) else y


@block
def _log1p_double(x: Scalar) -> Scalar:
    u = 1.0 + x
    c = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    f, e = split_double(u)
    f, c = (x, 0.0) if e == 0 else (f, c)
    d = lowered_double(c, e)
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
    f, e = split_single(x * _F(16777216.0) if tiny else x)
    y = careful_sum_single(f, _F(e) - (_F(24) if tiny else _F(0)), _F(0))
    y = y if x < _F(np.inf) else x
    y = y if x != _F(0) else _F(-np.inf)
    return _F(np.nan) if x < _F(0) else y


@block
def _log_double(x: Scalar) -> Scalar:
    tiny = x < 2.2250738585072014e-308  # subnormal (or not positive): scale by 2^54 first
    f, e = split_double(x * 18014398509481984.0 if tiny else x)
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

# Where log(1 + x) is x to its last place the small term is taken of this instead: some processors
# take a hundred cycles to multiply a subnormal number.
_SMALL_S = _F(2.0**-100)


@block
def _log1p_unit_single(x: Scalar) -> Scalar:
    above = x > _F(0.5)
    f = (x - _F(1)) * _F(0.5) if above else (x if x > _SMALL_S else _SMALL_S)
    big = LOG2_S + f if above else _F(0)
    lost = (LOG2_S - big) + f if above else x
    tail = fma(log_tail_single(f), f, _F(-0.5))
    return big + fma(f * tail, f, lost)


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
    f, e = split_single(u)
    return log_sum_single(f, _F(e), u - u)


@block
def _log_normal_double(u: Scalar) -> Scalar:
    f, e = split_double(u)
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
    m, e = split_single(u)
    d = lowered_single(c, e)
    f = m + d
    return log_sum_single(f, _F(e), (d - (f - m)) + (u - u))


@block
def _log_pair_double(u: Scalar, c: Scalar) -> Scalar:
    m, e = split_double(u)
    d = lowered_double(c, e)
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
