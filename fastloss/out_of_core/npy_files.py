""".npy files of the command line: checked before reading; complete or absent after writing.

A file is untrusted input. Its header is compared with the size of the file before anything is
mapped or allocated, and no pickle is ever loaded.
"""

from __future__ import annotations

import math
import mmap
import os
import secrets
import shutil
import stat
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fastloss.out_of_core.chunks import Chunk, chunk_shape, contiguous_runs

READABLE = frozenset(np.dtype(code) for code in "?bhilqBHILQefd")


class FileError(ValueError):
    """A file that cannot be read or written as asked; the message begins with its path."""


class Source:
    """A .npy file open for reading, indexed by chunks like an array; `with` closes it.

    Parameters
    ----------
    path : path
        A regular .npy file of booleans, integers, float16, float32 or float64, in either byte
        order and either memory order.
    mapped : bool
        Map the file into memory, so that a chunk is a view of it, or read each chunk. If another
        program truncates a mapped file, access to the lost part kills the process; a read raises.

    Raises
    ------
    FileError
        If the file does not exist, is not a regular file, is not a .npy file, has another dtype, or
        does not have the size that its header claims.
    """

    def __init__(self, path: str | os.PathLike[str], *, mapped: bool = True) -> None:
        self.path = Path(path)
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise FileError(f"{self.path}: not a regular file")
            self._file: IO[bytes] = open(self.path, "rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise FileError(f"{self.path}: {error.strerror or error}") from None
        try:
            self._read_header()
            self._map = self._mapped_array() if mapped and self.size else None
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()  # a memory map keeps its own reference to the file

    def _read_header(self) -> None:
        try:
            with warnings.catch_warnings(
                action="ignore"
            ):  # NumPy warns about headers that Python 2 wrote
                version = npy.read_magic(self._file)
                reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
                if version not in reader:
                    raise ValueError(f"format version {version[0]}.{version[1]} is not supported")
                shape, self._fortran, self.dtype = reader[version](self._file)
        except Exception as error:  # a malicious header can raise anything in NumPy's parser
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FileError(f"{self.path}: not a readable .npy file: {reason}") from None
        if self.dtype.newbyteorder("=") not in READABLE:
            raise FileError(
                f"{self.path}: dtype must be bool, an integer, float16, float32 or float64, "
                f"got {self.dtype}"
            )
        if len(shape) > 64 or any(length < 0 for length in shape):
            raise FileError(f"{self.path}: impossible shape {shape}")
        self.shape: tuple[int, ...] = tuple(int(length) for length in shape)
        self._offset = self._file.tell()
        self._check_size()

    def _check_size(self) -> None:
        """Compare the size of the file with its header, in integers that do not overflow."""
        claimed, found = self.nbytes, os.fstat(self._file.fileno()).st_size - self._offset
        if claimed != found:
            raise FileError(
                f"{self.path}: shape {self.shape} of {self.dtype} takes {claimed:,} bytes, "
                f"the file holds {max(found, 0):,}"
            )

    def _mapped_array(self) -> NDArray[Any]:
        try:
            self._mmap = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError, OverflowError) as error:
            raise FileError(f"{self.path}: cannot be mapped ({error}); try --no-mmap") from None
        order: Literal["C", "F"] = "F" if self._fortran else "C"
        return np.ndarray(self.shape, self.dtype, self._mmap, self._offset, order=order)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of data, the header not counted."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, chunk: Chunk) -> NDArray[Any]:
        """Return one chunk: a view of the mapped file, or a new array."""
        self._check_size()
        if self._map is not None:
            if hasattr(mmap, "MADV_DONTNEED"):  # else all pages that were read would stay in memory
                self._mmap.madvise(mmap.MADV_DONTNEED)
            return self._map[chunk]
        step = -1 if self._fortran else 1  # a Fortran file is the C file of the transposed array
        shape, stored = self.shape[::step], chunk[::step]
        block = np.empty(chunk_shape(stored), self.dtype)
        view = block.reshape(-1).view(np.uint8)
        done = 0
        for offset, length in contiguous_runs(shape, stored):
            size = length * self.dtype.itemsize
            self._file.seek(self._offset + offset * self.dtype.itemsize)
            while size:
                got = self._file.readinto(view[done : done + size])  # type: ignore[attr-defined]
                if not got:
                    raise FileError(f"{self.path}: ended while it was read")
                done, size = done + got, size - got
        return block.T if self._fortran else block

    def read_all(self) -> NDArray[Any]:
        """Return the whole array."""
        return self[tuple(slice(0, length) for length in self.shape)]


class Sink:
    """A .npy file that is written as a temporary file beside its path and renamed when complete.

    If the `with` block raises, the temporary file is removed and an older file at the path is
    unchanged. A killed process leaves at most a hidden file `.fastloss-….part`.
    """

    def __init__(
        self, path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self._shape, self._dtype = shape, dtype
        if dtype.newbyteorder("=") not in READABLE:
            raise FileError(f"{path}: a .npy file cannot hold {dtype}")
        if self.path.exists() and not self.path.is_file():
            raise FileError(f"{path}: not a regular file")
        self._part = self.path.with_name(f".fastloss-{secrets.token_hex(8)}.part")

    def __enter__(self) -> Sink:
        try:
            needed = math.prod(self._shape) * self._dtype.itemsize
            free = shutil.disk_usage(self.path.parent).free
            if needed > free:
                raise FileError(f"{self.path}: needs {needed:,} bytes, the disk has {free:,} free")
            self._file = open(self._part, "xb")
        except OSError as error:
            raise self._write_error(error) from None
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
        try:
            for offset, length in contiguous_runs(self._shape, chunk):
                self._file.seek(self._offset + offset * itemsize)
                self._file.write(view[done : done + length * itemsize].data)
                done += length * itemsize
        except OSError as error:
            raise self._write_error(error) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                os.replace(self._part, self.path)
        except OSError as failure:
            raise self._write_error(failure) from None
        finally:
            with suppress(OSError):
                self._file.close()
            self._part.unlink(missing_ok=True)

    def _write_error(self, error: OSError) -> FileError:
        return FileError(f"{self.path}: cannot be written: {error.strerror or error}")
