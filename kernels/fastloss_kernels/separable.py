"""The common form of the losses whose elements do not meet: a row's loss is a sum of terms.

Every such loss is one element function ``(x, t, weight, low, high) -> (term, slope)`` with slope =
d term / d x; here are the loops around it. Rows are cut into blocks and pieces like everywhere, and
within one the loop is flat: no row starts or ends in it.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import (
    CHUNK,
    coming,
    copy,
    fetch,
    fill,
    hand_over,
    inbox_size,
    piece_size,
    row_sum,
    rows_per_block,
    window,
    work_array,
)
from fastloss_kernels.jit import block, generic
from fastloss_kernels.labels import step
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.typing import Array


@block
def _spread(values: Array, rows: int, width: int, spread: Array) -> None:
    """Repeat each row's value over its elements."""
    for r in range(rows):
        fill(spread[r * width : (r + 1) * width], values[r])


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
    block_rows, piece = rows_per_block(classes), piece_size(classes)
    size = block_rows * piece
    kept, scaled, fused = step(keep), step(scale), grad is not None
    floor, ceiling = kind(low), kind(high)
    inbox = np.empty(inbox_size(x, loss), loss.dtype)
    target_box = np.empty(inbox_size(targets, loss), loss.dtype)
    own = np.empty(0 if grad is None else block_rows * classes, loss.dtype)
    changed, terms, factors = np.empty((3, size), loss.dtype)
    none = np.empty(0, loss.dtype)
    weights = np.ones(block_rows * classes, loss.dtype)
    if weight.size:
        for r in range(block_rows):
            copy(weight, weights[r * classes : (r + 1) * classes])
    row_scale, total = np.empty(block_rows), np.empty(block_rows)
    fill(factors, kind(scale[0] / divisor) if scale.size else kind(0))

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        v, y = window(x, inbox, i, rows), window(targets, target_box, i, rows)
        w, _, same = work_array(x, v, grad, own, i, rows)
        fill(total[:rows], 0.0)
        x_ahead = coming(x, inbox, i + rows)
        t_ahead = coming(targets, target_box, i + rows)
        if fused:
            if not same:
                copy(v, w)
            if scaled:
                for r in range(rows):
                    row_scale[r] = scale[i + r] / divisor
                _spread(row_scale, rows, min(piece, classes), factors)
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            part = slice(c, c + rows * width)
            t = dense_targets(y[part], changed, 0, none, smoothing, 2)
            a = weights[part]
            size = rows * width
            for k in range(0, size, CHUNK):
                fetch(x_ahead, c + k)
                fetch(t_ahead, c + k)
                chunk = slice(k, min(k + CHUNK, size))
                t_k, a_k, terms_k = t[chunk], a[chunk], terms[chunk]
                if not fused:
                    x_k = v[c + k : c + k + terms_k.size]
                    for e in range(terms_k.size):
                        terms_k[e] = element(x_k[e], t_k[e], a_k[e], floor, ceiling)[0]
                    continue
                x_k, f_k = w[c + k : c + k + terms_k.size], factors[chunk]
                for e in range(terms_k.size):
                    terms_k[e], slope = element(x_k[e], t_k[e], a_k[e], floor, ceiling)
                    x_k[e] = slope * f_k[e]
            for r in range(rows):
                total[r] += row_sum(terms, r * width, width)
        for r in range(rows):
            row_kept = keep[(i + r) * kept]
            loss[i + r] = kind(total[r] / divisor) if row_kept else kind(0)
            if fused and not row_kept:
                fill(w[r * classes : (r + 1) * classes], kind(0))
        hand_over(w, grad, i, rows)
