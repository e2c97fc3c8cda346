"""Softmax crossentropy from logits, with target rows.

With p = softmax(x), S = sum_c e^(x_c) and targets t,

    loss = sum_c t_c (log S - x_c)       d loss / d x_j = (sum_c t_c) p_j - t_j

Where t is 1 at one class and 0 elsewhere both would cancel for confident rows. With the class k of
the largest logit taken out of the sum beforehand,

    log S - x_k = log1p(others / e^(x_k)),   1 - p_k = others / S,   others = sum_{c != k} e^(x_c),

and every term of ``sum_c t_c (x_k - x_c) + sum_c t_c (log S - x_k)`` is >= 0. All sums and the
scalars of a row are float64.
"""

import numpy as np

from fastloss_kernels.blocks import (
    fill,
    hand_over,
    inbox_size,
    piece_size,
    room_for,
    row_array,
    row_count,
    rows_per_block,
    scratch_size,
    window,
    work_array,
)
from fastloss_kernels.caches import settle
from fastloss_kernels.distances import distances, refine_distances, subnormal_terms
from fastloss_kernels.intrinsics import fma, hold, memory, stacked
from fastloss_kernels.jit import block, each_part, kernel, part
from fastloss_kernels.logarithm import log1p
from fastloss_kernels.rows import clear_rows, row_values
from fastloss_kernels.rowsums import add_fine, add_rows, whole_sum
from fastloss_kernels.scaling import exponential_sums, lower_rows, lower_sums, top_class
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.traffic import coming, send_rest, traffic_of
from fastloss_kernels.typing import Array


@block
def _subtract(w: Array, t: Array, rows: int, factor: Array, minus: Array) -> None:
    """Turn exponentials w into factor w + minus t."""
    width = w.size // rows
    for r in range(rows):
        row, t_row = w[r * width : (r + 1) * width], t[r * width : (r + 1) * width]
        f, m = factor[r], minus[r]
        for c in range(width):
            row[c] = fma(row[c], f, m * t_row[c])


