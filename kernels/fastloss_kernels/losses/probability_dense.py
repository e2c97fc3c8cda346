"""Categorical crossentropy from probabilities, with target rows: normalise, clip, take logarithms.

With S = sum_c x_c, q = x / S, p = clip(q, eps, 1 - eps), targets t, m = 1 where q is inside the
bounds, else 0, and A = sum_c t_c m_c,

    loss = -sum_c t_c log p_c   d loss / d x_j = (A - t_j m_j / p_j) / S

The bounds are closed and rounded to the working dtype. S is held in two parts, so that S - x has
all its digits where x is nearly S, and -log q is the logarithm of the quotient S / x (see
`quotient`). A row whose sum is 0 has no q and gives NaN.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log import log
from fastloss_kernels.elementary.log_ratio import aligned, log_aligned, power
from fastloss_kernels.loops.kernel import each_part, kernel, part
from fastloss_kernels.loops.row_inputs import clear_rows, row_values
from fastloss_kernels.loops.targets import dense_targets
from fastloss_kernels.losses.probability_formulas import inside, lift, row_totals
from fastloss_kernels.memory.layout import rows_per_block
from fastloss_kernels.memory.rows import (
    destination,
    inbox_size,
    piece_size,
    row_count,
    unpack,
    window,
)
from fastloss_kernels.memory.streaming import block_ahead, deliver, early_and_late, fetch_next
from fastloss_kernels.reductions.sum_rows import add_fine, add_rows, whole_sum
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.raw_arrays import fill, hold, memory, row_array
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def _sum_parts(kind: Any, total: float, lost: float, by: Scalar, low: Scalar, high: Scalar) -> Any:
    """Return (the sum of a row times `by`, what rounding it lost, the ends of `inside`)."""
    s = kind(total * by)
    from_, to = inside(s, low, high)
    return s, kind((total * by - s) + lost * by), from_, to


@block
def _lifted(v: Array, by: Scalar, own: Array) -> Array:
    """Return the elements v of a row times `by`: in `own`, or v itself if that is 1."""
    if by == 1:
        return v
    for k in range(v.size):
        own[k] = v[k] * by
    return own


@block
def _excess(s: Scalar, rest: Scalar, x: Scalar) -> tuple[Scalar, Any]:
    """Return (f, e) with (s + rest) / x = (1 + f) 2^e."""
    near, e = aligned(s, x)
    return ((near - x) + rest * power(-e, s)) / x, e


@block
def _log_terms(v: Array, t: Array, row: Any, ends: Any, terms: Array, own: Array) -> None:
    """Set `terms` to -t log(p) for elements v of one row, and `own` to the t that are not clipped.

    ``row = (sum, what it lost)`` and ``ends = (-log p at from_, at to)``, the ends of `inside`.
    """
    (s, rest, from_, to), (at_from, at_to) = row, ends
    zero = at_to - at_to
    for k in range(t.size):
        f, e = _excess(s, rest, v[k])
        y = log_aligned(f, e, v[k] - v[k])
        below, above = v[k] < from_, v[k] > to
        terms[k] = t[k] * (at_from if below else at_to if above else y)
        own[k] = zero if below | above else t[k]


@block
def _slopes(v: Array, t: Array, row: Any, parts: Any, one: Scalar, slopes: Array) -> None:
    """Set `slopes` to those of elements v of one row, A - t S / x: each difference on its own.

    ``parts = (factor, A rounded, what that lost)``. As A - t S / x = (A - t) - t (S / x - 1),
    nothing is lost where t is nearly A and x nearly S.
    """
    (s, rest, from_, to), (factor, inside, more) = row, parts
    for k in range(t.size):
        f, e = _excess(s, rest, v[k])
        scale = power(e, s)
        odds = fma(f, scale, scale - one)
        own = fma(-t[k], odds, (inside - t[k]) + more)
        slopes[k] = factor * (inside + more if (v[k] < from_) | (v[k] > to) else own)


@part
def _dense_part(
    first: int,
    last: int,
    x: Array,
    targets: Array,
    class_weight: Array,
    smoothing: float,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> None:
    kind = loss.dtype.type
    classes = x.shape[1]
    if classes == 0:  # a sum over nothing, and not one element to read
        fill(loss[first:last], kind(0))
        return
    block_rows, piece = rows_per_block(x), piece_size(classes)
    share = (first, last, block_rows)
    low, high = kind(eps), kind(1.0 - eps)
    log_low, log_high = -log(low), -log(high)
    size = max(inbox_size(x, loss, block_rows), inbox_size(grad, loss, block_rows))
    own = np.empty(size, loss.dtype)
    target_box = np.empty(inbox_size(targets, loss, block_rows), loss.dtype)
    boxes = np.empty((3, block_rows * piece), loss.dtype)
    changed, terms = memory(boxes[0], loss.dtype), memory(boxes[1], loss.dtype)
    own_targets = memory(boxes[2], loss.dtype)
    row_scale, total, lost, value = row_array(), row_array(), row_array(), row_array()
    slope, slope_lost, value_lost = row_array(), row_array(), row_array()
    spare = (row_array(), row_array())

    for i in range(first, last, block_rows):
        rows = min(block_rows, last - i)
        v, y = window(x, own, i, share), window(targets, target_box, i, share)
        w, past = destination(x, v, grad, own, i)
        row_values(scale, i, rows, row_scale)
        early, late = early_and_late(x, i, rows)
        row_totals(v, rows, piece, total, lost, spare, early)
        ahead = (late, block_ahead(targets, i, rows))
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            size = rows * width
            v_c = v[c : c + size]
            t = dense_targets(y[c : c + size], rows, c, class_weight, smoothing, classes, changed)
            for r in range(rows):
                by = lift(total[r], loss)
                parts = _sum_parts(kind, total[r], lost[r], by, low, high)
                ends = (log_low, log_high) if total[r] >= 0 else (log_high, log_low)
                row = slice(r * width, (r + 1) * width)
                fetch_next(ahead, c + r * width, width)
                lifted = _lifted(v_c[row], by, terms[row])
                _log_terms(lifted, t[row], parts, ends, terms[row], own_targets[row])
            add_rows(terms[:size], rows, c == 0, value, value_lost, spare)
            add_fine(own_targets[:size], rows, c == 0, slope, slope_lost, spare)
        mine = memory(loss, loss.dtype)[i : i + rows]
        for r in range(rows):
            mine[r] = kind(whole_sum(value[r], value_lost[r]))
        if grad is not None:
            for c in range(0, classes, piece):
                width = min(piece, classes - c)
                size = rows * width
                v_c, y_c = v[c : c + size], y[c : c + size]
                t = dense_targets(y_c, rows, c, class_weight, smoothing, classes, changed)
                for r in range(rows):
                    by = lift(total[r], loss)
                    parts = _sum_parts(kind, total[r], lost[r], by, low, high)
                    a = kind(slope[r])
                    of_all = kind(row_scale[r] / total[r]), a, kind((slope[r] - a) + slope_lost[r])
                    row = slice(r * width, (r + 1) * width)
                    lifted = _lifted(v_c[row], by, terms[row])
                    _slopes(lifted, t[row], parts, of_all, kind(1), terms[row])
                deliver(terms, w[c : c + size], size, past)
        clear_rows(keep, i, rows, loss, w)
        if grad is not None:
            unpack(w, x, grad, i, share)
    hold(own)
    hold(target_box)
    hold(boxes)
    settle()


@kernel(_dense_part)
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
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `halves`)
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
    loss : (n,), float64 for a float64 x, else float32: what is computed in
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
    arguments = (x, targets, class_weight, smoothing, eps, scale, keep, loss, grad)
    each_part(_dense_part, row_count(x), threads, arguments)
