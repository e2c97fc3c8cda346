"""Scalar operations that Numba does not offer, each beside the Python that computes the same.

Under ``NUMBA_DISABLE_JIT=1`` the Python bodies run; compiled code gets the LLVM instructions.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.intrinsics import compiled
from fastloss_kernels.typing import Scalar
from numba import types


def fma(a: Scalar, b: Scalar, c: Scalar) -> Scalar:
    """Return a * b + c, rounded once (in plain Python: float32 nearly so, float64 twice)."""
    return type(a)(np.float64(a) * np.float64(b) + np.float64(c))


@compiled(fma)
def _fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, a, a), codegen


def horner(x: Scalar, coefficients: tuple[Scalar, ...]) -> Scalar:
    """Return a polynomial, constant term first, by Horner's rule in fused multiply-adds."""
    value = coefficients[-1]
    for term in coefficients[-2::-1]:
        value = fma(value, x, term)
    return value


@compiled(horner)
def _horner(typingctx: Any, x: Any, coefficients: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        terms = [builder.extract_value(args[1], k) for k in range(len(coefficients))]
        value = terms.pop()
        while terms:
            value = builder.fma(value, args[0], terms.pop())
        return value

    return x(x, coefficients), codegen


EXPONENT_F32, EXPONENT_F64 = np.int32(23), 52
"""The lowest bit of the exponent in a float's bit pattern."""
BIAS_F32, BIAS_F64 = np.int32(127), 1023
"""The exponent field of 1."""


def bits(x: Scalar) -> Any:
    """Return the bit pattern of a float as a signed integer of the same width."""
    return x.view(np.int32) if isinstance(x, np.float32) else np.float64(x).view(np.int64)


def from_bits(i: Any) -> Scalar:
    """Return the float whose bit pattern is the integer `i`."""
    return i.view(np.float32) if isinstance(i, np.int32) else np.int64(i).view(np.float64)


_PAIRS: dict[Any, Any] = {
    types.float32: types.int32,
    types.float64: types.int64,
    types.int32: types.float32,
    types.int64: types.float64,
}


@compiled(bits)
@compiled(from_bits)
def _bitcast(typingctx: Any, x: Any) -> Any:
    to = _PAIRS[x]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(to))

    return to(x), codegen


def wrap_int(i: Any, like: Any) -> Any:
    """Return the integer `i` wrapped to the width of `like`: integer arithmetic has widened it."""
    return type(like)(i)


@compiled(wrap_int)
def _wrap_int(typingctx: Any, i: Any, like: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], i, like)

    return like(i, like), codegen


TINY_F32, TINY_F64 = (float(np.finfo(kind).tiny) for kind in (np.float32, np.float64))
"""The smallest normal numbers."""
EPS_F32, EPS_F64 = (float(np.finfo(kind).eps) for kind in (np.float32, np.float64))
"""Distances from 1 to the next larger number."""


def itemsize(like: Any) -> int:
    """Return the bytes of an element of `like`, an array: known at compile time, not read of it."""
    return int(like.itemsize)


@compiled(itemsize)
def _itemsize(typingctx: Any, like: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, like.dtype.bitwidth // 8)

    return types.intp(like), codegen
