"""Accuracy, top-k, calibration and Brier score of some rows, to be added up over blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import fastloss_kernels as kernels
import numpy as np
from numpy.typing import NDArray

from fastloss.activations import logsumexp, sigmoid, softmax
from fastloss.loss_base import Loss
from fastloss.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from fastloss.out_of_core.inputs import RowInputs

Floats = NDArray[np.float64]


class ScoreOptions(NamedTuple):
    """What is computed of the predictions beside the loss."""

    top: tuple[int, ...] = ()
    """The numbers k of top-k accuracies."""
    bins: int = 15
    """How many bins of equal width the calibration error has."""
    brier: bool = False
    """Whether the Brier score is wanted: from logits it costs as much as the loss."""


DEFAULT_SCORES = ScoreOptions()


class Predictions(NamedTuple):
    """What the predictions of some rows say, each array with a value or a list for each row."""

    correct: Floats
    """(n,): whether the most likely class is correct, or the share of elements that are."""
    confidence: Floats
    """(n, k): probabilities of events."""
    outcome: Floats
    """(n, k): whether each of them was right: 1 or 0."""
    rank: NDArray[np.int64] | None
    """(n,): number of classes before the label, up to the largest k; None for binary ones."""
    brier: Floats | None
    """(n,): the squared distance of the probabilities from the targets."""


@dataclass(frozen=True)
class Scores:
    """Weighted sums over rows."""

    weight: float
    correct: float
    top: Floats
    """For each k the weight of the rows whose label is among the k most likely classes."""
    brier: float | None
    bins: Floats
    """(3, bins): weight, confidence and outcome of the predictions in each bin."""

    @classmethod
    def of(
        cls, found: Predictions, kept: Any, weight: Floats | None, options: ScoreOptions
    ) -> Scores:
        """Return the sums over the `kept` rows; weights are of all rows, None: 1."""
        correct = found.correct[kept]
        w = np.ones(correct.size) if weight is None else weight[kept]
        top = [_weighted(w, found.rank[kept] < k) for k in options.top if found.rank is not None]
        return cls(
            float(w.sum()),
            _weighted(w, correct),
            np.array(top),
            None if found.brier is None else _weighted(w, found.brier[kept]),
            _binned(w, found.confidence[kept], found.outcome[kept], options.bins),
        )

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            self.weight + other.weight,
            self.correct + other.correct,
            self.top + other.top,
            None if self.brier is None or other.brier is None else self.brier + other.brier,
            self.bins + other.bins,
        )

    def share(self, total: float) -> float | None:
        """Return a sum divided by the sum of the weights; None if that is 0."""
        return total / self.weight if self.weight else None

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error: the mean distance of confidence and outcome of a bin."""
        weight, confidence, outcome = self.bins
        total = float(weight.sum())
        return float(np.abs(confidence - outcome).sum()) / total if total else None


def _weighted(weight: Floats, values: NDArray[Any]) -> float:
    return float(np.sum(weight * values))


def _binned(weight: Floats, confidence: Floats, outcome: Floats, bins: int) -> Floats:
    """Return the sums of weights, confidences and outcomes in bins of equal width; no NaN."""
    each = np.broadcast_to(weight[:, np.newaxis] / confidence.shape[1], confidence.shape)
    valid = confidence == confidence
    each, confidence, outcome = each[valid], confidence[valid], outcome[valid]
    numbers = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    sums = (np.bincount(numbers, each * v, bins) for v in (1.0, confidence, outcome))
    return np.array(list(sums))


def predictions(
    loss: Loss,
    given: RowInputs,
    x: NDArray[Any],
    axes: tuple[int, ...],
    losses: NDArray[Any],
    options: ScoreOptions,
) -> Predictions | None:
    """Return what the predictions x of a block say, or None for a loss without classes.

    `axes` are those of x that a row is made of, `losses` the row losses.
    """
    if x.size == 0:
        return None
    if isinstance(loss, BinaryCrossentropy):
        return _of_binary(loss, _rows(x, axes), _rows(given.y_true, axes))
    if isinstance(loss, SparseCategoricalCrossentropy) and given.labels is not None:
        return _of_classes(loss, _rows(x, axes), given.labels.ids, losses, options)
    if isinstance(loss, CategoricalCrossentropy):
        targets = _rows(given.y_true, axes)
        labels = np.empty(len(targets), np.int64)
        kernels.top_classes(targets, labels)
        return _of_classes(loss, _rows(x, axes), labels, None, options)
    return None


def _rows(x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """Return the rows of x, contiguous and in the working dtype."""
    last = np.moveaxis(x, axes, range(-len(axes), 0))
    working = np.float64 if x.dtype == np.float64 else np.float32
    row = math.prod(x.shape[axis] for axis in axes)
    return np.ascontiguousarray(last, working).reshape(-1, row)


def _of_binary(loss: BinaryCrossentropy, x: NDArray[Any], t: NDArray[Any]) -> Predictions:
    p: NDArray[Any] = np.asarray(sigmoid(x)) if loss.from_logits else x
    correct = ((x > (0.0 if loss.from_logits else 0.5)) == (t > 0.5)).mean(axis=1)
    distance = np.subtract(p, t, dtype=np.float64)
    inside = np.clip(p, 0.0, 1.0, dtype=np.float64)
    return Predictions(
        correct, inside, t.astype(np.float64), None, np.mean(distance * distance, axis=1)
    )


def _of_classes(
    loss: SparseCategoricalCrossentropy | CategoricalCrossentropy,
    x: NDArray[Any],
    labels: NDArray[np.int64],
    losses: NDArray[Any] | None,
    options: ScoreOptions,
) -> Predictions:
    rows = len(x)
    rank, largest, own = np.empty(rows, np.int64), np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    kernels.label_ranks(x, labels, max(options.top, default=1), rank, largest, own)
    scores = np.empty(rows) if options.brier else None
    if loss.from_logits:
        if scores is not None:
            kernels.brier_scores(softmax(x), labels, scores)
        total = None
        if losses is not None and not loss.label_smoothing:
            total = np.add(own, losses, dtype=np.float64)  # the loss is log-sum-exp - own logit
        if total is None or not np.isfinite(total).all():
            total = logsumexp(x, axis=1)
        confidence = np.exp(np.subtract(largest, total, dtype=np.float64))
    else:
        if scores is not None:
            kernels.brier_scores(x, labels, scores)
        confidence = np.divide(largest, x.sum(axis=1), dtype=np.float64)
    correct = (rank == 0).astype(np.float64)
    confidence = np.clip(confidence, 0.0, 1.0)[:, np.newaxis]
    return Predictions(correct, confidence, correct[:, np.newaxis], rank, scores)
