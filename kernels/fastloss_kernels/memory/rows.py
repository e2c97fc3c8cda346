"""Blocks of whole rows: how many rows they have, and in which memory they are worked on.

A block is read from, and worked on in, contiguous memory: the array's own where its rows lie one
behind the other, else a scratch that is filled and emptied: with the rows of one block, or of many
where rows lie side by side in memory.
"""

from typing import TypeAlias

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.layout import (
    contiguous,
    is_long,
    place_of,
    rows_per_block,
    side_by_side,
)
from fastloss_kernels.memory.pack import gather, round_to, scatter
from fastloss_kernels.memory.streaming import Traffic, send_later, send_rest
from fastloss_kernels.simd.raw_arrays import memory
from fastloss_kernels.typing import Array

# (first, last, rows of a block) of the rows that one thread works on.
Share: TypeAlias = tuple[int, int, int]


@called
def rows_together(x: Array, block_rows: int) -> int:
    """Return how many rows of x the scratch holds: those of one block or more."""
    if not side_by_side(x):
        return block_rows
    classes = max(1, x.shape[1])
    rows = min(
        tuning.PACK_ROWS,
        max(
            tuning.PACK_ELEMENTS // classes,
            min(tuning.PACK_ROWS_WIDE, tuning.PACK_ELEMENTS_WIDE // classes),
        ),
    )
    return max(1, rows // block_rows) * block_rows


@block
def piece_size(classes: int) -> int:
    """Return how many classes are worked on at a time: all of them where a block holds the row."""
    return max(1, min(classes, tuning.BLOCK))


@block
def row_count(x: Array) -> int:
    """Return outer * inner."""
    return int(x.shape[0] * x.shape[2])


@block
def _plain(x: Array, work: Array) -> bool:
    """Return whether rows of x can be read where they lie."""
    return contiguous(x) and x.itemsize == work.itemsize


@block
def _direct(x: Array, grad: Array | None, work: Array) -> bool:
    """Return whether the gradient is worked on where it lies."""
    if grad is None:
        return False
    if not (_plain(x, work) and _plain(grad, work)):
        return False
    in_cache = (
        grad.size * grad.itemsize < tuning.STREAM or x.shape[1] * x.itemsize > tuning.DIRECT_ROW
    )
    return in_cache or x.ctypes.data == grad.ctypes.data


@block
def streams(x: Array, grad: Array | None, work: Array) -> bool:
    """Return whether finished rows go from the scratch to the gradient past the caches."""
    if grad is None or not contiguous(grad) or _direct(x, grad, work):
        return False
    return grad.size * grad.itemsize >= tuning.STREAM and x.ctypes.data != grad.ctypes.data


@block
def _in_turn(x: Array, grad: Array, work: Array) -> bool:
    """Return whether two halves of the scratch take turns: one is worked in, one on its way."""
    return grad.itemsize == work.itemsize and not is_long(grad) and streams(x, grad, work)


@block
def inbox_size(x: Array | None, work: Array, block_rows: int) -> int:
    """Return the length of the scratch that `window` or `destination` needs for blocks of x."""
    if x is None:
        return 0
    return 0 if _plain(x, work) else rows_together(x, block_rows) * x.shape[1]


@block
def scratch_size(x: Array, grad: Array | None, work: Array) -> int:
    """Return the length of the scratch that `window` and `work_array` need for blocks of x."""
    whole = rows_together(x, rows_per_block(x)) * x.shape[1]
    if grad is None:
        return min(whole, tuning.BLOCK) if _plain(x, work) else whole
    if _direct(x, grad, work):
        return 0
    rounded = grad.itemsize != work.itemsize and streams(x, grad, work)  # see `_outbox`
    return 2 * whole if rounded or _in_turn(x, grad, work) else whole


@block
def room_for(x: Array, grad: Array | None, scratch: Array, row: int, share: Share) -> Array:
    """Return the part of the scratch for rows from `row` on: the last may still be on their way."""
    offset = 0
    if grad is not None and _in_turn(x, grad, scratch):
        number = (row - share[0]) // rows_together(x, share[2])
        offset = number % 2 * (scratch.size // 2) * scratch.itemsize
    return memory(scratch, scratch.dtype, offset)


@block
def _outbox(x: Array, first: int, share: Share, traffic: Traffic) -> Array:
    """Return room for the rounded rows from `first` on, of a gradient in half precision.

    Of the two halves of the scratch the first is worked in. The second has room for twice as many
    rows of half the width: for the rows before these, which may still be on their way, too.
    """
    begin, _, block_rows = share
    whole = rows_together(x, block_rows) * x.shape[1]
    number = (first - begin) // block_rows
    return traffic[0][2 * whole + number % 2 * whole :]


@block
def window(x: Array, scratch: Array, first: int, share: Share) -> Array:
    """Return the block of rows from `first` on as one contiguous array.

    That is x's own memory, or a part of `scratch`, which is filled whenever all is worked on that
    it held. So blocks of a share have to be asked for one after the other.
    """
    begin, last, block_rows = share
    size = min(block_rows, last - first) * x.shape[1]
    if _plain(x, scratch):
        return memory(x, scratch.dtype, place_of(x, first))[:size]
    together = rows_together(x, block_rows)
    place = (first - begin) % together
    work = memory(scratch, scratch.dtype)
    if place == 0:
        gather(x, first, min(together, last - first), work)
    return work[place * x.shape[1] :][:size]


@called
def _empty(w: Array, x: Array, grad: Array, first: int, share: Share) -> None:
    """Write all rows of the scratch to the gradient, once w, its block from `first` on, is last."""
    begin, last, block_rows = share
    together = rows_together(x, block_rows)
    place = (first - begin) % together
    end = first + min(block_rows, last - first)
    if place + block_rows >= together or end == last:
        work = memory(w, w.dtype, -place * x.shape[1] * w.itemsize)
        scatter(work, first - place, end - first + place, grad)


@block
def work_array(
    x: Array, v: Array, grad: Array | None, own: Array, first: int, rows: int
) -> tuple[Array, int, bool]:
    """Return (array to work in, 1 if it holds whole rows else 0, whether it is v).

    v is the `window` of these rows of x, in the scratch `own` where x cannot be read where it lies;
    then that is worked in. Else it is the gradient's own block, or `own`. Without a gradient
    nothing of a long row is needed twice, and `own` holds a piece of it.
    """
    if not _plain(x, own):
        return v, 1, True
    if grad is None:
        whole = 0 if v.size > tuning.BLOCK else 1
        return memory(own, own.dtype)[: min(v.size, tuning.BLOCK)], whole, False
    if _direct(x, grad, own):
        w = memory(grad, own.dtype, place_of(grad, first))[: v.size]
        return w, 1, x.ctypes.data == grad.ctypes.data
    return memory(own, own.dtype)[: v.size], 1, False


@block
def hand_over(w: Array, x: Array, grad: Array, first: int, share: Share, traffic: Traffic) -> None:
    """Write the finished rows to the gradient, unless they were worked on where they belong."""
    if streams(x, grad, w):
        place = place_of(grad, first) // grad.itemsize
        if grad.itemsize == w.itemsize:
            send_later(traffic, w, w.size, place)
            if not _in_turn(x, grad, w):
                send_rest(traffic)
        else:
            outbox = _outbox(x, first, share, traffic)
            round_to(w, outbox)
            send_later(traffic, outbox, w.size, place)
    elif not _direct(x, grad, w):
        _empty(w, x, grad, first, share)


@block
def destination(
    x: Array, v: Array, grad: Array | None, own: Array, first: int
) -> tuple[Array, bool]:
    """Return (where finished rows of the gradient go, whether past the caches).

    That is where they belong, unless that is not contiguous or of another width; then it is `own`,
    which may hold v, the `window` of these rows of x, and `unpack` brings them there. Without a
    gradient it is nothing.
    """
    if grad is None:
        return own[:0], False
    if not _plain(grad, own):
        return (memory(own, own.dtype)[: v.size] if _plain(x, own) else v), False
    w = memory(grad, own.dtype, place_of(grad, first))[: v.size]
    past = grad.size * grad.itemsize >= tuning.STREAM and x.ctypes.data != grad.ctypes.data
    return w, past


@block
def unpack(w: Array, x: Array, grad: Array, first: int, share: Share) -> None:
    """Write the finished rows to the gradient, if w is not where they belong."""
    if not _plain(grad, w):
        _empty(w, x, grad, first, share)
