"""Weights, masks and reductions become two values per row, `scale` and `keep`.

A kernel multiplies the gradient of row i by `scale[i]` and skips rows where `keep[i]` is False.
Only this module divides by the number of rows or the sum of weights. The cost is O(rows), and O(1)
for a call without weights, mask and upstream.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import fastloss_kernels as kernels
import numpy as np
from numpy.typing import NDArray

from fastloss.arguments.arrays import FLOAT64, convert, shown
from fastloss.arguments.layout import Array, Shape
from fastloss.typing import FloatArray, Reduced

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

REDUCTIONS = ("none", *(name for name in get_args(Reduced) if name != "auto"))


def _shared_constant(value: float) -> Array:
    """Return an array of one value for all rows; it is read-only, as calls share it."""
    values = np.array([value])
    values.flags.writeable = False
    return values


_KEEP_ALL, _KEEP_NONE = _shared_constant(True), _shared_constant(False)


def check_reduction(reduction: object) -> str | None:
    """Return `reduction`, or the current name for "auto"; raise ValueError if it is not legal."""
    if reduction is None:
        return None
    if isinstance(reduction, str):
        if reduction == "auto":
            return "sum_over_batch_size"
        if reduction in REDUCTIONS:
            return reduction
    raise ValueError(
        f'reduction must be None, "auto" or one of {", ".join(REDUCTIONS)}; got {shown(reduction)}'
    )


@dataclass(frozen=True, slots=True)
class ReductionPlan:
    """How the row losses of one call become its result: see `reduction_plan`."""

    shape: Shape
    """The shape of the weighted losses, before they are summed."""
    divisor: float | None
    """The sum of the weighted losses is divided by it; None: no reduction."""
    scale: Floats
    """(1,) or (rows,): the derivative of the result with respect to each row's loss."""
    keep: Bools
    """(1,) or (rows,): False where the kernel writes zeros without reading the row."""
    valid: Bools | None = None
    """(rows,): True where the row is neither masked nor ignored; None: all rows are valid."""
    weight: FloatArray | None = None
    """Of `shape`: the factor of each loss; None: no weights."""
    counted: Bools | None = None
    """Of `shape`: valid and not of weight 0; None without weights and masks."""
    summed: FloatArray | None = None
    """Of `shape`: what each loss adds to the sum of weights; None: 1."""

    def reduce(self, losses: FloatArray) -> FloatArray | float:
        """Return the result for a kernel's losses (rows,): a float, or an array if unreduced."""
        losses = weighted_losses(losses, self)
        if self.divisor is None:
            return losses if losses.shape == self.shape else losses.reshape(self.shape)
        return float(kernels.total(losses)) / self.divisor if self.divisor else 0.0


def float_sum(values: FloatArray) -> float:
    """Return the sum in float64, in an order of additions that depends on the length alone."""
    return float(kernels.total(np.ascontiguousarray(values).reshape(-1)))


def weighted_losses(losses: FloatArray, plan: ReductionPlan) -> FloatArray:
    """Return a kernel's losses times their weights, flat; without weights the losses themselves.

    The products are float64, and exactly 0 where a loss does not count, even for NaN.
    """
    weight, counted = plan.weight, plan.counted
    if weight is None or counted is None:
        return losses
    losses = losses.reshape(weight.shape if losses.size == weight.size else ())
    product = np.empty(weight.shape)
    with np.errstate(all="ignore"):
        np.multiply(losses, weight, out=product)
    np.copyto(product, 0.0, where=~counted)
    return product.reshape(-1)


