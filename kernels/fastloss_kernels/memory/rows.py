"""Blocks of rows: in which memory they are read, and their gradient is made.

Blocks that are not contiguous are copied row by row, and so is their gradient.

A block function that works over its gradient in several passes makes it in `work_block`: in the
gradient itself where the caches hold that, else in a scratch that is stored while the next block is
processed. One that writes each element once writes it straight to the gradient's `block_at`.
"""

from typing import Any, NamedTuple

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.layout import Layout, is_long, offset_of, size_of
from fastloss_kernels.memory.streaming import StoreQueue, flush, queue_store
from fastloss_kernels.simd.raw_arrays import copy, flat_view
from fastloss_kernels.typing import Array


class Scratch(NamedTuple):
    """What blocks need besides their output."""

    targets: Any  # room for a block of target rows
    temporaries: Any  # flat: temporary arrays one behind the other, which outlast a block
    room: Any  # elements of a temporary array: a piece of each row


class Block(NamedTuple):
    """Whole rows in contiguous memory, and what belongs to them."""

    first: Any
    rows: Any
    classes: Any
    starts: Any  # whether it is the first block of its part
    x: Any  # the predictions
    out: Any  # where their gradient is made: `work_block`, or its own memory
    whole: Any  # 1 if `out` has room for whole rows, 0 if for a piece of one
    in_place: Any  # whether `out` is x
    streamed: Any  # whether finished elements are stored past the caches
    queue: StoreQueue  # what may be stored meanwhile
    scratch: Scratch
    scale: Any  # factor of each row's gradient
    new_scale: Any  # whether it has changed since the last block
    loss: Any


class Output(NamedTuple):
    """Where the gradient lies, and the way it gets there."""

    rows: Layout  # without a gradient that of the predictions, and of no use
    in_place: Any  # whether the gradient replaces the predictions
    uncached: Any  # whether it is too large for the caches, and does not replace the predictions
    worked_on: Any  # whether `work_block` is the gradient's own memory
    alternate: Any  # whether two halves of the scratch take turns: one in work, one being stored


@block
def output_of(x: Layout, rows: Layout) -> Output:
    """Return the output of blocks of x whose gradient has the layout `rows`."""
    in_place = x.data.ctypes.data == rows.data.ctypes.data
    uncached = size_of(rows) >= tuning.STREAM and not in_place
    # Scratch for rows that long would fill a second-level cache.
    kept = not uncached or x.classes * x.data.itemsize > tuning.DIRECT_ROW
    worked_on = kept and rows.direct
    alternate = rows.direct and not worked_on and not is_long(rows)
    return Output(rows, in_place, uncached, worked_on, alternate)


@block
def block_at(x: Layout, first: int, size: int, like: Array) -> Array:
    """Return `size` elements from the row `first` on, where they lie."""
    return flat_view(x.data, like.dtype, offset_of(x, first))[:size]


@called
def _copy_rows(x: Layout, first: int, rows: int, packed: Array) -> None:
    for k in range(rows):
        copy(block_at(x, first + k, x.classes, packed), packed[k * x.classes :][: x.classes])


@called
def copy_back(packed: Array, first: int, out: Layout) -> None:
    """Copy whole rows of the gradient to the rows from `first` on."""
    classes = max(1, out.classes)
    for k in range(packed.size // classes):
        row = packed[k * classes : (k + 1) * classes]
        copy(row, block_at(out, first + k, classes, packed))


@block
def load_block(x: Layout, first: int, rows: int, scratch: Array) -> Array:
    """Return a block as one contiguous array: where it lies, or in the scratch."""
    if x.direct:
        return block_at(x, first, rows * x.classes, scratch)
    _copy_rows(x, first, rows, scratch)
    return flat_view(scratch, scratch.dtype)[: rows * x.classes]


@block
def with_output(b: Block, out: Array) -> Block:
    """Return the block with another output: `out`, with room for a piece of each row."""
    return Block(
        first=b.first,
        rows=b.rows,
        classes=b.classes,
        starts=b.starts,
        x=b.x,
        out=out,
        whole=0,
        in_place=False,
        streamed=b.streamed,
        queue=b.queue,
        scratch=b.scratch,
        scale=b.scale,
        new_scale=b.new_scale,
        loss=b.loss,
    )


@block
def scratch_size(x: Layout, size: int) -> int:
    """Return the length of the scratch for blocks of `size` elements that are copied."""
    return 0 if x.direct else size


@block
def work_size(size: int, out: Output, fused: bool) -> int:
    """Return the length of the scratch that `work_block` needs for blocks of `size` elements.

    Without a gradient nothing of a long row is needed twice, and the scratch holds a piece of it.
    """
    if not fused:
        return min(size, tuning.BLOCK)
    if out.worked_on:
        return 0
    return 2 * size if out.alternate else size


@block
def work_block(
    size: int, out: Output, fused: bool, scratch: Array, first: int, number: int
) -> tuple[Array, int, bool]:
    """Return (array to work in, 1 if it holds whole rows else 0, whether it holds the predictions).

    `number` is that of the block: the scratch's other half may be in the queue.
    """
    if not fused:
        whole = 0 if size > tuning.BLOCK else 1
        return flat_view(scratch, scratch.dtype)[: min(size, tuning.BLOCK)], whole, False
    if out.worked_on:
        return block_at(out.rows, first, size, scratch), 1, out.in_place
    half = number % 2 * (scratch.size // 2) if out.alternate else 0
    return flat_view(scratch, scratch.dtype, half * scratch.itemsize)[:size], 1, False


@block
def store_work(w: Array, out: Output, queue: StoreQueue, first: int) -> None:
    """Store a finished `work_block`, unless it is the gradient's own memory."""
    if not out.worked_on:
        queue_store(queue, w, w.size, offset_of(out.rows, first) // w.itemsize)
        if not out.alternate:
            flush(queue)
