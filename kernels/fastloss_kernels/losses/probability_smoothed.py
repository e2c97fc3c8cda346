"""Categorical crossentropy of probabilities, with class labels that are smoothed.

The arithmetic, formulas and bits are those of `probability_dense` for one-hot rows of targets,
which are made for one piece of a block at a time.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.kernel import kernel, run_labelled
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch, load_labels
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.losses.probability_targets import process_targets
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import no_prefetch
from fastloss_kernels.simd.raw_arrays import stack_array
from fastloss_kernels.typing import Array


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    labels = stack_array(np.int64)
    load_labels(b, batch, labels)
    process_targets(b, batch, labels, options, grad, no_prefetch(b.loss))


rows = rows_part(__name__, "rows", _block, labels=True, temporaries=4, one_pass=True)
packed = packed_part(__name__, "packed", rows, labels=True)


@kernel(rows, packed, packed, labels=True)
def probability_crossentropy_smoothed(
    x: Array,
    labels: Array,
    class_weight: Array,
    smoothing: float,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> int:
    """Categorical crossentropy of probabilities, with class labels that are smoothed.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Probabilities; they are divided by their sum. Any strides; may be read-only.
    labels : (n,) int64, or another integer dtype in compiled code
        Class of each row, ``0 <= labels < classes`` wherever the row is kept.
    class_weight : (0,) or (classes,), loss's dtype
        Factors w of the targets; none if empty.
    smoothing : float
        The targets are ``1 - s + s / classes`` at the label and ``s / classes`` elsewhere.
    eps : float
        Probabilities are clipped to [eps, 1 - eps], rounded to the dtype; a normal number there.
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
    Error of a loss row: at most 4 ulp, of a gradient element at most 4 ulp, or those of A where its
    terms nearly cancel. A clipped probability gives -log of the bound and no gradient of its own; a
    row of zeros and a row with NaN give NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import probability_crossentropy_smoothed
    >>> x = np.array([[0.5, 0.25, 0.25]], np.float32).reshape(1, 3, 1)
    >>> loss, none = np.empty(1, np.float32), np.empty(0, np.float32)
    >>> one, all_rows, labels = np.ones(1), np.ones(1, bool), np.array([0])
    >>> probability_crossentropy_smoothed(x, labels, none, 0.3, 1e-7, one, all_rows, loss, None, 1)
    -1
    >>> loss.round(5)
    array([0.83178], dtype=float32)
    """
    options = (class_weight, smoothing, eps)
    return run_labelled(packed, threads, (x, labels, options, scale, keep, loss, grad))
