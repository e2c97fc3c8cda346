"""Which parts of targets, predictions, weights and mask belong to a box of the losses."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import NDArray

from fastloss.arrays import (
    FLOAT32,
    dense_targets,
    same_rank,
)
from fastloss.evaluate import Recipe
from fastloss.labels import Labels, class_labels
from fastloss.layout import Layout, Shape, layout
from fastloss.out_of_core.chunks import Box, boxes, lengths
from fastloss.out_of_core.lazy_view import Boxed, Lens
from fastloss.reduction import Plan, align, float_sum, plan, weight_sum


@dataclass(frozen=True)
class Counts:
    """What the first pass finds."""

    rows: int
    masked: int
    """Rows that the mask leaves out."""
    ignored: int
    """Of the others, those whose label is ignore_class."""
    weight: float
    """Sum of the weights of the rows left; without weights, their number."""
    divisor: float | None
    """What the sum of the weighted losses is divided by; None: no sum."""


@dataclass(frozen=True)
class Part:
    """What belongs to one box of the losses, the predictions apart."""

    shape: Shape
    y_true: NDArray[Any]
    weight: NDArray[Any] | None
    mask: NDArray[Any] | None
    labels: Labels | None = None
    label_weight: NDArray[np.float64] | None = None

    def plan(self, reduction: str | None) -> Plan:
        """Return what these weights, masks and labels mean under `reduction`."""
        ignored = None if self.labels is None else self.labels.ignored
        return plan(self.shape, reduction, self.weight, self.mask, None, self.label_weight, ignored)

    def check_labels(self, form: Layout, first: int) -> None:
        """Raise ValueError for a label that counts and is no class; `first` is the first row."""
        if self.labels is not None:
            self.labels.check(form, self.plan(None).valid, first)


class Inputs:
    """The inputs of a loss, cut along its unreduced result; shapes are checked, nothing is read.

    Ranks are repaired and weights aligned by the rules of the loss classes.
    """

    def __init__(
        self,
        recipe: Recipe,
        y_true: Boxed,
        y_pred: Boxed,
        sample_weight: Boxed | None = None,
        mask: Boxed | None = None,
    ) -> None:
        by_label = recipe.targets == "labels"
        _, whole = same_rank(np.broadcast_to(False, y_true.shape), y_pred.shape, by_label)
        truth = Lens(y_true, lambda a: same_rank(a, y_pred.shape, by_label)[0])
        self.recipe = recipe
        self.form = layout(whole, recipe.axis)
        self.shape = self.form.kept
        axes = range(len(whole)) if recipe.axis is None else recipe.axis
        self.axes = normalize_axis_tuple(axes, len(whole))
        self.y_pred = Lens(y_pred, lambda a: a.reshape(whole))
        if by_label:
            if truth.shape not in (self.form.kept, self.form.thin):
                raise ValueError(
                    "y_true and y_pred must have the same shape apart from the class axis,"
                    f" got {truth.shape} and {whole}, where {self.shape} was expected"
                )
            self._y_true = Lens(truth, lambda a: a.reshape(self.shape))
        else:
            zeros = np.broadcast_to(np.float32(0), truth.shape)  # a shape to be judged, no memory
            dense_targets(zeros, whole, FLOAT32, recipe.targets == "broadcast")
            self._y_true = Lens(truth, lambda a: np.broadcast_to(a, whole))
        self._weight = self._aligned("sample_weight", sample_weight)
        self._mask = self._aligned("mask", mask)

    def _aligned(self, name: str, source: Boxed | None) -> Lens | None:
        return None if source is None else Lens(source, lambda a: align(name, a, self.shape))

    def predictions(self, box: Box) -> Box:
        """Return the box of the predictions whose losses are in `box`."""
        rest = iter(box)
        return tuple(
            slice(0, length) if axis in self.axes else next(rest)
            for axis, length in enumerate(self.form.whole)
        )

    def part(self, box: Box) -> Part:
        """Return everything else that belongs to `box`."""
        shape, whole = lengths(box), self.predictions(box)
        weight = None if self._weight is None else self._weight[box]
        mask = None if self._mask is None else self._mask[box]
        if self.recipe.targets != "labels":
            return Part(shape, self._y_true[whole], weight, mask)
        y_true = self._y_true[box]
        form = layout(lengths(whole), self.recipe.axis)
        labels = class_labels(y_true, form, self.recipe.ignore_class)
        label_weight = None
        if self.recipe.class_weight is not None:
            label_weight = self.recipe.class_weight.take(labels.ids, mode="clip").reshape(shape)
        return Part(shape, y_true, weight, mask, labels, label_weight)


def count(inputs: Inputs, reduction: str | None, limit: int) -> Counts:
    """Make the first pass: over everything but the predictions, at most `limit` rows at once."""
    rows = masked = valid = 0
    weights: list[float] = []
    for box in boxes(inputs.shape, limit):
        part = inputs.part(box)
        part.check_labels(inputs.form, rows)
        size = math.prod(part.shape)
        plan = part.plan("sum")
        kept = size if plan.valid is None else int(np.count_nonzero(plan.valid))
        rows += size
        masked += 0 if part.mask is None else size - int(np.count_nonzero(part.mask))
        valid += kept
        weights.append(kept if plan.weight is None else weight_sum(plan.weight, plan.kept))
    weight = float_sum(np.array(weights))
    divisor: float | None = float(valid)
    if reduction in (None, "none"):
        divisor = None
    elif reduction == "sum":
        divisor = 1.0
    elif reduction == "mean_with_sample_weight":
        divisor = weight
        # Blocks are divided by it one by one, so its reciprocal must be a number too.
        if math.isinf(weight) or 0 < abs(weight) < sys.float_info.min:
            raise ValueError(f"sample_weight must add up to a normal float64, got {weight}")
    return Counts(rows, masked, rows - masked - valid, weight, divisor)
