"""A reshaped or broadcast view of a large array or file, which reads only what is indexed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from fastloss.formats.chunks import Chunk, chunk_shape

Array = NDArray[Any]


class ChunkedArray(Protocol):
    """What a lazy view can be made of: an array, an open file or another lazy view."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""

    def __getitem__(self, chunk: Chunk, /) -> Array:
        """Return the elements of a chunk."""


class LazyView:
    """A view of `source` with axes of length 1 inserted, dropped or broadcast, read in chunks.

    `transform` does these operations to an array of the source's shape. It is called once, with an
    array that has the source's shape but a single element of memory. The strides of its result
    tell which axis of the source each axis of the view is.

    >>> rows = LazyView(np.arange(3), lambda array: np.broadcast_to(array[:, np.newaxis], (3, 2)))
    >>> rows[slice(1, 3), slice(0, 2)]
    array([[1, 1],
           [2, 2]])
    """

    def __init__(self, source: ChunkedArray, transform: Callable[[Array], Array]) -> None:
        strides = range(1, len(source.shape) + 1)  # stride n identifies axis n - 1
        view = transform(as_strided(np.zeros(1, np.bool_), source.shape, strides, writeable=False))
        self._source = source
        # For each axis of the view: 1 + its axis of the source, or 0 if inserted or broadcast.
        self._source_axes = [
            stride if length > 1 and 0 not in view.shape else 0
            for stride, length in zip(view.strides, view.shape, strict=True)
        ]
        self.shape, self.dtype = view.shape, source.dtype

    def source_chunk(self, chunk: Chunk) -> Chunk:
        """Return the chunk of the array or file below all views that `chunk` of this one shows."""
        found = self._chunk_below(chunk)
        return self._source.source_chunk(found) if isinstance(self._source, LazyView) else found

    def _chunk_below(self, chunk: Chunk) -> Chunk:
        found = [slice(0, length) for length in self._source.shape]
        for axis, part in zip(self._source_axes, chunk, strict=True):
            if axis:
                found[axis - 1] = part
        return tuple(found)

    def __getitem__(self, chunk: Chunk) -> Array:
        """Return the elements of a chunk, which has the axes of the view."""
        shape = chunk_shape(chunk)
        if 0 in shape:
            return np.empty(shape, self.dtype)
        unbroadcast = [n if axis else 1 for axis, n in zip(self._source_axes, shape, strict=True)]
        return np.broadcast_to(self._source[self._chunk_below(chunk)].reshape(unbroadcast), shape)
