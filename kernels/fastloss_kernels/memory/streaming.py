"""Memory traffic that overlaps with arithmetic: prefetches ahead of it, non-temporal stores behind.

While a block is processed the next one is prefetched and, where a large gradient bypasses the
caches, the last one is stored: a chunk of each at a time, between chunks of arithmetic.
"""

from typing import TypeAlias

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.layout import Layout, is_long, offset_of
from fastloss_kernels.simd.cache_hints import prefetch, store_nontemporal
from fastloss_kernels.simd.raw_arrays import flat_view
from fastloss_kernels.typing import Array

# (memory, elements of a row, elements from row to row, elements to skip), see `prefetch_rows`.
Prefetch: TypeAlias = tuple[Array, int, int, int]
# Of the predictions and of the targets.
Prefetches: TypeAlias = tuple[Prefetch, Prefetch]
# (scratch, gradient, [place in the scratch, place in the gradient, elements left to store]); the
# scratch is seen as elements of the gradient.
StoreQueue: TypeAlias = tuple[Array, Array, Array]


@block
def no_prefetch(like: Array) -> Prefetch:
    """Return the prefetch of nothing."""
    return flat_view(like, like.dtype)[:0], 1, 1, 0


@block
def prefetch_rows(x: Layout, first: int, skip: int) -> Prefetch:
    """Return the prefetch of the rows from `first` on but for `skip` elements.

    Where the next line begins is not known here: it costs one block that is not prefetched.
    """
    data = flat_view(x.data, x.data.dtype, offset_of(x, first))
    size = max(0, (x.rows - first) * x.classes)
    step = x.classes if x.packed else x.row_step // x.data.itemsize
    return data[:size], x.classes, step, skip


@block
def prefetch_block(x: Layout, first: int, rows: int) -> Prefetch:
    """Return the prefetch of what lies one block behind the rows from `first` on.

    A row may be longer than a block, and what lies a whole row ahead be evicted before its use.
    """
    return prefetch_rows(x, first, min(rows * x.classes, tuning.BLOCK))


@block
def prefetch_passes(x: Layout, first: int, rows: int) -> Prefetches:
    """Return what to prefetch while rows are read for the first time, and for the last.

    That is the next rows, behind the arithmetic of the last pass, if the cache keeps them that
    long.
    """
    if is_long(x):
        return prefetch_block(x, first, rows), no_prefetch(x.data)
    return no_prefetch(x.data), prefetch_rows(x, first + rows, 0)


@block
def prefetch_chunk(ahead: Prefetch, start: int) -> None:
    """Prefetch one chunk, from the element `start` of the rows on."""
    data, length, step, skip = ahead
    start += skip
    if data.size and step == length:
        prefetch(data, start, tuning.CHUNK)
    elif data.size:
        row, behind, left = start // length, start % length, tuning.CHUNK
        while left > 0:
            size = min(left, length - behind)
            prefetch(data, row * step + behind, size)
            row, behind, left = row + 1, 0, left - size


@block
def prefetch_chunks(ahead: Prefetches, start: int, size: int) -> None:
    """Prefetch the chunks that begin among `size` elements from `start` on, of both arrays."""
    chunk = tuning.CHUNK
    for k in range((start + chunk - 1) // chunk * chunk, start + size, chunk):
        prefetch_chunk(ahead[0], k)
        prefetch_chunk(ahead[1], k)


@called
def prefetch_piece(ahead: Prefetch, start: int, size: int) -> None:
    """Prefetch `size` elements from `start` on, all at once."""
    for k in range(start, start + size, tuning.CHUNK):
        prefetch_chunk(ahead, k)


@block
def chunk_size(out: Array, start: int, left: int) -> int:
    """Return how many of the `left` elements from out's `start` on make the next chunk.

    The first one is as short as makes the others begin with a cache line.
    """
    line = 64 // out.itemsize
    return min(tuning.CHUNK - (out.ctypes.data // out.itemsize + start) % line, left)


@block
def write_chunk(chunk: Array, out: Array, size: int, streamed: bool) -> None:
    """Write a finished chunk to `out`, with non-temporal stores if it is to be `streamed`."""
    if streamed:
        store_nontemporal(chunk, out, size)
    else:
        for k in range(size):
            out[k] = chunk[k]


@block
def store_queue(scratch: Array, target: Array, left: Array) -> StoreQueue:
    """Return an empty queue of one thread's non-temporal stores from scratch to `target`."""
    left[0], left[1], left[2] = 0, 0, 0
    return flat_view(scratch, target.dtype), target, left


@block
def _store(queue: StoreQueue, size: int) -> None:
    source, target, left = queue
    # The gradient's rows may run backwards: the place lies before its first row then.
    here = flat_view(target, target.dtype, left[1] * target.itemsize)
    store_nontemporal(source[left[0] :], here, size)
    left[0] += size
    left[1] += size
    left[2] -= size


@block
def store_chunk(queue: StoreQueue) -> None:
    """Store one chunk of the last block."""
    _, target, left = queue
    if left[2]:
        _store(queue, chunk_size(target, left[1], left[2]))


@called
def flush(queue: StoreQueue) -> None:
    """Store all that is left."""
    if queue[2][2]:
        _store(queue, queue[2][2])


@block
def queue_store(queue: StoreQueue, out: Array, size: int, place: int) -> None:
    """Queue finished rows, ``out[:size]``, for the gradient's elements from `place` on."""
    source, _, left = queue
    flush(queue)
    left[0] = (out.ctypes.data - source.ctypes.data) // out.itemsize
    left[1], left[2] = place, size
