"""Anything array-like becomes the one form a kernel takes; every shape and dtype error.

Native float32 and float64 arrays stay as they are, half precision is seen as bits; everything else
is copied once. Which axes of it become which of a kernel's: see `layouts`.
"""

from typing import Any, TypeAlias

import numpy as np
from fastloss_kernels.overlaps import overlapped, overlaps_itself
from numpy.typing import ArrayLike, NDArray

from fastloss.layout import Array, Shape

FloatArray: TypeAlias = NDArray[np.floating[Any]]
DType: TypeAlias = np.dtype[Any]

FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_POLICIES = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def as_array(name: str, value: ArrayLike) -> Array:
    """Return `value` as an array of real numbers, uncopied if it is one; `name` is for errors."""
    array = value if type(value) is np.ndarray else _new_array(name, value)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        source = "" if isinstance(value, np.ndarray) else f" from a {type(value).__name__}"
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}{source}")
    return array


def _new_array(name: str, value: ArrayLike) -> Array:
    if _holds_masked(value):
        raise TypeError(f"{name} must be a plain array, got a masked array: pass mask= instead")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None


def _holds_masked(value: object, depth: int = 64) -> bool:
    """Return whether `value` is a masked array, or a list with one at any depth NumPy goes to.

    As part of a list NumPy takes what lies under the mask, and a masked element is NaN to it.
    """
    if isinstance(value, np.ma.MaskedArray):
        return True
    if not isinstance(value, list | tuple) or depth == 0:
        return False
    kinds = set(map(type, value))  # so that a million floats are looked at by one fast loop
    return any(issubclass(kind, np.ma.MaskedArray | list | tuple) for kind in kinds) and any(
        _holds_masked(item, depth - 1) for item in value
    )


def float_dtype(name: object) -> DType | None:
    """Return the float dtype called `name`, or that of a Keras policy; None for None."""
    if name is None:
        return None
    try:
        plain = np.dtype(name).name if isinstance(name, type | np.dtype) else str(name)
    except TypeError:  # an abstract type
        plain = ""
    plain = _POLICIES.get(plain, plain)
    if plain not in _FLOATS:
        raise ValueError(f"dtype must be None or one of {', '.join(_FLOATS)}, got {name!r}")
    dtype: DType
    if plain == "bfloat16":
        try:
            import ml_dtypes
        except ImportError as error:
            raise ImportError('dtype="bfloat16" needs the package ml_dtypes') from error
        dtype = np.dtype(ml_dtypes.bfloat16)
    else:
        dtype = np.dtype(plain)
    return dtype


def result_dtype(value: ArrayLike, array: Array) -> DType:
    """Return the float type a loss of predictions `value`, as an array `array`, comes in.

    float64 arrays (and wider) stay float64. Half precision, integers, booleans and Python lists
    become float32.
    """
    wide = array.itemsize >= 8 and array.dtype.kind == "f"
    return FLOAT64 if wide and not isinstance(value, list | tuple) else FLOAT32


def half_bits(array: Array) -> Array | None:
    """Return float16 as int16 and bfloat16 as uint16, the bits that kernels read; else None."""
    if array.itemsize != 2 or not (array.dtype.isnative and array.flags.aligned):
        return None
    kind = {"float16": np.int16, "bfloat16": np.uint16}.get(array.dtype.name)
    return None if kind is None else np.asarray(array).view(kind)


def convert(array: Array, dtype: DType) -> Array:
    """Return `array` as an aligned one of native `dtype`; what is too large becomes inf."""
    if array.dtype == dtype and array.flags.aligned:
        return array
    if array.dtype.kind in "iub":  # no integer is too large for what they become
        return array.astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(dtype)


def scalar(value: float, dtype: DType) -> np.floating[Any]:
    """Return `value` as a float of `dtype`; what is too large becomes inf."""
    number: np.floating[Any]
    if -65504.0 <= value <= 65504.0:  # the largest float16; no other float type has a smaller one
        number = dtype.type(value)
    else:
        number = convert(np.array([value]), dtype)[0]
    return number


def same_rank(y_true: Array, shape: Shape, takes_labels: bool) -> tuple[Array, Shape]:
    """Return y_true and y_pred's shape after the rank repair of Keras' loss classes.

    Where the ranks differ by one and the longer one ends in an axis of length 1, a shorter one of
    rank 1 is extended to (n, 1), else the longer one loses that axis. Labels are meant to have
    one axis less than y_pred, so there y_pred keeps its own.
    """
    gap = y_true.ndim - len(shape)
    if gap == 1 and y_true.shape[-1] == 1:
        return (y_true, (*shape, 1)) if len(shape) == 1 else (y_true[..., 0], shape)
    if gap == -1 and shape[-1] == 1 and y_true.ndim > 0 and not takes_labels:
        return (y_true[:, None], shape) if y_true.ndim == 1 else (y_true, shape[:-1])
    return y_true, shape


def dense_targets(y_true: Array, shape: Shape, dtype: DType, broadcast: bool) -> Array:
    """Return y_true with y_pred's `shape`, which it has or, if allowed, is broadcast to.

    Raises ValueError for any other shape.
    """
    targets = convert(y_true, dtype)
    if targets.shape != shape:
        wanted = "the same shape"
        if broadcast:
            wanted += " (or y_true one that broadcasts to that of y_pred)"
            lengths = (1,) * (len(shape) - targets.ndim) + targets.shape
            broadcast = fits(lengths, shape)
        if not broadcast:
            raise ValueError(
                f"y_true and y_pred must have {wanted}, got {targets.shape} and {shape}"
            )
        targets = np.broadcast_to(targets, shape)
    return targets


def fits(lengths: Shape, shape: Shape) -> bool:
    """Return whether `lengths` are those of `shape`, one by one, or 1."""
    return len(lengths) == len(shape) and all(
        a in (1, b) for a, b in zip(lengths, shape, strict=True)
    )


def check_out(out: object, y_pred: Array, working: DType, inputs: dict[str, Array | None]) -> None:
    """Raise unless `out` can receive the gradient for `y_pred`.

    It has y_pred's shape and the working dtype or y_pred's own, is native and writeable, and is
    y_pred itself or shares no memory with any of the `inputs`, of which y_pred is one.
    """
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    if out.shape != y_pred.shape:
        raise ValueError(f"out must have the shape of y_pred, {y_pred.shape}, got {out.shape}")
    own = working if y_pred.dtype.kind in "iub" else y_pred.dtype
    if out.dtype not in (working, own) or not out.dtype.isnative:
        wanted = working.name if own.name == working.name else f"{working.name} or {own.name}"
        got = out.dtype.name if out.dtype.isnative else out.dtype.str
        raise ValueError(f"out must have native dtype {wanted}, got {got}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array")
    if overlaps_itself(out):
        raise ValueError(f"out must not overlap itself, got strides {out.strides} for {out.shape}")
    name = overlapped(out, inputs, itself="y_pred")
    if name:
        raise ValueError(f"out must be y_pred itself or overlap no input, but overlaps {name}")
