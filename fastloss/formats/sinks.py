"""Writers of arrays, found by suffix: .npy, .csv, .parquet, and "-" for CSV on standard output."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, contiguous_runs
from fastloss.formats.errors import FileError
from fastloss.formats.npy_sink import NpySink
from fastloss.formats.tables import STDOUT, Table, check_table, open_table

SUFFIXES = (".npy", ".csv", ".parquet", STDOUT)
_GROUP_BYTES = 1 << 22
"""About so many are written to a table at once: a row group of .parquet."""


class Sink(Protocol):
    """An array that is written chunk by chunk; `with` completes it, or removes it on an error."""

    def write(self, chunk: Chunk, block: NDArray[Any]) -> None:
        """Write `block` as one chunk of the array."""


def check_output(path: str | os.PathLike[str]) -> str:
    """Return the suffix of an output, or "-"; raise FileError if no array can be written to it.

    >>> check_output("rows.npy")
    '.npy'
    """
    suffix = STDOUT if os.fspath(path) == STDOUT else os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        if os.path.exists(path) and not os.path.isfile(path):
            raise FileError(f"{path}: not a regular file")
        raise FileError(
            f"{path}: the suffix must be .npy, .csv or .parquet, or the path - for CSV on "
            f"standard output, got {suffix!r}"
        )
    return suffix if suffix == ".npy" else check_table(path)


def open_sink(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> AbstractContextManager[Sink]:
    """Return the writer of an array for a path.

    Parameters
    ----------
    path : path
        It ends in .npy, .csv or .parquet, or is "-": CSV on standard output. CSV takes arrays of
        rank 0 to 2.
    shape, dtype
        Of the array. bfloat16 is float32 in .csv and .parquet.
    name : str
        The name of the column in .csv and .parquet; in CSV of (n, k), the beginning of k names.

    Raises
    ------
    FileError
        If the path has another suffix, or cannot hold such an array.
    """
    suffix = check_output(path)
    if suffix == ".npy":
        return NpySink(path, shape, dtype)
    if suffix != ".parquet" and len(shape) > 2:
        raise FileError(f"{path}: CSV holds arrays of rank 1 or 2, not of shape {shape}: use .npy")
    return _table_sink(path, shape, dtype, name)


@contextmanager
def _table_sink(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> Iterator[Sink]:
    with open_table(path) as table:
        sink = _TableSink(path, table, shape, dtype, name)
        yield sink
        sink.finish()


class _TableSink:
    """An array as a column of a table, a row for each index along its first axis."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: Table,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        name: str,
    ) -> None:
        self._path, self._table, self._name, self._shape = path, table, name, shape
        self._dtype = np.dtype(np.float32) if dtype.name == "bfloat16" else dtype
        self._row = max(1, math.prod(shape[1:]))
        self._group = self._row * max(1, _GROUP_BYTES // (self._row * self._dtype.itemsize))
        """Elements that are written at once, however large the chunks are."""
        self._waiting: list[NDArray[Any]] = []
        self._waiting_size = 0
        self._done = 0

    def write(self, chunk: Chunk, block: NDArray[Any]) -> None:
        """Write the next chunk in C order."""
        if list(contiguous_runs(self._shape, chunk)) != [(self._done, block.size)]:
            raise FileError(
                f"{self._path}: takes whole rows in their order, but the class axis is not the"
                " last one: use .npy"
            )
        self._done += block.size
        self._waiting.append(np.array(block, self._dtype).reshape(-1))
        self._waiting_size += block.size
        if self._waiting_size >= self._group:
            flat = np.concatenate(self._waiting)
            whole = flat.size - flat.size % self._group
            for start in range(0, whole, self._group):
                self._write_rows(flat[start : start + self._group])
            self._waiting, self._waiting_size = [flat[whole:]], flat.size - whole

    def finish(self) -> None:
        """Write the rows that wait; and names and types, also where there are no rows."""
        self._write_rows(np.concatenate([np.empty(0, self._dtype), *self._waiting]))

    def _write_rows(self, flat: NDArray[Any]) -> None:
        rows = flat.reshape(flat.size // self._row, *self._shape[1:])
        self._table.write({self._name: rows})
