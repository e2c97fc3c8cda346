"""Categorical crossentropy from probabilities, with class labels: normalise, clip, take the log.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps), the label y and m = 1 where q_y is inside
the bounds, else 0,

    loss = -log p_y             d loss / d x_j = (m - 1{j = y} m / p_y) / S

The bounds are closed and rounded to the working dtype. S is held in two parts, so that S - x has
all its digits where x is nearly S: ``-log q_y = log1p((S - x_y) / x_y)`` and ``1 - 1 / q_y = -(S -
x_y) / x_y``. A row whose sum is 0 has no q and gives NaN.
"""

import numpy as np

from fastloss_kernels.blocks import (
    fill,
    hand_over,
    piece_size,
    room_for,
    scratch_size,
    window,
    work_array,
)
from fastloss_kernels.caches import settle
from fastloss_kernels.calls import call_part
from fastloss_kernels.intrinsics import hold, memory, row_array, stacked
from fastloss_kernels.jit import kernel, part
from fastloss_kernels.labelled import labelled_parts, unchecked_label
from fastloss_kernels.labels import kept_labels
from fastloss_kernels.lines import rows_per_block
from fastloss_kernels.probability_columns import probability_columns
from fastloss_kernels.rows import clear_rows, row_values
from fastloss_kernels.shares import losses_and_slopes, row_totals
from fastloss_kernels.tiles import enough, rows_per_tile
from fastloss_kernels.traffic import block_ahead, nothing, send_rest, traffic_of
from fastloss_kernels.typing import Array

# Sums of shorter rows take longer than memory does: there fetching would only be in their way.
FETCHED = 256


@part
def _probability_rows(
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
    bad = unchecked_label(first, last, x, labels, keep)
    if bad >= 0:
        return bad
    if classes == 0:  # a sum over nothing, and not one element to read
        fill(loss[first:last], kind(0))
        return bad
    block_rows, piece = rows_per_block(x), piece_size(classes)
    share = (first, last, block_rows)
    bounds = kind(eps), kind(1.0 - eps)
    own = np.empty(scratch_size(x, grad, loss), loss.dtype)
    target, slope = stacked(np.dtype(np.int64)), stacked(loss.dtype)
    row_scale, chosen, total, lost = row_array(), row_array(), row_array(), row_array()
    sums, spare = (chosen, total, lost), (row_array(), row_array())
    traffic = traffic_of(own, grad, stacked(np.dtype(np.int64)))

    for i in range(first, last, block_rows):
        rows, room = min(block_rows, last - i), room_for(x, grad, own, i, share)
        v = window(x, room, i, share)
        kept_labels(labels, keep, i, rows, target)
        row_values(scale, i, rows, row_scale)
        ahead = block_ahead(x, i, rows) if classes >= FETCHED else nothing(x)
        row_totals(v, rows, piece, total, lost, spare, ahead)
        for r in range(rows):
            chosen[r] = v[r * classes + target[r]]
        mine = memory(loss, loss.dtype)[i : i + rows]
        losses_and_slopes(sums, row_scale, rows, bounds, slope, mine)
        if grad is not None:
            w, _, _ = work_array(x, v, grad, room, i, rows)
            for r in range(rows):
                fill(w[r * classes : (r + 1) * classes], slope[r])
                w[r * classes + target[r]] = kind(chosen[r])
            clear_rows(keep, i, rows, loss, w)
            hand_over(w, x, grad, i, share, traffic)
        else:
            clear_rows(keep, i, rows, loss, v[:0])
    send_rest(traffic)
    hold(own)
    settle()
    return bad


@part
def _probability_part(
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
    most = rows_per_tile(x, grad)
    if most == 0:
        arguments = (x, labels, eps, scale, keep, loss, grad)
        return call_part(_probability_rows, first, last, arguments)
    bad = unchecked_label(first, last, x, labels, keep)
    if bad < 0:
        probability_columns(first, last, most, x, labels, eps, scale, keep, loss, grad)
    return bad


@kernel(_probability_rows)
def probability_crossentropy_rows(
    x: Array,
    labels: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Do as `probability_crossentropy_sparse`, in the way of rows one behind the other."""
    arguments = (x, labels, eps, scale, keep, loss, grad)
    return labelled_parts(_probability_rows, threads, x, labels, keep, arguments)


@kernel(_probability_part, enough(probability_crossentropy_rows))
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
        The shares are clipped to [eps, 1 - eps]; a normal number of the dtype.
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
    arguments = (x, labels, eps, scale, keep, loss, grad)
    return labelled_parts(_probability_part, threads, x, labels, keep, arguments)
