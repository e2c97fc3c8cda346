"""Chunks: the rectangular parts in which a large array is read, processed and written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

Chunk = tuple[slice, ...]
"""The index of a rectangular part of an array: one slice(start, stop) per axis."""


def iter_chunks(shape: Sequence[int], limit: int) -> Iterator[Chunk]:
    """Split an array into chunks of at most `limit` elements (at least one), none of them empty.

    Each chunk is contiguous in C order, and the chunks come in C order.

    >>> list(iter_chunks((2, 3), 4))
    [(slice(0, 1, None), slice(0, 3, None)), (slice(1, 2, None), slice(0, 3, None))]
    """
    if 0 in shape:
        return
    if not shape:
        yield ()
        return
    first, rest = shape[0], shape[1:]
    whole = tuple(slice(0, length) for length in rest)
    inner = math.prod(rest)
    if inner <= limit or not rest:
        step = max(1, limit // inner)
        for start in range(0, first, step):
            yield (slice(start, min(start + step, first)), *whole)
    else:
        for start in range(first):
            for chunk in iter_chunks(rest, limit):
                yield (slice(start, start + 1), *chunk)


def iter_part(shape: Sequence[int], start: int, stop: int, limit: int) -> Iterator[Chunk]:
    """Split a part of an array, as iter_chunks does: start ... stop along its leading axis.

    The chunks are some of those of the whole array if `start` is where one of them begins.

    >>> list(iter_part((9, 2), 4, 7, 4))
    [(slice(4, 6, None), slice(0, 2, None)), (slice(6, 7, None), slice(0, 2, None))]
    """
    axis = leading_axis(shape)
    if axis is None:
        yield from iter_chunks(shape, limit)
        return
    for chunk in iter_chunks([*shape[:axis], stop - start, *shape[axis + 1 :]], limit):
        first = chunk[axis]
        moved = slice(first.start + start, first.stop + start)
        yield (*chunk[:axis], moved, *chunk[axis + 1 :])


def leading_axis(shape: Sequence[int]) -> int | None:
    """Return the first axis that is longer than 1, along which parts are contiguous in C order.

    None if there is none.
    """
    return next((axis for axis, length in enumerate(shape) if length > 1), None)


def chunk_shape(chunk: Chunk) -> tuple[int, ...]:
    """Return the shape of a chunk."""
    return tuple(part.stop - part.start for part in chunk)


def contiguous_runs(shape: Sequence[int], chunk: Chunk) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of each contiguous run of elements of a C-ordered array in `chunk`."""
    shape, chunk = (1, *shape), (slice(0, 1), *chunk)  # so that even a scalar has an axis
    partial = [axis for axis, length in enumerate(chunk_shape(chunk)) if length < shape[axis]]
    axis = partial[-1] if partial else 0
    inner = math.prod(shape[axis + 1 :])
    length = (chunk[axis].stop - chunk[axis].start) * inner
    for index in itertools.product(*(range(part.start, part.stop) for part in chunk[:axis])):
        start = 0
        for position, size in zip((*index, chunk[axis].start), shape[: axis + 1], strict=True):
            start = start * size + position
        yield start * inner, length
