"""Arrays as kernels take them; errors for shapes and dtypes. `array_likes` has other packages'.

Native float32 and float64 arrays are used as they are, float16 and bfloat16 arrays as views of
their bits. Everything else is copied once. `layout` maps axes to those of a kernel.
"""

from typing import Any, TypeAlias, get_args

import numpy as np
from fastloss_kernels.overlap import overlapped, overlaps_itself
from numpy.typing import ArrayLike

from fastloss.arguments.array_likes import REAL, as_numpy, no_numbers
from fastloss.arguments.layout import Array, Layout, Shape
from fastloss.typing import DTypeName, FloatArray

DType: TypeAlias = np.dtype[Any]

FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)

_FLOATS = get_args(DTypeName)
_POLICIES = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def as_array(name: str, value: ArrayLike) -> Array:
    """Return `value` as an array of real numbers, without a copy if it is one.

    `name` is the argument's name, for error messages.
    """
    array = value if type(value) is np.ndarray else as_numpy(name, value)
    if array.dtype.kind not in REAL and array.dtype.name != "bfloat16":
        raise no_numbers(name, value, array)
    return array


def float_dtype(name: object) -> DType | None:
    """Return the float dtype of a name, a type or a Keras dtype policy; None for None."""
    if name is None:
        return None
    try:
        dtype_name = np.dtype(name).name if isinstance(name, type | np.dtype) else str(name)
    except TypeError:  # an abstract type
        dtype_name = ""
    dtype_name = _POLICIES.get(dtype_name, dtype_name)
    if dtype_name not in _FLOATS:
        raise ValueError(f"dtype must be None or one of {', '.join(_FLOATS)}, got {shown(name)}")
    dtype: DType
    if dtype_name == "bfloat16":
        try:
            import ml_dtypes
        except ImportError as error:
            raise ImportError(
                'dtype="bfloat16" needs the package ml_dtypes: pip install ml_dtypes'
            ) from error
        dtype = np.dtype(ml_dtypes.bfloat16)
    else:
        dtype = np.dtype(dtype_name)
    return dtype


def shown(option: object) -> str:
    """Return how an error shows an option: an array, which may be long, by its shape."""
    if isinstance(option, np.ndarray) and option.ndim:
        shape = option.shape
        return f"an array of shape {shape}: data goes to a call of the loss, as fl.Poisson()(y, p)"
    return repr(option)


def result_dtype(value: ArrayLike, array: Array) -> DType:
    """Return the default dtype of the loss of predictions `value`, already converted to `array`.

    float64 for arrays of float64 or wider floats. float32 for half precision, integers, booleans
    and Python's own numbers and lists.
    """
    wide = array.itemsize >= 8 and array.dtype.kind == "f"
    own = isinstance(value, list | tuple) or type(value) is float  # of which np.float64 is a kind
    return FLOAT64 if wide and not own else FLOAT32


def half_bits(array: Array) -> Array | None:
    """Return float16 as int16 and bfloat16 as uint16, as kernels read their bits; else None."""
    if array.itemsize != 2 or not (array.dtype.isnative and array.flags.aligned):
        return None
    kind = {"float16": np.int16, "bfloat16": np.uint16}.get(array.dtype.name)
    return None if kind is None else np.asarray(array).view(kind)


def convert(array: Array, dtype: DType) -> Array:
    """Return `array` as an aligned array of native `dtype`; numbers too large for it become inf."""
    if array.dtype == dtype and array.flags.aligned:
        return array
    if array.dtype.kind in "iub":  # cannot raise a floating-point error
        return array.astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(dtype)


def scalar(value: float, dtype: DType) -> Any:
    """Return `value` as a NumPy scalar of `dtype`; a number too large for it becomes inf."""
    if -65504.0 <= value <= 65504.0:  # the range of float16, the narrowest of the float dtypes
        return dtype.type(value)
    return convert(np.array([value]), dtype)[0]


def squeeze_or_expand_to_same_rank(
    y_true: Array, shape: Shape, takes_labels: bool
) -> tuple[Array, Shape]:
    """Return y_true and y_pred's `shape` with equal ranks, as Keras' loss classes make them.

    This applies if the ranks differ by one and the last axis of the higher rank has length 1: an
    array of rank 1 is expanded to (n, 1); otherwise that last axis is squeezed. Labels have one
    axis less than y_pred by definition, so with labels y_pred keeps its shape.
    """
    gap = y_true.ndim - len(shape)
    if gap == 1 and y_true.shape[-1] == 1:
        return (y_true, (*shape, 1)) if len(shape) == 1 else (y_true[..., 0], shape)
    if gap == -1 and shape[-1] == 1 and y_true.ndim > 0 and not takes_labels:
        return (y_true[:, None], shape) if y_true.ndim == 1 else (y_true, shape[:-1])
    return y_true, shape


