"""Writers of tables, some rows at once: .csv, .parquet and .npy files, CSV on standard output.

A table is written as columns by name: arrays of one length, (n,) of numbers or strings, or (n, k)
of numbers; in .parquet files (n, ...). A file is complete or absent after the `with` block;
standard output has what was written until then.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.errors import FileError
from fastloss.formats.missing import needed
from fastloss.formats.output_file import OutputFile

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

STDOUT = "-"
Path = str | os.PathLike[str]
Columns = Mapping[str, NDArray[Any]]


class Table(Protocol):
    """A table that is being written."""

    def write(self, columns: Columns) -> None:
        """Append rows, perhaps none; the first call says what the columns are."""


def check_table(path: Path) -> str:
    """Return the suffix of a table, or "-"; raise FileError for another one.

    Also if the package that writes it is not installed.
    """
    suffix = STDOUT if os.fspath(path) == STDOUT else os.path.splitext(path)[1].lower()
    if suffix not in (STDOUT, ".csv", ".parquet", ".npy"):
        raise FileError(
            f"{path}: the suffix of a table must be .csv, .parquet or .npy, or the path - for CSV "
            f"on standard output, got {suffix!r}"
        )
    if suffix == ".parquet":
        needed(path, "pyarrow.parquet", "parquet")
    return suffix


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Return the writer for a path: "-" or one that ends in .csv, .parquet or .npy."""
    suffix = check_table(path)
    if suffix == STDOUT:
        yield CsvTable(_print)
        return
    output = OutputFile(path)
    with output as file:
        if suffix == ".csv":

            def append(text: str) -> None:
                with output.errors():
                    file.write(text.encode())

            yield CsvTable(append)
        else:
            kind = ParquetTable if suffix == ".parquet" else NpyTable
            table = kind(file, output)
            try:
                yield table
            finally:  # after an error too: else the writer writes later, to a closed file
                table.close()


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # its reader has read enough
        raise
    except OSError as error:
        raise FileError(f"standard output: {error.strerror}") from None


class CsvTable:
    """A table of CSV, whose text goes to `append`.

    Floats have the digits that give the same number when they are read as their dtype. A column
    (n, k) is k columns, whose names end in _0 ... _k-1.
    """

    def __init__(self, append: Callable[[str], None]) -> None:
        self._append = append
        self._has_names = False

    def write(self, columns: Columns) -> None:
        """Append rows, perhaps none; the first call writes the names of the columns."""
        flat = dict(_of_rank_one(columns))
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if not self._has_names:
            rows.writerow(flat)
            self._has_names = True
        rows.writerows(zip(*(column.astype(str).tolist() for column in flat.values()), strict=True))
        self._append(text.getvalue())


class ParquetTable:
    """A table in a .parquet file. A column (n, ...) holds lists of a fixed size."""

    def __init__(self, file: IO[bytes], output: OutputFile) -> None:
        self._file, self._output = file, output
        self._writer: pq.ParquetWriter | None = None

    def write(self, columns: Columns) -> None:
        """Append a row group, perhaps empty; the first call says what the columns are."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({name: _arrow_lists(column) for name, column in columns.items()})
        with self._output.errors():
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._file, table.schema)
            self._writer.write_table(table)

    def close(self) -> None:
        """Write the end of the file."""
        if self._writer is not None:
            with self._output.errors():
                self._writer.close()


class NpyTable:
    """A table in a .npy file: one structured array, whose fields are the columns."""

    def __init__(self, file: IO[bytes], output: OutputFile) -> None:
        self._file, self._output = file, output
        self._parts: list[NDArray[Any]] = []

    def write(self, columns: Columns) -> None:
        """Append rows, perhaps none; they stay in memory until the table is closed."""
        fields = [(name, column.dtype, column.shape[1:]) for name, column in columns.items()]
        part = np.empty(len(next(iter(columns.values()))), fields)
        for name, column in columns.items():
            part[name] = column
        self._parts.append(part)

    def close(self) -> None:
        """Write the file."""
        if self._parts:
            rows = np.concatenate(self._parts)
            with self._output.errors():
                np.lib.format.write_array(self._file, rows, allow_pickle=False)


def _of_rank_one(columns: Columns) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the columns (n,), and those of the columns (n, k)."""
    for name, column in columns.items():
        if column.ndim == 1:
            yield name, column
        else:
            for index in range(column.shape[1]):
                yield f"{name}_{index}", column[:, index]


def _arrow_lists(column: NDArray[Any]) -> pa.Array:
    """Return an array (n, ...) as an Arrow array of n nested lists of a fixed size."""
    import pyarrow as pa

    items = pa.array(np.ascontiguousarray(column).reshape(-1))
    for length in reversed(column.shape[1:]):
        items = pa.FixedSizeListArray.from_arrays(items, length)
    return items
