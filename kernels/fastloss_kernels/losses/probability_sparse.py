"""Categorical crossentropy from probabilities, with class labels: normalise, clip, take the log.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps), the label y and m = 1 where q_y is inside
the bounds, else 0,

    loss = -log p_y             d loss / d x_j = (m - 1{j = y} m / p_y) / S

The bounds are closed and rounded to the working dtype. S is held in two parts, so that S - x has
all its digits where x is nearly S: ``-log q_y = log1p((S - x_y) / x_y)`` and ``1 - 1 / q_y = -(S -
x_y) / x_y``. A row whose sum is 0 has no q and gives NaN.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.loops.columns import Plan, any_layout
from fastloss_kernels.loops.kernel import kernel, run_labelled
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch, load_labels, masked_labels, zero_masked
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.losses.probability_formulas import (
    LabelSums,
    losses_and_slopes,
    round_totals,
    row_totals,
)
from fastloss_kernels.memory.columns import (
    Tile,
    load_column,
    pick_classes,
    prefetch_column,
    store_column,
)
from fastloss_kernels.memory.layout import Layout, layout_of, offset_of
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import no_prefetch, prefetch_block
from fastloss_kernels.reductions.sum_columns import ONE, add_column, slot_of, sum_in_order
from fastloss_kernels.simd.raw_arrays import copy, fill, row_array, stack_array
from fastloss_kernels.typing import Array


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    labels, slope = stack_array(np.int64), stack_array(b.loss.dtype)
    load_labels(b, batch, labels)
    sums = LabelSums(row_array(), row_array(), row_array())
    ahead = no_prefetch(batch.x.data)
    # A value alone reads in order and adds: the processor itself prefetches that better.
    if grad is not None and b.classes >= tuning.PREFETCH_CLASSES:
        ahead = prefetch_block(batch.x, b.first, b.rows)
    row_totals(b.x, b.rows, sums.total, sums.lost, ahead)
    for r in range(b.rows):
        sums.label[r] = b.x[r * b.classes + labels[r]]
    losses_and_slopes(sums, b.scale, b.rows, options[0], slope, b.loss)
    if grad is not None:
        for r in range(b.rows):
            fill(b.out[r * b.classes : (r + 1) * b.classes], slope[r])
            b.out[r * b.classes + labels[r]] = b.loss.dtype.type(sums.label[r])


class _State(NamedTuple):
    """What the steps of a sum have in common."""

    x: Any
    offset: Any
    rows: Any
    scratch: Any
    sums: Any


@block
def _add(s: _State, step: Any) -> None:
    """Add a column of probabilities to a slot of the sums."""
    _, slot, starts, c, following = step
    prefetch_column(s.x, s.offset, following, s.rows)
    total, lost = slot_of(s.sums, slot, s.rows)
    add_column(load_column(s.x, s.offset, c, s.rows, s.scratch), starts, total, lost)


@block
def _write_gradient(tile: Tile, labels: Array, slope: Array, of_label: Array, out: Layout) -> None:
    """Write `slope` to all classes of a tile's rows but the label's, `of_label` to that."""
    rows, last, offset = tile.rows, out.classes - 1, offset_of(out, tile.first)
    column, target = stack_array(slope.dtype), labels[:rows]
    for c in range(out.classes):
        for r in range(rows):
            column[r] = of_label[r] if target[r] == c else slope[r]
        store_column(column[:rows], out, offset, c, min(c + 4, last))


@called
def _tile(tile: Tile, batch: Batch, options: Any, grad: Array | None) -> bool:
    """Process a tile: no element but the label's is needed twice, and all are read once."""
    x, rows, like = batch.x, tile.rows, tile.loss
    labels, slope, picked = (
        stack_array(np.int64),
        stack_array(like.dtype),
        stack_array(like.dtype),
    )
    sums = LabelSums(row_array(), row_array(), row_array())
    masked_labels(batch.labels, batch.keep, tile.first, rows, labels)
    state = _State(x, offset_of(x, tile.first), rows, picked, tile.sums)
    sum_in_order(_add, state, tile, (tile.sums,), ((sums.total, sums.lost),), picked)
    round_totals(sums.total, sums.lost, rows)
    pick_classes(x, tile.first, rows, labels, picked)
    copy(picked[:rows], sums.label[:rows])
    losses_and_slopes(sums, tile.scale, rows, options[0], slope, like)
    if grad is not None:
        zero_masked(batch.keep, tile.first, rows, slope)
        zero_masked(batch.keep, tile.first, rows, sums.label)
        _write_gradient(tile, labels, slope, sums.label, layout_of(grad, like))
    return True


rows = rows_part(__name__, "rows", _block, labels=True)
packed = packed_part(__name__, "packed", rows, labels=True)
columns = any_layout(
    __name__, "columns", _tile, Plan(ONE, sums=1, temporaries=0, kept=False), packed, labels=True
)


@kernel(rows, packed, columns, labels=True)
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
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Probabilities, not necessarily normalised. Any strides; may be read-only.
    labels : (n,) int64, or another integer dtype in compiled code
        Class of each row, ``0 <= labels < classes`` wherever the row is kept.
    eps : float
        The shares are clipped to [eps, 1 - eps]; a normal number of the dtype.
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
    return run_labelled(columns, threads, (x, labels, (eps,), scale, keep, loss, grad))
