"""Adversarial predictions: logits, probabilities and rates where losses may be inexact.

All is drawn from the generator, so a seed names the numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.selfcheck.reference import clip_bounds

Array = NDArray[Any]
Rng = np.random.Generator
#: Draws logits (rows, classes) for given labels.
Maker = Callable[[Rng, Array, int, Any], Array]

LIMIT = 1e4  # the contract is about logits within this


def _falls(dtype: Any) -> float:
    """Return the x where e^-x is about to leave the normal numbers."""
    return 87.0 if dtype == np.float32 else 708.0


def _fast(dtype: Any) -> float:
    """Return the largest logit that the kernels take without looking for the row's maximum."""
    return 51.0 if dtype == np.float32 else 340.0


def normal(rng: Rng, labels: Array, classes: int) -> Array:
    """Return a normally distributed number for each class."""
    return rng.normal(size=(labels.size, classes))


def column(rng: Rng, labels: Array, low: float, high: float) -> Array:
    """Return a number from `low` to `high` for each row."""
    return rng.uniform(low, high, (labels.size, 1))


def at_labels(labels: Array, classes: int) -> Array:
    """Return where each row has its label."""
    one_hot: Array = labels[:, np.newaxis] == np.arange(classes)
    return one_hot


def _any_exponent(rng: Rng, shape: tuple[int, ...], dtype: Any, top: float) -> Array:
    """Return numbers of all sizes from the subnormal ones up to `top`, of both signs."""
    lowest = np.log2(float(np.finfo(dtype).smallest_subnormal))
    sizes = np.exp2(rng.uniform(lowest, np.log2(top), shape))
    signed: Array = sizes * rng.choice([-1.0, 1.0], shape)
    return signed


def nearly(rng: Rng, values: Array, dtype: Any, ulps: int = 4) -> Array:
    """Return `values`, a few last places off."""
    rounded = values.astype(dtype)
    moved: Array = rounded + np.spacing(rounded) * rng.integers(-ulps, ulps + 1, values.shape)
    return moved


def _two_at_the_top(rng: Rng, labels: Array, classes: int, dtype: Any) -> Array:
    other = (labels + rng.integers(1, max(classes, 2), labels.size)) % classes
    lift = column(rng, labels, 0, _falls(dtype))
    top = at_labels(labels, classes) | at_labels(other, classes)
    return normal(rng, labels, classes) + lift * top


def _steps(rng: Rng, labels: Array, classes: int, dtype: Any) -> Array:
    x: Array = np.arange(classes) * -np.exp2(column(rng, labels, -20, 6))
    return np.maximum(rng.permuted(x, axis=1), -LIMIT)


LOGITS: dict[str, Maker] = {
    "around 0": lambda rng, y, c, dtype: normal(rng, y, c),
    "steep": lambda rng, y, c, dtype: normal(rng, y, c) * np.exp2(column(rng, y, -10, 11)),
    "within the fast bound": lambda rng, y, c, dtype: (
        _fast(dtype) * rng.uniform(-1, 1, (y.size, c))
    ),
    "at the fast bound": lambda rng, y, c, dtype: nearly(
        rng, rng.choice([-1.0, 1.0, 0.0], (y.size, c)) * _fast(dtype), dtype
    ),
    "to 10,000": lambda rng, y, c, dtype: rng.uniform(-LIMIT, LIMIT, (y.size, c)),
    "far from 0": lambda rng, y, c, dtype: normal(rng, y, c) + column(rng, y, -9990, 9990),
    "all exponents": lambda rng, y, c, dtype: _any_exponent(rng, (y.size, c), dtype, LIMIT),
    "subnormal": lambda rng, y, c, dtype: normal(rng, y, c) * float(np.finfo(dtype).tiny),
    "equal": lambda rng, y, c, dtype: column(rng, y, -LIMIT, LIMIT) + np.zeros(c),
    "nearly equal": lambda rng, y, c, dtype: nearly(
        rng, _any_exponent(rng, (y.size, 1), dtype, 9990) + np.zeros(c), dtype
    ),
    "confident": lambda rng, y, c, dtype: (
        normal(rng, y, c) + at_labels(y, c) * column(rng, y, 0, _falls(dtype))
    ),
    "loss of 1e-30": lambda rng, y, c, dtype: at_labels(y, c) * np.log(max(c - 1, 1) / 1e-30),
    "confident, others equal": lambda rng, y, c, dtype: (
        column(rng, y, -100, 100) + at_labels(y, c) * column(rng, y, 0, _falls(dtype))
    ),
    "hopeless": lambda rng, y, c, dtype: (
        normal(rng, y, c) - at_labels(y, c) * column(rng, y, 0, LIMIT - 10)
    ),
    "two at the top": _two_at_the_top,
    "smallest gradients": lambda rng, y, c, dtype: (
        column(rng, y, -10, 10)
        + (at_labels(y, c) - 1.0) * (_falls(dtype) - 20 * rng.random((y.size, c)))
    ),
    "steps": _steps,
}