def reduction_plan(
    loss_shape: Shape,
    reduction: str | None,
    sample_weight: Array | None = None,
    mask: Array | None = None,
    upstream: Array | None = None,
    label_weight: FloatArray | None = None,
    ignored: Bools | None = None,
    smoothed: bool = False,
) -> ReductionPlan:
    """Return the plan for losses of shape `loss_shape`.

    sample_weight, mask, label_weight (the class weight of each label) and ignored have that shape
    too; see `alignment`. upstream has the shape of the result. The losses of smoothed labels hold
    the class weights already: a label_weight counts in the sum of weights, and multiplies nothing.
    """
    has_weight = sample_weight is not None or label_weight is not None
    has_mask = mask is not None or ignored is not None
    if not has_weight and not has_mask and upstream is None:
        return _unweighted_plan(loss_shape, reduction)

    valid = None if mask is None else _as_bools(mask)
    if ignored is not None:
        valid = ~ignored if valid is None else valid & ~ignored
    weights = None if sample_weight is None else convert(sample_weight, FLOAT64)
    if not smoothed:
        weights = _float64_product(weights, label_weight)
    counted = valid
    if weights is not None:
        counted = weights != 0 if valid is None else valid & (weights != 0)
    if reduction == "mean_with_sample_weight" and weights is not None:
        weights = _rescaled_weights(weights, valid)
    summed = _float64_product(weights, label_weight) if smoothed else weights

    divisor = _divisor(reduction, math.prod(loss_shape), valid, summed)
    scale = _row_scale(upstream, loss_shape if divisor is None else (), weights, divisor or 1.0)
    keep = _KEEP_ALL if counted is None else counted
    return ReductionPlan(
        loss_shape,
        divisor,
        scale.reshape(-1),
        _KEEP_NONE if divisor == 0 else keep.reshape(-1),
        None if valid is None else valid.reshape(-1),
        weights,
        counted,
        summed,
    )


@lru_cache(maxsize=256)
def _unweighted_plan(loss_shape: Shape, reduction: str | None) -> ReductionPlan:
    """Return the plan of a call without weights, mask and upstream."""
    divisor = _divisor(reduction, math.prod(loss_shape))
    return ReductionPlan(loss_shape, divisor, _shared_constant(1.0 / (divisor or 1.0)), _KEEP_ALL)


def _divisor(
    reduction: str | None, size: int, valid: Bools | None = None, weights: FloatArray | None = None
) -> float | None:
    if reduction in (None, "none"):
        return None
    if reduction == "sum":
        return 1.0
    if reduction == "mean_with_sample_weight" and weights is not None:
        return weight_sum(weights, valid)
    return float(size if valid is None else np.count_nonzero(valid))


def weight_sum(weights: FloatArray, valid: Bools | None) -> float:
    """Return the sum of the weights in `valid` rows; None: of all weights."""
    return float_sum(weights if valid is None else np.where(valid, weights, 0.0))


def _as_bools(mask: Array) -> Bools:
    """Return whether each value is not 0; raise ValueError for fractions, which are weights."""
    if mask.dtype.kind not in "biu":
        whole = np.equal(mask, np.trunc(mask))
        if not whole.all():
            raise ValueError(
                "mask must hold True and False, or whole numbers, of which 0 is False: got"
                f" {mask[~whole][0]}; weights go to sample_weight"
            )
    return mask.astype(np.bool_)


@np.errstate(over="ignore", under="ignore")  # in rows that are not valid
def _rescaled_weights(weights: FloatArray, valid: Bools | None) -> FloatArray:
    """Return the weights of a weighted mean, times a power of two that keeps its sums in range.

    The mean does not depend on a common factor of the weights. Without it, sums of weights near
    1e308 would overflow and those of weights near 1e-308 would lose digits.
    """
    where = True if valid is None else valid
    largest = float(np.max(np.abs(weights), initial=0.0, where=where))
    if 1e-30 < largest < 1e30 or not math.isfinite(largest):
        return weights
    scaled: FloatArray = np.ldexp(weights, -math.frexp(largest)[1])
    return scaled


@np.errstate(all="ignore")
def _row_scale(
    upstream: Array | None, result_shape: Shape, weights: FloatArray | None, divisor: float
) -> Floats:
    """Return upstream * weights / divisor: one per loss, or a scalar for all losses."""
    scale = np.ones(()) if weights is None else convert(weights, FLOAT64)
    if upstream is not None:
        if upstream.shape != result_shape:
            raise ValueError(
                f"upstream must have the shape of the result, {result_shape}, got {upstream.shape}"
            )
        scale = scale * convert(upstream, FLOAT64)
    return scale / divisor


@np.errstate(all="ignore")
def _float64_product(a: FloatArray | None, b: FloatArray | None) -> FloatArray | None:
    """Return a * b in float64, where None is 1; infinities and NaN are legal weights."""
    if a is None or b is None:
        return b if a is None else a
    return np.multiply(a, b, dtype=np.float64)
