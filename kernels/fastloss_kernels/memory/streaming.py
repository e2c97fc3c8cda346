"""What goes to and from memory while a block is worked on: memory does not wait for arithmetic.

The next block is fetched and, where a large gradient is written past the caches, the last one sent,
a chunk of each at a time, between chunks of arithmetic.
"""

from typing import TypeAlias

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.compiler.overloads import inlined
from fastloss_kernels.memory.layout import contiguous, is_long, lines_of, place_of
from fastloss_kernels.simd.cache_hints import prefetch, stream
from fastloss_kernels.simd.raw_arrays import memory
from fastloss_kernels.typing import Array
from numba import types

# (memory, elements of a row, elements from a row to the next one, elements to skip), see `coming`.
Coming: TypeAlias = tuple[Array, int, int, int]

# The predictions and the targets of the next block.
Ahead: TypeAlias = tuple[Coming, Coming]

# (scratch, gradient, [place in the scratch, place in the gradient, how many elements are left]);
# the scratch is seen as elements of the gradient.
Traffic: TypeAlias = tuple[Array, Array, Array]


@block
def nothing(like: Array) -> Coming:
    """Return what is fetched ahead where nothing is."""
    return memory(like, like.dtype)[:0], 1, 1, 0


@called
def coming(x: Array, first: int, skip: int) -> Coming:
    """Return the rows of x from `first` on but for `skip` elements, to be fetched ahead.

    Only where a row's classes are one run. The way to another line of rows is not known here: it
    costs one block that is waited for.
    """
    classes = x.shape[1]
    size = x.size - first * classes
    step = classes if contiguous(x) else lines_of(x)[1] // x.itemsize
    if (classes > 1 and x.strides[1] != x.itemsize) or step != classes < tuning.STRIDED_CLASSES:
        size = 0
    return memory(x, x.dtype, place_of(x, first))[:size], classes, step, skip


@block
def block_ahead(x: Array, first: int, rows: int) -> Coming:
    """Return what lies one block behind where the rows from `first` on are read.

    A row may be longer than a block, and what lies a row ahead be out of a cache again by then.
    """
    return coming(x, first, min(rows * x.shape[1], tuning.BLOCK))


@called
def early_and_late(x: Array, first: int, rows: int) -> tuple[Coming, Coming]:
    """Return what to fetch while rows from `first` on are read for the first time, and again.

    That is the next rows, behind the arithmetic of a later pass, if the cache keeps them so long.
    """
    if is_long(x):
        return block_ahead(x, first, rows), nothing(x)
    return nothing(x), coming(x, first + rows, 0)


@block
def fetch(ahead: Coming, start: int) -> None:
    """Fetch one chunk of what is `coming`, from the element `start` of its rows on."""
    rows, length, step, skip = ahead
    start += skip
    if rows.size and step == length:
        prefetch(rows, start, tuning.CHUNK)
    elif rows.size:
        row, behind, left = start // length, start % length, tuning.CHUNK
        while left > 0:
            size = min(left, length - behind)
            prefetch(rows, row * step + behind, size)
            row, behind, left = row + 1, 0, left - size


@block
def fetch_next(ahead: Ahead, start: int, size: int) -> None:
    """Fetch the chunks that begin among the `size` elements from `start` on, of both arrays."""
    for k in range(
        (start + tuning.CHUNK - 1) // tuning.CHUNK * tuning.CHUNK, start + size, tuning.CHUNK
    ):
        fetch(ahead[0], k)
        fetch(ahead[1], k)


@called
def fetch_piece(ahead: Coming, start: int, size: int) -> None:
    """Fetch the `size` elements from `start` on of what is `coming`, all at once."""
    for k in range(start, start + size, tuning.CHUNK):
        fetch(ahead, k)


@block
def chunk_size(w: Array, start: int, left: int) -> int:
    """Return how many of the `left` elements from w's `start` on make the next chunk.

    The first one is as short as makes the others begin with a cache line.
    """
    line = 64 // w.itemsize
    return min(tuning.CHUNK - (w.ctypes.data // w.itemsize + start) % line, left)


@block
def deliver(chunk: Array, w: Array, size: int, past: bool) -> None:
    """Write a finished chunk to w, past the caches where that is asked for."""
    if past:
        stream(chunk, w, size)
    else:
        for k in range(size):
            w[k] = chunk[k]


def _written(grad: Array | None, scratch: Array) -> Array:
    """Return the array that is written: without a gradient none is, and it is the scratch."""
    return scratch if grad is None else grad


inlined(_written)(
    lambda grad, scratch: (
        (lambda grad, scratch: scratch)
        if isinstance(grad, types.NoneType)
        else (lambda grad, scratch: grad)
    )
)


@block
def traffic_of(scratch: Array, grad: Array | None, left: Array) -> Traffic:
    """Return the traffic of one thread, with nothing under way."""
    left[0], left[1], left[2] = 0, 0, 0
    written = _written(grad, scratch)
    return memory(scratch, written.dtype), memory(written, written.dtype), left


@block
def _send(traffic: Traffic, size: int) -> None:
    source, target, left = traffic
    here = memory(
        target, target.dtype, int(left[1]) * target.itemsize
    )  # which may lie before its first row
    stream(source[left[0] :], here, size)
    left[0] += size
    left[1] += size
    left[2] -= size


@block
def send(traffic: Traffic) -> None:
    """Send one chunk of the last block."""
    _, target, left = traffic
    if left[2]:
        _send(traffic, chunk_size(target, left[1], left[2]))


@called
def send_rest(traffic: Traffic) -> None:
    """Send all that is left."""
    if traffic[2][2]:
        _send(traffic, traffic[2][2])


@block
def send_later(traffic: Traffic, w: Array, size: int, place: int) -> None:
    """Put ``w[:size]``, of finished rows, on the way to the gradient's elements from `place` on."""
    source, _, left = traffic
    send_rest(traffic)
    left[0] = (w.ctypes.data - source.ctypes.data) // w.itemsize
    left[1], left[2] = place, size
