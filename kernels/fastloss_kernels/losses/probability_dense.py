"""Categorical crossentropy from probabilities, with target rows: normalise, clip, take logarithms.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps), targets t, m = 1 where q is inside the
bounds, else 0, and A = sum_c t_c m_c,

    loss = -sum_c t_c log p_c   d loss / d x_j = (A - t_j m_j / p_j) / S

The bounds are closed and rounded to the working dtype. S is held in two parts, so that S - x has
all its digits where x is nearly S, and -log q is the logarithm of the quotient S / x (see
`log_ratio`). A row whose sum is 0 has no q and gives NaN.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log import log
from fastloss_kernels.elementary.log_ratio import log_reduced, nearest_binade, power_of_two
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.loops.targets import target_piece
from fastloss_kernels.losses.probability_formulas import row_totals, subnormal_guard, unclipped
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.memory.streaming import (
    prefetch_block,
    prefetch_chunks,
    prefetch_passes,
    write_chunk,
)
from fastloss_kernels.reductions.sum_rows import add_rows, add_rows_f64, rounded_sum
from fastloss_kernels.simd.raw_arrays import row_array
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def _row_sum(kind: Any, total: float, lost: float, by: Scalar, low: Scalar, high: Scalar) -> Any:
    """Return (the sum of a row times `by`, its rounding error, least and largest unclipped x)."""
    s = kind(total * by)
    least, most = unclipped(s, low, high)
    return s, kind((total * by - s) + lost * by), least, most


@block
def _guarded(v: Array, by: Scalar, own: Array) -> Array:
    """Return the elements v of a row times `by`: in `own`, or v itself if that is 1."""
    if by == 1:
        return v
    for k in range(v.size):
        own[k] = v[k] * by
    return own


@block
def _ratio(s: Scalar, rest: Scalar, x: Scalar) -> tuple[Scalar, Any]:
    """Return (f, e) with (s + rest) / x = (1 + f) 2^e."""
    near, e = nearest_binade(s, x)
    return ((near - x) + rest * power_of_two(-e, s)) / x, e


@block
def _log_terms(v: Array, t: Array, row: Any, ends: Any, terms: Array, kept: Array) -> None:
    """Set `terms` to -t log(p) for elements v of one row, and `kept` to the t not clipped.

    `row` is a `_row_sum`, and ``ends = (-log p at the lower bound, at the upper)``.
    """
    (s, rest, least, most), (at_least, at_most) = row, ends
    zero = at_most - at_most
    for k in range(t.size):
        f, e = _ratio(s, rest, v[k])
        y = log_reduced(f, e, v[k] - v[k])
        below, above = v[k] < least, v[k] > most
        terms[k] = t[k] * (at_least if below else at_most if above else y)
        kept[k] = zero if below | above else t[k]


@block
def _slopes(v: Array, t: Array, row: Any, factors: Any, one: Scalar, slopes: Array) -> None:
    """Set `slopes` to those of elements v of one row, A - t S / x: each difference on its own.

    ``factors = (scale / S, A rounded, its rounding error)``. As A - t S / x = (A - t) - t (S / x -
    1), nothing is lost where t is nearly A and x nearly S.
    """
    (s, rest, least, most), (factor, kept, lost) = row, factors
    for k in range(t.size):
        f, e = _ratio(s, rest, v[k])
        scale = power_of_two(e, s)
        odds = fma(f, scale, scale - one)
        own = fma(-t[k], odds, (kept - t[k]) + lost)
        slopes[k] = factor * (kept + lost if (v[k] < least) | (v[k] > most) else own)


@block
def process_targets(
    b: Block, batch: Batch, y: Array, options: Any, grad: Array | None, targets_ahead: Any
) -> None:
    """Process a block with the targets y; see `target_piece`."""
    class_weight, smoothing, eps = options
    change = class_weight, smoothing
    kind, rows, classes = b.loss.dtype.type, b.rows, b.classes
    piece = piece_size(classes)
    low, high = kind(eps), kind(1.0 - eps)
    log_low, log_high = -log(low), -log(high)
    room, arrays = b.scratch.room, b.scratch.temporaries
    changed, terms, kept = arrays, arrays[room:], arrays[2 * room :]
    total, lost, value, value_lost = row_array(), row_array(), row_array(), row_array()
    slope, slope_lost = row_array(), row_array()  # sums of the targets that are not clipped
    early, late = prefetch_passes(batch.x, b.first, rows)
    row_totals(b.x, rows, total, lost, early)
    ahead = (late, targets_ahead)
    for c in range(0, classes, piece):
        width = min(piece, classes - c)
        size = rows * width
        v = b.x[c : c + size]
        t = target_piece(y, 0, rows, c, width, change, classes, changed)
        for r in range(rows):
            by = subnormal_guard(total[r], b.loss)
            row_sum = _row_sum(kind, total[r], lost[r], by, low, high)
            ends = (log_low, log_high) if total[r] >= 0 else (log_high, log_low)
            row = slice(r * width, (r + 1) * width)
            prefetch_chunks(ahead, c + r * width, width)
            x = _guarded(v[row], by, terms[row])
            _log_terms(x, t[row], row_sum, ends, terms[row], kept[row])
        add_rows(terms[:size], rows, c == 0, value, value_lost)
        add_rows_f64(kept[:size], rows, c == 0, slope, slope_lost)
    for r in range(rows):
        b.loss[r] = kind(rounded_sum(value[r], value_lost[r]))
    if grad is not None:
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            size = rows * width
            v = b.x[c : c + size]
            t = target_piece(y, 0, rows, c, width, change, classes, changed)
            for r in range(rows):
                by = subnormal_guard(total[r], b.loss)
                row_sum = _row_sum(kind, total[r], lost[r], by, low, high)
                a = kind(slope[r])
                factors = kind(b.scale[r] / total[r]), a, kind((slope[r] - a) + slope_lost[r])
                row = slice(r * width, (r + 1) * width)
                x = _guarded(v[row], by, terms[row])
                _slopes(x, t[row], row_sum, factors, kind(1), terms[row])
            write_chunk(terms, b.out[c : c + size], size, b.streamed)


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    y = load_block(batch.targets, b.first, b.rows, b.scratch.targets)
    process_targets(b, batch, y, options, grad, prefetch_block(batch.targets, b.first, b.rows))


rows = rows_part(__name__, "rows", _block, temporaries=3, one_pass=True)
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
