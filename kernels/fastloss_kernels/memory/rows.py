"""Blocks of whole rows: in which memory they are read, processed and stored.

A block is read from, and processed in, contiguous memory: the array's own where its rows are
contiguous, else a scratch into which rows are packed: those of one block, or of many where they are
class-major.

The gradient of a block is made in one of two ways. A block function that works over it in several
passes makes it in `work_block`: in the gradient itself where the caches hold that, else in a
scratch that is stored while the next block is processed. One that writes each element once writes
it to `output_block`, which is the gradient itself wherever possible.
"""

from typing import Any, NamedTuple

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.compiler.overloads import overload_block
from fastloss_kernels.memory.layout import Layout, is_long, layout_of, offset_of, size_of
from fastloss_kernels.memory.pack import gather, round_to, scatter
from fastloss_kernels.memory.streaming import StoreQueue, flush, queue_store
from fastloss_kernels.simd.raw_arrays import flat_view
from fastloss_kernels.typing import Array
from numba import types


class Span(NamedTuple):
    """The rows that one thread processes."""

    first: Any
    last: Any
    block_rows: Any


class Scratch(NamedTuple):
    """What the blocks of a span need besides their output."""

    targets: Any  # room to load a block of target rows
    temporaries: Any  # flat: temporary arrays one behind the other, which outlast a block
    room: Any  # elements of a temporary array: a piece of each row


class Block(NamedTuple):
    """Whole rows in contiguous memory, and what belongs to them."""

    first: Any
    rows: Any
    classes: Any
    span: Span
    x: Any  # the predictions
    out: Any  # where their gradient is made: `work_block` or `output_block`
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
    streamed: Any  # whether finished blocks of work are stored past the caches
    alternate: Any  # whether two halves of the scratch take turns: one in work, one being stored


def _gradient_rows(grad: Array | None, x: Layout, like: Array, block_rows: int) -> Layout:
    """Return the layout of the gradient; without one that of the predictions stands in."""
    return x if grad is None else layout_of(grad, like, block_rows)


overload_block(_gradient_rows)(
    lambda grad, x, like, block_rows: (
        (lambda grad, x, like, block_rows: x)
        if isinstance(grad, types.NoneType)
        else (lambda grad, x, like, block_rows: layout_of(grad, like, block_rows))
    )
)


@block
def output_of(x: Layout, grad: Array | None, like: Array, block_rows: int) -> Output:
    """Return the output of blocks of x that are processed in `like`'s dtype."""
    rows = _gradient_rows(grad, x, like, block_rows)
    in_place = x.data.ctypes.data == rows.data.ctypes.data
    large = size_of(rows) >= tuning.STREAM
    uncached = large and not in_place
    # Scratch for rows that long would fill a second-level cache.
    kept = not uncached or x.classes * x.data.itemsize > tuning.DIRECT_ROW
    worked_on = x.direct and rows.direct and kept
    streamed = rows.contiguous and uncached and not worked_on
    alternate = streamed and rows.data.itemsize == like.itemsize and not is_long(rows)
    return Output(rows, in_place, uncached, worked_on, streamed, alternate)


@block
def pack_size(x: Layout) -> int:
    """Return the length of the scratch that `load_block` needs for blocks of x."""
    return 0 if x.direct else x.pack_rows * x.classes


@block
def one_pass_size(x: Layout, out: Output) -> int:
    """Return the length of the scratch that `load_block` and `output_block` need."""
    return max(pack_size(x), pack_size(out.rows))


@block
def load_block(x: Layout, scratch: Array, first: int, span: Span) -> Array:
    """Return the block of rows from `first` on as one contiguous array.

    That is x's own memory, or a part of `scratch`, which is filled whenever all blocks that it held
    are finished. So the blocks of a span have to be loaded one after the other.
    """
    size = min(span.block_rows, span.last - first) * x.classes
    if x.direct:
        return flat_view(x.data, scratch.dtype, offset_of(x, first))[:size]
    slot = (first - span.first) % x.pack_rows
    packed = flat_view(scratch, scratch.dtype)
    if slot == 0:
        gather(x, first, min(x.pack_rows, span.last - first), packed)
    return packed[slot * x.classes :][:size]


