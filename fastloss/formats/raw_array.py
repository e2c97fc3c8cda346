"""An array whose elements lie in a file as in memory: mapped, or read in place."""

from __future__ import annotations

import math
import mmap
import os
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, chunk_shape, contiguous_runs
from fastloss.formats.errors import FileError
from fastloss.formats.reader import Reader, open_regular

RELEASE_BYTES = 1 << 26
"""After so many bytes the pages of a mapped file are given back: else all that were read would stay
in memory. Chunks still in use are mapped anew when they are touched."""


class RawArray(Reader):
    """The array of `shape` and `dtype` that begins at byte `offset` of a file.

    Parameters
    ----------
    name : str
        The path and the member, for messages.
    path : Path
        A regular file.
    shape, dtype, fortran
        What the file's header says; fortran is True for columns that follow each other.
    offset : int
        The first byte of the array.
    size : int
        Bytes of the whole file. Each read checks it, so that a file that changes is noticed.
    mapped : bool
        Map the file into memory, so that a chunk is a view of it, or read each chunk. If another
        program truncates a mapped file, access to the lost part kills the process; a read raises.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        offset: int,
        size: int,
        *,
        fortran: bool = False,
        mapped: bool = True,
    ) -> None:
        super().__init__(name, shape, dtype)
        self._path, self._offset, self._file_size = path, offset, size
        self._fortran, self._map_it = fortran, mapped
        self._file: IO[bytes] | None = None
        self._mmap: mmap.mmap | None = None
        self._unreleased = 0
        self._kept_bytes = RELEASE_BYTES

    def _open(self) -> IO[bytes]:
        """Open the file that holds the elements."""
        return open_regular(self._path)

    def _checked(self) -> IO[bytes]:
        """Return the open file, after a look at its size."""
        if self._file is None:
            self._file = self._open()
        found = os.fstat(self._file.fileno()).st_size
        if found != self._file_size:
            raise FileError(
                f"{self.name}: changed while it was read: it had {self._file_size:,} bytes, "
                f"the file holds {found:,}"
            )
        return self._file

    def _mapped(self, file: IO[bytes], size: int) -> NDArray[Any]:
        """Return the whole array as a view of the mapped file, of which `size` bytes are read."""
        if self._mmap is None:
            try:
                self._mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError, OverflowError) as error:
                raise FileError(f"{self.name}: cannot be mapped ({error}); try --no-mmap") from None
        self._unreleased += size
        if self._unreleased > self._kept_bytes and hasattr(mmap, "MADV_DONTNEED"):
            self._mmap.madvise(mmap.MADV_DONTNEED)
            self._unreleased = size
        order: Literal["C", "F"] = "F" if self._fortran else "C"
        return np.ndarray(self.shape, self.dtype, self._mmap, self._offset, order=order)

    def __getitem__(self, chunk: Chunk) -> NDArray[Any]:
        """Return one chunk: a view of the mapped file, or a new array."""
        file = self._checked()
        if self._map_it and self.size:
            return self._mapped(file, math.prod(chunk_shape(chunk)) * self.dtype.itemsize)[chunk]
        return self._read(file, chunk)

    def _read(self, file: IO[bytes], chunk: Chunk) -> NDArray[Any]:
        step = -1 if self._fortran else 1  # a Fortran file is the C file of the transposed array
        shape, stored = self.shape[::step], chunk[::step]
        block = np.empty(chunk_shape(stored), self.dtype)
        view = block.reshape(-1).view(np.uint8)
        done = 0
        for offset, length in contiguous_runs(shape, stored):
            size = length * self.dtype.itemsize
            file.seek(self._offset + offset * self.dtype.itemsize)
            while size:
                got = file.readinto(view[done : done + size])  # type: ignore[attr-defined]
                if not got:
                    raise FileError(f"{self.name}: ended while it was read")
                done, size = done + got, size - got
        return block.T if self._fortran else block

    def keep_pages(self, size: int) -> None:
        """Let at most `size` bytes of the mapped file stay in memory."""
        self._kept_bytes = size

    def close(self) -> None:
        """Close the file; a view of a map keeps its own reference to it."""
        if self._file is not None:
            self._file.close()
        self._file = self._mmap = None
