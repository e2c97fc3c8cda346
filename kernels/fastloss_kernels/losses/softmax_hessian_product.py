"""The Hessian of softmax crossentropy times a vector.

With p = softmax(x) and T the sum of a row's targets, H = T (diag p - p p^T). With the class k of
the largest logit taken out of all sums, u = v - v_k and r = sum_{c != k} p_c u_c,

    (H v)_j = T p_j (u_j - r),

of which nothing cancels for confident rows either, whose p_k is nearly 1: u_k is 0.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.losses.softmax_formulas import slopes
from fastloss_kernels.losses.softmax_hessian import top_exponentials
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.reductions.exp_rows import ExpSums
from fastloss_kernels.reductions.sum_rows import add_rows, rounded_sum
from fastloss_kernels.simd.raw_arrays import fill, row_array, stack_array
from fastloss_kernels.simd.row_reduce import scale_rows
from fastloss_kernels.typing import Array, Scalar


@block
def _weighted_gaps(w: Array, v: Array, taken: Scalar, terms: Array) -> None:
    """Set `terms` to w (v - taken)."""
    for k in range(w.size):
        terms[k] = w[k] * (v[k] - taken)


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    fill(b.loss, 0)
    if grad is not None:
        kind, rows, classes, piece = b.loss.dtype.type, b.rows, b.classes, piece_size(b.classes)
        v = load_block(batch.targets, b.first, rows, b.scratch.targets)
        top, terms = stack_array(np.int64), b.scratch.temporaries
        sums = ExpSums(row_array(), row_array(), row_array(), row_array())
        factor, slope = stack_array(b.loss.dtype), stack_array(b.loss.dtype)
        total, lost = row_array(), row_array()
        top_exponentials(b, batch, b.scale, top, sums)
        slopes(sums, b.scale, rows, factor, slope)
        scale_rows(b.out, rows, classes, factor)  # scale p, and 0 for the largest
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            w, u = b.out[c : c + rows * width], v[c : c + rows * width]
            for r in range(rows):
                row, taken = slice(r * width, (r + 1) * width), v[r * classes + top[r]]
                _weighted_gaps(w[row], u[row], taken, terms[row])
            add_rows(terms[: rows * width], rows, c == 0, total, lost)
        for r in range(rows):
            mean, s = rounded_sum(total[r], lost[r]), b.scale[r]  # scale r
            taken, each = v[r * classes + top[r]], kind(mean / s if s != 0 else 0.0)
            w, u = b.out[r * classes : (r + 1) * classes], v[r * classes : (r + 1) * classes]
            for k in range(classes):
                w[k] = w[k] * ((u[k] - taken) - each)
            w[top[r]] = kind(-mean * (sums.label[r] / sums.total[r]))


rows = rows_part(__name__, "rows", _block, temporaries=1)
packed = packed_part(__name__, "packed", rows)


@kernel(rows, packed, packed)
def softmax_hessian_product(
    x: Array,
    targets: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Product of the Hessian of softmax crossentropy and a vector, the `targets`.

    `scale` includes the sum T of each row's targets. `grad` receives the product, `loss` 0; the
    other arguments are those of `softmax_crossentropy_dense`.

    Notes
    -----
    Error of an element: at most 4 ulp of the sum of the sizes of its terms scale H_ji v_i. A row
    with NaN, with +inf or of -inf only gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import softmax_hessian_product
    >>> x, none, product = np.zeros((1, 2, 1)), np.empty(1), np.empty((1, 2, 1))
    >>> vector = np.array([[[4.0], [0.0]]])
    >>> softmax_hessian_product(x, vector, np.ones(1), np.ones(1, bool), none, product, 1)
    >>> product.ravel()
    array([ 1., -1.])
    """
    run_part(None, packed, threads, (x, targets, (), scale, keep, loss, grad))
