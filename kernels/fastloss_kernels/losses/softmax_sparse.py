"""Softmax crossentropy from logits, with class labels.

With p = softmax(x), S = sum_c e^(x_c) and the label y,

    loss = log S - x_y                   d loss / d x_j = p_j - 1{j = y}

Neither ``log S - x_y`` nor ``p_y - 1`` is ever computed: both cancel for confident rows. With the
label taken out of the sum beforehand,

    log S - x_y = log1p(others / e^(x_y)),   1 - p_y = others / S,   others = sum_{c != y} e^(x_c).

All sums and the scalars of a row are float64. Rows of a few classes are processed as columns, see
`softmax_sparse_short`; longer ones, and tiles of class-major rows, here.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.exp import exp_in_range
from fastloss_kernels.loops.columns import Plan, any_layout
from fastloss_kernels.loops.kernel import kernel, run_labelled
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch, load_labels, masked_labels, zero_masked
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.losses.softmax_formulas import (
    far_losses,
    near_losses,
    rescale_rows,
    rescale_sums,
    slopes,
)
from fastloss_kernels.losses.softmax_sparse_short import short_block
from fastloss_kernels.memory.columns import (
    Tile,
    column_at,
    pick_classes,
    store_column,
    streams_columns,
)
from fastloss_kernels.memory.layout import Layout, layout_of, offset_of
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import no_prefetch, prefetch_block
from fastloss_kernels.reductions.exp_columns import exponential_columns
from fastloss_kernels.reductions.exp_rows import (
    ExpSums,
    RowExponents,
    close_sums,
    exponential_sums,
    small_magnitude,
)
from fastloss_kernels.reductions.sum_columns import FOUR
from fastloss_kernels.simd.deinterleave import is_short
from fastloss_kernels.simd.raw_arrays import row_array, stack_array
from fastloss_kernels.simd.row_reduce import scale_rows
from fastloss_kernels.typing import Array


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    labels = stack_array(np.int64)
    load_labels(b, batch, labels)
    sums = ExpSums(row_array(), row_array(), row_array(), row_array())
    scaling = RowExponents(stack_array(np.int64), row_array(), row_array(), row_array())
    ahead = (prefetch_block(batch.x, b.first, b.rows), no_prefetch(b.loss))
    small = exponential_sums(b, b.scale, labels, sums, scaling, ahead)
    near_losses(sums, b.rows, b.loss)
    if not small:
        far_losses(sums, scaling, b.rows, b.loss)
    if grad is not None:
        if not small:
            rescale_rows(b.out, b.rows, b.scale)
            rescale_sums(sums, b.rows, b.scale, b.loss)
        factor, slope = stack_array(b.loss.dtype), stack_array(b.loss.dtype)
        slopes(sums, b.scale, b.rows, factor, slope)
        scale_rows(b.out, b.rows, b.classes, factor)
        for r in range(b.rows):
            b.out[r * b.classes + labels[r]] = slope[r]


@called
def _write_gradient(tile: Tile, label: Array, factor: Array, slope: Array, out: Layout) -> None:
    """Write the kept exponentials times each row's `factor`, and `slope` to the label's class."""
    rows, last, kept = tile.rows, out.classes - 1, tile.kept
    offset, scratch = offset_of(out, tile.first), stack_array(kept.dtype)
    direct = out.direct_columns and not streams_columns(out)
    target, f, s = label[:rows], factor[:rows], slope[:rows]
    for c in range(out.classes):
        e = kept[c * rows : (c + 1) * rows]
        column = column_at(out, offset, c, rows, kept) if direct else scratch[:rows]
        for k in range(rows):
            column[k] = s[k] if target[k] == c else e[k] * f[k]
        if not direct:
            store_column(column, out, offset, c, min(c + 4, last))


@block
def _tile(tile: Tile, batch: Batch, options: Any, grad: Array | None) -> bool:
    """Process a tile if its logits are small; see `exp_rows`."""
    rows, like = tile.rows, tile.loss
    labels, label = stack_array(np.int64), stack_array(np.int32)
    masked_labels(batch.labels, batch.keep, tile.first, rows, labels)
    for r in range(rows):
        label[r] = np.int32(labels[r])
    sums = ExpSums(row_array(), row_array(), row_array(), row_array())
    kept = None if grad is None else tile.kept
    largest = exponential_columns(tile, batch.x, label, kept, sums, is_short(tile.classes, like))
    if largest > small_magnitude(tile.classes, tile.scale, rows, like):
        return False
    logit = stack_array(like.dtype)
    pick_classes(batch.x, tile.first, rows, labels, logit)
    for r in range(rows):
        sums.label[r] = exp_in_range(logit[r])
    close_sums(sums, rows)
    near_losses(sums, rows, like)
    if grad is not None:
        factor, slope = stack_array(like.dtype), stack_array(like.dtype)
        slopes(sums, tile.scale, rows, factor, slope)
        zero_masked(batch.keep, tile.first, rows, factor)
        zero_masked(batch.keep, tile.first, rows, slope)
        _write_gradient(tile, label, factor, slope, layout_of(grad, like))
    return True


rows = rows_part(__name__, "rows", _block, labels=True)
short_rows = rows_part(__name__, "short_rows", short_block, labels=True)
packed = packed_part(__name__, "packed", rows, short_rows=short_rows, labels=True)
columns = any_layout(
    __name__, "columns", _tile, Plan(FOUR, sums=1, temporaries=0, kept=True), packed, labels=True
)


@kernel(rows, packed, columns, short_rows=short_rows, labels=True)
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
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Logits. Any strides; may be read-only.
    labels : (n,) int64, or another integer dtype in compiled code
        Class of each row, ``0 <= labels < classes`` wherever the row is kept.
    scale : (1,) or (n,) float64
        d result / d loss of each row: the factor of its gradient.
    keep : (1,) or (n,) bool
        Rows to compute. Others get loss 0 and gradient 0 and are not looked at.
    loss : (n,), the working dtype: float64 for a float64 x, else float32
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
    return run_labelled(columns, threads, (x, labels, (), scale, keep, loss, grad))
