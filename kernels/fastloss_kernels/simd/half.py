"""float16 and bfloat16 as bits: an int16 is a float16, a uint16 is a bfloat16.

Numba has neither on CPUs. Both are widened to float32, exactly, when read, and rounded to nearest
even when written, by integer arithmetic that LLVM turns into vector code everywhere. Most
processors have instructions for float16, which do the same; those for bfloat16 flush subnormals.
"""

import platform
from typing import Any

import numpy as np
from fastloss_kernels.compiler.intrinsics import compiled, cpu_features
from fastloss_kernels.compiler.jit import block, overload_block
from fastloss_kernels.simd.scalar import bits, from_bits
from fastloss_kernels.typing import Scalar
from llvmlite import ir
from numba import types

_F, _I = np.float32, np.int32

_INFINITY = _I(0x7F800000)


def _widened(h: Any) -> Scalar:
    """Return the float16 of these bits as a float32, by one instruction."""
    return np.float32(np.int16(h).view(np.float16))


@compiled(_widened)
def _extension(typingctx: Any, h: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.int16), codegen


def _narrowed(x: Scalar) -> Any:
    """Return the bits of x rounded to a float16, by one instruction."""
    return np.float16(x).view(np.int16)


@compiled(_narrowed)
def _truncation(typingctx: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.int16(types.float32), codegen


def _has_float16_instructions() -> bool:
    """Return whether the processor that is compiled for has the instructions of these two.

    Without them LLVM calls functions that are not there.
    """
    return "+f16c" in cpu_features() or platform.machine() in ("aarch64", "arm64")


@block
def _float16_to_float32(h: Any) -> Scalar:
    # The fields, shifted to their places in a float32, make a number that is 2^112 too small; that
    # holds for subnormals too.
    magnitude = _I(_I(h) & _I(0x7FFF))
    small = from_bits(_I(magnitude << _I(13)))
    special = from_bits(_I(_INFINITY | _I(magnitude << _I(13))))
    x = small * _F(2.0**112) if magnitude < _I(0x7C00) else special
    return -x if h < 0 else x


@block
def _bfloat16_to_float32(h: Any) -> Scalar:
    return from_bits(_I(_I(h) << _I(16)))


def widen(x: Any) -> Scalar:
    """Return an element of the predictions in the type of the computation."""
    if x.dtype == np.int16:
        return _float16_to_float32(x)
    return _bfloat16_to_float32(x) if x.dtype == np.uint16 else x


@block
def _float32_to_float16(x: Scalar) -> Any:
    magnitude = bits(abs(x))
    # Normal: 13 bits are rounded off to nearest even by adding half less one, and one more if the
    # kept bits are odd; a carry into the exponent is right, and from 65,520 on it is infinity.
    odd = _I(_I(magnitude >> _I(13)) & _I(1))
    rounded = _I(_I(_I(magnitude + _I(0xFFF)) + odd) >> _I(13))
    normal = min(_I(rounded - _I(112 << 10)), _I(0x7C00))
    # Subnormal: the last bit of a sum with 1/2 is worth 2^-24, as that of a subnormal float16 is.
    tiny = _I(bits(abs(x) + _F(0.5)) - bits(_F(0.5)))
    h = tiny if magnitude < _I(113 << 23) else normal
    h = _I(0x7E00) if magnitude > _INFINITY else h
    return np.int16(_I(h | _I(-0x8000)) if bits(x) < _I(0) else h)


@block
def _float32_to_bfloat16(x: Scalar) -> Any:
    b = bits(x)
    odd = _I(_I(b >> _I(16)) & _I(1))
    rounded = _I(_I(_I(b + _I(0x7FFF)) + odd) >> _I(16))
    quiet = _I(_I(b >> _I(16)) | _I(0x40))
    return np.uint16((rounded if x == x else quiet) & _I(0xFFFF))


def narrow(x: Scalar, like: Any) -> Any:
    """Return x in the type of the gradient's elements, of which `like` is one."""
    if like.dtype == np.int16:
        return _float32_to_float16(x)
    return _float32_to_bfloat16(x) if like.dtype == np.uint16 else x


@overload_block(widen)
def _widen(x: Any) -> Any:
    if x == types.int16:
        return (
            (lambda x: _widened(x))
            if _has_float16_instructions()
            else (lambda x: _float16_to_float32(x))
        )
    return (lambda x: _bfloat16_to_float32(x)) if x == types.uint16 else (lambda x: x)


@overload_block(narrow)
def _narrow(x: Any, like: Any) -> Any:
    if like == types.int16:
        return (
            (lambda x, like: _narrowed(x))
            if _has_float16_instructions()
            else (lambda x, like: _float32_to_float16(x))
        )
    return (
        (lambda x, like: _float32_to_bfloat16(x)) if like == types.uint16 else (lambda x, like: x)
    )
