"""The core of every logarithm: log(1 + f) + e log(2), small terms first, as vector code.

``tools/fit_elementary.py`` prints the coefficients. A number is 2^e (1 + f) with f in [-1/4, 1/2],
f exact or rounded once. What the sum of the two large terms, f and e log(2), loses is added back
with the small ones. Integer arithmetic and additions cost next to nothing beside multiplications,
of which a processor does fewer at a time: there are as few as can be.
"""

from typing import Any

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

_LEAST_F32, _LEAST_F64 = _I(0x3F400000), 0x3FE8000000000000  # bits of 3/4

# log(2) rounded to float32 is so near log(2), by luck, that e = 127 takes 0.03 ulp from 127 log(2).
LOG2_F32 = _F(0.6931471805599453)

_LOG_F32 = (
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
_ACCURATE_F32 = (
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

_LOG2_HI_F64, _LOG2_LO_F64 = 0.6931471805598903, 5.497923018708371e-14  # 42 bits: e * hi is exact

_LOG_F64 = (
    0.6666666666666666,
    0.40000000000008945,
    0.28571428566828483,
    0.22222223122221121,
    0.18181731878529966,
    0.15389095448433648,
    0.13205269171552392,
    0.13642832517558282,
)


def _split_f32(u: Scalar) -> Any:
    e = _I(_I(bits(u) - _LEAST_F32) >> EXPONENT_F32)
    return from_bits(_I(bits(u) - _I(e << EXPONENT_F32))) - _F(1), e


def _split_f64(u: Scalar) -> Any:
    e = (bits(u) - _LEAST_F64) >> EXPONENT_F64
    return from_bits(bits(u) - (e << EXPONENT_F64)) - 1.0, e


@by_dtype(_split_f32, _split_f64)
def split(u: Scalar) -> Any:
    """Return (f, e) of the normal number ``u = 2^e (1 + f)``."""


def _scaled_down_f32(c: Scalar, e: Scalar) -> Scalar:
    return c * from_bits(_I(_I(BIAS_F32 - min(e, _I(126))) << EXPONENT_F32))


def _scaled_down_f64(c: Scalar, e: Scalar) -> Scalar:
    return c * from_bits((BIAS_F64 - min(e, 1022)) << EXPONENT_F64)


@by_dtype(_scaled_down_f32, _scaled_down_f64)
def scaled_down(c: Scalar, e: Scalar) -> Scalar:
    """Return c 2^-e. An e above 126 (1022) counts as that: c is nothing to 2^e (1 + f) then."""


@block
def log_tail_f32(f: Scalar) -> Scalar:
    """Return (log(1 + f) - f + f^2/2) / f^3."""
    return horner(f, _LOG_F32)


@block
def sum_with_tail_f32(f: Scalar, e: Scalar, tail: Scalar, rest: Scalar) -> Scalar:
    """Return f + f^2 tail + e log(2) + rest, all float32."""
    big = fma(e, LOG2_F32, f)
    lost = fma(e, LOG2_F32, -big) + f
    return big + fma(f * f, tail, lost + rest)


@block
def accurate_log_sum_f32(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest, with the half of f^2 not rounded on its own."""
    q = horner(f, _ACCURATE_F32)
    z = f * f
    big = fma(e, LOG2_F32, f)
    lost = fma(e, LOG2_F32, -big) + f
    return big + (lost + fma(z * f, q, fma(_F(-0.5), z, rest)))


def _log_sum_f32(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    return sum_with_tail_f32(f, _F(e), fma(log_tail_f32(f), f, _F(-0.5)), rest)


def log_sum_f64(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest in float64, for f in [-0.336, 1/2]."""
    # With s = f / (2 + f): log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R(s^2))), a form in
    # which the rounding of s only touches the small terms.
    e = np.float64(e)
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    small = fma(s, fma(horner(z, _LOG_F64), z, half), fma(e, _LOG2_LO_F64, rest)) - half
    big = fma(e, _LOG2_HI_F64, f)
    lost = fma(e, _LOG2_HI_F64, -big) + f
    return big + (lost + small)


@by_dtype(_log_sum_f32, log_sum_f64)
def log_sum(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest: in float32 two multiplications less than accurately."""
