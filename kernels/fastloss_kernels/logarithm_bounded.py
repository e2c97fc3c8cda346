"""Logarithms of numbers of a known range, each with less to do than that of every number.

They are vector code like those of `logarithm`, and measured with them. NaN reaches the result as
``u - u``, since no bit pattern that went through integers keeps it.
"""

import numpy as np
from numba import types

from fastloss_kernels.intrinsics import fma, inlined
from fastloss_kernels.jit import block
from fastloss_kernels.logsum import (
    LOG2_S,
    log_sum_double,
    log_sum_single,
    log_tail_single,
    lowered_double,
    lowered_single,
    split_double,
    split_single,
)
from fastloss_kernels.typing import Scalar

_F = np.float32
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
