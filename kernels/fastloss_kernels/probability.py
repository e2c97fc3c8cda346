"""Categorical crossentropy from probabilities: normalise the row, clip, take logarithms.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps) and m = 1 where q is inside the bounds,

    sparse, label y:   loss = -log p_y             d loss / d x_j = (m_y - 1{j = y} m_y / p_y) / S
    dense, targets t:  loss = -sum_c t_c log p_c   d loss / d x_j = (A - t_j m_j / p_j) / S

with A = sum_c t_c m_c. The bounds are closed and rounded to the working dtype, as is the q they
are compared with. As in `softmax`, one class k (the label, or the largest entry) is kept out of the
sum, so that ``-log q_k = log1p(others / x_k)`` and ``1 - 1 / q_k = -others / x_k`` hold every digit
where q_k is near 1. A row whose sum is 0 has no q and gives NaN.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import (
    copy,
    fill,
    hand_over,
    inbox_size,
    piece_size,
    row_count,
    row_sum,
    rows_per_block,
    split_sum,
    window,
    work_array,
)
from fastloss_kernels.jit import block, each_part, kernel, part
from fastloss_kernels.labels import first_bad_label, kept_labels, step
from fastloss_kernels.logarithm import log, log1p
from fastloss_kernels.scaling import top_class
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.typing import Array, Scalar


@block
def _surprise(mine: float, others: float, share: Scalar, low: Scalar, high: Scalar) -> Any:
    """Return (-log of the clipped share of `mine`, whether the share is inside the bounds)."""
    inside = not (share < low or share > high)  # a NaN goes on as NaN
    bound = np.float64(low) if share < low else np.float64(high)
    return log1p(others / mine) if inside else -log(bound), inside


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
) -> None:
    kind = loss.dtype.type
    classes = x.shape[1]
    if classes == 0:  # a sum over nothing, and not one element to read
        fill(loss[first:last], kind(0))
        return
    block_rows = rows_per_block(classes)
    kept, scaled = step(keep), step(scale)
    low, high = kind(eps), kind(1.0 - eps)
    inbox = np.empty(inbox_size(x, loss), loss.dtype)
    own = np.empty(0 if grad is None else block_rows * classes, loss.dtype)
    target = np.empty(block_rows, np.int64)

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        v = window(x, inbox, i, rows)
        w, _, _ = work_array(x, v, grad, own, i, rows)
        kept_labels(labels, keep, i, rows, target)
        for r in range(rows):
            mine, others, total = split_sum(v, r * classes, classes, target[r])
            share = v[r * classes + target[r]] / kind(total)
            value, inside = _surprise(mine, others, share, low, high)
            row_kept = keep[(i + r) * kept]
            loss[i + r] = kind(value) if row_kept else kind(0)
            if grad is not None:
                row = w[r * classes : (r + 1) * classes]
                if row_kept and inside:
                    # share / share: NaN where the sum is 0, else 1
                    slope = scale[(i + r) * scaled] / total * (share / share)
                    fill(row, kind(slope))
                    row[target[r]] = kind(-others / mine * slope)
                else:
                    fill(row, kind(0))
        hand_over(w, grad, i, rows)


@kernel
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
    x : (outer, classes, inner) float32 or float64
        Probabilities, not necessarily normalised. Any strides; may be read-only.
    labels : (n,) int64
        Class of each row, ``0 <= labels < classes`` wherever the row is kept.
    eps : float
        The shares are clipped to [eps, 1 - eps].
    scale : (1,) or (n,) float64
        d result / d loss of each row: the factor of its gradient.
    keep : (1,) or (n,) bool
        Rows to compute. Others get loss 0 and gradient 0 and are not looked at.
    loss : (n,), x's dtype
        Receives the row losses, without `scale`.
    grad : None or (outer, classes, inner), x's dtype
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
    bad = first_bad_label(labels, x.shape[1], keep)
    if bad < 0:
        arguments = (x, labels, eps, scale, keep, loss, grad)
        each_part(_sparse_part, row_count(x), threads, arguments)
    return bad


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
    block_rows, piece = rows_per_block(classes), piece_size(classes)
    kept, scaled = step(keep), step(scale)
    low, high = kind(eps), kind(1.0 - eps)
    inbox = np.empty(inbox_size(x, loss), loss.dtype)
    target_box = np.empty(inbox_size(targets, loss), loss.dtype)
    own = np.empty(0 if grad is None else block_rows * classes, loss.dtype)
    changed = np.empty(piece, loss.dtype)
    terms, inside = np.empty(piece, loss.dtype), np.empty(piece, loss.dtype)

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        v, y = window(x, inbox, i, rows), window(targets, target_box, i, rows)
        w, _, same = work_array(x, v, grad, own, i, rows)
        for r in range(rows):
            row_kept = keep[(i + r) * kept]
            start = r * classes
            top = top_class(v, start, classes)
            mine, others, total = split_sum(v, start, classes, top)
            value, top_target, slope = 0.0, 0.0, 0.0
            for c in range(0, classes, piece):
                width = min(piece, classes - c)
                x_row = v[start + c : start + c + width]
                t = dense_targets(
                    y[start + c : start + c + width], changed, c, class_weight, smoothing, classes
                )
                for k in range(width):
                    q = x_row[k] / kind(total)
                    p = low if q < low else high if q > high else q
                    terms[k] = -t[k] * log(p)
                    inside[k] = kind(0) if q < low or q > high else t[k]
                if c <= top < c + width:
                    top_target = np.float64(t[top - c])
                    terms[top - c], inside[top - c] = 0, 0
                value += row_sum(terms, 0, width)
                slope += row_sum(inside, 0, width)  # of the other classes
            share = v[start + top] / kind(total)
            surprise, top_inside = _surprise(mine, others, share, low, high)
            loss[i + r] = kind(value + top_target * surprise) if row_kept else kind(0)
            if grad is None:
                continue
            if not row_kept:
                fill(w[start : start + classes], kind(0))
                continue
            s = scale[(i + r) * scaled]
            common = (slope + (top_target if top_inside else 0.0)) / total
            if not same:
                copy(v[start : start + classes], w[start : start + classes])
            for c in range(0, classes, piece):
                width = min(piece, classes - c)
                row = w[start + c : start + c + width]
                t = dense_targets(
                    y[start + c : start + c + width], changed, c, class_weight, smoothing, classes
                )
                for k in range(width):
                    q = row[k] / kind(total)
                    own_part = kind(0) if q < low or q > high else t[k] / row[k]
                    row[k] = kind(s) * (kind(common) - own_part)
            if top_inside:
                w[start + top] = kind(s * (slope - top_target * others / mine) / total)
        hand_over(w, grad, i, rows)


@kernel
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
    x : (outer, classes, inner) float32 or float64
        Probabilities, not necessarily normalised. Any strides; may be read-only.
    targets : (outer, classes, inner), x's dtype
        Targets t; they need not sum to 1. Any strides, 0 included.
    class_weight : (0,) or (classes,), x's dtype
        Factors w of the targets; none if empty.
    smoothing : float
        The targets become ``t (1 - s) + s / classes``.
    eps : float
        The shares are clipped to [eps, 1 - eps].
    scale : (1,) or (n,) float64
        d result / d loss of each row: the factor of its gradient.
    keep : (1,) or (n,) bool
        Rows to compute. Others get loss 0 and gradient 0 and are not looked at.
    loss : (n,), x's dtype
        Receives the row losses, without `scale`.
    grad : None or (outer, classes, inner), x's dtype
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
