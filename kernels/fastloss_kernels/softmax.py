"""Softmax crossentropy from logits, with class labels (sparse) or target rows (dense).

With p = softmax(x) and S = sum_c e^(x_c),

    sparse, label y:   loss = log S - x_y                   d loss / d x_j = p_j - 1{j = y}
    dense, targets t:  loss = sum_c t_c (log S - x_c)       d loss / d x_j = (sum_c t_c) p_j - t_j

Neither ``log S - x_y`` nor ``p_y - 1`` is ever computed: both cancel for confident rows. With one
class k taken out of the sum beforehand,

    log S - x_k = log1p(others / e^(x_k)),   1 - p_k = others / S,   others = sum_{c != k} e^(x_c).

k is the label (sparse) or the largest logit (dense: then every term of the loss is >= 0). All sums
and the scalars of a row are float64.
"""

import numpy as np

from fastloss_kernels.blocks import (
    coming,
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
from fastloss_kernels.intrinsics import fma
from fastloss_kernels.jit import each_part, kernel, part
from fastloss_kernels.labels import first_bad_label, kept_labels, step
from fastloss_kernels.lanes import scale_row
from fastloss_kernels.logarithm import log1p
from fastloss_kernels.scaling import (
    exponential_sums,
    largest_magnitude,
    load,
    log_sum,
    powers,
    top_class,
)
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.typing import Array


@part
def _sparse_part(
    first: int,
    last: int,
    x: Array,
    labels: Array,
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
    inbox = np.empty(inbox_size(x, loss), loss.dtype)
    own = np.empty(block_rows * (piece if grad is None else classes), loss.dtype)
    target, power = np.empty(block_rows, np.int64), np.empty(block_rows, np.int64)
    logit, top, shift = np.empty(block_rows), np.empty(block_rows), np.empty(block_rows)
    chosen, others, total = np.empty((3, block_rows))

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        v = window(x, inbox, i, rows)
        w, whole, same = work_array(x, v, grad, own, i, rows)
        kept_labels(labels, keep, i, rows, target)
        largest = load(v, w) if whole and not same else largest_magnitude(v)
        fast = powers(v, largest, i, rows, scale, top, shift, power)
        for r in range(rows):
            logit[r] = v[r * classes + target[r]]
        scaling = (fast, shift, power)
        ahead = coming(x, inbox, i + rows)
        exponential_sums(v, w, whole, rows, piece, scaling, target, chosen, others, total, ahead)

        for r in range(rows):
            loss[i + r] = kind(log1p(others[r] / chosen[r]))
        for r in range(rows):
            # A label so far below the top that its e^x is not normal; NaN comes this way too.
            if not (fast or chosen[r] >= np.finfo(loss.dtype).tiny):
                gap = top[r] - logit[r]
                loss[i + r] = kind(gap + log_sum(total[r], top[r], shift[r], power[r]))
            if not keep[(i + r) * kept]:
                loss[i + r] = 0
        if grad is not None:
            for r in range(rows):
                row = w[r * classes : (r + 1) * classes]
                if keep[(i + r) * kept]:
                    factor = scale[(i + r) * scaled] / total[r]
                    narrow = kind(factor)
                    scale_row(w, r * classes, classes, narrow)
                    row[target[r]] = kind(-others[r] * factor)
                else:
                    fill(row, 0)
            hand_over(w, grad, i, rows)


@kernel
def softmax_crossentropy_sparse(
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Softmax crossentropy of logits with class labels.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64
        Logits. Any strides; may be read-only.
    labels : (n,) int64
        Class of each row, ``0 <= labels < classes`` wherever the row is kept.
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
    Error of a loss row: at most 4 ulp for logits within 1e4, of a gradient element at most 4 ulp.
    The label's own logit -inf gives inf; another logit -inf is a class of probability 0; a row with
    NaN, with +inf or of -inf only gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import softmax_crossentropy_sparse
    >>> x = np.array([[2.0, 1.0, 0.0]], np.float32).reshape(1, 3, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> softmax_crossentropy_sparse(x, np.array([0]), one, all_rows, loss, grad, 1)
    -1
    >>> loss
    array([0.40760595], dtype=float32)
    >>> grad.ravel()
    array([-0.33475903,  0.24472846,  0.09003057], dtype=float32)
    """
    bad = first_bad_label(labels, x.shape[1], keep)
    if bad < 0:
        each_part(_sparse_part, row_count(x), threads, (x, labels, scale, keep, loss, grad))
    return bad


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
    block_rows, piece = rows_per_block(classes), piece_size(classes)
    kept, scaled = step(keep), step(scale)
    inbox = np.empty(inbox_size(x, loss), loss.dtype)
    target_box = np.empty(inbox_size(targets, loss), loss.dtype)
    own = np.empty(block_rows * (piece if grad is None else classes), loss.dtype)
    changed, terms = np.empty(piece, loss.dtype), np.empty(piece, loss.dtype)
    target, power = np.empty(block_rows, np.int64), np.empty(block_rows, np.int64)
    top, shift = np.empty(block_rows), np.empty(block_rows)
    chosen, others, total = np.empty((3, block_rows))
    gap, top_target, other_targets = (
        np.empty(block_rows),
        np.empty(block_rows),
        np.empty(block_rows),
    )

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        v, y = window(x, inbox, i, rows), window(targets, target_box, i, rows)
        w, whole, same = work_array(x, v, grad, own, i, rows)
        largest = load(v, w) if whole and not same else largest_magnitude(v)
        fast = powers(v, largest, i, rows, scale, top, shift, power)
        for r in range(rows):
            target[r] = top_class(v, r * classes, classes)
            top[r] = v[r * classes + target[r]]
            gap[r], top_target[r], other_targets[r] = 0.0, 0.0, 0.0
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            for r in range(rows):
                largest, start = kind(top[r]), c + r * width
                x_row, y_row = v[start : start + width], y[start : start + width]
                t = dense_targets(y_row, changed, c, class_weight, smoothing, classes)
                for k in range(width):
                    terms[k] = t[k] * (largest - x_row[k]) if t[k] != 0 else kind(0)
                gap[r] += row_sum(terms, 0, width)
                mine, rest, _ = split_sum(t, 0, width, target[r] - c)
                top_target[r] += mine
                other_targets[r] += rest
        scaling = (fast, shift, power)
        ahead = coming(x, inbox, i + rows)
        exponential_sums(v, w, whole, rows, piece, scaling, target, chosen, others, total, ahead)

        for r in range(rows):
            t_sum = top_target[r] + other_targets[r]
            loss[i + r] = kind(gap[r] + t_sum * log1p(others[r] / chosen[r]))
        for r in range(rows):
            if not keep[(i + r) * kept]:
                loss[i + r] = 0
        if grad is not None:
            for c in range(0, classes, piece):
                width = min(piece, classes - c)
                for r in range(rows):
                    start = c + r * width
                    row, y_row = w[start : start + width], y[start : start + width]
                    if not keep[(i + r) * kept]:
                        fill(row, 0)
                        continue
                    s = scale[(i + r) * scaled]
                    factor = s * (top_target[r] + other_targets[r]) / total[r]
                    narrow, minus = kind(factor), kind(-s)
                    t = dense_targets(y_row, changed, c, class_weight, smoothing, classes)
                    for k in range(width):
                        row[k] = fma(row[k], narrow, minus * t[k])
                    # t_sum p_k - t_k of the largest logit, with what is in both taken out
                    if 0 <= target[r] - c < width:
                        mine = other_targets[r] * chosen[r] - top_target[r] * others[r]
                        row[target[r] - c] = kind(s / total[r] * mine)
            hand_over(w, grad, i, rows)


@kernel
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
    x : (outer, classes, inner) float32 or float64
        Logits. Any strides; may be read-only.
    targets : (outer, classes, inner), x's dtype
        Targets t; they need not sum to 1. Any strides, 0 included.
    class_weight : (0,) or (classes,), x's dtype
        Factors w of the targets; none if empty.
    smoothing : float
        The targets become ``t (1 - s) + s / classes``.
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
