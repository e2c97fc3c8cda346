"""The losses whose elements do not meet, of rows that lie one behind the other; see `elements`.

Rows are cut into blocks and pieces like everywhere, and within one the loop is flat: no row starts
or ends in it.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import destination, fill, inbox_size, piece_size, unpack, window
from fastloss_kernels.caches import settle
from fastloss_kernels.elements import divide_sums, heaviest_answer, repeat, spread, write_elements
from fastloss_kernels.intrinsics import hold, memory, row_array, stacked
from fastloss_kernels.jit import generic
from fastloss_kernels.lines import rows_per_block
from fastloss_kernels.rows import clear_rows, row_values
from fastloss_kernels.rowsums import add_rows
from fastloss_kernels.targets import answers
from fastloss_kernels.traffic import block_ahead, chunk_size, deliver, fetch
from fastloss_kernels.typing import Array


@generic
def separable_rows(
    element: Any,
    first: int,
    last: int,
    x: Array,
    targets: Array,
    weight: Array,
    smoothing: float,
    low: float,
    high: float,
    divisor: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    """Write the losses, sums of terms over `divisor`, and the gradients of some rows.

    `weight` is empty or has a value per class. `low` and `high` go to `element` in the dtype that
    is worked in.
    """
    kind = loss.dtype.type
    classes = x.shape[1]
    block_rows, piece = rows_per_block(x), piece_size(classes)
    share = (first, last, block_rows)
    fused = grad is not None
    bounds = kind(low), kind(high)
    plain = smoothing == 0.0 and weight.size == 0
    size = max(inbox_size(x, loss, block_rows), inbox_size(grad, loss, block_rows))
    own = np.empty(size, loss.dtype)
    target_box = np.empty(inbox_size(targets, loss, block_rows), loss.dtype)
    boxes = np.empty((9, block_rows * piece), loss.dtype)
    terms = memory(boxes[0], loss.dtype)
    factors, rests = memory(boxes[1], loss.dtype), memory(boxes[2], loss.dtype)
    yes_box, no_box = memory(boxes[3], loss.dtype), memory(boxes[4], loss.dtype)
    scaled_boxes = memory(boxes[5], loss.dtype), memory(boxes[6], loss.dtype)
    early = memory(boxes[7], loss.dtype), memory(boxes[8], loss.dtype)
    width = weight.size if weight.size else min(piece, classes)
    weight_box = np.empty(0 if plain else min(block_rows, last - first) * width, loss.dtype)
    weights = memory(weight_box, loss.dtype)[: weight_box.size]
    repeat(weight, weights, width)
    row_scale, total, lost = row_array(), row_array(), row_array()
    spare = (row_array(), row_array())
    slopes = stacked(loss.dtype)
    heaviest = heaviest_answer(weight, plain)

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        z, y = window(x, own, i, share), window(targets, target_box, i, share)
        w, past = destination(x, z, grad, own, i)
        x_ahead, t_ahead = block_ahead(x, i, rows), block_ahead(targets, i, rows)
        row_values(scale, i, rows, row_scale)
        if classes == 0:
            fill(total[:rows], 0.0)
            fill(lost[:rows], 0.0)
        if scale.size > 1 or i == first:
            size = rows * min(piece, classes)
            late = factors[:size], rests[:size]
            spread(row_scale, rows, divisor, heaviest, (early[0][:size], early[1][:size]), late)
        for c in range(0, classes, piece):
            size = rows * min(piece, classes - c)
            t = y[c : c + size]
            (yes, no), (yes_scaled, no_scaled) = (t, t), (t, t)
            if not plain:
                own_weights = weights[c if weight.size else 0 :]
                answers(t, own_weights, smoothing, early, (yes_box, no_box), scaled_boxes)
                (yes, no), (yes_scaled, no_scaled) = (yes_box, no_box), scaled_boxes
            k = 0
            while k < size:
                n = chunk_size(w, c + k, size - k)
                fetch(x_ahead, c + k)
                fetch(t_ahead, c + k)
                write_elements(
                    element,
                    plain,
                    fused,
                    n,
                    z[c + k :],
                    t[k:],
                    (yes[k:], no[k:]),
                    (yes_scaled[k:], no_scaled[k:]),
                    (factors[k:], rests[k:]),
                    bounds,
                    terms[k:],
                    slopes,
                )
                if fused:
                    deliver(slopes, w[c + k :], n, past)
                k += n
            add_rows(terms[:size], rows, c == 0, total, lost, spare)
        mine = memory(loss, loss.dtype)[i : i + rows]
        divide_sums(total, lost, divisor, mine)
        clear_rows(keep, i, rows, loss, w)
        if fused:
            unpack(w, x, grad, i, share)
    hold(own)
    hold(target_box)
    hold(boxes)
    hold(weight_box)
    settle()
