"""What is done with the elements of a loss whose elements do not meet.

Every such loss is one element function

    (x, t, answer, scaled, plain, low, high) -> (term, slope),   slope = d term / d x,

and a row's loss is the sum of its terms over a divisor. An `answer` is t and 1 - t, smoothed
towards 1/2, the first multiplied with a weight. It is `plain` if there is neither; else `scaled` is
the answer times the gradient's factor, rounded once, so that the slope needs not be multiplied,
unless that is out of the common (see `spread`).


The losses whose elements do not meet, of rows that lie one behind the other; see `elements`.

Rows are cut into blocks and pieces like everywhere, and within one the loop is flat: no row starts
or ends in it.
"""

from typing import Any, TypeAlias

import numpy as np
from fastloss_kernels.compiler.jit import block, generic
from fastloss_kernels.loops.row_inputs import clear_rows, row_values
from fastloss_kernels.loops.targets import answers
from fastloss_kernels.memory.layout import rows_per_block
from fastloss_kernels.memory.rows import destination, inbox_size, piece_size, unpack, window
from fastloss_kernels.memory.streaming import block_ahead, chunk_size, deliver, fetch
from fastloss_kernels.reductions.sum_rows import add_rows, whole_sum
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.raw_arrays import fill, hold, memory, row_array, stacked
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar

Both: TypeAlias = tuple[Array, Array]


@block
def heaviest_answer(weight: Array, plain: bool) -> float:
    """Return the largest answer there can be; if plain, infinity: none is to be scaled early."""
    heaviest = np.inf if plain else 1.0
    for k in range(weight.size):
        heaviest = max(heaviest, weight[k])
    return heaviest


@block
def spread(
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
def repeat(weight: Array, weights: Array, width: int) -> None:
    """Repeat the weights of `width` classes, 1 where none are given, over a block's elements."""
    fill(weights, 1.0)
    if weight.size:
        for k in range(weights.size):
            weights[k] = weight[k % width]


@generic
def write_elements(
    element: Any,
    plain: bool,
    fused: bool,
    n: int,
    x: Array,
    t: Array,
    answer: Both,
    scaled: Both,
    factor: Both,
    bounds: tuple[Scalar, Scalar],
    terms: Array,
    slopes: Array,
) -> None:
    """Set the `terms` of n elements and, if `fused`, their `slopes` times `factor`.

    If it is plain the answers are not looked at: their places are taken by any arrays.
    """
    (yes, no), (yes_scaled, no_scaled), (f, rest), (low, high) = answer, scaled, factor, bounds
    one, none, infinity = terms.dtype.type(1), terms.dtype.type(0), terms.dtype.type(np.inf)
    if fused:
        for e in range(n):
            u = one - t[e]
            own = (t[e], u) if plain else (yes[e], no[e])
            own_scaled = (t[e], u) if plain else (yes_scaled[e], no_scaled[e])
            terms[e], slope = element(x[e], t[e], own, own_scaled, plain, low, high)
            # The rest of a subnormal factor is 0, and infinity times 0 is NaN.
            more = slope * rest[e] if abs(slope) < infinity else none
            slopes[e] = fma(slope, f[e], more)
    else:
        for e in range(n):
            own = (t[e], one - t[e]) if plain else (yes[e], no[e])
            terms[e], _ = element(x[e], t[e], own, own, plain, low, high)


@block
def divide_sums(total: Array, lost: Array, divisor: float, loss: Array) -> None:
    """Set the losses of some rows to the sums of their terms over the divisor."""
    for r in range(loss.size):
        loss[r] = loss.dtype.type(whole_sum(total[r], lost[r]) / divisor)


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
