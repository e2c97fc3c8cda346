"""What all readers are: an array in a file, read chunk by chunk."""

from __future__ import annotations

import math
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, chunk_shape
from fastloss.formats.errors import FileError

Shape = tuple[int, ...]

PIECE_BYTES = 1 << 22
"""What readers that decode rows in their order decode at once, unless a single row is larger."""


def check_regular(path: Path) -> None:
    """Raise FileError unless there is a regular file: opening a pipe would wait for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise FileError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        raise FileError(f"{path}: not a regular file")


def open_regular(path: Path) -> IO[bytes]:
    """Return a regular file open for unbuffered reading."""
    check_regular(path)
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from None


class Reader(ABC):
    """An array in a file, indexed by chunks.

    The constructor checks the file as far as its format allows and reads none of its numbers. The
    end of a `with` block closes the file; a read after that opens it again.
    """

    def __init__(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.name = name
        """The path and, after a colon, the member: as messages begin."""
        self.shape = shape
        self.dtype = dtype

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
        """Bytes of the elements in memory."""
        return self.size * self.dtype.itemsize

    @property
    def files(self) -> tuple[Reader, ...]:
        """The readers of the files that are joined; of one file this reader alone."""
        return (self,)

    @abstractmethod
    def __getitem__(self, chunk: Chunk) -> NDArray[Any]:
        """Return one chunk: a view of the file, or a new array."""

    def keep_pages(self, size: int) -> None:  # noqa: B027  most readers map nothing
        """Let at most `size` bytes of a mapped file stay in memory."""

    @abstractmethod
    def close(self) -> None:
        """Close the file, if it is open."""

    def read_all(self) -> NDArray[Any]:
        """Return the whole array."""
        return self[tuple(slice(0, length) for length in self.shape)]

    def place(self, row: int) -> str:
        """Return where an index along the first axis is, for messages."""
        return self.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def errors_with_row_counts(*arrays: object) -> Iterator[None]:
    """Add to a ValueError about shapes how many rows there are in the files of these arrays."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error}{_row_counts(arrays)}") from None


def _row_counts(arrays: Iterable[object]) -> str:
    """Return how many rows each array has that is a file's; nothing if all have as many.

    If each is of as many files, it says so of the first files that differ.
    """
    readers = [array for array in arrays if isinstance(array, Reader)]
    if len({len(reader.files) for reader in readers}) == 1:
        together = zip(*(reader.files for reader in readers), strict=True)
        different = (files for files in together if len({file.shape[:1] for file in files}) > 1)
        readers = list(next(different, readers))
    if len({file.shape[:1] for file in readers}) == 1 < len(readers):
        return ""
    counts = [f"{file.name} has {file.shape[0] if file.shape else 'no'} rows" for file in readers]
    return f"; {', '.join(counts)}" if counts else ""


class RowReader(Reader):
    """An array that is decoded in the order of its rows, a piece of consecutive rows at once.

    One piece is kept, so memory is bounded. A chunk that begins before the piece starts again at
    the last place before it where decoding can begin: right, but slow where that is the first row.
    """

    _pieces: Iterator[NDArray[Any]] | None = None
    _first = 0
    """The row with which the piece begins."""

    def start_before(self, row: int) -> int:
        """Return the last row, up to `row`, where decoding can begin."""
        return 0

    @abstractmethod
    def pieces(self, start: int) -> Iterator[NDArray[Any]]:
        """Open the file and yield arrays that are its rows from `start` on when joined.

        `start` is what start_before returned.
        """

    def _start(self, row: int) -> None:
        self.close()
        self._first = self.start_before(row)
        self._pieces = self.pieces(self._first)
        self._piece = np.empty((0, *self.shape[1:]), self.dtype)

    def _next_piece(self) -> None:
        assert self._pieces is not None
        self._first += len(self._piece)
        try:
            self._piece = next(self._pieces)
        except StopIteration:
            self._pieces = None
            raise FileError(f"{self.name}: ended while it was read") from None

    def __getitem__(self, chunk: Chunk) -> NDArray[Any]:
        """Return one chunk as a new array."""
        block = np.empty(chunk_shape(chunk), self.dtype)
        row, *columns = chunk
        if self._pieces is None or row.start < self._first:
            self._start(row.start)
        done = 0
        while done < len(block):
            start = row.start + done - self._first
            part = self._piece[(slice(start, start + len(block) - done), *columns)]
            block[done : done + len(part)] = part
            done += len(part)
            if done < len(block):
                self._next_piece()
        return block

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._pieces is not None:
            self._pieces.close()  # type: ignore[attr-defined]
        self._pieces, self._first = None, 0


def rows_of_a_piece(shape: Shape, itemsize: int) -> int:
    """Return how many rows of an array of this shape a piece holds."""
    return max(1, PIECE_BYTES // max(1, math.prod(shape[1:]) * itemsize))
