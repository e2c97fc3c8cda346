"""Memory of freed gradients, Hessians and activations, kept for the next ones.

The system clears every page of a new array, which may take as long as computing what is written
there. Memory that was in use before needs no clearing.
"""

from __future__ import annotations

import operator
import threading
from typing import Any

import numpy as np

from fastloss.arguments.arrays import DType
from fastloss.arguments.layout import Array
from fastloss.typing import FloatArray

LEAST = 1 << 23
"""Bytes of the smallest array that is kept: malloc itself keeps most of the memory of smaller ones.
"""
WASTE = 1.25
"""Memory may be larger than the array that gets it, but at most by this factor."""


class _Lease:
    """The base of an array over memory of a cache; gives it back when no array uses it any more.

    It knows its cache, since globals may be gone when the last arrays of a process are freed.
    """

    __slots__ = ("__array_interface__", "_cache", "_memory")

    def __init__(self, cache: _Cache, memory: Array) -> None:
        self._cache, self._memory = cache, memory
        self.__array_interface__: dict[str, Any] = memory.__array_interface__

    def __del__(self) -> None:
        self._cache.keep(self._memory)


class _Cache:
    """Memory that no array uses, oldest first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[Array] = []
        # Garbage collection may free an array, and call `keep`, in the middle of any method here.
        # Waiting for the lock would be a deadlock: whoever finds it taken does without the cache.
        self._lock = threading.Lock()

    def array(self, size: int) -> Array:
        """Return an array of `size` bytes, whose memory comes back when it is freed."""
        return np.asarray(_Lease(self, self._memory(size)))[:size]

    def _memory(self, size: int) -> Array:
        """Return memory of at least `size` bytes: kept, or new."""
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


def empty_output(like: Array, dtype: DType) -> FloatArray:
    """Return ``np.empty_like(like, dtype)``, for large arrays in memory of a freed gradient."""
    size = like.size * dtype.itemsize
    if size < LEAST or type(like) is not np.ndarray:
        return np.empty_like(like, dtype)
    flat = _cache.array(size).view(dtype)
    order = sorted(range(like.ndim), key=lambda axis: -abs(like.strides[axis]))
    outermost_first = flat.reshape([like.shape[axis] for axis in order])
    return outermost_first.transpose(np.argsort(order))


def set_gradient_cache(limit: int) -> int:
    """Set how much memory of freed gradients is kept for the next ones.

    The system clears every page of a new array, which may take as long as computing the gradient.
    So fastloss keeps the memory of the gradients, Hessians and activations that it returned, from
    8 MiB on, when they are freed. A caller who passes the same ``out=`` again needs no cache.

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
