"""The common form of the losses whose elements do not meet: a row's loss is a sum of terms.

Every such loss is one element function ``(x, t, v, u, plain, low, high) -> (term, slope)`` with
slope = d term / d x; here are the loops around it. Rows are cut into blocks and pieces like
everywhere, and within one the loop is flat: no row starts or ends in it.
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
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.traffic import chunk_size, coming, deliver, fetch
from fastloss_kernels.typing import Array


@block
def _spread(values: Array, rows: int, divisor: float, spread: Array) -> None:
    """Repeat each row's value over its elements, divided."""
    width = spread.size // rows
    for r in range(rows):
        fill(spread[r * width : (r + 1) * width], spread.dtype.type(values[r] / divisor))


@block
def _repeat(weight: Array, smoothing: float, shrink: Array, rise: Array) -> None:
    """Repeat, for all elements of a block, what makes a smoothed and weighted target of a target.

    The factor `shrink` and the summand `rise` hold the weight already: so a target is rounded once,
    and not after each of three steps.
    """
    kind, width = weight.dtype.type, max(1, weight.size)
    for r in range(shrink.size // width):
        row = slice(r * width, (r + 1) * width)
        factors, summands = shrink[row], rise[row]
        for c in range(width):
            w = np.float64(weight[c])
            factors[c], summands[c] = kind(w * (1.0 - smoothing)), kind(w * (smoothing / 2))


@block
def _weighted(t: Array, shrink: Array, rise: Array, own: Array) -> Array:
    """Return the targets t, smoothed and weighted, in `own`."""
    v = own[: t.size]
    for k in range(t.size):
        v[k] = fma(t[k], shrink[k], rise[k])
    return v


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

    v and u are the targets t and 1 - t, each smoothed towards 1/2 by itself, lest a small u be what
    rounding left of 1 - v; `weight` is empty or has a value per class, with which v is multiplied.
    They are `plain` if there is neither. `low` and `high` go to `element` in the working dtype.
    """
    kind = loss.dtype.type
    classes = x.shape[1]
    block_rows, piece = rows_per_block(x), piece_size(classes)
    share = (first, last, block_rows)
    fused = grad is not None
    floor, ceiling = kind(low), kind(high)
    one, shrink, rise = kind(1), kind(1.0 - smoothing), kind(smoothing / 2)
    plain = smoothing == 0.0 and weight.size == 0
    size = max(inbox_size(x, loss, block_rows), inbox_size(grad, loss, block_rows))
    own = np.empty(size, loss.dtype)
    target_box = np.empty(inbox_size(targets, loss, block_rows), loss.dtype)
    boxes = np.empty((3, block_rows * piece), loss.dtype)
    weight_box = np.empty((2, min(block_rows, last - first) * weight.size), loss.dtype)
    none = np.empty(0, loss.dtype)
    changed, terms = memory(boxes[0], loss.dtype), memory(boxes[1], loss.dtype)
    factors = memory(boxes[2], loss.dtype)
    shrinks, rises = weight_box[0], weight_box[1]
    _repeat(weight, smoothing, shrinks, rises)
    row_scale, total, lost = row_array(), row_array(), row_array()
    spare = (row_array(), row_array())
    slopes = stacked(loss.dtype)

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        z, y = window(x, own, i, share), window(targets, target_box, i, share)
        w, past = destination(x, z, grad, own, i)
        x_ahead, t_ahead = coming(x, i + rows), coming(targets, i + rows)
        row_values(scale, i, rows, row_scale)
        if classes == 0:
            fill(total[:rows], 0.0)
            fill(lost[:rows], 0.0)
        if fused and (scale.size > 1 or i == first):
            _spread(row_scale, rows, divisor, factors[: rows * min(piece, classes)])
        for c in range(0, classes, piece):
            size = rows * min(piece, classes - c)
            t = y[c : c + size]
            if weight.size:
                v = _weighted(t, shrinks[c : c + size], rises[c : c + size], changed)
            else:
                v = dense_targets(t, rows, 0, none, smoothing, 2, changed)
            k = 0
            while k < size:
                n = chunk_size(w, c + k, size - k)
                fetch(x_ahead, c + k)
                fetch(t_ahead, c + k)
                x_k, t_k, v_k, terms_k = z[c + k :], t[k:], v[k:], terms[k:]
                if fused:
                    f_k = factors[k:]
                    for e in range(n):
                        u = fma(one - t_k[e], shrink, rise)
                        terms_k[e], slope = element(
                            x_k[e], t_k[e], v_k[e], u, plain, floor, ceiling
                        )
                        slopes[e] = slope * f_k[e]
                    deliver(slopes, w[c + k :], n, past)
                else:
                    for e in range(n):
                        u = fma(one - t_k[e], shrink, rise)
                        terms_k[e] = element(x_k[e], t_k[e], v_k[e], u, plain, floor, ceiling)[0]
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
