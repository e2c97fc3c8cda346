"""Boxes: the rectangular pieces in which a large array is read, worked on and written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

Box = tuple[slice, ...]
"""One slice(start, stop) per axis."""


def boxes(shape: Sequence[int], limit: int) -> Iterator[Box]:
    """Cut an array into boxes of at most `limit` elements (at least one), none of them empty.

    Each is a contiguous stretch of the array in C order, and they follow each other.

    >>> list(boxes((2, 3), 4))
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
            for box in boxes(rest, limit):
                yield (slice(start, start + 1), *box)


def lengths(box: Box) -> tuple[int, ...]:
    """Return the shape of a box."""
    return tuple(part.stop - part.start for part in box)


def runs(shape: Sequence[int], box: Box) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of the contiguous stretches of a C-ordered array that are `box`."""
    shape, box = (1, *shape), (slice(0, 1), *box)  # so that there is an axis to run along
    cut = [axis for axis, part in enumerate(lengths(box)) if part < shape[axis]]
    axis = cut[-1] if cut else 0
    inner = math.prod(shape[axis + 1 :])
    length = (box[axis].stop - box[axis].start) * inner
    for index in itertools.product(*(range(part.start, part.stop) for part in box[:axis])):
        start = 0
        for position, size in zip((*index, box[axis].start), shape[: axis + 1], strict=True):
            start = start * size + position
        yield start * inner, length
