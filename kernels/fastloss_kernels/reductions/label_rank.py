"""Where a label stands among the classes of its row, and how far probabilities are from it.

These serve statistics of predictions, beside a loss: accuracy, top-k, calibration, Brier score.
"""

import numpy as np
from fastloss_kernels.compiler.jit import block, public
from fastloss_kernels.reductions.argmax import top_bits, top_class
from fastloss_kernels.reductions.sum_rows import LANES
from fastloss_kernels.simd.raw_arrays import fill, row_array
from fastloss_kernels.simd.scalar import from_bits
from fastloss_kernels.typing import Array, Scalar


@block
def _count_above(row: Array, own: Scalar, ties: bool) -> int:
    """Return how many elements are larger than `own` or NaN; with `ties` also those equal to it."""
    count = np.int32(0)
    if ties:
        for k in range(row.size):
            count += np.int32(0 if row[k] < own else 1)
    else:
        for k in range(row.size):
            count += np.int32(0 if row[k] <= own else 1)
    return int(count)


@public
def label_ranks(
    x: Array, labels: Array, limit: int, rank: Array, largest: Array, own: Array
) -> None:
    """Rank of each row's label among the classes, by their logits or probabilities.

    Parameters
    ----------
    x : (n, classes) float32 or float64
        Logits or probabilities; contiguous.
    labels : (n,) int64
        Class of each row. Of a row whose label is none of ``0 ... classes - 1``, the rank is
        `limit` and `own` NaN.
    limit : int
        The largest rank that matters, at least 1: higher ones are given as `limit`. With 1, only
        rows whose label is the top class are looked at twice.
    rank : (n,) int64
        Receives the number of classes that come before the label, the largest first and of equal
        ones the first class first: it is 0 where ``np.argmax`` is the label, and below k where the
        label is among the top k. NaN counts as larger than any number; a label whose own value is
        NaN has the rank `limit`.
    largest, own : (n,), x's dtype
        Receive the largest value of each row, and that of its label.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import label_ranks
    >>> x, labels = np.array([[2.0, 5.0, 3.0], [1.0, 1.0, 0.0]]), np.array([2, 0])
    >>> rank, largest, own = np.empty(2, np.int64), np.empty(2), np.empty(2)
    >>> label_ranks(x, labels, 9, rank, largest, own)
    >>> print(rank, largest, own)
    [1 0] [5. 1.] [3. 1.]
    """
    classes = x.shape[1]
    for r in range(x.shape[0]):
        row, label = x[r], labels[r]
        rank[r], own[r] = limit, np.nan
        largest[r] = from_bits(top_bits(row)) if classes else np.nan
        if 0 <= label < classes:
            own[r] = row[label]
        if own[r] == largest[r] or (limit > 1 and own[r] == own[r]):  # False for NaN
            before = _count_above(row[:label], own[r], True)
            found = before + _count_above(row[label + 1 :], own[r], False)
            rank[r] = min(found, limit)


@public
def top_classes(x: Array, top: Array) -> None:
    """First of the largest elements of each row, as ``np.argmax``.

    NaN counts as larger than any number, and 0 as larger than -0.

    Parameters
    ----------
    x : (n, classes) float32 or float64
        Contiguous rows, of at least one class.
    top : (n,) int64
        Receives the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import top_classes
    >>> top = np.empty(1, np.int64)
    >>> top_classes(np.array([[2.0, 5.0, 5.0]]), top)
    >>> top
    array([1])
    """
    for r in range(x.shape[0]):
        top[r] = top_class(x[r])


@public
def brier_scores(p: Array, labels: Array, scores: Array) -> None:
    """Brier score of each row: the sum of ``(p_c - [c is the label])^2`` over the classes c.

    Parameters
    ----------
    p : (n, classes) float32 or float64
        Probabilities; contiguous. They are divided by their sum.
    labels : (n,) int64
        Class of each row. A row whose label is none of ``0 ... classes - 1`` gets NaN.
    scores : (n,) float64
        Receives the scores, from 0 to 2.

    Notes
    -----
    Absolute error of a score, of the probabilities as they are given: at most 1e-14.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import brier_scores
    >>> scores = np.empty(1)
    >>> brier_scores(np.array([[0.5, 0.25, 0.25]]), np.array([0]), scores)
    >>> scores
    array([0.375])
    """
    classes = p.shape[1]
    sums, squares = row_array()[:LANES], row_array()[:LANES]
    for r in range(p.shape[0]):
        row, label = p[r], labels[r]
        if not 0 <= label < classes:
            scores[r] = np.nan
            continue
        fill(sums, 0.0)
        fill(squares, 0.0)
        for first in range(0, classes, LANES):
            group = row[first : first + LANES]
            for k in range(group.size):
                value = np.float64(group[k])
                sums[k] += value
                squares[k] += value * value
        whole, square = 0.0, 0.0
        for k in range(LANES):
            whole += sums[k]
            square += squares[k]
        scores[r] = square / whole / whole - 2 * row[label] / whole + 1.0
