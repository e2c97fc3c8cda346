"""The one loop over blocks of contiguous rows, for every loss.

A loss gives a block function ``work(block, batch, options, grad)``. It sets the losses of the
block's rows and, unless `grad` is None, makes their gradient in ``block.out``; where that lies and
how it reaches the gradient is decided here. Rows that are neither contiguous nor long are packed
first, by `packed`.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import part
from fastloss_kernels.loops.kernel import unchecked_label
from fastloss_kernels.loops.row_inputs import batch_of, row_values, zero_masked_rows
from fastloss_kernels.memory.layout import block_rows_of, in_blocks, layout_beside, piece_size
from fastloss_kernels.memory.rows import (
    Block,
    Scratch,
    block_at,
    copy_back,
    load_block,
    output_of,
    scratch_size,
    store_work,
    work_block,
    work_size,
)
from fastloss_kernels.memory.streaming import flush, store_queue
from fastloss_kernels.simd.cache_hints import store_fence
from fastloss_kernels.simd.raw_arrays import (
    fill,
    flat_view,
    free,
    heap_array,
    row_array,
    stack_array,
)
from fastloss_kernels.typing import NOT_DIRECT, Array


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

    Its result is `NOT_DIRECT`, and nothing is written, if an array has other rows.

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
        batch = batch_of(x, targets, scale, keep, loss)
        source = batch.x
        out, fused = output_of(source, layout_beside(source, grad, loss)), grad is not None
        if not (in_blocks(source) and in_blocks(batch.targets) and in_blocks(out.rows)):
            return NOT_DIRECT
        if labels:
            bad = unchecked_label(first, last, x, targets, keep)
            if bad >= 0:
                return bad
        block_rows, classes, kind = block_rows_of(x), source.classes, loss.dtype
        most = min(block_rows, last - first)
        room = (most * piece_size(classes) + 15) // 16 * 16
        full = most * classes
        if one_pass:
            own = heap_array(scratch_size(out.rows, full), kind)
        else:
            own = heap_array(work_size(full, out, fused), kind)
        loaded = heap_array(scratch_size(source, full), kind)
        loaded_targets = heap_array(scratch_size(batch.targets, full), kind)
        temporary = heap_array(temporaries * room, kind)
        scratch = Scratch(flat_view(loaded_targets, kind), flat_view(temporary, kind), room)
        queue = store_queue(own, out.rows.data, stack_array(np.int64))
        row_scale = row_array()
        for i in range(first, last, block_rows):
            starts, count = i == first, min(block_rows, last - i)
            new_scale, size = scale.size > 1 or starts, count * classes
            if new_scale:
                row_values(scale, i, count, row_scale)
            v, losses = load_block(source, i, count, loaded), flat_view(loss, kind)[i : i + count]
            if one_pass:
                w, whole, same = flat_view(own, kind)[: size if fused else 0], 1, False
                if fused and out.rows.direct:
                    w = block_at(out.rows, i, size, loss)
            else:
                number = (i - first) // block_rows
                w, whole, same = work_block(size, out, fused, own, i, number)
            b = Block(
                first=i,
                rows=count,
                classes=classes,
                starts=starts,
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
            if classes == 0:  # not one element to read
                fill(losses, kind.type(empty))
            else:
                work(b, batch, options, grad)
            zero_masked_rows(keep, i, count, losses, w if fused else w[:0])
            if fused and not out.rows.direct:
                copy_back(w, i, out.rows)
            elif fused and not one_pass:
                store_work(w, out, queue, i)
        flush(queue)
        free(own)
        free(loaded)
        free(loaded_targets)
        free(temporary)
        store_fence()
        return -1

    return part(module, name, rows)
