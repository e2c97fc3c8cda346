"""The common form of the losses whose elements do not meet: a row's loss is a sum of terms.

Every such loss is one element function ``(x, t, weight, low, high) -> (term, slope)`` with slope =
d term / d x; here are the loops around it. Rows are cut into blocks and pieces like everywhere, and
within one the loop is flat: no row starts or ends in it.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import (
    copy,
    fill,
    hand_over,
    inbox_size,
    piece_size,
    room_for,
    row_array,
    rows_per_block,
    scratch_size,
    window,
    work_array,
)
from fastloss_kernels.caches import settle
from fastloss_kernels.intrinsics import hold, memory, stacked
from fastloss_kernels.jit import block, generic
from fastloss_kernels.rows import clear_rows, row_values
from fastloss_kernels.rowsums import add_rows
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.traffic import CHUNK, coming, fetch, send, send_rest, traffic_of
from fastloss_kernels.typing import Array


@block
def _spread(values: Array, rows: int, divisor: float, spread: Array) -> None:
    """Repeat each row's value over its elements, divided."""
    width = spread.size // rows
    for r in range(rows):
        fill(spread[r * width : (r + 1) * width], spread.dtype.type(values[r] / divisor))


@generic
def separable_part(
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

    `weight` is empty or has a value per class; `low` and `high` are handed to `element` in the
    working dtype, as are targets smoothed towards 1/2.
    """
    kind = loss.dtype.type
    classes = x.shape[1]
    block_rows, piece = rows_per_block(x), piece_size(classes)
    size = block_rows * piece
    fused = grad is not None
    floor, ceiling = kind(low), kind(high)
    own = np.empty(scratch_size(x, grad, loss), loss.dtype)
    target_box = np.empty(inbox_size(targets, loss), loss.dtype)
    boxes = np.empty((3, size), loss.dtype)
    weight_box = np.ones(block_rows * classes, loss.dtype)
    none = np.empty(0, loss.dtype)
    changed, terms = memory(boxes[0], loss.dtype), memory(boxes[1], loss.dtype)
    factors, weights = memory(boxes[2], loss.dtype), memory(weight_box, loss.dtype)
    if weight.size:
        for r in range(block_rows):
            copy(weight, weights[r * classes : (r + 1) * classes])
    row_scale, total, lost = row_array(), row_array(), row_array()
    spare = (row_array(), row_array())
    traffic = traffic_of(own, grad, stacked(np.dtype(np.int64)))

    for number, i in enumerate(range(first, last, block_rows)):
        rows, room = min(block_rows, last - i), room_for(x, grad, own, number)
        v, y = window(x, room, i, rows), window(targets, target_box, i, rows)
        w, _, same = work_array(x, v, grad, room, i, rows)
        x_ahead, t_ahead = coming(x, i + rows), coming(targets, i + rows)
        row_values(scale, i, rows, row_scale)
        if classes == 0:
            fill(total[:rows], 0.0)
            fill(lost[:rows], 0.0)
        if fused:
            if not same:
                copy(v, w)
            _spread(row_scale, rows, divisor, factors[: rows * min(piece, classes)])
        for c in range(0, classes, piece):
            size = rows * min(piece, classes - c)
            t = dense_targets(y[c : c + size], rows, 0, none, smoothing, 2, changed)
            for k in range(0, size, CHUNK):
                fetch(x_ahead, c + k)
                fetch(t_ahead, c + k)
                send(traffic)
                n = min(CHUNK, size - k)
                t_k, a_k, terms_k = t[k : k + n], weights[c + k : c + k + n], terms[k : k + n]
                if not fused:
                    x_k = v[c + k : c + k + n]
                    for e in range(n):
                        terms_k[e] = element(x_k[e], t_k[e], a_k[e], floor, ceiling)[0]
                    continue
                x_k, f_k = w[c + k : c + k + n], factors[k : k + n]
                for e in range(n):
                    terms_k[e], slope = element(x_k[e], t_k[e], a_k[e], floor, ceiling)
                    x_k[e] = slope * f_k[e]
            add_rows(terms[:size], rows, c == 0, total, lost, spare)
        mine = memory(loss, loss.dtype)[i : i + rows]
        for r in range(rows):
            mine[r] = kind((total[r] + lost[r]) / divisor)
        if fused:
            clear_rows(keep, i, rows, loss, w)
            hand_over(w, x, grad, i, rows, traffic)
        else:
            clear_rows(keep, i, rows, loss, v[:0])
    send_rest(traffic)
    hold(own)
    hold(target_box)
    hold(boxes)
    hold(weight_box)
    settle()
