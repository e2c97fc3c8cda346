"""A large array, or a file, seen in another shape without being read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from fastloss.out_of_core.chunks import Box, lengths

Array = NDArray[Any]


class Boxed(Protocol):
    """What a lens looks at: an array, an open file or another lens."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""

    def __getitem__(self, box: Box, /) -> Array:
        """Return the elements of a box."""


class Lens:
    """A source seen through operations that insert, drop or repeat axes of length 1, as boxes.

    `look` does those operations, with whatever rules of its own, to an array of the source's
    shape, and is believed by its strides alone: it gets a stand-in that has them but no memory.

    >>> rows = Lens(np.arange(3), lambda array: np.broadcast_to(array[:, np.newaxis], (3, 2)))
    >>> rows[slice(1, 3), slice(0, 2)]
    array([[1, 1],
           [2, 2]])
    """

    def __init__(self, source: Boxed, look: Callable[[Array], Array]) -> None:
        strides = range(1, len(source.shape) + 1)  # stride n marks axis n - 1
        seen = look(as_strided(np.zeros(1, np.bool_), source.shape, strides, writeable=False))
        self._source = source
        self._marks = [
            stride if length > 1 and 0 not in seen.shape else 0
            for stride, length in zip(seen.strides, seen.shape, strict=True)
        ]
        self.shape, self.dtype = seen.shape, source.dtype

    def part(self, box: Box) -> Box:
        """Return the box of the source that is seen as `box`."""
        part = [slice(0, length) for length in self._source.shape]
        for mark, along in zip(self._marks, box, strict=True):
            if mark:
                part[mark - 1] = along
        return tuple(part)

    def __getitem__(self, box: Box) -> Array:
        """Return the elements of a box, which has the axes that are seen."""
        wanted = lengths(box)
        if 0 in wanted:
            return np.empty(wanted, self.dtype)
        found = [length if mark else 1 for mark, length in zip(self._marks, wanted, strict=True)]
        return np.broadcast_to(self._source[self.part(box)].reshape(found), wanted)
