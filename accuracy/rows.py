"""Adversarial rows: every way we know of to make a loss or its gradient inexact.

A kind is a function ``(rng, rows, classes, dtype) -> (targets, predictions)``; everything is drawn
from the generator, so a seed names the rows. Targets of sparse losses are labels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.reference import clip_bounds

Array = NDArray[Any]
Rng = np.random.Generator
Kind = Callable[[Rng, int, int, Any], tuple[Array, Array]]
#: Draws logits (rows, classes) for given labels.
Maker = Callable[[Rng, Array, int, Any], Array]

LIMIT = 1e4  # the contract is about logits within this


def _falls(dtype: Any) -> float:
    """Return the x where e^-x is about to leave the normal numbers."""
    return 87.0 if dtype == np.float32 else 708.0


def _fast(dtype: Any) -> float:
    """Return the largest logit that the kernels take without looking for the row's maximum."""
    return 51.0 if dtype == np.float32 else 340.0


def _normal(rng: Rng, labels: Array, classes: int) -> Array:
    return rng.normal(size=(labels.size, classes))


def _column(rng: Rng, labels: Array, low: float, high: float) -> Array:
    return rng.uniform(low, high, (labels.size, 1))


def _at(labels: Array, classes: int) -> Array:
    one_hot: Array = labels[:, np.newaxis] == np.arange(classes)
    return one_hot


def _any_exponent(rng: Rng, shape: tuple[int, ...], dtype: Any, top: float) -> Array:
    """Return numbers of all sizes from the subnormal ones up to `top`, of both signs."""
    lowest = np.log2(float(np.finfo(dtype).smallest_subnormal))
    sizes = np.exp2(rng.uniform(lowest, np.log2(top), shape))
    signed: Array = sizes * rng.choice([-1.0, 1.0], shape)
    return signed


def _nearly(rng: Rng, values: Array, dtype: Any, ulps: int = 4) -> Array:
    """Return `values`, a few last places off."""
    rounded = values.astype(dtype)
    moved: Array = rounded + np.spacing(rounded) * rng.integers(-ulps, ulps + 1, values.shape)
    return moved


def _two_at_the_top(rng: Rng, labels: Array, classes: int, dtype: Any) -> Array:
    other = (labels + rng.integers(1, max(classes, 2), labels.size)) % classes
    lift = _column(rng, labels, 0, _falls(dtype))
    top = _at(labels, classes) | _at(other, classes)
    return _normal(rng, labels, classes) + lift * top


def _steps(rng: Rng, labels: Array, classes: int, dtype: Any) -> Array:
    x: Array = np.arange(classes) * -np.exp2(_column(rng, labels, -20, 6))
    return np.maximum(rng.permuted(x, axis=1), -LIMIT)


LOGITS: dict[str, Maker] = {
    "around 0": lambda rng, y, c, dtype: _normal(rng, y, c),
    "steep": lambda rng, y, c, dtype: _normal(rng, y, c) * np.exp2(_column(rng, y, -10, 11)),
    "within the fast bound": lambda rng, y, c, dtype: (
        _fast(dtype) * rng.uniform(-1, 1, (y.size, c))
    ),
    "at the fast bound": lambda rng, y, c, dtype: _nearly(
        rng, rng.choice([-1.0, 1.0, 0.0], (y.size, c)) * _fast(dtype), dtype
    ),
    "to 10,000": lambda rng, y, c, dtype: rng.uniform(-LIMIT, LIMIT, (y.size, c)),
    "far from 0": lambda rng, y, c, dtype: _normal(rng, y, c) + _column(rng, y, -9990, 9990),
    "all exponents": lambda rng, y, c, dtype: _any_exponent(rng, (y.size, c), dtype, LIMIT),
    "subnormal": lambda rng, y, c, dtype: _normal(rng, y, c) * float(np.finfo(dtype).tiny),
    "equal": lambda rng, y, c, dtype: _column(rng, y, -LIMIT, LIMIT) + np.zeros(c),
    "nearly equal": lambda rng, y, c, dtype: _nearly(
        rng, _any_exponent(rng, (y.size, 1), dtype, 9990) + np.zeros(c), dtype
    ),
    "confident": lambda rng, y, c, dtype: (
        _normal(rng, y, c) + _at(y, c) * _column(rng, y, 0, _falls(dtype))
    ),
    "loss of 1e-30": lambda rng, y, c, dtype: _at(y, c) * np.log(max(c - 1, 1) / 1e-30),
    "confident, others equal": lambda rng, y, c, dtype: (
        _column(rng, y, -100, 100) + _at(y, c) * _column(rng, y, 0, _falls(dtype))
    ),
    "hopeless": lambda rng, y, c, dtype: (
        _normal(rng, y, c) - _at(y, c) * _column(rng, y, 0, LIMIT - 10)
    ),
    "two at the top": _two_at_the_top,
    "smallest gradients": lambda rng, y, c, dtype: (
        _column(rng, y, -10, 10)
        + (_at(y, c) - 1.0) * (_falls(dtype) - 20 * rng.random((y.size, c)))
    ),
    "steps": _steps,
}


