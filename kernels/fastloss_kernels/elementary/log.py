"""Logarithms: no branch, no call, no table, so that LLVM makes vector code.

Every function ends in a sum of `log_core`. The largest errors are measured by
``tests/engine/elementary/test_exp_and_log.py`` and, over all float32, by ``make accuracy``.

`log` and `log1p` take every number; NaN reaches their result as an argument that is compared. The
others know the range of theirs and have less to do; there NaN reaches the result as ``u - u``,
since no bit pattern that went through integers keeps it.
"""

import numpy as np
from fastloss_kernels.compiler.jit import block, by_dtype
from fastloss_kernels.elementary.log_core import (
    LOG2_F32,
    accurate_log_sum_f32,
    log_sum,
    log_tail_f32,
    scaled_down,
    split,
)
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Scalar

_F = np.float32

# Where log(1 + x) is x to its last place the small term is taken of this instead: some processors
# take a hundred cycles to multiply a subnormal number.
_SMALL_F32 = _F(2.0**-100)


def _log1p_f32(x: Scalar) -> Scalar:
    u = _F(1) + x
    c = _F(1) - (u - x) if x > _F(1) else x - (u - _F(1))
    f, e = split(u)
    f, c = (x, _F(0)) if e == 0 else (f, c)  # 1 + x in [3/4, 3/2]: there x is f, and not rounded
    # log(1 + f + d) is d / (1 + f) more, and d so small that a parabola, 0.0133 off, will do.
    d = scaled_down(c, e)
    y = accurate_log_sum_f32(f, _F(e), fma(d, f * fma(f, _F(0.8533), _F(-1.0667)), d))
    y = y if x < _F(np.inf) else x
    y = y if x != _F(-1) else _F(-np.inf)
    return _F(np.nan) if x < _F(-1) else y


def _log1p_f64(x: Scalar) -> Scalar:
    u = 1.0 + x
    c = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    f, e = split(u)
    f, c = (x, 0.0) if e == 0 else (f, c)
    d = scaled_down(c, e)
    y = log_sum(f, e, fma(d, f * fma(f, 0.8533, -1.0667), d))
    y = y if x < np.inf else x
    y = y if x != -1.0 else -np.inf
    return np.nan if x < -1.0 else y


@by_dtype(_log1p_f32, _log1p_f64)
def log1p(x: Scalar) -> Scalar:
    """Return log(1 + x): -inf at -1, NaN below it, inf at inf. Error: below 1 ulp."""


def _log_f32(x: Scalar) -> Scalar:
    tiny = x < _F(1.1754944e-38)  # subnormal (or not positive): scale by 2^24 first
    f, e = split(x * _F(16777216.0) if tiny else x)
    y = accurate_log_sum_f32(f, _F(e) - (_F(24) if tiny else _F(0)), _F(0))
    y = y if x < _F(np.inf) else x
    y = y if x != _F(0) else _F(-np.inf)
    return _F(np.nan) if x < _F(0) else y


def _log_f64(x: Scalar) -> Scalar:
    tiny = x < 2.2250738585072014e-308  # subnormal (or not positive): scale by 2^54 first
    f, e = split(x * 18014398509481984.0 if tiny else x)
    y = log_sum(f, np.float64(e) - (54.0 if tiny else 0.0), 0.0)
    y = y if x < np.inf else x
    y = y if x != 0.0 else -np.inf
    return np.nan if x < 0.0 else y


@by_dtype(_log_f32, _log_f64)
def log(x: Scalar) -> Scalar:
    """Return log(x): -inf at 0, NaN below it, inf at inf. Error: below 1 ulp."""


def _log1p_01_f32(x: Scalar) -> Scalar:
    above = x > _F(0.5)
    f = (x - _F(1)) * _F(0.5) if above else (x if x > _SMALL_F32 else _SMALL_F32)
    big = LOG2_F32 + f if above else _F(0)
    lost = (LOG2_F32 - big) + f if above else x
    tail = fma(log_tail_f32(f), f, _F(-0.5))
    return big + fma(f * tail, f, lost)


def _log1p_01_f64(x: Scalar) -> Scalar:
    above = x > 0.5
    f = (x - 1.0) * 0.5 if above else x
    return log_sum(f, 1.0 if above else 0.0, 0.0)


@by_dtype(_log1p_01_f32, _log1p_01_f64)
def log1p_01(x: Scalar) -> Scalar:
    """Return log(1 + x) for x from 0 to 1, NaN at NaN. Error: below 1 ulp.

    1 + x, or its half, is 1 + f with an exact f: nothing has to be corrected.
    """


@block
def log_normal(u: Scalar) -> Scalar:
    """Return log(u) for a positive normal u, NaN at NaN. Error: below 1 ulp."""
    f, e = split(u)
    return log_sum(f, e, u - u)


@block
def log_double_word(u: Scalar, c: Scalar) -> Scalar:
    """Return log(u + c) for a positive normal u and a c of at most an ulp of it; NaN at NaN.

    u + c is a double-word number: with its rounding error c the relative error stays near 1 ulp
    also where u is nearly 1. What rounding takes from 1 + f is added to the logarithm as it is, not
    over 1 + f.
    """
    m, e = split(u)
    d = scaled_down(c, e)
    f = m + d
    return log_sum(f, e, (d - (f - m)) + (u - u))
