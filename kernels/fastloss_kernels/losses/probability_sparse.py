"""Crossentropy of probabilities with class labels, of rows that lie side by side, as they lie.

See `probability_sparse` for the formulas and `columns` for what a tile is. Nothing of a row but its
sum and its label's element is needed, so its other elements are read once.


Categorical crossentropy from probabilities, with class labels: normalise, clip, take the log.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps), the label y and m = 1 where q_y is inside
the bounds, else 0,

    loss = -log p_y             d loss / d x_j = (m - 1{j = y} m / p_y) / S

The bounds are closed and rounded to the working dtype. S is held in two parts, so that S - x has
all its digits where x is nearly S: ``-log q_y = log1p((S - x_y) / x_y)`` and ``1 - 1 / q_y = -(S -
x_y) / x_y``. A row whose sum is 0 has no q and gives NaN.
"""

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.compiler.linking import call_part
from fastloss_kernels.loops.kernel import kernel, labelled_parts, part, unchecked_label
from fastloss_kernels.loops.row_inputs import clear_rows, clear_values, kept_labels, row_values
from fastloss_kernels.losses.probability_formulas import losses_and_slopes, round_totals, row_totals
from fastloss_kernels.memory.columns import fetch_run, past_caches, pick_classes, run_of, send_run
from fastloss_kernels.memory.layout import (
    enough,
    place_of,
    rows_of_tile,
    rows_per_block,
    rows_per_tile,
)
from fastloss_kernels.memory.rows import (
    hand_over,
    piece_size,
    room_for,
    scratch_size,
    window,
    work_array,
)
from fastloss_kernels.memory.streaming import block_ahead, nothing, send_rest, traffic_of
from fastloss_kernels.reductions.sum_columns import (
    END,
    MERGE,
    ONE,
    SUMS,
    add_run,
    close_piece,
    merge_runs,
    slot_of,
    step_of,
    sum_plans,
)
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.raw_arrays import copy, fill, hold, memory, row_array, stacked
from fastloss_kernels.typing import Array


@block
def _column_totals(
    x: Array,
    first: int,
    rows: int,
    total: Array,
    lost: Array,
    box: Array,
    plans: Array,
    sums: Array,
) -> None:
    """Do as `row_totals` with some rows that lie side by side."""
    classes, offset = x.shape[1], place_of(x, first)
    piece = piece_size(classes)
    for start in range(0, classes, piece):
        plan, k = plans[0 if start + piece < classes else 1], 0
        while plan[k, 0] != END:
            what, slot, starts, c, following = step_of(plan, k, start)
            k += 1
            if what == MERGE:
                merge_runs(sums, slot, rows, box)
                continue
            fetch_run(x, offset, following, rows)
            slot_sums, rest = slot_of(sums, slot, rows)
            add_run(run_of(x, offset, rows, c, box), starts, slot_sums, rest)
        close_piece(sums, rows, start == 0, total, lost)
    round_totals(total, lost, rows)


@block
def _write_slopes(
    target: Array, slope: Array, chosen: Array, rows: int, grad: Array, first: int
) -> None:
    """Write `slope` to all classes of rows that lie side by side, `chosen` to their target's."""
    past, offset, last = past_caches(grad, slope), place_of(grad, first), grad.shape[1] - 1
    box, mine = stacked(slope.dtype), target[:rows]
    for c in range(grad.shape[1]):
        for r in range(rows):
            box[r] = chosen[r] if mine[r] == c else slope[r]
        send_run(box[:rows], grad, offset, c, min(c + 4, last), past)


@called
def probability_columns(
    first: int,
    last: int,
    most: int,
    x: Array,
    labels: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    """Do as `probability_crossentropy_rows`, in tiles of at most `most` rows."""
    kind = loss.dtype.type
    bounds = kind(eps), kind(1.0 - eps)
    target, slope, picked = stacked(np.dtype(np.int64)), stacked(loss.dtype), stacked(loss.dtype)
    row_scale, chosen, total, lost = row_array(), row_array(), row_array(), row_array()
    sums, room, plans = (chosen, total, lost), np.zeros(SUMS), sum_plans(x.shape[1], loss, ONE)
    i = first
    while i < last:
        rows = rows_of_tile(x, i, last, most)
        kept_labels(labels, keep, i, rows, target)
        row_values(scale, i, rows, row_scale)
        _column_totals(x, i, rows, total, lost, picked, plans, room)
        pick_classes(x, i, rows, target, picked)
        copy(picked[:rows], chosen[:rows])
        losses_and_slopes(sums, row_scale, rows, bounds, slope, memory(loss, loss.dtype)[i:][:rows])
        clear_rows(keep, i, rows, loss, loss[:0])
        if grad is not None:
            clear_values(keep, i, rows, slope)
            clear_values(keep, i, rows, chosen)
            _write_slopes(target, slope, chosen, rows, grad, i)
        i += rows
    hold(room)
    hold(plans)
    settle()


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
        ahead = block_ahead(x, i, rows) if classes >= tuning.PREFETCH_CLASSES else nothing(x)
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
