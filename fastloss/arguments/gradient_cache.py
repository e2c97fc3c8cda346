"""Memory of freed gradients, kept for the next ones.

The system clears every page of a new array, which takes as long as the gradient itself. Memory that
a gradient had before is there already.
"""

import operator
import threading
from typing import Any

import numpy as np

from fastloss.arguments.arrays import DType, FloatArray
from fastloss.arguments.layout import Array

LEAST = 1 << 23
"""Bytes of the smallest array that is kept: malloc keeps most of what is freed below 32 MiB."""
WASTE = 1.25
"""How many times as large as the array the memory may be that it gets."""


class _Lease:
    """What an array over kept memory is based on; gives it back when no array uses it any more."""

    __slots__ = ("__array_interface__", "_memory")

    def __init__(self, memory: Array) -> None:
        self._memory = memory
        self.__array_interface__: dict[str, Any] = memory.__array_interface__

    def __del__(self) -> None:
        _cache.keep(self._memory)


class _Cache:
    """Memory that no array uses, oldest first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[Array] = []
        # An array may be freed at any time, by a collection of garbage within these methods too.
        # So nobody waits: who finds the lock taken does without the cache.
        self._lock = threading.Lock()

    def take(self, size: int) -> Array:
        """Return memory of at least `size` bytes."""
        if self._lock.acquire(blocking=False):
            try:
                for k, memory in enumerate(self._kept):
                    if size <= memory.nbytes <= WASTE * size:
                        return self._kept.pop(k)
            finally:
                self._lock.release()
        return np.empty(size, np.uint8)

    def keep(self, memory: Array) -> None:
        """Keep memory that no array uses any more; the oldest is freed where it is too much."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._kept.append(memory)
            self._shrink()
        finally:
            self._lock.release()

    def resize(self, limit: int) -> int:
        """Set the limit; return the one before."""
        with self._lock:
            before, self._limit = self._limit, limit
            self._shrink()
        return before

    def _shrink(self) -> None:
        while sum(memory.nbytes for memory in self._kept) > self._limit:
            self._kept.pop(0)


_cache = _Cache(1 << 28)


def empty_gradient(like: Array, dtype: DType) -> FloatArray:
    """Return ``np.empty_like(like, dtype)``, for large arrays in memory of a freed gradient."""
    size = like.size * dtype.itemsize
    if size < LEAST or type(like) is not np.ndarray:
        return np.empty_like(like, dtype)
    memory = np.asarray(_Lease(_cache.take(size)))[:size].view(dtype)
    order = sorted(range(like.ndim), key=lambda axis: -abs(like.strides[axis]))
    outermost_first = memory.reshape([like.shape[axis] for axis in order])
    return outermost_first.transpose(np.argsort(order))


def set_gradient_cache(limit: int) -> int:
    """Set how much memory of freed gradients is kept for the next ones.

    The system clears every page of a new array, which takes as long as computing the gradient. So
    the memory of arrays of 8 MiB and more that fastloss made, for gradients, Hessians and
    activations, is kept when they are freed. ``out=`` does the same for one array without keeping
    anything.

    Parameters
    ----------
    limit : int
        Bytes that may be kept; 0 keeps nothing. What is kept above the limit is freed at once.
        At first it is 268435456 (256 MiB).

    Returns
    -------
    int
        The limit before, in bytes.

    Raises
    ------
    ValueError
        If the limit is negative.

    Examples
    --------
    >>> import fastloss as fl
    >>> before = fl.set_gradient_cache(0)  # keep nothing
    >>> fl.set_gradient_cache(before)
    0
    """
    limit = operator.index(limit)
    if limit < 0:
        raise ValueError(f"limit must be a number of bytes, 0 or more, got {limit}")
    return _cache.resize(limit)
