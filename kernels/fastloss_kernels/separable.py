"""The common form of the losses whose elements do not meet: a row's loss is a sum of terms.

Every such loss is one element function

    (x, t, answer, scaled, plain, low, high) -> (term, slope),   slope = d term / d x;

here are the loops around it. Rows are cut into blocks and pieces like everywhere, and within one
the loop is flat: no row starts or ends in it.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import (
    destination,
    fill,
    inbox_size,
    piece_size,
    row_array,
    rows_per_block,
    unpack,
    window,
)
from fastloss_kernels.caches import settle
from fastloss_kernels.intrinsics import fma, hold, memory, stacked
from fastloss_kernels.jit import block, generic
from fastloss_kernels.rows import clear_rows, row_values
from fastloss_kernels.rowsums import add_rows
from fastloss_kernels.targets import answers
from fastloss_kernels.traffic import chunk_size, coming, deliver, fetch
from fastloss_kernels.typing import Array


@block
def _spread(
    values: Array,
    rows: int,
    divisor: float,
    heaviest: float,
    early: tuple[Array, Array],
    late: tuple[Array, Array],
) -> None:
    """Repeat each row's factor, value / divisor, over its elements: a float and what it lacks.

    The float lies nearer to 0, so that both have one sign, and overflow to one infinity. Answers of
    at most `heaviest` are multiplied `early`, if the row's factor leaves them room to the largest
    floats and to the smallest ones, else slopes are `late`; the other factor is 1. That depends on
    nothing but the row's own factor.
    """
    kind = late[0].dtype.type
    width = late[0].size // rows
    room = 2.0**40 if late[0].itemsize == 4 else 2.0**400
    for r in range(rows):
        high = values[r] / divisor
        low = fma(-high, divisor, values[r]) / divisor
        first = kind(high * (1.0 - np.finfo(late[0].dtype).eps))
        rest = kind((high - first) + low) if abs(first) < np.inf else kind(0)
        before = 1 / room < abs(high) < room * room / heaviest
        row = slice(r * width, (r + 1) * width)
        fill(early[0][row], first if before else kind(1))
        fill(early[1][row], rest if before else kind(0))
        fill(late[0][row], kind(1) if before else first)
        fill(late[1][row], kind(0) if before else rest)


@block
def _repeat(weight: Array, weights: Array, width: int) -> None:
    """Repeat the weights of `width` classes, 1 where none are given, over a block's elements."""
    fill(weights, 1.0)
    if weight.size:
        for k in range(weights.size):
            weights[k] = weight[k % width]


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

    An `answer` is t and 1 - t, smoothed towards 1/2, the first multiplied with `weight`, which is
    empty or has a value per class. It is `plain` if there is neither; else `scaled` is the answer
    times the gradient's factor, rounded once, so that the slope needs not be multiplied, unless
    that is out of the common (see `_spread`). `low` and `high` go to `element` in the dtype that is
    worked in.
    """
    kind = loss.dtype.type
    classes = x.shape[1]
    block_rows, piece = rows_per_block(x), piece_size(classes)
    share = (first, last, block_rows)
    fused = grad is not None
    floor, ceiling = kind(low), kind(high)
    one, none, infinity = kind(1), kind(0), kind(np.inf)
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
    weights = np.empty(0 if plain else min(block_rows, last - first) * width, loss.dtype)
    _repeat(weight, weights, width)
    row_scale, total, lost = row_array(), row_array(), row_array()
    spare = (row_array(), row_array())
    slopes = stacked(loss.dtype)
    heaviest = np.inf if plain else 1.0  # no factor leaves room to that
    for k in range(weight.size):
        heaviest = max(heaviest, weight[k])

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        z, y = window(x, own, i, share), window(targets, target_box, i, share)
        w, past = destination(x, z, grad, own, i)
        x_ahead, t_ahead = coming(x, i + rows), coming(targets, i + rows)
        row_values(scale, i, rows, row_scale)
        if classes == 0:
            fill(total[:rows], 0.0)
            fill(lost[:rows], 0.0)
        if scale.size > 1 or i == first:
            size = rows * min(piece, classes)
            late = factors[:size], rests[:size]
            _spread(row_scale, rows, divisor, heaviest, (early[0][:size], early[1][:size]), late)
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
                x_k, t_k, terms_k = z[c + k :], t[k:], terms[k:]
                yes_k, no_k = yes[k:], no[k:]
                if fused:
                    f_k, r_k = factors[k:], rests[k:]
                    ys_k, ns_k = yes_scaled[k:], no_scaled[k:]
                    for e in range(n):
                        u = one - t_k[e]
                        answer = yes_k[e], (u if plain else no_k[e])
                        scaled = ys_k[e], (u if plain else ns_k[e])
                        terms_k[e], slope = element(
                            x_k[e], t_k[e], answer, scaled, plain, floor, ceiling
                        )
                        # The rest of a subnormal factor is 0, and infinity times 0 is NaN.
                        rest = slope * r_k[e] if abs(slope) < infinity else none
                        slopes[e] = fma(slope, f_k[e], rest)
                    deliver(slopes, w[c + k :], n, past)
                else:
                    for e in range(n):
                        answer = yes_k[e], (one - t_k[e] if plain else no_k[e])
                        terms_k[e], _ = element(
                            x_k[e], t_k[e], answer, answer, plain, floor, ceiling
                        )
                k += n
            add_rows(terms[:size], rows, c == 0, total, lost, spare)
        mine = memory(loss, loss.dtype)[i : i + rows]
        for r in range(rows):
            mine[r] = kind((total[r] + lost[r]) / divisor)
        clear_rows(keep, i, rows, loss, w)
        if fused:
            unpack(w, x, grad, i, share)
    hold(own)
    hold(target_box)
    hold(boxes)
    settle()
