"""What some of the batches add to a loss of all: three sums, which reductions are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from fastloss_kernels.launch import launch
from numpy.typing import ArrayLike

from fastloss.accumulation.exact_sum import ZERO, ExactSum
from fastloss.arguments.arrays import DType
from fastloss.arguments.layout import Layout
from fastloss.evaluate import inputs, kernel_arguments
from fastloss.loss_specs import LossSpec
from fastloss.reduction import ReductionPlan, weight_sum

LossesOf: TypeAlias = Literal["rows", "elements"] | None


@dataclass(frozen=True, slots=True)
class PartialLoss:
    """The sums of some losses. Partial losses are added up in any order, with the same result."""

    total: ExactSum = ZERO
    """The sum of the weighted losses."""
    count: int = 0
    """The number of losses that are neither masked nor ignored."""
    weight_sum: ExactSum = ZERO
    """The sum of their weights, class weights of labels included; without weights, `count`."""
    losses_of: LossesOf = None
    """Whether each row was a loss or, with weights or masks of elements, each element.

    None where that makes no difference: rows of one element, or no losses.
    """

    @classmethod
    def of(cls, plan: ReductionPlan, total: float = 0.0, losses_of: LossesOf = None) -> PartialLoss:
        """Return what one call adds; total is the sum of its weighted losses.

        The plan is that of the reduction "sum": those of means may rescale the weights.
        """
        valid, summed = plan.valid, plan.summed
        count = math.prod(plan.shape) if valid is None else int(np.count_nonzero(valid))
        weights = float(count) if summed is None else weight_sum(summed, plan.counted)
        return cls(ExactSum.of(total), count, ExactSum.of(weights), losses_of if count else None)

    def __add__(self, other: PartialLoss) -> PartialLoss:
        if {self.losses_of, other.losses_of} == {"rows", "elements"}:
            raise ValueError(
                "sample_weight or mask must have y_pred's shape, a value for each element, in all"
                " batches or in none: got batches of both kinds, with losses of rows and of"
                " elements. To a batch without weights, pass ones of y_pred's shape"
            )
        return PartialLoss(
            self.total + other.total,
            self.count + other.count,
            self.weight_sum + other.weight_sum,
            self.losses_of or other.losses_of,
        )

    def divisor(self, reduction: str | None) -> ExactSum:
        """Return what `total` is divided by. The reduction is that of a loss, and not None."""
        if reduction == "sum":
            return ExactSum.of(1.0)
        if reduction == "mean_with_sample_weight":
            return self.weight_sum
        return ExactSum.of(float(self.count))

    def result(self, reduction: str | None) -> float:
        """Return the reduced loss, 0 for divisor 0."""
        divisor = self.divisor(reduction)
        return self.total / divisor if divisor else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can write, for `from_dict`."""
        return {
            "sum": self.total.to_json(),
            "count": self.count,
            "weight_sum": self.weight_sum.to_json(),
            "losses_of": self.losses_of,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> PartialLoss:
        """Return the partial loss of these values; raise ValueError for illegal ones."""
        total, weights = (ExactSum.from_json(name, state[name]) for name in ("sum", "weight_sum"))
        count, losses_of = state["count"], state["losses_of"]
        if type(count) is not int or count < 0:
            raise ValueError(f"count must be an integer, 0 or more, got {count!r}")
        if losses_of not in ("rows", "elements", None):
            raise ValueError(f'losses_of must be "rows", "elements" or None, got {losses_of!r}')
        return cls(total, count, weights, losses_of)


def partial_loss(
    spec: LossSpec,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    dtype: DType | None = None,
) -> PartialLoss:
    """Return what a batch adds, in one pass: the sums from which `evaluate` makes its value.

    Ranks that differ by one are made equal, as Keras' classes do. dtype is that of the loss.
    """
    arrays, layout, output, working = inputs(
        spec, y_true, y_pred, sample_weight, mask, None, None, dtype, True
    )
    arguments, layout, labels, plan, losses, _, _ = kernel_arguments(
        spec, arrays, layout, output, working, "sum", None, False
    )
    bad_row = launch(spec.kernel, *arguments)
    if labels is not None and bad_row >= 0:
        raise labels.invalid_label(bad_row, layout)
    return PartialLoss.of(plan, float(plan.reduce(losses)), _losses_of(layout))


def _losses_of(layout: Layout) -> LossesOf:
    if layout.keepdims_shape == layout.shape:
        return None
    return "elements" if layout.loss_shape == layout.shape else "rows"