def _labels(rng: Rng, rows: int, classes: int) -> Array:
    return rng.integers(0, classes, rows)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p: Array = e / e.sum(axis=1, keepdims=True)
    return p


def _soft_targets(rng: Rng, labels: Array, p: Array, dtype: Any) -> Array:
    """Return target rows: one-hot (half of them), spread, sparse, or nearly the prediction `p`."""
    rows, classes = p.shape
    spread = _softmax(_normal(rng, labels, classes) * np.exp2(_column(rng, labels, -3, 4)))
    some = spread * (rng.random(p.shape) < 0.3)
    # where targets are subnormal so are their products, which have no last places to count
    near = _nearly(rng, np.where(p < 2.0**-100, 0.0, p), dtype, ulps=64)
    kind = rng.integers(0, 6, (rows, 1))
    return np.select([kind < 3, kind == 3, kind == 4], [_at(labels, classes), spread, some], near)


def _sparse_logits(maker: Maker) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        labels = _labels(rng, rows, classes)
        return labels, np.clip(maker(rng, labels, classes, dtype), -LIMIT, LIMIT).astype(dtype)

    return kind


def _dense_logits(maker: Maker) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        labels, x = _sparse_logits(maker)(rng, rows, classes, dtype)
        t = _soft_targets(rng, labels, _softmax(x.astype(np.float64)), dtype)
        return np.abs(t).astype(dtype), x

    return kind


def _answers(rng: Rng, p: Array, dtype: Any) -> Array:
    """Return binary targets, row by row hard (half of them), anything, near 0 or 1, or near `p`."""
    hard = rng.integers(0, 2, p.shape)
    edge = np.abs(hard - 10.0 ** rng.uniform(-12, 0, p.shape))
    near = np.clip(_nearly(rng, p, dtype, ulps=64), 0, 1)
    kind = rng.integers(0, 6, (len(p), 1))
    choices = [hard, rng.random(p.shape), edge]
    return np.select([kind < 3, kind == 3, kind == 4], choices, near).astype(dtype)


def _binary_logits(maker: Maker) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        labels = _labels(rng, rows, classes)
        x = np.clip(maker(rng, labels, classes, dtype), -LIMIT, LIMIT).astype(dtype)
        p = np.exp(-np.logaddexp(0, -x.astype(np.float64)))
        t = _answers(rng, p, dtype)
        sided = rng.integers(0, 3, (rows, 1))  # as drawn, all answers right, all of them wrong
        return t, np.select([sided == 1, sided == 2], [np.copysign(x, t - 0.5),
                            np.copysign(x, 0.5 - t)], x).astype(dtype)  # fmt: skip

    return kind


def _shares(rng: Rng, labels: Array, classes: int, share: Array) -> Array:
    """Return rows of probabilities that give `share` to the label."""
    others = _softmax(_normal(rng, labels, classes)) * ~_at(labels, classes)
    others /= np.maximum(others.sum(axis=1, keepdims=True), 1e-300)
    return _at(labels, classes) * share + others * (1 - share)


PROBABILITIES: dict[str, Maker] = {
    "probabilities": lambda rng, y, c, dtype: _softmax(_normal(rng, y, c)),
    "peaked": lambda rng, y, c, dtype: _softmax(
        _normal(rng, y, c) * np.exp2(_column(rng, y, -3, 5))
    ),
    "confident": lambda rng, y, c, dtype: _shares(rng, y, c, 1 - 10 ** _column(rng, y, -7, 0)),
    "hopeless": lambda rng, y, c, dtype: _shares(rng, y, c, 10 ** _column(rng, y, -9, 0)),
    "equal": lambda rng, y, c, dtype: np.full((y.size, c), 1 / c),
    "not normalised": lambda rng, y, c, dtype: (
        rng.random((y.size, c)) * np.exp2(_column(rng, y, -60, 60))
    ),
    "many zeros": lambda rng, y, c, dtype: (
        rng.random((y.size, c)) * ((rng.random((y.size, c)) < 0.2) | _at(y, c))
    ),
    "all exponents": lambda rng, y, c, dtype: np.exp2(rng.uniform(-100, 10, (y.size, c))),
}