@part
def _dense_part(
    first: int,
    last: int,
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    kind = loss.dtype.type
    classes = x.shape[1]
    if classes == 0:  # a sum over nothing, and not one element to read
        fill(loss[first:last], kind(0))
        return
    block_rows, piece = rows_per_block(x), piece_size(classes)
    share = (first, last, block_rows)
    own = np.empty(scratch_size(x, grad, loss), loss.dtype)
    target_box = np.empty(inbox_size(targets, loss, block_rows), loss.dtype)
    changed_box, terms_box = np.empty((2, block_rows * piece), loss.dtype)
    changed, terms = memory(changed_box, loss.dtype), memory(terms_box, loss.dtype)
    top, power = stacked(np.dtype(np.int64)), stacked(np.dtype(np.int64))
    row_scale, factor, minus = row_array(), stacked(loss.dtype), stacked(loss.dtype)
    shift, height, gap = row_array(), row_array(), row_array()
    chosen, others, total, lost = row_array(), row_array(), row_array(), row_array()
    distance, distance_lost = row_array(), row_array()
    top_target, other_targets = row_array(), row_array()
    all_targets, targets_lost = row_array(), row_array()
    row_factor = row_array()
    spare = (row_array(), row_array())
    traffic = traffic_of(own, grad, stacked(np.dtype(np.int64)))

    for i in range(first, last, block_rows):
        rows, room = min(block_rows, last - i), room_for(x, grad, own, i, share)
        v, y = window(x, room, i, share), window(targets, target_box, i, share)
        w, whole, same = work_array(x, v, grad, room, i, rows)
        row_values(scale, i, rows, row_scale)
        for r in range(rows):
            top[r] = top_class(v[r * classes : (r + 1) * classes])
        for c in range(0, classes, piece):
            size = rows * min(piece, classes - c)
            t = dense_targets(y[c : c + size], rows, c, class_weight, smoothing, classes, changed)
            # Where the exponentials will be there is room: one array less in the cache.
            part = terms[:size] if same else w[c * whole : c * whole + size]
            for r in range(rows):
                if c <= top[r] < c + size // rows:
                    top_target[r] = t[r * (size // rows) + top[r] - c]
            add_fine(t, rows, c == 0, all_targets, targets_lost, spare)
            distances(v, t, rows, c, top, part)
            add_rows(part, rows, c == 0, distance, distance_lost, spare)
        fine = True
        for r in range(rows):  # what the softmax is multiplied by
            row_factor[r] = row_scale[r] * (all_targets[r] + targets_lost[r])
            other_targets[r] = (all_targets[r] - top_target[r]) + targets_lost[r]
            fine &= not subnormal_terms(distance[r], other_targets[r], loss)
        if not fine:
            refine_distances(
                v,
                y,
                rows,
                piece,
                class_weight,
                smoothing,
                top,
                other_targets,
                (distance, distance_lost),
                (changed, terms),
                spare,
            )
        scaling, sums = (power, shift, height, gap), (chosen, others, total)
        ahead = (coming(x, i + rows), coming(targets, i + rows))
        small = exponential_sums(
            v,
            w,
            whole,
            same,
            rows,
            piece,
            row_factor,
            top,
            scaling,
            sums,
            lost,
            spare,
            ahead,
            traffic,
        )
        mine = memory(loss, loss.dtype)[i : i + rows]
        for r in range(rows):
            t_sum = whole_sum(all_targets[r], targets_lost[r])
            far = whole_sum(distance[r], distance_lost[r])
            mine[r] = kind(far + t_sum * log1p(others[r] / chosen[r]))
        if grad is not None:
            if not small:
                lower_rows(w, rows, row_factor)
                lower_sums(sums, rows, row_factor, loss)
            for r in range(rows):
                s = row_scale[r]
                factor[r] = kind(row_factor[r] / total[r])
                minus[r] = kind(-s)
                # t_sum p_k - t_k of the largest logit, with what is in both taken out; and what the
                # products and the quotient lost put back
                less = top_target[r] * others[r]
                rest = fma(other_targets[r], chosen[r], -less)
                rest += fma(-top_target[r], others[r], less)
                q = s / total[r]
                more = fma(-q, total[r], s) / total[r] * rest  # NaN if s is infinite
                chosen[r] = fma(q, rest, more if abs(more) < np.inf else 0.0)
            for c in range(0, classes, piece):
                size = rows * min(piece, classes - c)
                y_part = y[c : c + size]
                t = dense_targets(y_part, rows, c, class_weight, smoothing, classes, changed)
                _subtract(w[c : c + size], t, rows, factor, minus)
            for r in range(rows):
                w[r * classes + top[r]] = kind(chosen[r])
            clear_rows(keep, i, rows, loss, w)
            hand_over(w, x, grad, i, share, traffic)
        else:
            clear_rows(keep, i, rows, loss, w[:0])
    send_rest(traffic)
    hold(own)
    hold(target_box)
    hold(changed_box)
    hold(terms_box)
    settle()


@kernel(_dense_part)
def softmax_crossentropy_dense(
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Softmax crossentropy of logits with target rows.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `halves`)
        Logits. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Targets t; they need not sum to 1. Any strides, 0 included.
    class_weight : (0,) or (classes,), loss's dtype
        Factors w of the targets; none if empty.
    smoothing : float
        The targets become ``t (1 - s) + s / classes``.
    scale : (1,) or (n,) float64
        d result / d loss of each row: the factor of its gradient.
    keep : (1,) or (n,) bool
        Rows to compute. Others get loss 0 and gradient 0 and are not looked at.
    loss : (n,), float64 for a float64 x, else float32: what is computed in
        Receives the row losses, without `scale`.
    grad : None or (outer, classes, inner), x's or loss's dtype
        Receives ``scale * d loss / d x``. It is x itself, or shares no memory with any input.
    threads : int
        How many threads share the rows; 1 is a plain loop. No result depends on it.

    Notes
    -----
    Error of a loss row: at most 4 ulp for logits within 1e4, of a gradient element at most 4 ulp.
    Where the gradient is a small difference of p and t it is exact to an ulp of t. A target 0 on a
    logit -inf adds 0, any other target there inf.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import softmax_crossentropy_dense
    >>> x = np.array([[2.0, 1.0, 0.0]], np.float32).reshape(1, 3, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t, none = np.array([[[1.0], [0.0], [0.0]]], np.float32), np.empty(0, np.float32)
    >>> softmax_crossentropy_dense(x, t, none, 0.0, one, all_rows, loss, grad, 1)
    >>> loss
    array([0.40760595], dtype=float32)
    >>> grad.ravel()
    array([-0.33475903,  0.24472846,  0.09003057], dtype=float32)
    """
    each_part(
        _dense_part,
        row_count(x),
        threads,
        (x, targets, class_weight, smoothing, scale, keep, loss, grad),
    )
