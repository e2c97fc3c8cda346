"""Exponentials that LLVM turns into vector code: no branch, no call, no table.

Every function has one body for float32 and one for float64. Coefficients are Chebyshev fits in 50
digits (``tools/fit_elementary.py`` prints them). The largest errors are measured by
``tests/engine/elementary/test_exp_and_log.py``.

Range reduction: e^x = 2^n e^r with ``|r| <= log(2) / 2``. Adding 1.5 * 2^(digits - 1) to
``x * log2(e)`` pushes the rounded n into the low bits of the sum, so n is read from the bit pattern
and no float is ever converted to an integer (undefined in LLVM for NaN and infinity).
``n * log(2)`` is subtracted in two parts; the first step is exact under fma, because x and the
leading part of log(2) are multiples of the same power of two and the difference is below 1/2. In
Horner's rule the last two steps round: e^r, and the slope that r multiplies; with the rounding of r
itself that stays below an ulp, and each operation less is a fortieth of the time of a crossentropy.
"""

import numpy as np
from fastloss_kernels.compiler.jit import block, by_dtype
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
from fastloss_kernels.typing import Scalar

_F, _I = np.float32, np.int32

# float32: magic = 1.5 * 2^23.
_LOG2E_F32 = _F(1.4426950408889634)
_LN2_HI_F32, _LN2_LO_F32 = _F(0.6931471824645996), _F(-1.9046542e-09)
_MAGIC_F32, _MAGIC_BITS_F32 = _F(12582912.0), _I(0x4B400000)

_EXP_F32 = (
    _F(0.5),
    _F(0.16666576266288757),
    _F(0.041666556149721146),
    _F(0.008363178931176662),
    _F(0.0013926184037700295),
)

# float64: magic = 1.5 * 2^52.
_LOG2E_F64 = 1.4426950408889634
_LN2_HI_F64, _LN2_LO_F64 = 0.6931471805599453, 2.3190468138462996e-17
_MAGIC_F64, _MAGIC_BITS_F64 = 6755399441055744.0, 0x4338000000000000

_EXP_F64 = (
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
def _reduced_f32(x: Scalar) -> tuple[Scalar, Scalar]:
    """Return (e^r, bits of n + magic) for ``|x| < 2^21``."""
    t = fma(x, _LOG2E_F32, _MAGIC_F32)
    n = t - _MAGIC_F32
    r = fma(n, -_LN2_LO_F32, fma(n, -_LN2_HI_F32, x))
    return fma(fma(horner(r, _EXP_F32), r, _F(1)), r, _F(1)), bits(t)


@block
def _reduced_f64(x: Scalar) -> tuple[Scalar, Scalar]:
    """Return (e^r, bits of n + magic) for ``|x| < 2^50``."""
    t = fma(x, _LOG2E_F64, _MAGIC_F64)
    n = t - _MAGIC_F64
    r = fma(n, -_LN2_LO_F64, fma(n, -_LN2_HI_F64, x))
    return fma(fma(horner(r, _EXP_F64), r, 1.0), r, 1.0), bits(t)


def _exp_in_range_f32(x: Scalar) -> Scalar:
    p, t = _reduced_f32(x)
    return from_bits(_I(bits(p) + _I(t << EXPONENT_F32)))


def _exp_in_range_f64(x: Scalar) -> Scalar:
    p, t = _reduced_f64(x)
    return from_bits(bits(p) + (t << EXPONENT_F64))


@by_dtype(_exp_in_range_f32, _exp_in_range_f64)
def exp_in_range(x: Scalar) -> Scalar:
    """Return e^x where the result is a normal number: ``|x| <= 87`` (float32), 708 (float64).

    Any other x, NaN included, gives a meaningless number. Error: below 1 ulp.
    """


def _exp_scaled_f32(x: Scalar, k: int) -> Scalar:
    # -2^20 is far below any x that matters; a NaN fails the comparison and goes through.
    p, t = _reduced_f32(_F(-1048576.0) if x < _F(-1048576.0) else x)
    n = _I(_I(t - _MAGIC_BITS_F32) - _I(k))
    n = _I(min(max(n, _I(-254)), _I(254)))
    half = _I(n >> _I(1))
    rest = _I(n - half)
    low = from_bits(_I(_I(half + BIAS_F32) << EXPONENT_F32))
    return (p * low) * from_bits(_I(_I(rest + BIAS_F32) << EXPONENT_F32))


def _exp_scaled_f64(x: Scalar, k: int) -> Scalar:
    p, t = _reduced_f64(-1099511627776.0 if x < -1099511627776.0 else x)
    n = min(max(t - _MAGIC_BITS_F64 - k, -2046), 2046)
    half = n >> 1
    low = from_bits((half + BIAS_F64) << EXPONENT_F64)
    return (p * low) * from_bits((n - half + BIAS_F64) << EXPONENT_F64)


@by_dtype(_exp_scaled_f32, _exp_scaled_f64)
def exp_scaled(x: Scalar, k: int) -> Scalar:
    """Return e^x 2^-k for |x| up to 2^16 (float32), 2^40 (float64); e^-inf is 0, NaN stays NaN.

    The power of two is applied in two halves, each of them a normal number, so that subnormal
    results are rounded once and n may exceed the exponents of the type; a 0 is a product of zeros,
    since some processors take a hundred cycles to find out that a product underflows. Error: below
    1 ulp while the result is normal, and then the bits are those of `exp_in_range` times 2^-k.
    """


def _exp_f32(x: Scalar) -> Scalar:
    return exp_scaled(_F(90) if x > _F(90) else x, 0)


def _exp_f64(x: Scalar) -> Scalar:
    return exp_scaled(711.0 if x > 711.0 else x, 0)


@by_dtype(_exp_f32, _exp_f64)
def exp(x: Scalar) -> Scalar:
    """Return e^x for every x: 0 at -inf, inf from 88.73 (709.79) on, NaN at NaN.

    Error: below 1 ulp.
    """


def _exp_nonpositive_f32(x: Scalar) -> Scalar:
    x = _F(-126) if x < _F(-126) else x
    p, t = _reduced_f32(x)
    return fma(from_bits(_I(bits(p) + _I(_I(t + _I(64)) << EXPONENT_F32))), _F(2.0**-64), x - x)


def _exp_nonpositive_f64(x: Scalar) -> Scalar:
    x = -800.0 if x < -800.0 else x
    p, t = _reduced_f64(x)
    return fma(from_bits(bits(p) + ((t + 512) << EXPONENT_F64)), 2.0**-512, x - x)


@by_dtype(_exp_nonpositive_f32, _exp_nonpositive_f64)
def exp_nonpositive(x: Scalar) -> Scalar:
    """Return e^x for x up to 0: 0 at -inf, NaN at NaN. Error: below 1 ulp.

    2^n is applied in two steps: 2^(n + 64) by adding integers, then 2^-64 as a factor (512 for
    float64), so a subnormal result is rounded once. x - x, which is 0, keeps NaN.
    """