def _sparse_probabilities(maker: Maker) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        labels = _labels(rng, rows, classes)
        return labels, maker(rng, labels, classes, dtype).astype(dtype)

    return kind


def _dense_probabilities(maker: Maker) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        labels, x = _sparse_probabilities(maker)(rng, rows, classes, dtype)
        p = x / x.sum(axis=1, keepdims=True, dtype=np.float64)
        return np.abs(_soft_targets(rng, labels, p, dtype)).astype(dtype), x

    return kind


#: Numbers in and around 0 ... 1, for the losses whose elements do not meet.
UNIT: dict[str, Callable[[Rng, tuple[int, int], Any], Array]] = {
    "anywhere": lambda rng, shape, dtype: rng.random(shape),
    "near 0": lambda rng, shape, dtype: 10 ** rng.uniform(-8, 0, shape),
    "near 1": lambda rng, shape, dtype: 1 - 10 ** rng.uniform(-8, 0, shape),
    "at the bounds": lambda rng, shape, dtype: _nearly(
        rng, rng.choice([*clip_bounds(dtype), 0.5, 1.0], shape), dtype
    ),
    "outside too": lambda rng, shape, dtype: rng.choice([-0.5, 0.0, 0.3, 1.0, 1.5], shape),
    "all exponents": lambda rng, shape, dtype: np.abs(_any_exponent(rng, shape, dtype, 2.0)),
}


def _binary_probabilities(maker: Any) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        x = maker(rng, (rows, classes), dtype).astype(dtype)
        return _answers(rng, np.clip(x, 0, 1), dtype), x

    return kind


def _divergence(maker: Any) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        shape = (rows, classes)
        x = maker(rng, shape, dtype).astype(dtype)
        near = x * (1 + rng.choice([-1, 1], shape) * 10 ** rng.uniform(-8, 0, shape))
        other, ulps = maker(rng, shape, dtype), _nearly(rng, x, dtype)
        how = rng.integers(0, 3, (rows, 1))
        return np.select([how == 0, how == 1], [other, near], ulps).astype(dtype), x

    return kind


def _counts(rng: Rng, shape: tuple[int, int]) -> Array:
    how = rng.integers(0, 4, (shape[0], 1))
    large = np.floor(10 ** rng.uniform(0, 6, shape))
    choices = [rng.integers(0, 2, shape), rng.poisson(3.0, shape), large]
    return np.select([how == 0, how == 1, how == 2], choices, 10 ** rng.uniform(-2, 2, shape))


RATES: dict[str, Callable[[Rng, Array, Any], Array]] = {
    "around 1": lambda rng, t, dtype: np.exp(rng.normal(size=t.shape)),
    "very near 1": lambda rng, t, dtype: _nearly(rng, np.ones(t.shape), dtype),
    "near 1": lambda rng, t, dtype: 1 + 10 ** rng.uniform(-8, 0, t.shape),
    "near the count": lambda rng, t, dtype: _nearly(rng, t, dtype),
    "close to the count": lambda rng, t, dtype: t * (1 + 10 ** rng.uniform(-8, 0, t.shape)),
    "of all sizes": lambda rng, t, dtype: 10 ** rng.uniform(-12, 6, t.shape),
    "0": lambda rng, t, dtype: np.zeros(t.shape),
}


def _poisson(maker: Any) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        t = _counts(rng, (rows, classes)).astype(dtype)
        return t, np.abs(maker(rng, t, dtype)).astype(dtype)

    return kind


#: For each name in the table of cases: the kinds of rows.
KINDS: dict[str, dict[str, Kind]] = {
    "sparse_logits": {name: _sparse_logits(maker) for name, maker in LOGITS.items()},
    "dense_logits": {name: _dense_logits(maker) for name, maker in LOGITS.items()},
    "binary_logits": {name: _binary_logits(maker) for name, maker in LOGITS.items()},
    "sparse_probabilities": {n: _sparse_probabilities(m) for n, m in PROBABILITIES.items()},
    "dense_probabilities": {n: _dense_probabilities(m) for n, m in PROBABILITIES.items()},
    "binary_probabilities": {name: _binary_probabilities(maker) for name, maker in UNIT.items()},
    "poisson": {name: _poisson(maker) for name, maker in RATES.items()},
    "kl_divergence": {name: _divergence(maker) for name, maker in UNIT.items()},
}
