"""Reader of .npy files.

A file is untrusted input. Its header is compared with the size of the file before anything is
mapped or allocated, and no pickle is ever loaded.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from fastloss.formats.dtypes import checked_dtype
from fastloss.formats.errors import FileError, file_errors
from fastloss.formats.raw_array import RawArray
from fastloss.formats.reader import open_regular


class Header(NamedTuple):
    """What the header of a .npy file says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of data, in integers that do not overflow."""
        count = 1
        for length in self.shape:
            count *= length
        return count * self.dtype.itemsize


def read_header(file: IO[bytes], name: str) -> Header:
    """Return the header with which `file` goes on; `name` begins the message of an error."""
    with (
        file_errors(name, ".npy"),
        warnings.catch_warnings(action="ignore"),  # of NumPy, for headers that Python 2 wrote
    ):
        version = npy.read_magic(file)
        reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in reader:
            raise ValueError(f"format version {version[0]}.{version[1]} is not supported")
        shape, fortran, dtype = reader[version](file)
    dtype = checked_dtype(name, dtype)
    if len(shape) > 64 or any(length < 0 for length in shape):
        raise FileError(f"{name}: impossible shape {shape}")
    return Header(tuple(int(length) for length in shape), dtype, fortran)


def check_size(name: str, header: Header, found: int) -> None:
    """Raise FileError unless the data take exactly the bytes that were found."""
    if header.nbytes != found:
        raise FileError(
            f"{name}: shape {header.shape} of {header.dtype} takes {header.nbytes:,} bytes, "
            f"the file holds {max(found, 0):,}"
        )


def open_npy(path: Path, member: str | None = None, *, mapped: bool = True) -> RawArray:
    """Return the array of a .npy file.

    Parameters
    ----------
    path : Path
        A regular .npy file of booleans, integers, float16, bfloat16, float32 or float64, in either
        byte order and either memory order.
    member : None
        A .npy file holds one array, which has no name.
    mapped : bool
        As for RawArray.

    Raises
    ------
    FileError
        If the file does not exist, is not a regular file, is not a .npy file, has another dtype, or
        does not have the size that its header claims.
    """
    if member is not None:
        raise FileError(f"{path}: holds one array, which has no name: leave :{member} out")
    with open_regular(path) as file:
        header, offset = read_header(file, str(path)), file.tell()
        size = os.fstat(file.fileno()).st_size
    check_size(str(path), header, size - offset)
    shape, dtype, fortran = header
    return RawArray(str(path), path, shape, dtype, offset, size, fortran=fortran, mapped=mapped)
