"""The one loop over blocks of contiguous rows, for every loss.

A loss gives a block function ``work(block, batch, options, grad)``. It sets the losses of the
block's rows and, unless `grad` is None, makes their gradient in ``block.out``; where that lies and
how it reaches the gradient is decided here.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import generic, part
from fastloss_kernels.compiler.overloads import inlined
from fastloss_kernels.loops.kernel import unchecked_label
from fastloss_kernels.loops.row_inputs import Batch, batch_of, row_values, zero_masked_rows
from fastloss_kernels.memory.layout import Layout, block_rows_of, piece_size
from fastloss_kernels.memory.rows import (
    Block,
    Scratch,
    Span,
    load_block,
    output_block,
    output_of,
    pack_size,
    store_output,
    store_work,
    work_block,
    work_scratch,
    work_size,
)
from fastloss_kernels.memory.streaming import flush, store_queue
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.raw_arrays import fill, hold, memory, row_array, stacked
from fastloss_kernels.typing import Array
from numba import types


def _target_size(targets: Any) -> int:
    """Return the length of the scratch for blocks of targets; labels need none."""
    return pack_size(targets) if isinstance(targets, Layout) else 0


inlined(_target_size)(
    lambda targets: (
        (lambda targets: 0)
        if isinstance(targets, types.Array)
        else (lambda targets: pack_size(targets))
    )
)


@generic
def each_block(
    work: Any,
    settings: Any,
    span: Any,
    batch: Batch,
    options: Any,
    grad: Any,
) -> None:
    """Call ``work(block, batch, options, grad)`` for every block of rows of a span.

    ``settings = (temporaries, one_pass, empty)`` are those of `rows_part`.
    """
    temporaries, one_pass, empty = settings
    x, targets, scale, keep, loss = batch
    first, last, block_rows = span
    fused = grad is not None
    out = output_of(x, grad, loss, block_rows)
    if one_pass:
        size = max(pack_size(x), pack_size(out.rows)) if fused else pack_size(x)
    else:
        size = work_size(x, out, fused, loss.itemsize)
    scratch, target_scratch = (
        np.empty(size, loss.dtype),
        np.empty(_target_size(targets), loss.dtype),
    )
    room = (min(block_rows, last - first) * piece_size(x.classes) + 15) // 16 * 16
    boxes = np.empty(temporaries * room, loss.dtype)
    queue = store_queue(scratch, out.rows.data, stacked(np.dtype(np.int64)))
    row_scale = row_array()
    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        new_scale = scale.size > 1 or i == first
        if new_scale:
            row_values(scale, i, rows, row_scale)
        if one_pass:
            v = load_block(x, scratch, i, span)
            w, whole, same = scratch[:0], 1, False
            if fused:
                w = output_block(v, x, out, scratch, i)
        else:
            own = work_scratch(x, out, scratch, i, span)
            v = load_block(x, own, i, span)
            w, whole, same = work_block(v, x, out, fused, own, i)
        losses = memory(loss, loss.dtype)[i : i + rows]
        b = Block(
            first=i,
            rows=rows,
            classes=x.classes,
            span=span,
            x=v,
            out=w,
            whole=whole,
            in_place=same,
            streamed=out.uncached and out.rows.direct,
            queue=queue,
            scratch=Scratch(target_scratch, boxes, room),
            scale=row_scale,
            new_scale=new_scale,
            loss=losses,
        )
        if x.classes == 0:  # not one element to read
            fill(losses, loss.dtype.type(empty))
        else:
            work(b, batch, options, grad)
        if grad is None:
            zero_masked_rows(keep, i, rows, losses, w[:0])
        else:
            zero_masked_rows(keep, i, rows, losses, w)
            if one_pass:
                store_output(w, x, out, i, span)
            else:
                store_work(w, x, out, queue, i, span)
    flush(queue)
    hold(scratch)
    hold(target_scratch)
    hold(boxes)
    settle()


def rows_part(
    module: str,
    name: str,
    work: Any,
    *,
    labels: bool = False,
    temporaries: int = 0,
    one_pass: bool = False,
    empty: float = 0.0,
) -> Any:
    """Return the part for contiguous rows of a loss, known as ``module.name``.

    Parameters
    ----------
    module, name : str
        What the part is known by.
    work : block function
        What is done to a block; see above.
    labels : bool
        Whether targets are class labels, not target rows.
    temporaries : int
        How many temporary arrays a block needs.
    one_pass : bool
        Whether each element of the gradient is written once; see `memory.rows`.
    empty : float
        The loss of a row without classes.
    """
    settings = (temporaries, one_pass, empty)

    def rows(
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
        bad = -1
        if labels:
            bad = unchecked_label(first, last, x, targets, keep)
        if bad < 0:
            span = Span(first, last, block_rows_of(x))
            batch = batch_of(x, targets, scale, keep, loss, span.block_rows)
            each_block(work, settings, span, batch, options, grad)
        return bad

    return part(module, name, rows)
