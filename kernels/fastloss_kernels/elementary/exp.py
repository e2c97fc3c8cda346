"""Exponentials that LLVM turns into vector code: no branch, no call, no table.

Every function has one body for float32 and one for float64, chosen by the type of its argument.
Coefficients are Chebyshev fits in 50 digits (``tools/fit_elementary.py`` prints them). The largest
errors are measured by ``tests/engine/elementary/test_exp_and_log.py``.

Writing e^x as 2^n e^r with ``|r| <= log(2) / 2``: adding 1.5 * 2^(digits - 1) to ``x * log2(e)``
pushes the rounded n into the low bits of the sum, so n is read from the bit pattern and no float is
ever converted to an integer (undefined in LLVM for NaN and infinity). ``n * log(2)`` is taken off
in two parts; the first step is exact under fma, because x and the leading part of log(2) are
multiples of the same power of two and the difference is below 1/2. In Horner's rule the last two
steps round: e^r, and the slope that r multiplies; with the rounding of r itself that stays below an
ulp, and each operation less is a fortieth of the time of a crossentropy.
"""

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.compiler.overloads import inlined
from fastloss_kernels.simd.scalar import bits, fma, from_bits
from fastloss_kernels.typing import Scalar
from numba import types

_F, _I = np.float32, np.int32

# float32: magic = 1.5 * 2^23, exponent field at bit 23 with bias 127.
_LOG2E_S, _LN2_HI_S, _LN2_LO_S = _F(1.4426950408889634), _F(0.6931471824645996), _F(-1.9046542e-09)

_MAGIC_S, _MAGIC_BITS_S, _FIELD_S, _BIAS_S = _F(12582912.0), _I(0x4B400000), _I(23), _I(127)

_EXP_S = (
    _F(0.5),
    _F(0.16666576266288757),
    _F(0.041666556149721146),
    _F(0.008363178931176662),
    _F(0.0013926184037700295),
)

# float64: magic = 1.5 * 2^52, exponent field at bit 52 with bias 1023.
_LOG2E_D, _LN2_HI_D, _LN2_LO_D = 1.4426950408889634, 0.6931471805599453, 2.3190468138462996e-17

_MAGIC_D, _MAGIC_BITS_D, _FIELD_D, _BIAS_D = 6755399441055744.0, 0x4338000000000000, 52, 1023

_EXP_D = (
    0.5,
    0.1666666666666667,
    0.04166666666666667,
    0.008333333333326136,
    0.0013888888888883748,
    0.00019841269874820627,
    2.4801587325547743e-05,
    2.7557255400206422e-06,
    2.75572736431103e-07,
    2.5105217004720745e-08,
    2.0914686968086876e-09,
)


@block
def _exp_parts_single(x: Scalar) -> tuple[Scalar, Scalar]:
    """Return (e^r, bits of n + magic) for ``|x| < 2^21``."""
    t = fma(x, _LOG2E_S, _MAGIC_S)
    n = t - _MAGIC_S
    r = fma(n, -_LN2_LO_S, fma(n, -_LN2_HI_S, x))
    q = fma(_EXP_S[4], r, _EXP_S[3])
    q = fma(q, r, _EXP_S[2])
    q = fma(q, r, _EXP_S[1])
    q = fma(q, r, _EXP_S[0])
    return fma(fma(q, r, _F(1)), r, _F(1)), bits(t)


@block
def _exp_parts_double(x: Scalar) -> tuple[Scalar, Scalar]:
    """Return (e^r, bits of n + magic) for ``|x| < 2^50``."""
    t = fma(x, _LOG2E_D, _MAGIC_D)
    n = t - _MAGIC_D
    r = fma(n, -_LN2_LO_D, fma(n, -_LN2_HI_D, x))
    q = fma(_EXP_D[10], r, _EXP_D[9])
    q = fma(q, r, _EXP_D[8])
    q = fma(q, r, _EXP_D[7])
    q = fma(q, r, _EXP_D[6])
    q = fma(q, r, _EXP_D[5])
    q = fma(q, r, _EXP_D[4])
    q = fma(q, r, _EXP_D[3])
    q = fma(q, r, _EXP_D[2])
    q = fma(q, r, _EXP_D[1])
    q = fma(q, r, _EXP_D[0])
    return fma(fma(q, r, 1.0), r, 1.0), bits(t)


@block
def _exp_bounded_single(x: Scalar) -> Scalar:
    p, t = _exp_parts_single(x)
    return from_bits(_I(bits(p) + _I(t << _FIELD_S)))


