"""Second derivatives of categorical crossentropy from probabilities, with target rows or labels.

With S = sum_c x_c, q = x / S, targets t, m = 1 where q is inside the closed bounds [eps, 1 - eps],
else 0, and A = sum_c t_c m_c, the loss ``sum_c m_c t_c (log S - log x_c)`` + constants has

    H = diag(m_j t_j / x_j^2) - (A / S^2) 1 1^T.

Its diagonal is ``(m_j t_j ((S / x_j)^2 - 1) - (A - m_j t_j)) / S^2``: with z = S / x - 1, of which
nothing is lost where x is nearly S (see `ratio`), (S / x)^2 - 1 = z (z + 2).
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log_ratio import power_of_two
from fastloss_kernels.loops.kernel import kernel, run_labelled, run_part
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch, load_labels
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.loops.targets import target_piece
from fastloss_kernels.losses.probability_formulas import (
    guarded,
    ratio,
    row_guard,
    row_sum,
    row_totals,
)
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.memory.streaming import prefetch_passes, write_chunk
from fastloss_kernels.reductions.sum_rows import add_rows_f64, rounded_sum
from fastloss_kernels.simd.raw_arrays import row_array, stack_array
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def _unclipped_targets(v: Array, t: Array, row: Any, kept: Array) -> None:
    """Set `kept` to the targets of elements v of one row that are not clipped, else to 0."""
    _, _, least, most = row
    for k in range(t.size):
        kept[k] = 0 if (v[k] < least) | (v[k] > most) else t[k]


@block
def _curvatures(v: Array, t: Array, row: Any, factors: Any, one: Scalar, out: Array) -> None:
    """Set `out` to the diagonal for elements v of one row.

    ``factors = (scale / S, 1 / S, guard, A rounded, its rounding error)``, the first two of S times
    `guard`: then they are finite, and times A = 0 they are 0.
    """
    (s, rest, least, most), (scaled, inverse, guard, kept, lost) = row, factors
    for k in range(t.size):
        f, e = ratio(s, rest, v[k])
        power = power_of_two(e, s)
        z = fma(f, power, power - one)
        own = fma(t[k] * z, z + (one + one), (t[k] - kept) - lost)
        own = -kept - lost if (v[k] < least) | (v[k] > most) else own
        out[k] = own * inverse * guard * scaled * guard


@block
def _process_targets(
    b: Block, batch: Batch, y: Array, change: Any, eps: float, grad: Array | None
) -> None:
    """Process a block with the targets y; see `target_piece`."""
    kind, rows, classes = b.loss.dtype.type, b.rows, b.classes
    piece, low, high = piece_size(classes), kind(eps), kind(1.0 - eps)
    changed, out = b.scratch.temporaries, b.scratch.temporaries[b.scratch.room :]
    total, lost, kept, kept_lost = row_array(), row_array(), row_array(), row_array()
    early, _ = prefetch_passes(batch.x, b.first, rows)
    row_totals(b.x, rows, total, lost, early)
    for c in range(0, classes, piece):
        width = min(piece, classes - c)
        size = rows * width
        v, t = b.x[c : c + size], target_piece(y, 0, rows, c, width, change, classes, changed)
        for r in range(rows):
            by = row_guard(total[r], b.loss)
            sums = row_sum(kind, total[r], lost[r], by, low, high)
            row = slice(r * width, (r + 1) * width)
            _unclipped_targets(guarded(v[row], by, out[row]), t[row], sums, out[row])
        add_rows_f64(out[:size], rows, c == 0, kept, kept_lost)
    for r in range(rows):
        a = rounded_sum(kept[r], kept_lost[r])
        b.loss[r] = kind(np.nan if total[r] == 0 else a / total[r] / total[r])
    if grad is not None:
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            size = rows * width
            v, t = b.x[c : c + size], target_piece(y, 0, rows, c, width, change, classes, changed)
            for r in range(rows):
                by = row_guard(total[r], b.loss)
                sums = row_sum(kind, total[r], lost[r], by, low, high)
                a, s = kind(kept[r]), total[r] * by if total[r] != 0 else np.nan
                rest = kind((kept[r] - a) + kept_lost[r])
                factors = kind(b.scale[r] / s), kind(1.0 / s), by, a, rest
                row = slice(r * width, (r + 1) * width)
                x = guarded(v[row], by, out[row])
                _curvatures(x, t[row], sums, factors, kind(1), out[row])
            write_chunk(out, b.out[c : c + size], size, b.streamed)


@block
def _dense_block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    class_weight, smoothing, eps = options
    y = load_block(batch.targets, b.first, b.rows, b.scratch.targets)
    _process_targets(b, batch, y, (class_weight, smoothing), eps, grad)


@block
def _smoothed_block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    (class_weight, smoothing, eps), labels = options, stack_array(np.int64)
    load_labels(b, batch, labels)
    _process_targets(b, batch, labels, (class_weight, smoothing), eps, grad)


rows = rows_part(__name__, "rows", _dense_block, temporaries=2, one_pass=True)
packed = packed_part(__name__, "packed", rows)
smoothed_rows = rows_part(
    __name__, "smoothed_rows", _smoothed_block, labels=True, temporaries=2, one_pass=True
)
smoothed_packed = packed_part(__name__, "smoothed_packed", smoothed_rows, labels=True)


@kernel(rows, packed, packed)
def probability_crossentropy_dense_hessian(
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
    """Diagonal of the Hessian of `probability_crossentropy_dense`, whose arguments it takes.

    `grad` receives ``scale * d^2 loss / d x_j^2`` and `loss`, without `scale`, the coefficient
    A / S^2 of the term of rank one. The formulas stand at the top of this module.

    Notes
    -----
    Error of an element: at most 6 ulp of the sum of the sizes of its terms. Where all targets but 0
    are clipped it is 0; a row of zeros and a row with NaN give NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import probability_crossentropy_dense_hessian
    >>> x = np.array([[0.5, 0.25, 0.25]], np.float32).reshape(1, 3, 1)
    >>> c, hessian = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t, w = np.array([[[1.0], [0.0], [0.0]]], np.float32), np.empty(0, np.float32)
    >>> probability_crossentropy_dense_hessian(x, t, w, 0.0, 1e-7, one, all_rows, c, hessian, 1)
    >>> print(c, hessian.ravel())
    [1.] [ 3. -1. -1.]
    """
    options = (class_weight, smoothing, eps)
    run_part(None, packed, threads, (x, targets, options, scale, keep, loss, grad))


@kernel(smoothed_rows, smoothed_packed, smoothed_packed, labels=True)
def probability_crossentropy_smoothed_hessian(
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
    """Diagonal of the Hessian of `probability_crossentropy_smoothed`, whose arguments it takes.

    With smoothing 0 and no class weights it is that of `probability_crossentropy_sparse`. `grad`
    and `loss` are as for `probability_crossentropy_dense_hessian`; so are errors.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import probability_crossentropy_smoothed_hessian as kernel
    >>> x = np.array([[0.5, 0.25, 0.25]], np.float32).reshape(1, 3, 1)
    >>> c, hessian, w = np.empty(1, np.float32), np.empty_like(x), np.empty(0, np.float32)
    >>> one, all_rows, labels = np.ones(1), np.ones(1, bool), np.array([0])
    >>> kernel(x, labels, w, 0.0, 1e-7, one, all_rows, c, hessian, 1)
    -1
    >>> print(c, hessian.ravel())
    [1.] [ 3. -1. -1.]
    """
    options = (class_weight, smoothing, eps)
    return run_labelled(smoothed_packed, threads, (x, labels, options, scale, keep, loss, grad))
