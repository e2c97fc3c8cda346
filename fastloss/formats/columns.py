"""Columns in Arrow's memory as NumPy arrays: what .parquet and .csv files share."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.errors import FileError
from fastloss.formats.members import listed

if TYPE_CHECKING:
    import pyarrow as pa


def chosen(path: object, member: str | None, names: list[str]) -> list[str]:
    """Return the names of the columns that `member` names, by commas; None for all.

    >>> chosen("a.csv", "x,y", ["x", "y", "z"]), chosen("a.csv", "x,y", ["x", "y", "x,y"])
    (['x', 'y'], ['x,y'])
    """
    wanted = names if member is None else [member] if member in names else member.split(",")
    counts = Counter(names)
    for name in wanted:
        if counts[name] != 1:
            many = f"{counts[name]} columns" if counts[name] else "no column"
            raise FileError(f"{path}: has {many} {name!r}; its columns: {listed(names)}")
    return wanted


def joined(
    name: str, columns: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any], first: int
) -> NDArray[Any]:
    """Return the rows of a record batch as an array (rows, *shape).

    Parameters
    ----------
    name : str
        The file, for messages.
    columns : list of pyarrow.Array
        One that holds lists, or several of numbers.
    shape : tuple of int
        The shape of a row: of the lists, (number of columns,), or () for one column of numbers.
    dtype : dtype
        The dtype of the result.
    first : int
        The number of the first row, for messages.
    """
    if len(columns) == 1:
        return _numbers(name, columns[0], shape, first).astype(dtype, copy=False)
    block = np.empty((len(columns[0]), *shape), dtype)
    for index, column in enumerate(columns):
        block[:, index] = _numbers(name, column, (), first)
    return block


def _numbers(name: str, column: pa.Array, shape: tuple[int, ...], first: int) -> NDArray[Any]:
    """Return the numbers of one column, whose rows are lists of `shape`."""
    rows = len(column)
    items, lengths, inner = column, shape, 1
    if hasattr(column, "storage"):  # of tensors, which are stored as flat lists
        items, lengths = column.storage, (math.prod(shape),)
    for length in lengths:
        refuse_nulls(name, items, inner, first)
        if hasattr(items, "value_lengths"):
            found = items.value_lengths().to_numpy(zero_copy_only=False)
            odd = np.flatnonzero(found != length)
            if odd.size:
                raise FileError(
                    f"{name}: lists must have one length: row {first + odd[0] // inner} has "
                    f"{found[odd[0]]} numbers, not {length}"
                )
        items = items.flatten()
        inner *= length
    refuse_nulls(name, items, inner, first)
    numbers: NDArray[Any] = items.to_numpy(zero_copy_only=False)
    return numbers.reshape(rows, *shape)


def refuse_nulls(name: str, items: pa.Array, in_a_row: int, first: int) -> None:
    """Raise FileError for the first null, with its row; there are so many items in each."""
    if items.null_count:
        index = int(np.flatnonzero(items.is_null().to_numpy(zero_copy_only=False))[0])
        raise FileError(f"{name}: row {first + index // max(1, in_a_row)} has no value (null)")