def dense_targets(y_true: Array, shape: Shape, dtype: DType, broadcast: bool) -> Array:
    """Return y_true as `dtype` in y_pred's `shape`, broadcast to it if `broadcast` allows that.

    Raises ValueError if y_true has another shape.
    """
    targets = convert(y_true, dtype)
    if targets.shape == shape:
        return targets
    wanted, hint = "the same shape", ""
    if broadcast:
        if broadcasts_to((1,) * (len(shape) - targets.ndim) + targets.shape, shape):
            return np.broadcast_to(targets, shape)
        wanted += " (or y_true one that broadcasts to that of y_pred)"
        hint = swapped_hint(targets.shape, shape)
    elif _lacks_one_axis(targets.shape, shape):
        hint = "; class labels are for sparse_categorical_crossentropy"
    raise ValueError(
        f"y_true and y_pred must have {wanted}, got {targets.shape} and {shape}:"
        f" y_true of shape {shape} fits{hint}"
    )


def swapped_hint(y_true: Shape, y_pred: Shape) -> str:
    """Return what to add to an error for these shapes if y_pred lacks just one axis of y_true.

    That is the shape of labels, or of targets that are broadcast, for predictions like y_true.
    """
    if not _lacks_one_axis(y_pred, y_true):
        return ""
    return (
        "; are they swapped? y_true comes first, as in Keras, where PyTorch takes it second;"
        " only the command line takes predictions first"
    )


def _lacks_one_axis(labels: Shape, shape: Shape) -> bool:
    """Return whether `labels` is `shape` without one axis, or with length 1 there."""
    return any(
        length > 1
        and labels in (shape[:axis] + shape[axis + 1 :], (*shape[:axis], 1, *shape[axis + 1 :]))
        for axis, length in enumerate(shape)
    )


def broadcasts_to(lengths: Shape, shape: Shape) -> bool:
    """Return whether both have the same rank and each of `lengths` is that of `shape`, or 1."""
    return len(lengths) == len(shape) and all(
        a in (1, b) for a, b in zip(lengths, shape, strict=True)
    )


def check_out(
    out: object,
    y_pred: Array,
    working: DType,
    inputs: dict[str, Array | None],
    name: str = "out",
    itself: str = "y_pred",
    argument: str = "y_pred",
) -> None:
    """Raise unless `out`, the argument called `name`, can receive a derivative for `y_pred`.

    It must have y_pred's shape, native byte order and either the working dtype or y_pred's dtype.
    It must be writeable, and be the input called `itself`, if that is one of the `inputs`, or share
    no memory with any of them. In messages y_pred has the name of the `argument`.
    """
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        hint = f": pass {name}.numpy(), which is the same memory" if hasattr(out, "numpy") else ""
        raise TypeError(f"{name} must be a NumPy array, got {type(out).__name__}{hint}")
    if out.shape != y_pred.shape:
        raise ValueError(
            f"{name} must have the shape of {argument}, {y_pred.shape}, got {out.shape}"
        )
    own = working if y_pred.dtype.kind in "iub" else y_pred.dtype
    if out.dtype not in (working, own) or not out.dtype.isnative:
        wanted = working.name if own.name == working.name else f"{working.name} or {own.name}"
        got = out.dtype.name if out.dtype.isnative else out.dtype.str
        raise ValueError(f"{name} must have native dtype {wanted}, got {got}")
    if not out.flags.writeable:
        raise ValueError(f"{name} must be writeable, got a read-only array")
    if overlaps_itself(out):
        raise ValueError(
            f"{name} must not overlap itself, got strides {out.strides} for {out.shape}"
        )
    other = overlapped(out, inputs, itself=itself)
    if other:
        allowed = (
            f"be {itself} itself or overlap no input" if itself else "overlap no other argument"
        )
        raise ValueError(f"{name} must {allowed}, but overlaps {other}")


def kernel_input(array: Array, layout: Layout, working: DType) -> Array:
    """Return predictions as kernels read them: a view of `array`, or a copy in the working dtype.

    Half precision is read by its bits.
    """
    halves = half_bits(array) if array.itemsize == 2 and working is FLOAT32 else None
    return layout.rows_of(convert(array, working) if halves is None else halves)


def kernel_output(out: FloatArray, layout: Layout, working: DType) -> FloatArray:
    """Return the array for what a kernel writes: a view of `out` if possible, else a new one."""
    halves = half_bits(out)
    if halves is not None and working == FLOAT32:
        rows = layout.rows_of(halves)
        if np.may_share_memory(rows, out):  # bits in a copy could not be converted back
            return rows
    if out.dtype == working and out.flags.aligned:
        return layout.rows_of(out)
    return np.empty(layout.shape3, working)


def complete(out: FloatArray, written: FloatArray, layout: Layout) -> None:
    """Copy what a kernel has `written` to `out`, unless it is a view of that."""
    if not np.may_share_memory(out, written):
        layout.restore(written, np.asarray(out).reshape(layout.shape))
