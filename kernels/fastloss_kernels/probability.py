"""Categorical crossentropy from probabilities: normalise the row, clip, take logarithms.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps) and m = 1 where q is inside the bounds,

    sparse, label y:   loss = -log p_y             d loss / d x_j = (m_y - 1{j = y} m_y / p_y) / S
    dense, targets t:  loss = -sum_c t_c log p_c   d loss / d x_j = (A - t_j m_j / p_j) / S

with A = sum_c t_c m_c. The bounds are closed and rounded to the working dtype, as is the q they
are compared with. S is held in two parts, so that S - x has all its digits where x is nearly S:
sparse, ``-log q_y = log1p((S - x_y) / x_y)`` and ``1 - 1 / q_y = -(S - x_y) / x_y``; dense, the
logarithm of q takes in what the division lost. A row whose sum is 0 has no q and gives NaN.
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
    row_count,
    rows_per_block,
    scratch_size,
    window,
    work_array,
)
from fastloss_kernels.caches import settle
from fastloss_kernels.intrinsics import fma, hold, memory, stacked
from fastloss_kernels.jit import block, each_part, kernel, part
from fastloss_kernels.labels import first_bad_label, kept_labels
from fastloss_kernels.logarithm import log, log1p, log_pair
from fastloss_kernels.rows import clear_rows, row_values
from fastloss_kernels.rowsums import add_fine, add_rows
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.traffic import send_rest, traffic_of
from fastloss_kernels.typing import Array, Scalar


@block
def _row_totals(
    v: Array, rows: int, piece: int, total: Array, lost: Array, spare: tuple[Array, Array]
) -> None:
    """Set (total, lost) to the sums of the rows v; an infinite sum, which has no shares, to NaN."""
    classes = v.size // rows
    for c in range(0, classes, piece):
        size = rows * min(piece, classes - c)
        add_fine(v[c : c + size], rows, c == 0, total, lost, spare)
    for r in range(rows):
        total[r] += total[r] - total[r]


@part
def _sparse_part(
    first: int,
    last: int,
    x: Array,
    labels: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> int:
    kind = loss.dtype.type
    classes = x.shape[1]
    bad = first_bad_label(labels, first, last, classes, keep)
    if bad >= 0:
        return bad
    if classes == 0:  # a sum over nothing, and not one element to read
        fill(loss[first:last], kind(0))
        return bad
    block_rows, piece = rows_per_block(x), piece_size(classes)
    low, high = kind(eps), kind(1.0 - eps)
    log_low, log_high = log(np.float64(low)), log(np.float64(high))
    own = np.empty(scratch_size(x, grad, loss), loss.dtype)
    target, slope = stacked(np.dtype(np.int64)), stacked(loss.dtype)
    row_scale, chosen, total, lost = row_array(), row_array(), row_array(), row_array()
    spare = (row_array(), row_array())
    traffic = traffic_of(own, grad, stacked(np.dtype(np.int64)))

    for number, i in enumerate(range(first, last, block_rows)):
        rows, room = min(block_rows, last - i), room_for(x, grad, own, number)
        v = window(x, room, i, rows)
        kept_labels(labels, keep, i, rows, target)
        row_values(scale, i, rows, row_scale)
        _row_totals(v, rows, piece, total, lost, spare)
        for r in range(rows):
            chosen[r] = v[r * classes + target[r]]
        mine = memory(loss, loss.dtype)[i : i + rows]
        for r in range(rows):
            others = (total[r] - chosen[r]) + lost[r]
            odds = others / chosen[r]
            share = kind(chosen[r]) / kind(total[r])
            clipped = (share < low) | (share > high)  # a NaN goes on as NaN
            bound = log_low if share < low else log_high
            mine[r] = kind(-bound if clipped else log1p(odds))
            # share / share: NaN where the sum is 0, else 1
            factor = 0.0 if clipped else row_scale[r] / total[r] * (share / share)
            slope[r], chosen[r] = kind(factor), 0.0 if clipped else -odds * factor
        if grad is not None:
            w, _, _ = work_array(x, v, grad, room, i, rows)
            for r in range(rows):
                fill(w[r * classes : (r + 1) * classes], slope[r])
                w[r * classes + target[r]] = kind(chosen[r])
            clear_rows(keep, i, rows, loss, w)
            hand_over(w, x, grad, i, rows, traffic)
        else:
            clear_rows(keep, i, rows, loss, v[:0])
    send_rest(traffic)
    hold(own)
    settle()
    return bad


@kernel(_sparse_part)
def probability_crossentropy_sparse(
    x: Array,
    labels: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Crossentropy of normalised, clipped probabilities with class labels.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `halves`)
        Probabilities, not necessarily normalised. Any strides; may be read-only.
    labels : (n,) int64
        Class of each row, ``0 <= labels < classes`` wherever the row is kept.
    eps : float
        The shares are clipped to [eps, 1 - eps].
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

    Returns
    -------
    int
        The first kept row whose label is out of range (then nothing is written), or -1.

    Notes
    -----
    Error of a loss row and of a gradient element: at most 4 ulp. A label whose share is clipped
    gives -log of the bound and gradient 0; a row of zeros and a row with NaN give NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import probability_crossentropy_sparse
    >>> x = np.array([[0.5, 0.25, 0.25]], np.float32).reshape(1, 3, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> probability_crossentropy_sparse(x, np.array([0]), 1e-7, one, all_rows, loss, grad, 1)
    -1
    >>> loss
    array([0.6931472], dtype=float32)
    >>> grad.ravel()
    array([-1.,  1.,  1.], dtype=float32)
    """
    bad = first_bad_label(labels, 0, labels.size, x.shape[1], keep)
    if bad < 0:
        arguments = (x, labels, eps, scale, keep, loss, grad)
        each_part(_sparse_part, row_count(x), threads, arguments)
    return bad


