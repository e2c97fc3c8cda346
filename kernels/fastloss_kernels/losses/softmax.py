"""Softmax, its logarithm, and the logarithm of a sum of exponentials.

With S = sum_c e^(x_c) and k the class of the largest logit, taken out of the sum beforehand,

    softmax_j = e^(x_j) / S              logsumexp = x_k + above
    log_softmax_j = (x_j - x_k) - above
    above = log S - x_k = log1p(others / e^(x_k)),   others = sum_{c != k} e^(x_c)

Nothing cancels in log_softmax: neither x_j - x_k nor -above is above 0. All sums and the scalars of
a row are float64. The factor 1 / S is a double-word number, so that a single class has probability
1, and each of two equal ones 1/2.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.double_word import to_double_word
from fastloss_kernels.elementary.log_ratio import log1p_ratio
from fastloss_kernels.loops.activation import run_activation, run_map
from fastloss_kernels.loops.kernel import kernel
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.memory.rows import Block, with_output
from fastloss_kernels.memory.streaming import no_prefetch, prefetch_block, prefetch_passes
from fastloss_kernels.reductions.argmax import largest_magnitude, top_class, top_class_ahead
from fastloss_kernels.reductions.exp_rows import ExpSums, RowExponents, exponential_sums
from fastloss_kernels.simd.raw_arrays import fill, row_array, stack_array
from fastloss_kernels.simd.scalar import bits, fma
from fastloss_kernels.typing import Array


@block
def _softmax(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    if grad is None:
        return
    rows, classes, target = b.rows, b.classes, stack_array(np.int64)
    fill(target[:rows], 0)  # whichever class is taken out, the total is the same
    sums = ExpSums(row_array(), row_array(), row_array(), row_array())
    scaling = RowExponents(stack_array(np.int64), row_array(), row_array(), row_array())
    ahead = (prefetch_block(batch.x, b.first, rows), no_prefetch(b.loss))
    exponential_sums(b, b.scale, target, sums, scaling, ahead)
    for r in range(rows):
        total, row = sums.total[r], b.out[r * classes : (r + 1) * classes]
        row[0] = row.dtype.type(sums.label[r])
        share = 1.0 / total
        high, low = to_double_word(share, fma(-share, total, 1.0) / total, row)
        for c in range(classes):
            row[c] = fma(row[c], high, row[c] * low)


@called
def _contains_nan(row: Array) -> bool:
    return largest_magnitude(row) > bits(row.dtype.type(np.inf))


@block
def _largest_logits(b: Block, ahead: Any, top: Array, peak: Array) -> None:
    """Set `top` to the class of each row's largest logit, `peak` to that, or NaN if there is one.

    A NaN with its sign set is not found here where another logit is finite; sums find it there.
    """
    rows, classes = b.rows, b.classes
    if rows == 1:
        top[0] = top_class_ahead(b.x, ahead)
    else:
        for r in range(rows):
            top[r] = top_class(b.x[r * classes : (r + 1) * classes])
    for r in range(rows):
        row = b.x[r * classes : (r + 1) * classes]
        peak[r] = row[top[r]]
        if abs(peak[r]) == np.inf and _contains_nan(row):
            peak[r] = np.nan


@block
def _logarithms(sums: ExpSums, peak: Array, above: Array, logsumexp: Array) -> None:
    """Set `above` and the results of rows; an infinite `peak` is the result."""
    for r in range(logsumexp.size):
        total = sums.total[r]
        log_ratio = log1p_ratio(sums.others[r], sums.label[r], logsumexp)
        log_ratio = log_ratio if total == total else total
        above[r] = 0.0 if abs(peak[r]) == np.inf else log_ratio
        logsumexp[r] = logsumexp.dtype.type(peak[r] + above[r])


@block
def _log_softmax(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    rows, classes, top = b.rows, b.classes, stack_array(np.int64)
    peak, above = row_array(), row_array()
    sums = ExpSums(row_array(), row_array(), row_array(), row_array())
    scaling = RowExponents(stack_array(np.int64), row_array(), row_array(), row_array())
    early, late = prefetch_passes(batch.x, b.first, rows)
    _largest_logits(b, early, top, peak)
    # The logits are needed again, so exponentials replace each other a piece at a time.
    work = with_output(b, b.scratch.temporaries)
    exponential_sums(work, b.scale, top, sums, scaling, (late, no_prefetch(b.loss)))
    _logarithms(sums, peak, above, b.loss)
    if grad is not None:
        kind = b.loss.dtype.type
        for r in range(rows):
            row = slice(r * classes, (r + 1) * classes)
            x, y, largest, more = b.x[row], b.out[row], kind(peak[r]), kind(above[r])
            if b.in_place:  # a loop over one array is vector code, over two that overlap it is not
                for c in range(classes):
                    y[c] = (y[c] - largest) - more
            else:
                for c in range(classes):
                    y[c] = (x[c] - largest) - more


rows = rows_part(__name__, "rows", _softmax)
packed = packed_part(__name__, "packed", rows)
log_rows = rows_part(__name__, "log_rows", _log_softmax, temporaries=1, empty=-np.inf)
log_packed = packed_part(__name__, "log_packed", log_rows)


@kernel(rows, packed, packed)
def softmax(x: Array, out: Array, threads: int) -> None:
    """Softmax of rows of logits.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Logits. Any strides; may be read-only.
    out : (outer, classes, inner), x's or the working dtype: float64 for a float64 x, else float32
        Receives softmax(x). It is x itself, or shares no memory with it.
    threads : int
        How many threads share the rows; 1 is a plain loop. No result depends on it.

    Notes
    -----
    Error: at most 4 ulp. A logit -inf gives 0; a row with NaN, with +inf or of -inf only gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import softmax
    >>> x = np.array([[2.0, 1.0, 0.0]], np.float32).reshape(1, 3, 1)
    >>> softmax(x, x, 1)
    >>> x.ravel()
    array([0.66524094, 0.24472846, 0.09003057], dtype=float32)
    """
    run_map(packed, threads, x, out)


@kernel(log_rows, log_packed, log_packed)
def log_softmax(x: Array, logsumexp: Array, out: Array | None, threads: int) -> None:
    """Logarithm of the softmax of rows of logits, and of the sums of their exponentials.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Logits. Any strides; may be read-only.
    logsumexp : (n,), the working dtype: float64 for a float64 x, else float32
        Receives log(sum_c e^(x_c)) of each row.
    out : None or (outer, classes, inner), x's or the working dtype
        Receives log(softmax(x)). It is x itself, or shares no memory with it.
    threads : int
        How many threads share the rows; 1 is a plain loop. No result depends on it.

    Notes
    -----
    Error of `out`: at most 4 ulp. Of `logsumexp`: at most 4 ulp of itself or of the largest logit,
    whichever is more. Rows of -inf only have logsumexp -inf and out NaN. Rows with +inf have
    logsumexp inf, out NaN there and -inf elsewhere. NaN gives NaN; no class at all -inf.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import log_softmax
    >>> x = np.array([[20.0, 0.0, 0.0]], np.float32).reshape(1, 3, 1)
    >>> logsumexp = np.empty(1, np.float32)
    >>> log_softmax(x, logsumexp, x, 1)
    >>> x.ravel()
    array([-4.1223074e-09, -2.0000000e+01, -2.0000000e+01], dtype=float32)
    >>> logsumexp
    array([20.], dtype=float32)
    """
    run_activation(log_packed, threads, x, logsumexp, out)
