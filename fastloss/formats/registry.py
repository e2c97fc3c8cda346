"""Which reader opens a file: the one of its suffix."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Protocol

from fastloss.formats.csv import open_csv
from fastloss.formats.dtypes import is_text
from fastloss.formats.errors import FileError
from fastloss.formats.npy import open_npy
from fastloss.formats.npz import open_npz
from fastloss.formats.parquet import open_parquet
from fastloss.formats.reader import Reader
from fastloss.formats.safetensors import open_safetensors
from fastloss.formats.zarr import open_zarr


class _Open(Protocol):
    def __call__(self, path: Path, member: str | None, *, mapped: bool) -> Reader: ...


READERS: dict[str, _Open] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".safetensors": open_safetensors,
    ".parquet": open_parquet,
    ".zarr": open_zarr,
    ".csv": open_csv,
}
_READERS_OF_KEYS = {**READERS, ".csv": partial(open_csv, keys=True)}
_WITH_MEMBER = re.compile(
    rf"(.*?(?:{'|'.join(map(re.escape, READERS))})):(.+)", re.DOTALL | re.IGNORECASE
)


def split_member(name: str) -> tuple[Path, str | None]:
    """Return the path and the member of "path:member", or None without one.

    >>> split_member("logits.npz:x")
    (PosixPath('logits.npz'), 'x')
    >>> split_member("logits.npy")
    (PosixPath('logits.npy'), None)
    """
    match = None if os.path.lexists(name) else _WITH_MEMBER.fullmatch(name)
    return (Path(name), None) if match is None else (Path(match[1]), match[2])


def open_array(name: str, *, mapped: bool = True) -> Reader:
    """Return the array of a file.

    Parameters
    ----------
    name : str
        A path that ends in .npy, .npz, .safetensors, .parquet, .zarr or .csv; after a colon, the
        array, tensor or columns in it, which is needed where there are several.
    mapped : bool
        Map files whose elements lie as in memory, so that a chunk is a view, or read each chunk.

    Returns
    -------
    Reader
        Its `shape` and `dtype`, and chunks of it by index. `with` closes it.

    Raises
    ------
    FileError
        If there is no such file or member; if the file is damaged, holds no numbers, has another
        suffix, or needs a package that is not installed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.savez(f"{folder.name}/a.npz", x=np.arange(6).reshape(3, 2))
    >>> with open_array(f"{folder.name}/a.npz:x") as x:
    ...     print(x.shape, x[1:3, 0:2].tolist())
    (3, 2) [[2, 3], [4, 5]]
    >>> folder.cleanup()
    """
    reader = _open(name, READERS, mapped)
    if is_text(reader.dtype):
        raise FileError(f"{reader.name}: must hold numbers, got strings")
    return reader


def open_keys(name: str, *, mapped: bool = True) -> Reader:
    """Return an array of keys, integers or strings: as `open_array`, but for these.

    Keys in .csv files are integers if all of them are, else strings.
    """
    reader = _open(name, _READERS_OF_KEYS, mapped)
    if not is_text(reader.dtype) and reader.dtype.kind not in "biu":
        raise FileError(f"{reader.name}: must hold integers or strings, got {reader.dtype}")
    return reader


def _open(name: str, readers: dict[str, _Open], mapped: bool) -> Reader:
    path, member = split_member(name)
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise FileError(f"{path}: {_why_not(path)}")
    return readers[suffix](path, member, mapped=mapped)


def _why_not(path: Path) -> str:
    if not os.path.lexists(path):
        return "No such file or directory"
    if not path.is_file():
        return "not a regular file"
    return f"the suffix must be one of {', '.join(READERS)}, got {path.suffix!r}"
