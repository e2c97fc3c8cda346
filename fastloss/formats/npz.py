"""Reader of arrays in .npz files, which are zip archives of .npy files.

A stored member is mapped or read in place, as if it were a .npy file. A compressed one is
decompressed in the order of its rows, in pieces; where its rows do not follow each other it is
decompressed to a temporary file. What the archive claims is compared with its size first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.errors import FileError, file_errors
from fastloss.formats.members import place_of, the_member
from fastloss.formats.npy import Header, check_size, read_header
from fastloss.formats.raw_array import RawArray
from fastloss.formats.reader import Reader, RowReader, open_regular, rows_of_a_piece

_LOCAL_HEADER = 30
"""Bytes of a zip member's own header before its name and extra field."""
_DEFLATE_LIMIT = 1032
"""No bytes are compressed by a larger factor."""


def open_npz(path: Path, member: str | None, *, mapped: bool = True) -> Reader:
    """Return one array of a .npz file; `member` may be None if there is only one.

    Raises FileError also for a member that is not there, that is encrypted or has a compression
    that NumPy does not write, and for one whose size is impossible.
    """
    with open_regular(path) as file, file_errors(path, ".npz"):
        size = os.fstat(file.fileno()).st_size
        with zipfile.ZipFile(file) as archive:
            info = _member(path, archive, member)
        name = place_of(path, info.filename.removesuffix(".npy"))
        with file_errors(name, ".npy"):
            if info.flag_bits & 1:
                raise ValueError("it is encrypted")
            if info.compress_type == zipfile.ZIP_STORED:
                return _stored(name, path, file, info, size, mapped)
            if info.compress_type != zipfile.ZIP_DEFLATED:
                raise ValueError("its compression is none that NumPy writes")
            return _compressed(name, path, info, size)


def _member(path: Path, archive: zipfile.ZipFile, member: str | None) -> zipfile.ZipInfo:
    """Return the only entry of the archive called `member`."""
    arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    names = [info.filename.removesuffix(".npy") for info in arrays]
    return arrays[names.index(the_member(path, "array", member, names))]


def _stored(
    name: str, path: Path, file: IO[bytes], info: zipfile.ZipInfo, size: int, mapped: bool
) -> RawArray:
    """Return the array of a member that is not compressed."""
    file.seek(info.header_offset)
    local = file.read(_LOCAL_HEADER)
    if len(local) != _LOCAL_HEADER or local[:4] != b"PK\x03\x04":
        raise ValueError("the archive does not point to it")
    start = file.tell() + sum(int.from_bytes(local[at : at + 2], "little") for at in (26, 28))
    if info.file_size != info.compress_size or start + info.file_size > size:
        raise ValueError(f"it claims {info.file_size:,} bytes, the archive has {size:,}")
    file.seek(start)
    header, offset = read_header(file, name), file.tell()
    check_size(name, header, start + info.file_size - offset)
    shape, dtype, fortran = header
    return RawArray(name, path, shape, dtype, offset, size, fortran=fortran, mapped=mapped)


def _compressed(name: str, path: Path, info: zipfile.ZipInfo, size: int) -> Reader:
    """Return the array of a compressed member, after a look at its header."""
    if info.compress_size > size or info.file_size > _DEFLATE_LIMIT * (info.compress_size + 1):
        raise ValueError(
            f"{info.compress_size:,} bytes cannot be {info.file_size:,} when decompressed"
        )
    with zipfile.ZipFile(path) as archive, archive.open(info) as stream:
        header = read_header(stream, name)
        check_size(name, header, info.file_size - stream.tell())
    if header.shape and (len(header.shape) == 1 or not header.fortran):
        return _Compressed(name, path, info, header)
    return _Decompressed(name, path, info, header)


class _Compressed(RowReader):
    """A compressed member whose rows follow each other."""

    def __init__(self, name: str, path: Path, info: zipfile.ZipInfo, header: Header) -> None:
        super().__init__(name, header.shape, header.dtype)
        self._path, self._info = path, info

    def pieces(self, start: int) -> Iterator[NDArray[Any]]:
        """Yield the rows as they are decompressed."""
        step = rows_of_a_piece(self.shape, self.dtype.itemsize)
        with (
            file_errors(self.name, ".npy"),
            open_regular(self._path) as file,
            zipfile.ZipFile(file) as archive,
            archive.open(self._info) as stream,
        ):
            read_header(stream, self.name)
            for first in range(start, self.shape[0], step):
                piece = np.empty((min(step, self.shape[0] - first), *self.shape[1:]), self.dtype)
                _read_block(stream, piece)
                yield piece


class _Decompressed(RawArray):
    """A compressed member in Fortran order or of rank 0, in a temporary file without a name."""

    def __init__(self, name: str, path: Path, info: zipfile.ZipInfo, header: Header) -> None:
        shape, dtype, fortran = header
        super().__init__(name, path, shape, dtype, 0, header.nbytes, fortran=fortran)
        self._info = info

    def _open(self) -> IO[bytes]:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if self.nbytes > free:
            raise FileError(
                f"{self.name}: compressed and in Fortran order, needs {self.nbytes:,} bytes of "
                f"{tempfile.gettempdir()}, which has {free:,} free"
            )
        whole: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            with (
                file_errors(self.name, ".npy"),
                open_regular(self._path) as file,
                zipfile.ZipFile(file) as archive,
                archive.open(self._info) as stream,
            ):
                read_header(stream, self.name)
                shutil.copyfileobj(stream, whole)
                whole.flush()
        except BaseException:
            whole.close()
            raise
        return whole


def _read_block(stream: IO[bytes], block: NDArray[Any]) -> None:
    """Read the bytes of a whole block."""
    view = block.reshape(-1).view(np.uint8)
    while view.size:
        got = stream.readinto(view.data)  # type: ignore[attr-defined]
        if not got:
            raise ValueError("ended while it was read")
        view = view[got:]