@block
def _log_terms(
    v: Array, t: Array, s: Scalar, rest: Scalar, low: Scalar, high: Scalar, terms: Array, own: Array
) -> None:
    """Set `terms` to -t log(p) for elements v of one row, and `own` to the t that are not clipped.

    The sum of the row is s + rest.
    """
    zero = low - low
    inverse = (low / low) / s
    for k in range(t.size):
        q = v[k] / s
        lost = (fma(-q, s, v[k]) - q * rest) * inverse
        clipped = (q < low) | (q > high)
        p = low if q < low else high if q > high else q
        terms[k] = -t[k] * log_pair(p, zero if clipped else lost)
        own[k] = zero if clipped else t[k]


@block
def _slopes(
    w: Array, t: Array, s: Scalar, rest: Scalar, low: Scalar, high: Scalar, parts: Any
) -> None:
    """Replace elements w of one row by their slopes, A - t S / x: each difference on its own.

    ``parts = (factor, A rounded, what that lost)``. As A - t S / x = (A - t) - t (S - x) / x,
    nothing is lost where t is nearly A and x nearly S.
    """
    factor, inside, more = parts
    for k in range(w.size):
        q = w[k] / s
        clipped = (q < low) | (q > high)
        own = ((inside - t[k]) + more) - t[k] * (((s - w[k]) + rest) / w[k])
        w[k] = factor * (inside if clipped else own)


@part
def _dense_part(
    first: int,
    last: int,
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    eps: float,
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
    low, high = kind(eps), kind(1.0 - eps)
    own = np.empty(scratch_size(x, grad, loss), loss.dtype)
    target_box = np.empty(inbox_size(targets, loss), loss.dtype)
    boxes = np.empty((3, block_rows * piece), loss.dtype)
    changed, terms = memory(boxes[0], loss.dtype), memory(boxes[1], loss.dtype)
    inside = memory(boxes[2], loss.dtype)
    row_scale, total, lost, value = row_array(), row_array(), row_array(), row_array()
    slope, slope_lost, value_lost = row_array(), row_array(), row_array()
    spare = (row_array(), row_array())
    traffic = traffic_of(own, grad, stacked(np.dtype(np.int64)))

    for number, i in enumerate(range(first, last, block_rows)):
        rows, room = min(block_rows, last - i), room_for(x, grad, own, number)
        v, y = window(x, room, i, rows), window(targets, target_box, i, rows)
        row_values(scale, i, rows, row_scale)
        _row_totals(v, rows, piece, total, lost, spare)
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            size = rows * width
            t = dense_targets(y[c : c + size], rows, c, class_weight, smoothing, classes, changed)
            for r in range(rows):
                s = kind(total[r])
                rest = kind((total[r] - s) + lost[r])
                row = slice(r * width, (r + 1) * width)
                _log_terms(
                    v[c : c + size][row], t[row], s, rest, low, high, terms[row], inside[row]
                )
            add_rows(terms[:size], rows, c == 0, value, value_lost, spare)
            add_fine(inside[:size], rows, c == 0, slope, slope_lost, spare)
        mine = memory(loss, loss.dtype)[i : i + rows]
        for r in range(rows):
            mine[r] = kind(value[r] + value_lost[r])
        if grad is not None:
            w, _, same = work_array(x, v, grad, room, i, rows)
            if not same:
                copy(v, w)
            for c in range(0, classes, piece):
                width = min(piece, classes - c)
                part = w[c : c + rows * width]
                y_part = y[c : c + part.size]
                t = dense_targets(y_part, rows, c, class_weight, smoothing, classes, changed)
                for r in range(rows):
                    s, a = kind(total[r]), kind(slope[r])
                    rest = kind((total[r] - s) + lost[r])
                    parts = (kind(row_scale[r] / total[r]), a, kind((slope[r] - a) + slope_lost[r]))
                    row = slice(r * width, (r + 1) * width)
                    _slopes(part[row], t[row], s, rest, low, high, parts)
            clear_rows(keep, i, rows, loss, w)
            hand_over(w, x, grad, i, rows, traffic)
        else:
            clear_rows(keep, i, rows, loss, v[:0])
    send_rest(traffic)
    hold(own)
    hold(target_box)
    hold(boxes)
    settle()


@kernel(_dense_part)
def probability_crossentropy_dense(
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Crossentropy of normalised, clipped probabilities with target rows.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `halves`)
        Probabilities, not necessarily normalised. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Targets t; they need not sum to 1. Any strides, 0 included.
    class_weight : (0,) or (classes,), loss's dtype
        Factors w of the targets; none if empty.
    smoothing : float
        The targets become ``t (1 - s) + s / classes``.
    eps : float
        The shares are clipped to [eps, 1 - eps].
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
    Error of a loss row whose targets are >= 0: at most 4 ulp. A clipped class adds -t log of the
    bound and no gradient of its own; a row of zeros and a row with NaN give NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import probability_crossentropy_dense
    >>> x = np.array([[0.5, 0.25, 0.25]], np.float32).reshape(1, 3, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t, none = np.array([[[1.0], [0.0], [0.0]]], np.float32), np.empty(0, np.float32)
    >>> probability_crossentropy_dense(x, t, none, 0.0, 1e-7, one, all_rows, loss, grad, 1)
    >>> loss
    array([0.6931472], dtype=float32)
    >>> grad.ravel()
    array([-1.,  1.,  1.], dtype=float32)
    """
    arguments = (x, targets, class_weight, smoothing, eps, scale, keep, loss, grad)
    each_part(_dense_part, row_count(x), threads, arguments)
