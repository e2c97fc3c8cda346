"""Reader of arrays in .zarr directories, by zarr."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, chunk_shape
from fastloss.formats.dtypes import checked_dtype
from fastloss.formats.errors import FileError, file_errors
from fastloss.formats.members import listed, place_of, the_member
from fastloss.formats.missing import needed
from fastloss.formats.reader import Reader, RowReader, rows_of_a_piece

if TYPE_CHECKING:
    import zarr

_LARGEST_BAND = 1 << 26
"""Bytes of whole rows that are decoded at once, so that no chunk is decoded twice."""
_CODECS = frozenset(
    {"adler32", "astype", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta"}
    | {"fixedscaleoffset", "fletcher32", "gzip", "lz4", "lzma", "packbits", "quantize"}
    | {"sharding_indexed", "shuffle", "transpose", "zlib", "zstd"}
)
"""What may decode a chunk. Others run what the file says, as pickle does, or give no numbers."""


def open_zarr(path: Path, member: str | None, *, mapped: bool = True) -> Reader:
    """Return an array of a .zarr directory, of version 2 or 3.

    Parameters
    ----------
    path : Path
        A directory with an array or a group.
    member : str or None
        The path of the array in the group, as `a/b`; None for the only one.
    mapped : bool
        Of no effect: chunks are decoded.

    Raises
    ------
    FileError
        If the directory cannot be read, has no such array, or has one that holds no numbers or
        that is encoded by a codec that is not known to be harmless.
    """
    needed(path, "zarr", "zarr")
    if not path.is_dir():
        raise FileError(f"{path}: {'not a directory' if path.exists() else 'No such directory'}")
    with _zarr_errors(path):
        array, found = _array(path, member)
        name = place_of(path, found or None)
        unknown = sorted(set(_codecs(array.metadata.to_dict())) - _CODECS)
        if unknown:
            raise FileError(f"{name}: is encoded by {listed(unknown)}, which is not decoded here")
        checked_dtype(name, array.dtype)
        return _Bands(name, array) if _fits_in_bands(array) else _Chunks(name, array)


def _array(path: Path, member: str | None) -> tuple[zarr.Array[Any], str]:
    """Return an array and its path in the group."""
    import zarr

    root = zarr.open(path, mode="r")
    if isinstance(root, zarr.Array):
        if member is not None:
            raise FileError(f"{path}: is an array itself, and has no member {member!r}")
        return root, ""
    arrays = {
        name: node for name, node in root.members(max_depth=None) if isinstance(node, zarr.Array)
    }
    asked = None if member is None else member.strip("/")
    name = the_member(path, "array", asked, sorted(arrays))
    return arrays[name], name


def _fits_in_bands(array: zarr.Array[Any]) -> bool:
    """Return whether the chunks of some whole rows are few bytes, or a single chunk."""
    band = math.prod((*array.chunks[:1], *array.shape[1:])) if array.shape else 0
    return 0 < band <= max(_LARGEST_BAND // array.dtype.itemsize, math.prod(array.chunks))


def _codecs(part: Any) -> Iterator[str]:
    """Yield the names of all codecs in the metadata of an array, also of those within others."""
    for key in ("codecs", "index_codecs", "filters", "compressor"):
        entries = part.get(key) or ()
        for entry in [entries] if isinstance(entries, dict) else entries:
            yield str(entry.get("id") or entry.get("name")).removeprefix("numcodecs.")
            yield from _codecs(entry.get("configuration") or {})


@contextmanager
def _zarr_errors(name: object) -> Iterator[None]:
    """Turn errors of zarr into FileErrors; its warnings are about what others may not read."""
    with file_errors(name, ".zarr"), warnings.catch_warnings(action="ignore"):
        yield


class _Chunks(Reader):
    """An array of which each read decodes the chunks that it needs."""

    def __init__(self, name: str, array: zarr.Array[Any]) -> None:
        super().__init__(name, array.shape, array.dtype)
        self._array = array

    def __getitem__(self, chunk: Chunk) -> NDArray[Any]:
        """Return one chunk as a new array."""
        with _zarr_errors(self.name):
            return np.asarray(self._array[chunk], self.dtype).reshape(chunk_shape(chunk))

    def close(self) -> None:
        """Do nothing: no file stays open."""


class _Bands(RowReader):
    """An array of which the chunks of some whole rows are decoded at once."""

    def __init__(self, name: str, array: zarr.Array[Any]) -> None:
        super().__init__(name, array.shape, array.dtype)
        self._array = array

    def start_before(self, row: int) -> int:
        """Return where the chunk of a row begins."""
        return row - row % int(self._array.chunks[0])

    def pieces(self, start: int) -> Iterator[NDArray[Any]]:
        """Yield the rows of one or several chunks."""
        rows = self._array.chunks[0]
        step = rows * max(1, rows_of_a_piece(self.shape, self.dtype.itemsize) // rows)
        for first in range(start, self.shape[0], step):
            with _zarr_errors(self.name):
                piece = np.asarray(self._array[first : first + step], self.dtype)
            yield piece
