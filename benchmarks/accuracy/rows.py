"""Adversarial rows: every way we know of to make a loss or its gradient inexact.

A kind is a function ``(rng, rows, classes, dtype) -> (targets, predictions)``; everything is drawn
from the generator, so a seed names the rows. Targets of sparse losses are labels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.accuracy.cases import CHANGED
from benchmarks.accuracy.makers import (
    LIMIT,
    LOGITS,
    PROBABILITIES,
    RATES,
    UNIT,
    Array,
    Maker,
    Rng,
    at_labels,
    column,
    nearly,
    normal,
    softmax,
)

Kind = Callable[[Rng, int, int, Any], tuple[Array, Array]]


def _labels(rng: Rng, rows: int, classes: int) -> Array:
    return rng.integers(0, classes, rows)


def _soft_targets(rng: Rng, labels: Array, p: Array, dtype: Any) -> Array:
    """Return target rows: one-hot (half of them), spread, sparse, or nearly the prediction `p`."""
    rows, classes = p.shape
    spread = softmax(normal(rng, labels, classes) * np.exp2(column(rng, labels, -3, 4)))
    some = spread * (rng.random(p.shape) < 0.3)
    # where targets are subnormal so are their products, which have no last places to count
    near = nearly(rng, np.where(p < 2.0**-100, 0.0, p), dtype, ulps=64)
    kind = rng.integers(0, 6, (rows, 1))
    return np.select(
        [kind < 3, kind == 3, kind == 4], [at_labels(labels, classes), spread, some], near
    )


def _sparse_logits(maker: Maker) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        labels = _labels(rng, rows, classes)
        return labels, np.clip(maker(rng, labels, classes, dtype), -LIMIT, LIMIT).astype(dtype)

    return kind


def _dense_logits(maker: Maker) -> Kind:
    def kind(rng: Rng, rows: int, classes: int, dtype: Any) -> tuple[Array, Array]:
        labels, x = _sparse_logits(maker)(rng, rows, classes, dtype)
        t = _soft_targets(rng, labels, softmax(x.astype(np.float64)), dtype)
        return np.abs(t).astype(dtype), x

    return kind


def _answers(rng: Rng, p: Array, dtype: Any) -> Array:
    """Return binary targets, row by row hard (half of them), anything, near 0 or 1, or near `p`."""
    hard = rng.integers(0, 2, p.shape)
    edge = np.abs(hard - 10.0 ** rng.uniform(-12, 0, p.shape))
    near = np.clip(nearly(rng, p, dtype, ulps=64), 0, 1)
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
        other, ulps = maker(rng, shape, dtype), nearly(rng, x, dtype)
        how = rng.integers(0, 3, (rows, 1))
        return np.select([how == 0, how == 1], [other, near], ulps).astype(dtype), x

    return kind


def _counts(rng: Rng, shape: tuple[int, int]) -> Array:
    how = rng.integers(0, 4, (shape[0], 1))
    large = np.floor(10 ** rng.uniform(0, 6, shape))
    choices = [rng.integers(0, 2, shape), rng.poisson(3.0, shape), large]
    return np.select([how == 0, how == 1, how == 2], choices, 10 ** rng.uniform(-2, 2, shape))


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
KINDS |= {f"{name}{CHANGED}": KINDS[name] for name in ("binary_logits", "binary_probabilities")}
