"""Categorical crossentropy from probabilities, with target rows: normalise, clip, take logarithms.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps), targets t, m = 1 where q is inside the
bounds, else 0, and A = sum_c t_c m_c,

    loss = -sum_c t_c log p_c   d loss / d x_j = (A - t_j m_j / p_j) / S

The bounds are closed and rounded to the working dtype. S is held in two parts, so that S - x has
all its digits where x is nearly S. Where x is above S / 2, -log q is the logarithm of the quotient
S / x (see `log_ratio`), else log q = log x - log S. A row whose sum is 0 has no q and gives NaN.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.losses.probability_targets import process_targets
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.memory.streaming import (
    prefetch_block,
)
from fastloss_kernels.typing import Array


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    y = load_block(batch.targets, b.first, b.rows, b.scratch.targets)
    process_targets(b, batch, y, options, grad, prefetch_block(batch.targets, b.first, b.rows))


rows = rows_part(__name__, "rows", _block, temporaries=4, one_pass=True)
packed = packed_part(__name__, "packed", rows)


@kernel(rows, packed, packed)
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
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Probabilities, not necessarily normalised. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Targets t; they need not sum to 1. Any strides, 0 included.
    class_weight : (0,) or (classes,), loss's dtype
        Factors w of the targets; none if empty.
    smoothing : float
        The targets become ``t (1 - s) + s / classes``.
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
    options = (class_weight, smoothing, eps)
    run_part(None, packed, threads, (x, targets, options, scale, keep, loss, grad))
