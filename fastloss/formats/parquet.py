"""Reader of columns of numbers in .parquet files, by pyarrow: row group by row group."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.columns import chosen, joined
from fastloss.formats.dtypes import TEXT
from fastloss.formats.errors import FileError, file_errors
from fastloss.formats.members import listed, place_of
from fastloss.formats.missing import needed
from fastloss.formats.reader import RowReader, Shape, check_regular, rows_of_a_piece

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def open_parquet(path: Path, member: str | None, *, mapped: bool = True) -> RowReader:
    """Return columns of a .parquet file as an array.

    Parameters
    ----------
    path : Path
        The file.
    member : str or None
        A column of numbers, (n,); a column of lists of one length, fixed or not, or of tensors,
        (n, ...); or several columns of numbers, separated by commas, (n, k). None for the only
        column.
    mapped : bool
        Of no effect: pages are decoded.

    Raises
    ------
    FileError
        If the file cannot be read, has no such column, or has one that holds no numbers.
    """
    needed(path, "pyarrow.parquet", "parquet")
    with _parquet(path) as file:
        names = file.schema_arrow.names
        if member is None and len(names) != 1:
            raise FileError(
                f"{path}: name one column or several, as in {path}:a,b: {listed(names)}"
            )
        columns = chosen(path, member, names)
        name = place_of(path, ",".join(columns))
        shape, dtype = _row_type(name, file, columns)
        rows = file.metadata.num_rows
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        if rows < 0 or sum(groups) != rows or min(groups, default=0) < 0:
            raise FileError(f"{path}: claims {rows} rows, its row groups {groups}")
    return _ParquetColumns(name, path, columns, groups, (rows, *shape), dtype)


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a .parquet file; errors in the `with` block become FileErrors."""
    import pyarrow.parquet as pq

    check_regular(path)
    with (
        file_errors(path, ".parquet"),
        pq.ParquetFile(  # buffers of a fixed size, not of a whole row group
            path, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True
        ) as file,
    ):
        yield file


class _ParquetColumns(RowReader):
    """Columns of a .parquet file."""

    def __init__(
        self,
        name: str,
        path: Path,
        columns: list[str],
        groups: list[int],
        shape: Shape,
        dtype: np.dtype[Any],
    ) -> None:
        super().__init__(name, shape, dtype)
        self._path, self._columns = path, columns
        self._starts = list(itertools.accumulate(groups[:-1], initial=0))

    def start_before(self, row: int) -> int:
        """Return where the row group of a row begins."""
        return self._starts[bisect_right(self._starts, row) - 1]

    def pieces(self, start: int) -> Iterator[NDArray[Any]]:
        """Yield the rows as they are decoded."""
        step, first = rows_of_a_piece(self.shape, self.dtype.itemsize), start
        groups = range(bisect_left(self._starts, start), len(self._starts))
        with _parquet(self._path) as file:
            for batch in file.iter_batches(step, groups, self._columns):
                columns = [batch.column(name) for name in self._columns]
                yield joined(self.name, columns, self.shape[1:], self.dtype, first)
                first += len(batch)


def _row_type(name: str, file: pq.ParquetFile, columns: list[str]) -> tuple[Shape, np.dtype[Any]]:
    """Return the shape and the dtype of a row of some columns."""
    types = [file.schema_arrow.field(column).type for column in columns]
    if len(types) > 1:
        dtypes = [_item_type(name, kind) for kind in types]
        return (len(types),), np.result_type(*dtypes)
    shape, kind = _list_shape(name, types[0], lambda: _first_row(file, columns))
    return shape, _item_type(name, kind)


def _list_shape(
    name: str, kind: pa.DataType, first_row: Callable[[], Any]
) -> tuple[Shape, pa.DataType]:
    """Return the shape of nested lists and the type of their items.

    A list type that has no length gets that of the first row.
    """
    import pyarrow as pa

    if isinstance(kind, pa.FixedShapeTensorType):
        if list(kind.permutation or range(len(kind.shape))) != list(range(len(kind.shape))):
            raise FileError(f"{name}: tensors must not be permuted")
        return tuple(kind.shape), kind.value_type
    shape: list[int] = []
    while _is_list(kind):
        if pa.types.is_fixed_size_list(kind):
            shape.append(kind.list_size)
        else:
            row = first_row()
            for _ in shape:
                row = row[0] if row else None
            shape.append(len(row or ()))
        kind = kind.value_type
    return tuple(shape), kind


def _first_row(file: pq.ParquetFile, columns: list[str]) -> Any:
    batch = next(file.iter_batches(1, columns=columns), None)
    return None if batch is None or not len(batch) else batch.column(0)[0].as_py()


def _is_list(kind: pa.DataType) -> bool:
    """Return whether the items of a column of this type are lists."""
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _item_type(name: str, kind: pa.DataType) -> np.dtype[Any]:
    from pyarrow import types

    if types.is_string(kind) or types.is_large_string(kind):
        return TEXT
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise FileError(f"{name}: must hold numbers, or lists of numbers alone, got {kind}")
    dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
    return dtype
