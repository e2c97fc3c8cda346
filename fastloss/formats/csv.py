"""Reader of columns of numbers in .csv files, by pyarrow: block by block.

A .csv file says neither how many rows it has nor what their types are: it is read once to find
out, and again for its numbers. They are float64; columns of true and false alone are bool.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.columns import chosen, joined, refuse_nulls
from fastloss.formats.dtypes import TEXT
from fastloss.formats.errors import FileError, file_errors
from fastloss.formats.members import place_of
from fastloss.formats.missing import needed
from fastloss.formats.reader import RowReader, Shape, check_regular

if TYPE_CHECKING:
    import pyarrow.csv as pa_csv

_NUMBERS = np.dtype(np.float64), np.dtype(np.bool_)
_KEYS = np.dtype(np.int64), TEXT
_BLOCK_BYTES = 1 << 22
"""Text that is parsed at once; a line must be shorter."""


def open_csv(
    path: Path, member: str | None, *, mapped: bool = True, keys: bool = False
) -> RowReader:
    """Return columns of a .csv file as an array.

    Parameters
    ----------
    path : Path
        A file with commas between numbers and names of columns in its first line.
    member : str or None
        A column, (n,), or several separated by commas, (n, k). None for all columns; a file of one
        column is (n,).
    mapped : bool
        Of no effect: text is parsed.
    keys : bool
        Read keys, not numbers: int64, or strings where that is impossible.

    Raises
    ------
    FileError
        If the file cannot be read, has no such column, or has a place without a number.
    """
    needed(path, "pyarrow.csv", "csv")
    names = _names(path)
    columns = chosen(path, member, names)
    if member is None and "" in names:
        raise FileError(
            f"{path}: column {names.index('') + 1} has no name: is it an index, which pandas "
            f"leaves out by index=False? Name the columns, as in {path}:a,b"
        )
    name = place_of(path, member)
    rows, dtype = _scan(name, path, columns, _KEYS if keys else _NUMBERS)
    shape = (rows,) if len(columns) == 1 else (rows, len(columns))
    return _CsvColumns(name, path, columns, shape, dtype)


def _names(path: Path) -> list[str]:
    """Return the names of the columns, from the first line."""
    with _csv(path) as reader:
        names: list[str] = reader.schema.names
    if all(map(_is_number, names)) and names != [str(number) for number in range(len(names))]:
        raise FileError(f"{path}: its first line must name the columns, it holds numbers alone")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@contextmanager
def _csv(
    path: Path, columns: list[str] | None = None, dtype: np.dtype[Any] = TEXT
) -> Iterator[pa_csv.CSVStreamingReader]:
    """Open a .csv file to read `columns` as `dtype`; None: all of them as what they seem to be."""
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    check_regular(path)
    arrow = pa.string() if dtype == TEXT else pa.from_numpy_dtype(dtype)
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(columns or (), arrow),
        include_columns=columns,
        null_values=[""],
        strings_can_be_null=True,
    )
    with (
        file_errors(path, ".csv"),
        pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
            # An empty line is a row without a number, if there is one column.
            parse_options=pa_csv.ParseOptions(ignore_empty_lines=False),
            convert_options=options,
        ) as reader,
    ):
        yield reader


def _scan(
    name: str, path: Path, columns: list[str], dtypes: tuple[np.dtype[Any], np.dtype[Any]]
) -> tuple[int, np.dtype[Any]]:
    """Return the number of rows and the dtype of some columns: the first one that fits all."""
    first, second = dtypes
    try:
        return _count(name, path, columns, first), first
    except FileError as no_numbers:
        try:
            return _count(name, path, columns, second), second
        except FileError:
            raise no_numbers from None


def _count(name: str, path: Path, columns: list[str], dtype: np.dtype[Any]) -> int:
    rows = 0
    with _csv(path, columns, dtype) as reader:
        for batch in reader:
            for column in batch.columns:
                refuse_nulls(name, column, 1, rows)
            rows += len(batch)
    return rows


class _CsvColumns(RowReader):
    """Columns of a .csv file."""

    def __init__(
        self, name: str, path: Path, columns: list[str], shape: Shape, dtype: np.dtype[Any]
    ) -> None:
        super().__init__(name, shape, dtype)
        self._path, self._columns = path, columns

    def pieces(self, start: int) -> Iterator[NDArray[Any]]:
        """Yield the rows as they are parsed."""
        first = start
        with _csv(self._path, self._columns, self.dtype) as reader:
            for batch in reader:
                columns = [batch.column(name) for name in self._columns]
                yield joined(self.name, columns, self.shape[1:], self.dtype, first)
                first += len(batch)
