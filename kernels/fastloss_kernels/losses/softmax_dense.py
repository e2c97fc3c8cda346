"""Softmax crossentropy from logits, with target rows.

With p = softmax(x), S = sum_c e^(x_c) and targets t,

    loss = sum_c t_c (log S - x_c)       d loss / d x_j = (sum_c t_c) p_j - t_j

Where t is 1 at one class and 0 elsewhere both would cancel for confident rows. With the class k of
the largest logit taken out of the sum beforehand,

    log S - x_k = log1p(others / e^(x_k)),   1 - p_k = others / S,   others = sum_{c != k} e^(x_c),

and every term of ``sum_c t_c (x_k - x_c) + sum_c t_c (log S - x_k)`` is >= 0. All sums and the
scalars of a row are float64.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.columns import Plan, any_layout
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.losses.softmax_dense_columns import dense_tile
from fastloss_kernels.losses.softmax_targets import process_targets
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.memory.streaming import prefetch_passes
from fastloss_kernels.reductions.sum_columns import FOUR
from fastloss_kernels.typing import Array


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    y = load_block(batch.targets, b.first, b.rows, b.scratch.targets)
    ahead = prefetch_passes(batch.targets, b.first, b.rows)
    process_targets(b, batch, y, options, grad, ahead)


rows = rows_part(__name__, "rows", _block, temporaries=2)
packed = packed_part(__name__, "packed", rows)
columns = any_layout(
    __name__, "columns", dense_tile, Plan(FOUR, sums=3, temporaries=0, kept=True), packed
)


@kernel(rows, packed, columns)
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
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Logits. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Targets t; they need not sum to 1. Any strides, 0 included.
    class_weight : (0,) or (classes,), loss's dtype
        Factors w of the targets; none if empty.
    smoothing : float
        The targets become ``t (1 - s) + s / classes``.
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
    options = (class_weight, smoothing)
    run_part(None, columns, threads, (x, targets, options, scale, keep, loss, grad))