def softmax(x: Array) -> Array:
    """Return the softmax of each row."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p: Array = e / e.sum(axis=1, keepdims=True)
    return p


def _shares(rng: Rng, labels: Array, classes: int, share: Array) -> Array:
    """Return rows of probabilities that give `share` to the label."""
    others = softmax(normal(rng, labels, classes)) * ~at_labels(labels, classes)
    others /= np.maximum(others.sum(axis=1, keepdims=True), 1e-300)
    return at_labels(labels, classes) * share + others * (1 - share)


PROBABILITIES: dict[str, Maker] = {
    "probabilities": lambda rng, y, c, dtype: softmax(normal(rng, y, c)),
    "peaked": lambda rng, y, c, dtype: softmax(normal(rng, y, c) * np.exp2(column(rng, y, -3, 5))),
    "confident": lambda rng, y, c, dtype: _shares(rng, y, c, 1 - 10 ** column(rng, y, -7, 0)),
    "hopeless": lambda rng, y, c, dtype: _shares(rng, y, c, 10 ** column(rng, y, -9, 0)),
    "equal": lambda rng, y, c, dtype: np.full((y.size, c), 1 / c),
    "not normalised": lambda rng, y, c, dtype: (
        rng.random((y.size, c)) * np.exp2(column(rng, y, -60, 60))
    ),
    "many zeros": lambda rng, y, c, dtype: (
        rng.random((y.size, c)) * ((rng.random((y.size, c)) < 0.2) | at_labels(y, c))
    ),
    "all exponents": lambda rng, y, c, dtype: np.exp2(rng.uniform(-100, 10, (y.size, c))),
}


#: Numbers in and around 0 ... 1, for the losses whose elements do not meet.
UNIT: dict[str, Callable[[Rng, tuple[int, int], Any], Array]] = {
    "anywhere": lambda rng, shape, dtype: rng.random(shape),
    "near 0": lambda rng, shape, dtype: 10 ** rng.uniform(-8, 0, shape),
    "near 1": lambda rng, shape, dtype: 1 - 10 ** rng.uniform(-8, 0, shape),
    "at the bounds": lambda rng, shape, dtype: nearly(
        rng, rng.choice([*clip_bounds(dtype), 0.5, 1.0], shape), dtype
    ),
    "outside too": lambda rng, shape, dtype: rng.choice([-0.5, 0.0, 0.3, 1.0, 1.5], shape),
    "all exponents": lambda rng, shape, dtype: np.abs(_any_exponent(rng, shape, dtype, 2.0)),
}


RATES: dict[str, Callable[[Rng, Array, Any], Array]] = {
    "around 1": lambda rng, t, dtype: np.exp(rng.normal(size=t.shape)),
    "very near 1": lambda rng, t, dtype: nearly(rng, np.ones(t.shape), dtype),
    "near 1": lambda rng, t, dtype: 1 + 10 ** rng.uniform(-8, 0, t.shape),
    "near the count": lambda rng, t, dtype: nearly(rng, t, dtype),
    "close to the count": lambda rng, t, dtype: t * (1 + 10 ** rng.uniform(-8, 0, t.shape)),
    "of all sizes": lambda rng, t, dtype: 10 ** rng.uniform(-12, 6, t.shape),
    "0": lambda rng, t, dtype: np.zeros(t.shape),
}
