"""The one loop over blocks of contiguous rows, for every loss.

A loss gives a block function ``work(block, batch, options, grad)``. It sets the losses of the
block's rows and, unless `grad` is None, makes their gradient in ``block.out``; where that lies and
how it reaches the gradient is decided here.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import part
from fastloss_kernels.compiler.overloads import overload_block
from fastloss_kernels.loops.kernel import unchecked_label
from fastloss_kernels.loops.row_inputs import batch_of, row_values, zero_masked_rows
from fastloss_kernels.memory.layout import Layout, block_rows_of, piece_size
from fastloss_kernels.memory.rows import (
    Block,
    Scratch,
    Span,
    load_block,
    one_pass_size,
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
from fastloss_kernels.simd.cache_hints import store_fence
from fastloss_kernels.simd.raw_arrays import fill, flat_view, keep_alive, row_array, stack_array
from fastloss_kernels.typing import Array
from numba import types


def _target_size(targets: Any) -> int:
    """Return the length of the scratch for blocks of targets; labels need none."""
    return pack_size(targets) if isinstance(targets, Layout) else 0


overload_block(_target_size)(
    lambda targets: (
        (lambda targets: 0)
        if isinstance(targets, types.Array)
        else (lambda targets: pack_size(targets))
    )
)


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
        if labels:
            bad = unchecked_label(first, last, x, targets, keep)
            if bad >= 0:
                return bad
        block_rows, fused = block_rows_of(x), grad is not None
        span, kind = Span(first, last, block_rows), loss.dtype
        batch = batch_of(x, targets, scale, keep, loss, block_rows)
        source, out = batch.x, output_of(batch.x, grad, loss, block_rows)
        if one_pass:
            size = one_pass_size(source, out)
        else:
            size = work_size(source, out, fused, loss.itemsize)
        room = (min(block_rows, last - first) * piece_size(source.classes) + 15) // 16 * 16
        own, own_targets = np.empty(size, kind), np.empty(_target_size(batch.targets), kind)
        boxes = np.empty(temporaries * room, kind)
        scratch = Scratch(flat_view(own_targets, kind), flat_view(boxes, kind), room)
        queue = store_queue(own, out.rows.data, stack_array(np.dtype(np.int64)))
        row_scale = row_array()
        for i in range(first, last, block_rows):
            count, new_scale = min(block_rows, last - i), scale.size > 1 or i == first
            if new_scale:
                row_values(scale, i, count, row_scale)
            if one_pass:
                v = load_block(source, own, i, span)
                w, whole, same = own[:0], 1, False
                if grad is not None:
                    w = output_block(v, source, out, own, i)
            else:
                half = work_scratch(source, out, own, i, span)
                v = load_block(source, half, i, span)
                w, whole, same = work_block(v, source, out, fused, half, i)
            losses = flat_view(loss, kind)[i : i + count]
            b = Block(
                first=i,
                rows=count,
                classes=source.classes,
                span=span,
                x=v,
                out=w,
                whole=whole,
                in_place=same,
                streamed=out.uncached and out.rows.direct,
                queue=queue,
                scratch=scratch,
                scale=row_scale,
                new_scale=new_scale,
                loss=losses,
            )
            if source.classes == 0:  # not one element to read
                fill(losses, kind.type(empty))
            else:
                work(b, batch, options, grad)
            zero_masked_rows(keep, i, count, losses, w if fused else w[:0])
            if grad is not None:
                if one_pass:
                    store_output(w, source, out, i, span)
                else:
                    store_work(w, source, out, queue, i, span)
        flush(queue)
        keep_alive(own)
        keep_alive(own_targets)
        keep_alive(boxes)
        store_fence()
        return -1

    return part(module, name, rows)
