"""Logits with class labels: the loop over blocks of rows, whatever is done to a block."""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import generic
from fastloss_kernels.loops.kernel import unchecked_label
from fastloss_kernels.loops.row_inputs import clear_rows, kept_labels, row_values
from fastloss_kernels.memory.layout import rows_per_block
from fastloss_kernels.memory.rows import (
    hand_over,
    room_for,
    scratch_size,
    window,
    work_array,
)
from fastloss_kernels.memory.streaming import block_ahead, nothing, send_rest, traffic_of
from fastloss_kernels.simd.cache_hints import prefetch, settle
from fastloss_kernels.simd.raw_arrays import fill, hold, memory, row_array, stacked
from fastloss_kernels.typing import Array


@generic
def labelled_part(
    work: Any,
    first: int,
    last: int,
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> int:
    """Write the losses and gradients of some rows; return the first bad label's row, or -1.

    ``work(v, w, whole, same, rows, scale, target, loss, grad, ahead, traffic)`` does a block:
    it sets the losses of its rows v and, unless `grad` is None, w to their gradients.
    """
    bad = unchecked_label(first, last, x, labels, keep)
    if bad < 0 and x.shape[1] == 0:  # a sum over nothing, and not one element to read
        fill(loss[first:last], loss.dtype.type(0))
    elif bad < 0:
        block_rows = rows_per_block(x)
        share = (first, last, block_rows)
        own = np.empty(scratch_size(x, grad, loss), loss.dtype)
        target, row_scale = stacked(np.dtype(np.int64)), row_array()
        traffic = traffic_of(own, grad, stacked(np.dtype(np.int64)))
        for i in range(first, last, block_rows):
            rows, own_block = min(block_rows, last - i), room_for(x, grad, own, i, share)
            v = window(x, own_block, i, share)
            w, whole, same = work_array(x, v, grad, own_block, i, rows)
            kept_labels(labels, keep, i, rows, target)
            prefetch(labels, i + rows, rows)
            if scale.size > 1 or i == first:
                row_values(scale, i, rows, row_scale)
            ahead = (block_ahead(x, i, rows), nothing(loss))
            losses = memory(loss, loss.dtype)[i : i + rows]
            work(v, w, whole, same, rows, row_scale, target, losses, grad, ahead, traffic)
            if grad is None:
                clear_rows(keep, i, rows, loss, w[:0])
            else:
                clear_rows(keep, i, rows, loss, w)
                hand_over(w, x, grad, i, share, traffic)
        send_rest(traffic)
        hold(own)
        settle()
    return bad
