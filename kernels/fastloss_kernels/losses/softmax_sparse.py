"""Softmax crossentropy from logits, with class labels.

With p = softmax(x), S = sum_c e^(x_c) and the label y,

    loss = log S - x_y                   d loss / d x_j = p_j - 1{j = y}

Neither ``log S - x_y`` nor ``p_y - 1`` is ever computed: both cancel for confident rows. With the
label taken out of the sum beforehand,

    log S - x_y = log1p(others / e^(x_y)),   1 - p_y = others / S,   others = sum_{c != y} e^(x_c).

All sums and the scalars of a row are float64. There are three ways to work: on rows (see
`softmax_long`), on rows of a few classes turned into columns (`softmax_short`), and on rows that
lie side by side in memory (`columns`).


Softmax crossentropy with class labels, of rows that fill registers: one row after the other.

See `softmax_sparse` for the formulas.


Rows that lie side by side: worked on as they lie, one class of many rows at a time.

Where the class axis is not the last, as in images, what neighbours in memory share is the class. A
tile is up to 512 such rows, of all classes: a class of it is a run of contiguous numbers. No row is
ever put together. Runs become exponentials, with the label's element left out, are added to sums
that stand side by side as well, and are kept in a scratch; then they are multiplied by factors that
stand side by side, on their way to the gradient.

Sums have the order that they have elsewhere, so a row has the same bits however it lies. For few
classes that is the order of the classes (see `softmax_short`), for more that of `columnsums`.

A class costs a far-away piece of memory: runs are long, and the next ones are fetched ahead.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.compiler.linking import call_part
from fastloss_kernels.elementary.exp import exp_bounded
from fastloss_kernels.loops.kernel import kernel, labelled_parts, part, unchecked_label
from fastloss_kernels.loops.row_inputs import clear_rows, clear_values, kept_labels, row_values
from fastloss_kernels.loops.rows import labelled_part
from fastloss_kernels.losses.softmax_formulas import (
    far_losses,
    lower_rows,
    lower_sums,
    near_losses,
    slopes,
)
from fastloss_kernels.losses.softmax_sparse_short import short_part, softmax_crossentropy_short
from fastloss_kernels.memory.columns import (
    past_caches,
    pick_classes,
    plain,
    run_at,
    send_run,
)
from fastloss_kernels.memory.layout import place_of, rows_of_tile, rows_per_tile
from fastloss_kernels.memory.rows import piece_size
from fastloss_kernels.memory.streaming import Ahead, Traffic
from fastloss_kernels.reductions.exp_columns import exponential_columns
from fastloss_kernels.reductions.exp_rows import close_sums, exponential_sums, small_magnitude
from fastloss_kernels.reductions.sum_columns import (
    FOUR,
    SUMS,
    sum_plans,
)
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.deinterleave import is_short
from fastloss_kernels.simd.raw_arrays import hold, memory, row_array, stacked
from fastloss_kernels.simd.row_reduce import scale_rows
from fastloss_kernels.typing import Array


@called
def _rows(
    first: int,
    last: int,
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> int:
    """Write the losses and gradients of some rows, short or long."""
    arguments = (x, labels, scale, keep, loss, grad)
    if is_short(x.shape[1], loss):
        return call_part(short_part, first, last, arguments)
    return call_part(long_part, first, last, arguments)


@called
def _columns(
    first: int,
    last: int,
    most: int,
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    """Do as `_rows` where rows lie side by side, in tiles of at most `most` rows."""
    target, short_target = stacked(np.dtype(np.int64)), stacked(np.dtype(np.int32))
    row_scale, factor, slope = row_array(), stacked(loss.dtype), stacked(loss.dtype)
    chosen, others, total, lost = row_array(), row_array(), row_array(), row_array()
    sums, part = (chosen, others, total), stacked(loss.dtype)
    room, plans = np.zeros(SUMS), sum_plans(x.shape[1], loss, FOUR)
    box = np.empty(0 if grad is None else most * x.shape[1], loss.dtype)
    w = None if grad is None else memory(box, loss.dtype)
    in_order = is_short(x.shape[1], loss)
    i = first
    while i < last:
        rows = rows_of_tile(x, i, last, most)
        kept_labels(labels, keep, i, rows, target)
        row_values(scale, i, rows, row_scale)
        for r in range(rows):
            short_target[r] = np.int32(target[r])
        largest = exponential_columns(
            x, i, rows, short_target, in_order, w, others, lost, part, plans, room
        )
        if largest > small_magnitude(x.shape[1], row_scale, rows, loss):
            _rows(i, i + rows, x, labels, scale, keep, loss, grad)
            i += rows
            continue
        pick_classes(x, i, rows, target, part)
        for r in range(rows):
            chosen[r] = exp_bounded(part[r])
        close_sums(sums, lost, rows)
        near_losses(sums, rows, memory(loss, loss.dtype)[i : i + rows])
        clear_rows(keep, i, rows, loss, loss[:0])
        if grad is not None:
            slopes(sums, row_scale, rows, factor, slope)
            clear_values(keep, i, rows, factor)
            clear_values(keep, i, rows, slope)
            write_columns(w, rows, short_target, factor, slope, grad, i)
        i += rows
    hold(room)
    hold(plans)
    hold(box)
    settle()


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
) -> int:
    most = rows_per_tile(x, grad)
    if most == 0:
        return _rows(first, last, x, labels, scale, keep, loss, grad)
    bad = unchecked_label(first, last, x, labels, keep)
    if bad < 0:
        _columns(first, last, most, x, labels, scale, keep, loss, grad)
    return bad


def _way(x: Array, loss: Array) -> Any:
    """Return the kernel that does what `softmax_crossentropy_sparse` would do, if one does.

    To compile all of that takes three times as long.
    """
    if x.strides[1] != x.itemsize:
        return None
    short = x.shape[1] * loss.itemsize <= tuning.SHORT_ROW
    return softmax_crossentropy_short if short else softmax_crossentropy_long


@kernel(_sparse_part, _way)
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
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `halves`)
        Logits. Any strides; may be read-only.
    labels : (n,) int64
        Class of each row, ``0 <= labels < classes`` wherever the row is kept.
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
    arguments = (x, labels, scale, keep, loss, grad)
    return labelled_parts(_sparse_part, threads, x, labels, keep, arguments)


@block
def _long_rows(
    v: Array,
    w: Array,
    whole: int,
    same: bool,
    rows: int,
    scale: Array,
    target: Array,
    loss: Array,
    grad: Array | None,
    ahead: Ahead,
    traffic: Traffic,
) -> None:
    classes = v.size // rows
    power, shift, height, gap = stacked(target.dtype), row_array(), row_array(), row_array()
    chosen, others, total, lost = row_array(), row_array(), row_array(), row_array()
    scaling, sums, spare = (
        (power, shift, height, gap),
        (chosen, others, total),
        (row_array(), row_array()),
    )
    small = exponential_sums(
        v,
        w,
        whole,
        same,
        rows,
        piece_size(classes),
        scale,
        target,
        scaling,
        sums,
        lost,
        spare,
        ahead,
        traffic,
    )
    near_losses(sums, rows, loss)
    if not small:
        far_losses(sums, height, gap, rows, loss)
    if grad is not None:
        if not small:
            lower_rows(w, rows, scale)
            lower_sums(sums, rows, scale, loss)
        factor, slope = stacked(loss.dtype), stacked(loss.dtype)
        slopes(sums, scale, rows, factor, slope)
        scale_rows(w, rows, classes, factor)
        for r in range(rows):
            w[r * classes + target[r]] = slope[r]


@part
def long_part(
    first: int,
    last: int,
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> int:
    """Write the losses and gradients of some rows; return the first bad label's row, or -1."""
    return labelled_part(_long_rows, first, last, x, labels, scale, keep, loss, grad)


@kernel(long_part)
def softmax_crossentropy_long(
    x: Array,
    labels: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Do as `softmax_crossentropy_sparse`, for rows that are not short."""
    arguments = (x, labels, scale, keep, loss, grad)
    return labelled_parts(long_part, threads, x, labels, keep, arguments)


@called
def write_columns(
    w: Array,
    rows: int,
    target: Array,
    factor: Array,
    slope: Array,
    grad: Array,
    first: int,
) -> None:
    """Write what `exponential_columns` kept, times each row's `factor`, to the gradient.

    The class `target` of each row receives `slope`.
    """
    direct, offset = plain(grad, w), place_of(grad, first)
    past, last = past_caches(grad, w), grad.shape[1] - 1
    box = stacked(w.dtype)
    mine, f, s = target[:rows], factor[:rows], slope[:rows]
    for c in range(grad.shape[1]):
        e = w[c * rows : (c + 1) * rows]
        out = run_at(grad, offset, c, rows, w) if direct and not past else box[:rows]
        for k in range(rows):
            out[k] = s[k] if mine[k] == c else e[k] * f[k]
        if past or not direct:
            send_run(out, grad, offset, c, min(c + 4, last), past)
