"""The one loop that packs rows into a scratch, from which the rows part takes them; for every loss.

Rows that no block can be read from where they lie, or in half precision, are packed some blocks at
a time, and so is a gradient that cannot be written where it lies. The rows part is given arrays
over the scratch that begin so far before it that rows keep their numbers; `labels`, `scale`, `keep`
and `loss` are those of all rows.
"""

from typing import Any

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, cached, overload_block, part
from fastloss_kernels.compiler.linking import address_for_scratch, call, call_address
from fastloss_kernels.loops.kernel import unchecked_label
from fastloss_kernels.memory.layout import (
    Layout,
    block_rows_of,
    in_blocks,
    layout_beside,
    layout_of,
    size_of,
)
from fastloss_kernels.memory.pack import gather, store_packed
from fastloss_kernels.simd.cache_hints import store_fence
from fastloss_kernels.simd.deinterleave import is_short
from fastloss_kernels.simd.raw_arrays import flat_view, free, heap_array, view_3d
from fastloss_kernels.typing import Array
from numba import types


@block
def _pack_rows(x: Layout, targets: Layout, block_rows: int) -> int:
    """Return how many rows are packed at a time: as many as some blocks have."""
    classes = max(1, x.classes)
    rows = tuning.PACK_ELEMENTS // classes
    if x.class_major or targets.class_major:
        wide = min(tuning.PACK_ROWS_WIDE, tuning.PACK_ELEMENTS_WIDE // classes)
        rows = min(tuning.PACK_ROWS, max(rows, wide))
    return max(1, rows // block_rows) * block_rows


def _rows_in(x: Any, lies: Layout, direct: bool, scratch: Array, first: int, rows: int) -> Array:
    """Return what stands for x where the rows from `first` on are packed in `scratch`.

    That is x itself if it is `direct`; labels and None stand for themselves.
    """
    if x is None or x.ndim == 1:
        return x
    return _view(x, lies, direct, scratch, first, rows)


def _view(x: Array, lies: Layout, direct: bool, scratch: Array, first: int, rows: int) -> Array:
    if direct:
        return view_3d(flat_view(lies.data, scratch.dtype), x.shape, x.strides, x)
    row = lies.classes * scratch.itemsize
    packed = flat_view(scratch, scratch.dtype, -first * row)
    shape, strides = (first + rows, lies.classes, 1), (row, scratch.itemsize, row)
    return view_3d(packed, shape, strides, x)


overload_block(_rows_in)(
    lambda x, lies, direct, scratch, first, rows: (
        _view
        if isinstance(x, types.Array) and x.ndim == 3
        else (lambda x, lies, direct, scratch, first, rows: x)
    )
)


@cached
def pack_rows(first: int, last: int, rows: Any, short_rows: Any, arguments: Any) -> int:
    """Pack the rows from `first` on, a chunk at a time, and call a part on each chunk.

    `rows` and `short_rows` are the addresses of the parts for long and for short rows.
    """
    x, targets, options, scale, keep, loss, grad = arguments
    source = layout_of(x, loss)
    wanted, out = layout_beside(source, targets, loss), layout_beside(source, grad, loss)
    # Where the gradient is packed it replaces the predictions in the scratch.
    direct, step = in_blocks(source) and in_blocks(out), last - first
    if not (direct and in_blocks(wanted)):  # of labels the predictions' layout stands in
        step = min(step, _pack_rows(source, wanted, block_rows_of(x)))
    own = heap_array(0 if direct else step * source.classes, loss.dtype)
    targets_stay = targets.ndim == 1 or in_blocks(wanted)
    own_targets = heap_array(0 if targets_stay else step * source.classes, loss.dtype)
    large = out.packed and size_of(out) >= tuning.STREAM
    streamed = large and source.data.ctypes.data != out.data.ctypes.data
    place = short_rows if is_short(source.classes, loss) else rows
    for i in range(first, last, max(1, step)):
        count = min(step, last - i)
        if not direct:
            gather(source, i, count, flat_view(own, loss.dtype))
        if not targets_stay:
            gather(wanted, i, count, flat_view(own_targets, loss.dtype))
        chunk = (
            _rows_in(x, source, direct, own, i, count),
            _rows_in(targets, wanted, targets_stay, own_targets, i, count),
            options,
            scale,
            keep,
            loss,
            _rows_in(grad, out, in_blocks(out), own, i, count),
        )
        call_address(place, i, i + count, chunk)
        if grad is not None and not in_blocks(out):
            store_packed(flat_view(own, loss.dtype), i, count, out, streamed)
    free(own)
    free(own_targets)
    store_fence()
    return -1


def packed_part(
    module: str, name: str, rows: Any, *, short_rows: Any = None, labels: bool = False
) -> Any:
    """Return the part that packs rows of any layout, known as ``module.name``.

    Parameters
    ----------
    module, name : str
        What the part is known by.
    rows, short_rows : part
        The parts for contiguous rows, to which the packed ones are given.
    labels : bool
        Whether targets are class labels, not target rows.
    """
    short = short_rows or rows

    def packed(
        first: int,
        last: int,
        x: Array,
        targets: Array,
        options: Any,
        scale: Array,
        keep: Array,
        loss: Array,
        grad: Array | None,
    ) -> int:
        if labels:
            bad = unchecked_label(first, last, x, targets, keep)
            if bad >= 0:
                return bad
        arguments = (x, targets, options, scale, keep, loss, grad)
        parts = address_for_scratch(rows, arguments), address_for_scratch(short, arguments)
        return call(pack_rows, (first, last, *parts, arguments))

    return part(module, name, packed)
