"""Second derivatives of softmax crossentropy, with target rows or class labels.

With p = softmax(x) and T the sum of a row's targets, 1 for a label,

    H = T (diag p - p p^T),         H_jj = T p_j (1 - p_j).

The class k of the largest logit is taken out of the sum S of the exponentials: 1 - p_k is others /
S, and for all other classes 1 - p_j is at least 1/2.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.kernel import kernel, run_labelled, run_part
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch, load_labels
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.loops.targets import target_piece
from fastloss_kernels.losses.softmax_formulas import rescale_rows, rescale_sums, slopes
from fastloss_kernels.memory.layout import is_long, piece_size
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.memory.streaming import no_prefetch, prefetch_passes
from fastloss_kernels.reductions.argmax import top_class, top_class_ahead
from fastloss_kernels.reductions.exp_rows import ExpSums, RowExponents, exponential_sums
from fastloss_kernels.reductions.sum_rows import add_rows_f64, rounded_sum
from fastloss_kernels.simd.raw_arrays import fill, row_array, stack_array
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array


@block
def top_exponentials(b: Block, batch: Batch, scale: Array, top: Array, sums: ExpSums) -> None:
    """Turn a block of logits into exponentials, those of the largest logits into 0; sum them."""
    early, late = prefetch_passes(batch.x, b.first, b.rows)
    if is_long(batch.x):  # a block by itself
        top[0] = top_class_ahead(b.x, early)
    else:
        for r in range(b.rows):
            top[r] = top_class(b.x[r * b.classes : (r + 1) * b.classes])
    scaling = RowExponents(stack_array(np.int64), row_array(), row_array(), row_array())
    ahead = (late, no_prefetch(b.loss))
    if not exponential_sums(b, scale, top, sums, scaling, ahead):
        rescale_rows(b.out, b.rows, scale)
        rescale_sums(sums, b.rows, scale, b.loss)


@block
def _diagonal(b: Block, batch: Batch, scale: Array) -> None:
    """Make the diagonal of the Hessians of a block, times `scale`."""
    kind, top = b.loss.dtype.type, stack_array(np.int64)
    sums = ExpSums(row_array(), row_array(), row_array(), row_array())
    factor, slope = stack_array(b.loss.dtype), stack_array(b.loss.dtype)
    top_exponentials(b, batch, scale, top, sums)
    slopes(sums, scale, b.rows, factor, slope)
    for r in range(b.rows):
        row, f, inverse = (
            b.out[r * b.classes : (r + 1) * b.classes],
            factor[r],
            kind(1 / sums.total[r]),
        )
        for c in range(row.size):
            row[c] = row[c] * f * fma(-row[c], inverse, kind(1))
        row[top[r]] = kind(-slope[r] * (sums.label[r] / sums.total[r]))


@block
def _sum_targets(b: Block, y: Array, change: Any, scale: Array) -> None:
    """Set the losses to the sums T of a block's targets y, and `scale` to b.scale times these.

    See `target_piece` for y and `change`.
    """
    rows, piece = b.rows, piece_size(b.classes)
    total, lost = row_array(), row_array()
    for c in range(0, b.classes, piece):
        width = min(piece, b.classes - c)
        t = target_piece(y, 0, rows, c, width, change, b.classes, b.scratch.temporaries)
        add_rows_f64(t, rows, c == 0, total, lost)
    for r in range(rows):
        targets = rounded_sum(total[r], lost[r])
        b.loss[r], scale[r] = b.loss.dtype.type(targets), b.scale[r] * targets


@block
def _dense_block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    scale = row_array()
    y = load_block(batch.targets, b.first, b.rows, b.scratch.targets)
    _sum_targets(b, y, options, scale)
    if grad is not None:
        _diagonal(b, batch, scale)


@block
def _smoothed_block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    scale = row_array()
    if options[0].size == 0:  # without class weights the targets sum to 1, smoothed or not
        fill(b.loss, 1)
        for r in range(b.rows):
            scale[r] = b.scale[r]
    else:
        labels = stack_array(np.int64)
        load_labels(b, batch, labels)
        _sum_targets(b, labels, options, scale)
    if grad is not None:
        _diagonal(b, batch, scale)


rows = rows_part(__name__, "rows", _dense_block, temporaries=1)
packed = packed_part(__name__, "packed", rows)
smoothed_rows = rows_part(__name__, "smoothed_rows", _smoothed_block, labels=True, temporaries=1)
smoothed_packed = packed_part(__name__, "smoothed_packed", smoothed_rows, labels=True)


@kernel(rows, packed, packed)
def softmax_crossentropy_dense_hessian(
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
    """Diagonal of the Hessian of `softmax_crossentropy_dense`, whose arguments it takes.

    `grad` receives ``scale * d^2 loss / d x_j^2`` and `loss`, without `scale`, the sum T of the
    targets; without `grad` x is not read. The formulas stand at the top of this module.

    Notes
    -----
    Error of an element: at most 4 ulp where no target is negative. A logit -inf gives 0; a row with
    NaN, with +inf or of -inf only gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import softmax_crossentropy_dense_hessian
    >>> x, sums, hessian = np.zeros((1, 2, 1)), np.empty(1), np.empty((1, 2, 1))
    >>> t, w = np.array([[[1.0], [1.0]]]), np.empty(0)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> softmax_crossentropy_dense_hessian(x, t, w, 0.0, one, all_rows, sums, hessian, 1)
    >>> print(sums, hessian.ravel())
    [2.] [0.5 0.5]
    """
    options = (class_weight, smoothing)
    run_part(None, packed, threads, (x, targets, options, scale, keep, loss, grad))


@kernel(smoothed_rows, smoothed_packed, smoothed_packed, labels=True)
def softmax_crossentropy_smoothed_hessian(
    x: Array,
    labels: Array,
    class_weight: Array,
    smoothing: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Diagonal of the Hessian of `softmax_crossentropy_smoothed`, whose arguments it takes.

    With smoothing 0 and no class weights it is that of `softmax_crossentropy_sparse`. `grad` and
    `loss` are as for `softmax_crossentropy_dense_hessian`; so are errors.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import softmax_crossentropy_smoothed_hessian
    >>> x, sums, hessian = np.zeros((1, 2, 1)), np.empty(1), np.empty((1, 2, 1))
    >>> one, all_rows, labels, w = np.ones(1), np.ones(1, bool), np.array([0]), np.empty(0)
    >>> softmax_crossentropy_smoothed_hessian(x, labels, w, 0.0, one, all_rows, sums, hessian, 1)
    -1
    >>> print(sums, hessian.ravel())
    [1.] [0.25 0.25]
    """
    options = (class_weight, smoothing)
    return run_labelled(smoothed_packed, threads, (x, labels, options, scale, keep, loss, grad))