@block
def _exp_bounded_double(x: Scalar) -> Scalar:
    p, t = _exp_parts_double(x)
    return from_bits(bits(p) + (t << _FIELD_D))


def exp_bounded(x: Scalar) -> Scalar:
    """Return e^x where the result is a normal number: ``|x| <= 87`` (float32), 708 (float64).

    Any other x, NaN included, gives a meaningless number. Error: below 1 ulp.
    """
    return _exp_bounded_single(x) if x.dtype == _F else _exp_bounded_double(x)


inlined(exp_bounded)(
    lambda x: (
        (lambda x: _exp_bounded_single(x))
        if x == types.float32
        else (lambda x: _exp_bounded_double(x))
    )
)


@block
def _exp_scaled_single(x: Scalar, k: int) -> Scalar:
    # -2^20 is far below any x that matters; a NaN fails the comparison and goes through.
    p, t = _exp_parts_single(_F(-1048576.0) if x < _F(-1048576.0) else x)
    n = _I(_I(t - _MAGIC_BITS_S) - _I(k))
    n = _I(min(max(n, _I(-254)), _I(254)))
    half = _I(n >> _I(1))
    rest = _I(n - half)
    low = from_bits(_I(_I(half + _BIAS_S) << _FIELD_S))
    return (p * low) * from_bits(_I(_I(rest + _BIAS_S) << _FIELD_S))


@block
def _exp_scaled_double(x: Scalar, k: int) -> Scalar:
    p, t = _exp_parts_double(-1099511627776.0 if x < -1099511627776.0 else x)
    n = min(max(t - _MAGIC_BITS_D - k, -2046), 2046)
    half = n >> 1
    low = from_bits((half + _BIAS_D) << _FIELD_D)
    return (p * low) * from_bits((n - half + _BIAS_D) << _FIELD_D)


def exp_scaled(x: Scalar, k: int) -> Scalar:
    """Return e^x 2^-k for |x| up to 2^16 (float32), 2^40 (float64); e^-inf is 0, NaN stays NaN.

    The power of two is put on in two halves, each of them a normal number, so that subnormal
    results are rounded once and n may exceed the exponents of the type; what is 0 is a product of
    zeros, for some processors take a hundred cycles to find out that a product is too small. Error:
    below 1 ulp while the result is normal, and then the bits are those of `exp_bounded` times 2^-k.
    """
    return _exp_scaled_single(x, k) if x.dtype == _F else _exp_scaled_double(x, k)


inlined(exp_scaled)(
    lambda x, k: (
        (lambda x, k: _exp_scaled_single(x, k))
        if x == types.float32
        else (lambda x, k: _exp_scaled_double(x, k))
    )
)


@block
def _exp_single(x: Scalar) -> Scalar:
    return _exp_scaled_single(_F(90) if x > _F(90) else x, 0)


@block
def _exp_double(x: Scalar) -> Scalar:
    return _exp_scaled_double(711.0 if x > 711.0 else x, 0)


def exp(x: Scalar) -> Scalar:
    """Return e^x for every x: 0 at -inf, inf from 88.73 (709.79) on, NaN at NaN.

    Error: below 1 ulp.
    """
    return _exp_single(x) if x.dtype == _F else _exp_double(x)


inlined(exp)(
    lambda x: (lambda x: _exp_single(x)) if x == types.float32 else (lambda x: _exp_double(x))
)


@block
def _exp_falling_single(x: Scalar) -> Scalar:
    x = _F(-126) if x < _F(-126) else x
    p, t = _exp_parts_single(x)
    return fma(from_bits(_I(bits(p) + _I(_I(t + _I(64)) << _FIELD_S))), _F(2.0**-64), x - x)


@block
def _exp_falling_double(x: Scalar) -> Scalar:
    x = -800.0 if x < -800.0 else x
    p, t = _exp_parts_double(x)
    return fma(from_bits(bits(p) + ((t + 512) << _FIELD_D)), 2.0**-512, x - x)


def exp_falling(x: Scalar) -> Scalar:
    """Return e^x for x up to 0: 0 at -inf, NaN at NaN. Error: below 1 ulp.

    2^n is put on in two steps, 2^(n + 64) as integers are added and 2^-64 as a factor (512 for
    float64): a subnormal result is rounded once. x - x, which is 0, keeps NaN.
    """
    return _exp_falling_single(x) if x.dtype == _F else _exp_falling_double(x)


inlined(exp_falling)(
    lambda x: (
        (lambda x: _exp_falling_single(x))
        if x == types.float32
        else (lambda x: _exp_falling_double(x))
    )
)