@called
def _store_packed(rows: Array, x: Layout, out: Layout, first: int, span: Span) -> None:
    """Scatter all rows of the scratch to the gradient, once the block from `first` on is last."""
    slot = (first - span.first) % x.pack_rows
    end = first + min(span.block_rows, span.last - first)
    if slot + span.block_rows >= x.pack_rows or end == span.last:
        packed = flat_view(rows, rows.dtype, -slot * x.classes * rows.itemsize)
        scatter(packed, first - slot, end - first + slot, out)


@block
def work_size(x: Layout, out: Output, fused: bool, itemsize: int) -> int:
    """Return the length of the scratch that `load_block` and `work_block` need."""
    whole = x.pack_rows * x.classes
    if not fused:
        return min(whole, tuning.BLOCK) if x.direct else whole
    if out.worked_on:
        return 0
    rounded = out.streamed and out.rows.data.itemsize != itemsize  # see `_staging`
    return 2 * whole if rounded or out.alternate else whole


@block
def work_scratch(x: Layout, out: Output, scratch: Array, first: int, span: Span) -> Array:
    """Return the part of the scratch for rows from `first` on: the last may be in the queue."""
    offset = 0
    if out.alternate:
        number = (first - span.first) // x.pack_rows
        offset = number % 2 * (scratch.size // 2) * scratch.itemsize
    return flat_view(scratch, scratch.dtype, offset)


@block
def work_block(
    v: Array, x: Layout, out: Output, fused: bool, scratch: Array, first: int
) -> tuple[Array, int, bool]:
    """Return (array to work in, 1 if it holds whole rows else 0, whether it is v).

    v is the loaded block of x, in the scratch where x cannot be read where it lies; then that is
    worked in. Else it is the gradient's own block, or the scratch. Without a gradient nothing of a
    long row is needed twice, and the scratch holds a piece of it.
    """
    if not x.direct:
        return v, 1, True
    if not fused:
        whole = 0 if v.size > tuning.BLOCK else 1
        return flat_view(scratch, scratch.dtype)[: min(v.size, tuning.BLOCK)], whole, False
    if out.worked_on:
        own = flat_view(out.rows.data, scratch.dtype, offset_of(out.rows, first))
        return own[: v.size], 1, out.in_place
    return flat_view(scratch, scratch.dtype)[: v.size], 1, False


@block
def _staging(x: Layout, queue: StoreQueue, first: int, span: Span) -> Array:
    """Return room for the rounded rows from `first` on, of a gradient in half precision.

    Of the two halves of the scratch the first is worked in. The second has room for twice as many
    rows of half the width: for the rows before these, which may still be in the queue, too.
    """
    whole = x.pack_rows * x.classes
    number = (first - span.first) // span.block_rows
    return queue[0][2 * whole + number % 2 * whole :]


@block
def store_work(w: Array, x: Layout, out: Output, queue: StoreQueue, first: int, span: Span) -> None:
    """Store a finished `work_block`, unless it is the gradient's own memory."""
    if out.streamed:
        place = offset_of(out.rows, first) // out.rows.data.itemsize
        if out.rows.data.itemsize == w.itemsize:
            queue_store(queue, w, w.size, place)
            if not out.alternate:
                flush(queue)
        else:
            rounded = _staging(x, queue, first, span)
            round_to(w, rounded)
            queue_store(queue, rounded, w.size, place)
    elif not out.worked_on:
        _store_packed(w, x, out.rows, first, span)


@block
def output_block(v: Array, x: Layout, out: Output, scratch: Array, first: int) -> Array:
    """Return where finished elements of the gradient go: where they belong, or scratch.

    v is the loaded block of x; in scratch it is replaced by its gradient.
    """
    if out.rows.direct:
        return flat_view(out.rows.data, scratch.dtype, offset_of(out.rows, first))[: v.size]
    return flat_view(scratch, scratch.dtype)[: v.size] if x.direct else v


@block
def store_output(w: Array, x: Layout, out: Output, first: int, span: Span) -> None:
    """Store a finished `output_block`, unless it is the gradient's own memory."""
    if not out.rows.direct:
        _store_packed(w, x, out.rows, first, span)
