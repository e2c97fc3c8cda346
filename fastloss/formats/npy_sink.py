"""Writer of .npy files, chunk by chunk in any order, by one process or by several."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, contiguous_runs
from fastloss.formats.dtypes import checked_dtype
from fastloss.formats.errors import FileError
from fastloss.formats.output_file import OutputFile, write_errors


class NpySink:
    """A .npy file of this shape and dtype, complete or absent after its `with` block.

    bfloat16 is written as NumPy writes it, as `<V2`.
    """

    def __init__(
        self, path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._shape, self._dtype = shape, checked_dtype(path, dtype)
        self._nbytes = math.prod(shape) * dtype.itemsize
        self._output = OutputFile(path, self._nbytes)

    def __enter__(self) -> Self:
        self._file = self._output.__enter__()
        fields = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": self._shape,
        }
        npy.write_array_header_2_0(self._file, fields)  # buffered: written together with the data
        part, path, offset = self._output.part, self._output.path, self._file.tell()
        self._elements = NpyElements(part, path, offset, self._shape, self._dtype)
        return self

    def write(self, chunk: Chunk, block: NDArray[Any]) -> None:
        """Write `block` as one chunk of the array."""
        self._elements.write(self._file, chunk, block)

    def shared(self) -> NpyElements:
        """Return the elements for other processes, in a file that is as long as it will be.

        A network file system may fill the last page of a file with zeros, also where another
        machine has made the file longer since.
        """
        with self._output.errors():
            self._file.truncate(self._elements.offset + self._nbytes)  # writes the header first
        return self._elements

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._output.__exit__(kind, error, trace)


class NpyElements(NamedTuple):
    """Where the elements of an array lie in a .npy file that is being written.

    NpyWriters of other processes, on any machine that has the file at this path, write chunks, each
    at its own place: one that is written twice is the same.
    """

    part: Path
    """The temporary file."""
    path: Path
    """The name that it gets, for messages."""
    offset: int
    """Of the first element, in bytes."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def write(self, file: IO[bytes], chunk: Chunk, block: NDArray[Any]) -> None:
        """Write `block` as one chunk of the array to the open file."""
        view = np.ascontiguousarray(block, self.dtype).reshape(-1).view(np.uint8)
        done, itemsize = 0, self.dtype.itemsize
        with write_errors(self.path):
            for offset, length in contiguous_runs(self.shape, chunk):
                file.seek(self.offset + offset * itemsize)
                file.write(view[done : done + length * itemsize].data)
                done += length * itemsize


class NpyWriter:
    """Writes chunks of some elements, which are on the disk after the `with` block.

    Raises FileError if the file is not there.
    """

    def __init__(self, elements: NpyElements) -> None:
        self._elements = elements

    def __enter__(self) -> Self:
        part, path = self._elements.part, self._elements.path
        if not part.exists():
            raise FileError(
                f"{path}: was begun, but {gethostname()} does not see that: all workers must share"
                f" the directory {part.parent}"
            )
        with write_errors(path):
            self._file = open(part, "wb", opener=_existing)
        return self

    def write(self, chunk: Chunk, block: NDArray[Any]) -> None:
        """Write `block` as one chunk of the array."""
        self._elements.write(self._file, chunk, block)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with write_errors(self._elements.path):
                    self._file.flush()
                    os.fsync(self._file.fileno())  # the sink's may be on another machine
        finally:
            with suppress(OSError):
                self._file.close()


def _existing(path: str, flags: int) -> int:
    """Open a file for writing alone, without making or emptying it.

    With "r+b" a network file system would read pages around a chunk, and write them back whole.
    """
    return os.open(path, flags & ~(os.O_CREAT | os.O_TRUNC))
