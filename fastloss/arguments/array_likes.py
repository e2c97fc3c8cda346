"""Array-likes of other packages become NumPy arrays, or one sentence says how to make one of them.

A value is recognised by what it can do, not by its type: none of these packages is imported. A
frame of pandas or polars and a table of Arrow become an array (rows, columns). Missing values are
refused, as NumPy would make NaN of them, and what is computed later is not computed here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastloss.arguments.layout import Array

REAL = "fiub"
"""The kinds of dtype that hold real numbers."""
_NUMBERS = {float, int, bool}
_FRAMES = ("column_names", "get_columns", "iloc")
"""What only tables of Arrow, frames of polars and of pandas have, but for Series of pandas."""
_TO_ARRAYS = ("collect", "toarray", "as_py")
"""Methods that make arrays of polars' lazy frames, SciPy's sparse arrays and Arrow's scalars."""


def as_numpy(name: str, value: Any, depth: int = 64) -> Array:
    """Return `value`, the argument called `name`, as an array of any dtype, copied only if needed.

    Lists are searched down to NumPy's depth of 64.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array, got a masked array: pass mask= instead")
    if isinstance(value, list | tuple):
        return _numpy_converts(name, _with_arrays(name, value, depth))
    if isinstance(value, np.ndarray | np.generic | complex | float | int):
        return np.asarray(value)
    kind = type(value)  # not the value: the columns of a pandas frame are attributes too
    method = next((method for method in _TO_ARRAYS if hasattr(kind, method)), None)
    if hasattr(kind, "__dask_graph__") and value.__dask_graph__() is not None:
        raise TypeError(
            f"{name} must be an array of numbers in memory, got {_a(value)}: pass it to"
            f" fastloss.dask, which computes chunk by chunk, or pass {name}.compute()"
        )
    if method is not None:
        raise TypeError(
            f"{name} must be an array of numbers in memory, got {_a(value)}: pass {name}.{method}()"
        )
    if hasattr(kind, "requires_grad"):
        return _from_tensor(name, value)
    if getattr(value, "ndim", 2) == 2 and any(hasattr(kind, method) for method in _FRAMES):
        return _from_frame(name, value)
    if hasattr(kind, "null_count") and hasattr(kind, "type"):
        return _from_arrow(name, value)
    _refuse_missing(name, value)
    if hasattr(kind, "__dlpack__") and not hasattr(kind, "__array__"):
        return _numpy_converts(name, value, np.from_dlpack)
    return _numpy_converts(name, value)


def no_numbers(name: str, value: object, array: Array) -> TypeError:
    """Return the error for `array`, which NumPy made from `value` and which holds no numbers."""
    source = "" if isinstance(value, np.ndarray) else f" from {_a(value)}"
    return TypeError(
        f"{name} must hold real numbers, got dtype {array.dtype}{source}{_remedy(value, array)}"
    )


def _remedy(value: object, array: Array) -> str:
    """Return what stands in the way of numbers, and how to make them, as far as can be said."""
    if array.dtype != object or array.ndim == 0:
        return ""
    for index, item in np.ndenumerate(array):
        if isinstance(item, list | tuple | np.ndarray):
            return ", whose elements are lists: pass np.stack(np.asarray(...)) of equal lengths"
        if not hasattr(item, "__float__"):
            place = index[0] if array.ndim == 1 else tuple(map(int, index))
            return f", whose element {place} is {item!r}"
    if hasattr(type(value), "iloc"):
        return ": pass .to_numpy(float)"
    return ": pass np.asarray(..., float)"


def _a(value: object) -> str:
    kind = type(value).__name__
    return f"an {kind}" if kind[0] in "AEIOUaeiou" else f"a {kind}"


def _numpy_converts(name: str, value: Any, convert: Any = np.asarray) -> Array:
    """Return `convert(value)`, with the argument's name in the error of any package."""
    try:
        array: Array = convert(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    except (TypeError, RuntimeError, AttributeError, BufferError, NotImplementedError) as error:
        raise TypeError(f"{name} must hold real numbers, got {_a(value)}: {error}") from error
    return array


def _with_arrays(name: str, items: Sequence[Any], depth: int) -> Sequence[Any]:
    """Return a list, or one of lists, with the arrays of other packages in it converted by us.

    NumPy would take the data below the mask of a masked array, and NaN for a missing value.
    """
    kinds = set(map(type, items))  # one fast loop over a million floats
    if kinds <= _NUMBERS or depth == 0:
        return items
    ours = {kind for kind in kinds if _is_foreign(kind)}
    if not ours:
        return items
    return [
        item
        if type(item) not in ours
        else _with_arrays(name, item, depth - 1)
        if isinstance(item, list | tuple)
        else as_numpy(name, item, depth - 1)
        for item in items
    ]


def _is_foreign(kind: type) -> bool:
    """Return whether an item of a list of this type needs a look by `as_numpy`."""
    if issubclass(kind, np.ndarray | np.generic):
        return issubclass(kind, np.ma.MaskedArray)
    return (
        issubclass(kind, list | tuple) or hasattr(kind, "__array__") or hasattr(kind, "__dlpack__")
    )


def _from_tensor(name: str, tensor: Any) -> Array:
    """Return the memory of a torch tensor."""
    obstacles, steps = [], ""
    if tensor.requires_grad:
        obstacles.append("that requires a gradient")
        steps += ".detach()"
    if tensor.device.type != "cpu":
        obstacles.append(f"on device {tensor.device}")
        steps += ".cpu()"
    if steps:
        raise TypeError(
            f"{name} must be an array in the CPU's memory that requires no gradient, got"
            f" {_a(tensor)} {' and '.join(obstacles)}: pass {name}{steps}"
        )
    if str(tensor.dtype) != "torch.bfloat16":
        return _numpy_converts(name, tensor)
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(
            f"{name} of bfloat16 needs the package ml_dtypes: install it or pass {name}.float()"
        ) from error
    int16 = tensor.new_empty(0).short().dtype  # torch's own, without an import of torch
    return np.asarray(tensor.view(int16)).view(ml_dtypes.bfloat16)


def _from_frame(name: str, frame: Any) -> Array:
    """Return a table of Arrow, or a frame of pandas or polars, as an array (rows, columns)."""
    if hasattr(type(frame), "column_names"):  # Arrow
        columns = zip(frame.column_names, frame.columns, strict=True)
    elif hasattr(type(frame), "get_columns"):  # polars
        columns = zip(frame.columns, frame.get_columns(), strict=True)
    else:  # pandas, which converts columns of one dtype of NumPy's without a copy
        dtypes = set(frame.dtypes)
        if len(dtypes) == 1 and all(isinstance(d, np.dtype) and d.kind in REAL for d in dtypes):
            return np.asarray(frame)
        columns = frame.items()
    arrays = [_column(f"{name}[{label!r}]", column) for label, column in columns]
    return np.stack(arrays, axis=-1) if arrays else np.empty((len(frame), 0))


def _column(name: str, column: Any) -> Array:
    """Return the numbers of one column of a frame."""
    array = as_numpy(name, column)
    if array.dtype.kind not in REAL:
        raise no_numbers(name, column, array)
    if array.ndim != 1:
        raise TypeError(
            f"{name} must hold one number for each row, got lists of shape {array.shape[1:]}: pass"
            " this column alone"
        )
    return array


def _from_arrow(name: str, array: Any) -> Array:
    """Return the values of an array of Arrow, or of a column that is one or several of them."""
    if hasattr(type(array), "combine_chunks"):
        array = array.combine_chunks()
    _refuse_missing(name, array)
    if hasattr(type(array), "to_numpy_ndarray"):  # of tensors
        return _numpy_converts(name, array, type(array).to_numpy_ndarray)
    if hasattr(array.type, "list_size"):
        items = as_numpy(name, array.flatten())
        return items.reshape(len(array), array.type.list_size, *items.shape[1:])
    return _numpy_converts(name, array)


def _refuse_missing(name: str, column: Any) -> None:
    """Raise ValueError if a column of pandas, polars or Arrow has missing values."""
    kind, count, fill = type(column), 0, "fill_null"
    if hasattr(kind, "null_count"):
        count = column.null_count  # Arrow: the number
        if callable(count):  # polars
            lists = hasattr(column.dtype, "shape")  # of a fixed size
            count = (column.reshape((-1,)) if lists else column).null_count()
    elif hasattr(kind, "isna") and not isinstance(column.dtype, np.dtype):  # pandas
        count, fill = int(np.count_nonzero(column.isna())), "fillna"
    if count:
        raise ValueError(
            f"{name} must have no missing values, got {count} in {_a(column)}: fill them, as"
            f" with .{fill}(0); mask= leaves their places out"
        )
