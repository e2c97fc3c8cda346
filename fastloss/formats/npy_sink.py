"""Writer of .npy files, chunk by chunk in any order."""

from __future__ import annotations

import math
import os
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, contiguous_runs
from fastloss.formats.dtypes import checked_dtype
from fastloss.formats.output_file import OutputFile


class NpySink:
    """A .npy file of this shape and dtype, complete or absent after its `with` block.

    bfloat16 is written as NumPy writes it, as `<V2`.
    """

    def __init__(
        self, path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._shape, self._dtype = shape, checked_dtype(path, dtype)
        self._output = OutputFile(path, math.prod(shape) * dtype.itemsize)

    def __enter__(self) -> Self:
        self._file = self._output.__enter__()
        fields = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": self._shape,
        }
        npy.write_array_header_2_0(self._file, fields)  # buffered: written together with the data
        self._offset = self._file.tell()
        return self

    def write(self, chunk: Chunk, block: NDArray[Any]) -> None:
        """Write `block` as one chunk of the array."""
        view = np.ascontiguousarray(block, self._dtype).reshape(-1).view(np.uint8)
        done, itemsize = 0, self._dtype.itemsize
        with self._output.errors():
            for offset, length in contiguous_runs(self._shape, chunk):
                self._file.seek(self._offset + offset * itemsize)
                self._file.write(view[done : done + length * itemsize].data)
                done += length * itemsize

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._output.__exit__(kind, error, trace)
