"""The logarithms of every number: no branch, no call, no table, so that LLVM makes vector code.

Every function has one body for float32 and one for float64, chosen by the type of its argument,
and ends in a sum of `logsum`. The largest errors are measured by ``tests/test_elementary.py`` and,
over all float32, by ``make accuracy``. NaN reaches the result as an argument that is compared.
"""

import numpy as np
from numba import types

from fastloss_kernels.intrinsics import fma, inlined
from fastloss_kernels.jit import block
from fastloss_kernels.logsum import (
    careful_sum_single,
    log_sum_double,
    lowered_double,
    lowered_single,
    split_double,
    split_single,
)
from fastloss_kernels.typing import Scalar

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
