"""Targets that are smoothed and weighted on the way in, each rounded once.

A smoothed target t (1 - s) + s / C is a sum of two products whose factors are no floats themselves:
rounding after each step would cost the gradients up to two ulp before they are begun.
"""

from typing import Any, NamedTuple

from fastloss_kernels.compiler.jit import block, called, overload_block
from fastloss_kernels.elementary.double_word import (
    DoubleWord,
    rounded_product,
    scaled_double_word,
    to_double_word,
    two_sum,
)
from fastloss_kernels.simd.raw_arrays import fill
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar
from numba import types


@block
def smoothing_pairs(smoothing: float, classes: int, like: Array) -> Any:
    """Return 1 - s, s / C and 1 - s / C as pairs of like's dtype."""
    shrink, rise = 1.0 - smoothing, smoothing / classes
    rise_lost = -fma(rise, float(classes), -smoothing) / classes
    rest = 1.0 - rise
    return (
        to_double_word(shrink, (1.0 - shrink) - smoothing, like),
        to_double_word(rise, rise_lost, like),
        to_double_word(rest, ((1.0 - rest) - rise) - rise_lost, like),
    )


@block
def smoothed(t: Scalar, shrink: DoubleWord, rise: DoubleWord) -> Any:
    """Return t shrink + rise as a pair."""
    high = t * shrink[0]
    total, lost = two_sum(high, rise[0])
    return total, lost + (fma(t, shrink[0], -high) + fma(t, shrink[1], rise[1]))


@called
def _change(
    y: Array, rows: int, class_weight: Array, smoothing: float, classes: int, target: Array
) -> None:
    shrink, rise, _ = smoothing_pairs(smoothing, classes, y)
    if class_weight.size == 0:
        for k in range(y.size):
            high, low = smoothed(y[k], shrink, rise)
            target[k] = high + low
        return
    width = y.size // rows
    for r in range(rows):
        row, t = target[r * width : (r + 1) * width], y[r * width : (r + 1) * width]
        for c in range(width):
            high, low = scaled_double_word(class_weight[c], smoothed(t[c], shrink, rise))
            row[c] = high + low


@block
def dense_targets(
    y: Array,
    rows: int,
    c0: int,
    class_weight: Array,
    smoothing: float,
    classes: int,
    own: Array,
) -> Array:
    """Return w_c (t_c (1 - s) + s / C) for the classes `c0` onwards of rows of targets.

    That is y itself where it changes nothing, else `own`. `class_weight` is empty or has C values.
    """
    if smoothing == 0.0 and class_weight.size == 0:
        return y
    _change(y, rows, class_weight[c0:], smoothing, classes, own)
    return own[: y.size]


@called
def _smoothed_labels(
    labels: Array, c0: int, width: int, change: Any, classes: int, target: Array
) -> None:
    """Set `target` to what `dense_targets` makes of one-hot rows, for `width` classes from `c0`."""
    class_weight, smoothing = change
    kind = target.dtype.type
    shrink, rise, _ = smoothing_pairs(smoothing, classes, target)
    off, on = smoothed(kind(0), shrink, rise), smoothed(kind(1), shrink, rise)
    weights = class_weight[c0:]
    for r in range(labels.size):
        row, label = target[r * width : (r + 1) * width], labels[r] - c0
        if class_weight.size == 0:
            fill(row, off[0] + off[1])
            if 0 <= label < width:
                row[label] = on[0] + on[1]
        else:
            for c in range(width):
                high, low = scaled_double_word(weights[c], off)
                row[c] = high + low
            if 0 <= label < width:
                high, low = scaled_double_word(weights[label], on)
                row[label] = high + low


def target_piece(
    y: Array, row: int, rows: int, c: int, width: int, change: Any, classes: int, own: Array
) -> Any:
    """Return the targets of some rows of a block, for `width` classes from `c` on.

    `y` are the block's target rows, or its class labels, which stand for one-hot rows. Rows of
    several pieces come one at a time. ``change = (class_weight, smoothing)``; see `dense_targets`.
    """
    if y.dtype.kind == "i":
        return _piece_of_labels(y, row, rows, c, width, change, classes, own)
    return _piece_of_rows(y, row, rows, c, width, change, classes, own)


def _piece_of_rows(
    y: Array, row: int, rows: int, c: int, width: int, change: Any, classes: int, own: Array
) -> Any:
    class_weight, smoothing = change
    start = row * classes + c
    piece = y[start : start + rows * width]
    return dense_targets(piece, rows, c, class_weight, smoothing, classes, own)


def _piece_of_labels(
    y: Array, row: int, rows: int, c: int, width: int, change: Any, classes: int, own: Array
) -> Any:
    _smoothed_labels(y[row : row + rows], c, width, change, classes, own)
    return own[: rows * width]


overload_block(target_piece)(
    lambda y, row, rows, c, width, change, classes, own: (
        _piece_of_labels if isinstance(y.dtype, types.Integer) else _piece_of_rows
    )
)


class BinaryTargets(NamedTuple):
    """What an element function is given of some targets, each an array."""

    target: Any  # t, neither smoothed nor weighted
    positive: Any  # w t'
    negative: Any  # 1 - t'
    scaled_positive: Any  # both times the gradient's factor, each rounded once
    scaled_negative: Any


@called
def weighted_targets(
    weight: Array, smoothing: float, factor: tuple[Array, Array], targets: BinaryTargets
) -> None:
    """Set all but the first of `targets`, for the smoothed targets t' = t (1 - s) + s / 2.

    1 - t' is not taken from t': where it is small it would be a rounding error. `factor` is a
    double-word number for each element.
    """
    t, positive, negative, scaled_positive, scaled_negative = targets
    shrink, rise, rest = smoothing_pairs(smoothing, 2, t)
    one = t.dtype.type(1)
    for k in range(t.size):
        f = factor[0][k], factor[1][k]
        yes = scaled_double_word(weight[k], smoothed(t[k], shrink, rise))
        near = t[k] + t[k] >= one  # then 1 - t is exact, and a small sum not one of large numbers
        start = rise if near else rest
        no = smoothed(one - t[k] if near else -t[k], shrink, start)
        positive[k], negative[k] = yes[0] + yes[1], no[0] + no[1]
        scaled_positive[k], scaled_negative[k] = rounded_product(yes, f), rounded_product(no, f)
