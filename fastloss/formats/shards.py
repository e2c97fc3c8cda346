"""Several files as one array, joined along the first axis."""

from __future__ import annotations

import glob
import itertools
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, chunk_shape
from fastloss.formats.dtypes import TEXT, is_text
from fastloss.formats.errors import FileError
from fastloss.formats.reader import Reader
from fastloss.formats.registry import READERS, open_array, open_keys, split_member


class Shards(Reader):
    """The arrays of several files, one after the other along their first axis.

    At most one file is open at a time. A chunk within one file is what its reader gives; one that
    crosses a border is joined in a new array.

    Raises FileError unless the arrays have one dtype, but for the byte order, and one shape, but
    for the length of the first axis.
    """

    def __init__(self, parts: Sequence[Reader]) -> None:
        first = parts[0]
        dtype = first.dtype.newbyteorder("=")
        if is_text(dtype):  # of one length in each file
            dtype = TEXT
        for part in parts:
            if not part.shape:
                raise FileError(f"{part.name}: must have an axis along which it is a shard")
            if part.shape[1:] != first.shape[1:]:
                raise FileError(
                    f"{part.name}: shape {part.shape} must be that of {first.name}, {first.shape}, "
                    "after the first axis"
                )
            if part.dtype.newbyteorder("=") != dtype and not is_text(part.dtype) & is_text(dtype):
                raise FileError(
                    f"{part.name}: dtype {part.dtype} must be that of {first.name}, {first.dtype}"
                )
        self._parts = parts
        self._starts = list(itertools.accumulate((part.shape[0] for part in parts), initial=0))
        self._current = first
        name = f"{first.name} ... ({len(parts)} files)"
        super().__init__(name, (self._starts[-1], *first.shape[1:]), dtype)

    @property
    def files(self) -> tuple[Reader, ...]:
        """The readers of the files that are joined."""
        return tuple(self._parts)

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[Reader, slice]]:
        """Yield each file with rows in start ... stop, and which of its rows."""
        while start < stop:
            number = bisect_right(self._starts, start) - 1
            first, end = self._starts[number], min(stop, self._starts[number + 1])
            yield self._parts[number], slice(start - first, end - first)
            start = end

    def __getitem__(self, chunk: Chunk) -> NDArray[Any]:
        """Return one chunk: a view of a file, or a new array."""
        rows, *columns = chunk
        blocks = [
            self._opened(part)[(piece, *columns)]
            for part, piece in self._pieces(rows.start, rows.stop)
        ]
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate([np.empty((0, *chunk_shape(chunk)[1:]), self.dtype), *blocks])

    def _opened(self, part: Reader) -> Reader:
        if part is not self._current:
            self._current.close()
            self._current = part
        return part

    def keep_pages(self, size: int) -> None:
        """Let at most `size` bytes of a mapped file stay in memory."""
        for part in self._parts:
            part.keep_pages(size)

    def close(self) -> None:
        """Close the file that is open."""
        self._current.close()

    def place(self, row: int) -> str:
        """Return the file and the row in it, for messages."""
        (part, piece), *_ = self._pieces(row, row + 1)
        return f"{part.name}, row {piece.start} of it"


def open_shards(names: Sequence[str], *, mapped: bool = True, keys: bool = False) -> Reader:
    """Return the array of one or several files.

    Parameters
    ----------
    names : sequence of str
        As for open_array; or patterns with *, ? and [], or directories, whose files of known
        suffixes are taken in natural order (2 before 10).
    mapped : bool
        As for open_array.
    keys : bool
        Whether they hold keys, as for open_keys, not numbers.

    Raises
    ------
    FileError
        As from open_array, for patterns and directories without a file, and for files that do not
        fit together.
    """
    opened = open_keys if keys else open_array
    parts = [opened(name, mapped=mapped) for name in expanded(names)]
    return parts[0] if len(parts) == 1 else Shards(parts)


def expanded(names: Sequence[str]) -> list[str]:
    """Return the files that `names` mean, each with its member: patterns and directories expanded.

    >>> sorted(["x-10.npy", "x-2.npy"], key=natural)
    ['x-2.npy', 'x-10.npy']
    """
    return [file for name in names for file in _files(name)]


def natural(name: str) -> list[tuple[int, str]]:
    """Return the key that sorts names by the numbers in them."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _files(name: str) -> list[str]:
    """Return the files of one name."""
    path, member = split_member(name)
    if path.is_dir() and path.suffix.lower() not in READERS:
        found = _of_a_directory(path)
    elif glob.has_magic(str(path)) and not os.path.lexists(path):
        found = glob.glob(str(path), recursive=True)
        if not found:
            raise FileError(f"{path}: no file has a name like this")
    else:
        return [name]
    return [file if member is None else f"{file}:{member}" for file in sorted(found, key=natural)]


def _of_a_directory(path: Path) -> list[str]:
    """Return the files of a directory that have a suffix of ours, which must be one."""
    found = [
        entry
        for entry in path.iterdir()
        if entry.suffix.lower() in READERS and not entry.name.startswith(".")
    ]
    suffixes = sorted({entry.suffix.lower() for entry in found})
    if len(suffixes) != 1:
        has = f"files of {' and '.join(suffixes)}: name them by a pattern" if suffixes else "none"
        raise FileError(f"{path}: must hold files of one of {', '.join(READERS)}, has {has}")
    return [str(entry) for entry in found]
