"""What every logarithm ends in: log(1 + f) + e log(2), small terms first, as vector code.

Each function has one body for float32 and one for float64. ``tools/fit_elementary.py`` prints the
coefficients. A number is 2^e (1 + f) with f in [-1/4, 1/2], f exact or rounded once. What the sum
of the two large terms, f and e log(2), loses goes back in with the small ones. Integer arithmetic
and additions cost next to nothing beside multiplications, of which a processor does fewer at a
time: there are as few as can be.
"""

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.simd.scalar import bits, fma, from_bits
from fastloss_kernels.typing import Scalar

_F, _I = np.float32, np.int32

_FIELD_S, _BIAS_S, _FIELD_D, _BIAS_D = _I(23), _I(127), 52, 1023  # of the exponent's bits

_LEAST_S = _I(0x3F400000)  # 3/4

# log(2) rounded to float32 is so near log(2), by luck, that e = 127 takes 0.03 ulp from 127 log(2).
LOG2_S = _F(0.6931471805599453)

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
def split_single(u: Scalar) -> tuple[Scalar, Scalar]:
    """Return (f, e) of the normal number ``u = 2^e (1 + f)``."""
    e = _I(_I(bits(u) - _LEAST_S) >> _FIELD_S)
    return from_bits(_I(bits(u) - _I(e << _FIELD_S))) - _F(1), e


@block
def split_double(u: Scalar) -> tuple[Scalar, Scalar]:
    """Return (f, e) of the normal number ``u = 2^e (1 + f)``."""
    e = (bits(u) - _LEAST_D) >> _FIELD_D
    return from_bits(bits(u) - (e << _FIELD_D)) - 1.0, e


@block
def lowered_single(c: Scalar, e: Scalar) -> Scalar:
    """Return c 2^-e. A larger e may count as 126: such a c is nothing to 2^e (1 + f)."""
    return c * from_bits(_I(_I(_BIAS_S - min(e, _I(126))) << _FIELD_S))


@block
def lowered_double(c: Scalar, e: Scalar) -> Scalar:
    """Return c 2^-e. A larger e may count as 1022: such a c is nothing to 2^e (1 + f)."""
    return c * from_bits((_BIAS_D - min(e, 1022)) << _FIELD_D)


@block
def log_tail_single(f: Scalar) -> Scalar:
    """Return (log(1 + f) - f + f^2/2) / f^3."""
    q = fma(_LOG_S[7], f, _LOG_S[6])
    q = fma(q, f, _LOG_S[5])
    q = fma(q, f, _LOG_S[4])
    q = fma(q, f, _LOG_S[3])
    q = fma(q, f, _LOG_S[2])
    q = fma(q, f, _LOG_S[1])
    return fma(q, f, _LOG_S[0])


@block
def careful_sum_single(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
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
    big = fma(e, LOG2_S, f)
    lost = fma(e, LOG2_S, -big) + f
    return big + (lost + fma(z * f, q, fma(_F(-0.5), z, rest)))


@block
def sum_single(f: Scalar, e: Scalar, tail: Scalar, rest: Scalar) -> Scalar:
    """Return f + f^2 tail + e log(2) + rest, all float32."""
    big = fma(e, LOG2_S, f)
    lost = fma(e, LOG2_S, -big) + f
    return big + fma(f * f, tail, lost + rest)


@block
def log_sum_single(f: Scalar, e: Scalar, rest: Scalar) -> Scalar:
    """Return log(1 + f) + e log(2) + rest, with two multiplications less."""
    return sum_single(f, e, fma(log_tail_single(f), f, _F(-0.5)), rest)


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
