"""Reference implementation of the five losses in float64 NumPy, without the kernels.

It is slow and follows the textbook formulas. Each function has the name and the options of the
fast function and returns the pair ``(losses, gradient)``: the unreduced losses and the derivative
of their sum with respect to `y_pred`. `fastloss.check` and the tests compare the kernels with it.

The clip bounds are rounded to the dtype `working`; everything else is float64.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[np.float64]
Pair = tuple[Array, Array]

EPSILON = 1e-7
_quiet = np.errstate(all="ignore")  # 0/0 and log 0 are intended here


def clip_bounds(working: DTypeLike) -> tuple[float, float]:
    """Return the lowest and the highest probability, rounded to the dtype `working`."""
    low = np.asarray(EPSILON, working)
    return float(low), float(1 - low)


@_quiet
def binary_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int | Sequence[int] | None = -1,
    *,
    pos_weight: ArrayLike | None = None,
    working: DTypeLike = np.float64,
) -> Pair:
    """Return the mean over `axis` of -w t log p - (1 - t) log(1 - p), and its gradient."""
    x = _float64(y_pred)
    t = _float64(y_true) * (1 - label_smoothing) + label_smoothing / 2
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, int) else tuple(axis)
    positive, negative = t * _broadcast_along(pos_weight, axis, x.ndim), 1 - t
    if from_logits:
        # -log p = softplus(-x) and -log(1 - p) = softplus(x); softplus(x) = max(x, 0) + tail
        tail = np.log1p(np.exp(-np.abs(x)))
        losses = (
            _product(positive, np.maximum(-x, 0))
            + _product(negative, np.maximum(x, 0))
            + (positive + negative) * tail
        )
        gradient = negative * _sigmoid(x) - positive * _sigmoid(-x)
    else:
        low, high = clip_bounds(working)
        p = np.clip(x, low, high)
        losses = -positive * np.log(p) - negative * np.log1p(-p)
        gradient = _not_clipped(x, low, high) * (negative / (1 - p) - positive / p)
    rows = np.sum(losses, axis=axes)
    count = losses.size / rows.size if rows.size else 1.0
    return rows / count, gradient / count


@_quiet
def categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    class_weight: ArrayLike | None = None,
    working: DTypeLike = np.float64,
) -> Pair:
    """Return -sum_c w_c t_c log p_c over `axis`, and its gradient."""
    x = np.moveaxis(_float64(y_pred), axis, -1)
    t = np.moveaxis(_float64(y_true), axis, -1)
    t = t * (1 - label_smoothing) + label_smoothing / max(x.shape[-1], 1)
    t = t * _broadcast_along(class_weight, -1, 1)
    rows, gradient = _crossentropy(t, x, from_logits, working)
    return rows, np.moveaxis(gradient, -1, axis)


@_quiet
def sparse_categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    *,
    class_weight: ArrayLike | None = None,
    working: DTypeLike = np.float64,
) -> Pair:
    """Return `categorical_crossentropy` of one-hot rows, and its gradient; 0 where ignored."""
    x = np.moveaxis(_float64(y_pred), axis, -1)
    y = np.asarray(y_true)
    if y.ndim == x.ndim:
        y = np.squeeze(y, axis)
    kept = np.ones(y.shape, np.bool_) if ignore_class is None else y != ignore_class
    label = np.where(kept, y, 0).astype(np.int64)
    one_hot = label[..., np.newaxis] == np.arange(x.shape[-1])
    rows, gradient = categorical_crossentropy(
        one_hot, x, from_logits, label_smoothing, class_weight=class_weight, working=working
    )
    gradient = np.where(kept[..., np.newaxis], gradient, 0.0)
    return np.where(kept, rows, 0.0), np.moveaxis(gradient, -1, axis)


@_quiet
def poisson(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    axis: int = -1,
    log_input: bool = False,
    working: DTypeLike = np.float64,
) -> Pair:
    """Return the mean over `axis` of x - t log(x + eps), or of e^x - t x, and its gradient."""
    x = _float64(y_pred)
    t = np.broadcast_to(_float64(y_true), x.shape)
    count = np.float64(x.shape[axis])
    if log_input:
        rate = np.exp(x)
        terms = np.where(np.isinf(rate), rate, rate - _product(t, x))
        return np.sum(terms, axis=axis) / count, (rate - t) / count
    rate = x + clip_bounds(working)[0]
    return np.sum(x - t * np.log(rate), axis=axis) / count, (1 - t / rate) / count


@_quiet
def kl_divergence(
    y_true: ArrayLike, y_pred: ArrayLike, *, axis: int = -1, working: DTypeLike = np.float64
) -> Pair:
    """Return the sum over `axis` of u log(u / p), both clipped to [eps, 1], and its gradient."""
    x = _float64(y_pred)
    low, _ = clip_bounds(working)
    u = np.broadcast_to(np.clip(_float64(y_true), low, 1.0), x.shape)
    p = np.clip(x, low, 1.0)
    return np.sum(u * np.log(u / p), axis=axis), -_not_clipped(x, low, 1.0) * u / p


def _crossentropy(t: Array, x: Array, from_logits: bool, working: DTypeLike) -> Pair:
    """Return -sum_c t_c log p_c over the last axis, and its gradient, for any targets t."""
    return _softmax_crossentropy(t, x) if from_logits else _probability_crossentropy(t, x, working)


def _softmax_crossentropy(t: Array, x: Array) -> Pair:
    """Return sum_c t_c (x_k - x_c) + sum(t) log1p(others of k), k the largest: no cancellation."""
    if x.shape[-1] == 0:
        return np.zeros(x.shape[:-1]), np.zeros(x.shape)
    k = np.argmax(x, axis=-1, keepdims=True)
    largest = np.take_along_axis(x, k, axis=-1)
    is_largest = np.arange(x.shape[-1]) == k
    e = np.exp(x - largest)
    rest = np.sum(e * ~is_largest, axis=-1, keepdims=True)  # a product, so that NaN propagates
    total = np.sum(t, axis=-1, keepdims=True)
    rows = np.sum(_product(t, largest - x) + is_largest * total * np.log1p(rest), axis=-1)
    others = np.where(is_largest, rest, 1 + rest - e)  # sum over the other classes, for each class
    return rows, ((total - t) * e - t * others) / (1 + rest)  # = total * softmax - t


def _probability_crossentropy(t: Array, x: Array, working: DTypeLike) -> Pair:
    """Return -sum_c t_c log p_c, p = clip(x / sum(x)): normalised first, then clipped."""
    low, high = clip_bounds(working)
    s = np.sum(x, axis=-1, keepdims=True)
    q = x / s
    p = np.clip(q, low, high)
    t_inside = t * _not_clipped(q, low, high)
    gradient = (np.sum(t_inside, axis=-1, keepdims=True) - t_inside / p) / s
    return -np.sum(t * np.log(p), axis=-1), gradient


def _float64(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def _broadcast_along(
    weights: ArrayLike | None, axis: int | Sequence[int] | None, ndim: int
) -> Array:
    """Return the per-class weights, 1 if none, shaped to multiply along `axis`."""
    if weights is None:
        return np.ones(())
    if not isinstance(axis, int):
        raise ValueError(f"per-class weights need a single integer axis, got {axis!r}")
    return np.moveaxis(_float64(weights).reshape((1,) * (ndim - 1) + (-1,)), -1, axis)


def _not_clipped(x: Array, low: float, high: float) -> Array:
    """Return 1 where x is in the closed interval and 0 where it is clipped; NaN for NaN."""
    return np.where(np.isnan(x), np.nan, (low <= x) & (x <= high))


def _product(weight: Array, value: Array) -> Array:
    """Return weight * value with 0 * inf = 0, as 0 log 0 = 0."""
    return np.where(weight == 0, 0.0, weight * value)


def _sigmoid(x: Array) -> Array:
    p: Array = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    return p
