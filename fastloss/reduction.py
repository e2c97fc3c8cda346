"""Weights, masks and reductions become two values per row; the only place that divides.

A kernel multiplies the gradient of row i by `scale[i]` and does not look at rows where `keep[i]`
is False. Everything here is O(rows), and O(1) for a call without weights, mask and upstream.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import fastloss_kernels as kernels
import numpy as np
from numpy.typing import NDArray

from fastloss.arrays import FLOAT64, FloatArray, convert, fits
from fastloss.layout import Array, Shape

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

REDUCTIONS = ("none", "sum", "sum_over_batch_size", "mean", "mean_with_sample_weight")


def _constant(value: float) -> Array:
    """Return one value for all rows, in an array that calls may share."""
    values = np.array([value])
    values.flags.writeable = False
    return values


_ALL, _NONE = _constant(True), _constant(False)


def check_reduction(reduction: object) -> str | None:
    """Return `reduction` if it is legal, "auto" under its present name, else raise ValueError."""
    if reduction is None:
        return None
    if isinstance(reduction, str):
        if reduction == "auto":
            return "sum_over_batch_size"
        if reduction in REDUCTIONS:
            return reduction
    raise ValueError(
        f'reduction must be None, "auto" or one of {", ".join(REDUCTIONS)}; got {reduction!r}'
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of one call become its result. See `plan`."""

    shape: Shape
    """The shape of the result before it is summed."""
    divisor: float | None
    """What the sum of the weighted losses is divided by; None: no sum."""
    scale: Floats
    """(1,) or (rows,): the derivative of the result by each row's loss."""
    keep: Bools
    """(1,) or (rows,): False where the kernel writes zeros without looking at the row."""
    valid: Bools | None = None
    """(rows,): neither masked nor ignored, so that a label must be a class; None: all rows."""
    weight: FloatArray | None = None
    """Of `shape`: what each loss is multiplied by; None: nothing."""
    kept: Bools | None = None
    """`keep` in `shape`, where there is a weight."""

    def result(self, loss: FloatArray) -> FloatArray | float:
        """Return the result for a kernel's losses (rows,): a float, or an array if unreduced."""
        if self.weight is not None and self.kept is not None:
            loss = _product(loss, self.weight, self.kept)
        if self.divisor is None:
            return loss.reshape(self.shape)
        return float(kernels.total(loss)) / self.divisor if self.divisor else 0.0


def float_sum(values: FloatArray) -> float:
    """Return the sum in float64, in an order that the length alone fixes."""
    return float(kernels.total(np.ascontiguousarray(values).reshape(-1)))


@np.errstate(all="ignore")
def _product(loss: FloatArray, weight: FloatArray, kept: Bools) -> Floats:
    """Return loss * weight, flat, in float64, and exactly 0 where not kept, even for NaN."""
    losses = loss.reshape(weight.shape if loss.size == weight.size else ())
    product = np.empty(weight.shape)
    np.multiply(losses, weight, out=product)
    np.copyto(product, 0.0, where=~kept)
    return product.reshape(-1)


def plan(
    shape: Shape,
    reduction: str | None,
    weight: Array | None = None,
    mask: Array | None = None,
    upstream: Array | None = None,
    row_weight: FloatArray | None = None,
    ignored: Bools | None = None,
) -> Plan:
    """Return the plan for losses of `shape`.

    weight and mask meet the losses as `align` says, and a single loss spreads over a weight or
    mask of shape (n,) or (n, 1). row_weight (the class weight of each label) and ignored have
    `shape` already. upstream has the shape of the result.
    """
    weighted = weight is not None or row_weight is not None
    masked = mask is not None or ignored is not None
    if not weighted and not masked and upstream is None:
        return _plain(shape, reduction)

    rows = math.prod(shape)
    shape = _spread(shape, weight, mask)
    spread = math.prod(shape) != rows
    valid = None if mask is None else _truth(align("mask", mask, shape))
    if ignored is not None:
        valid = ~ignored if valid is None else valid & ~ignored
    if weight is None and spread:
        weight = np.ones(shape)
    weights = row_weight
    if weight is not None:
        aligned = convert(align("sample_weight", weight, shape), FLOAT64)
        weights = aligned if weights is None else _times(aligned, weights)
    kept = valid
    if weights is not None:
        kept = weights != 0 if valid is None else valid & (weights != 0)

    if reduction == "mean_with_sample_weight" and weights is not None:
        weights = _in_range(weights, valid)
    divisor = _divisor(reduction, math.prod(shape), valid, weights)
    scale = _scale(upstream, shape if divisor is None else (), weights, divisor or 1.0)
    keep = _ALL if kept is None else kept
    if spread:  # the row that is there stands for all
        scale, keep = np.sum(scale, where=keep, keepdims=True), np.any(keep, keepdims=True)
        valid = None if valid is None else np.any(valid, keepdims=True)
    return Plan(
        shape,
        divisor,
        scale.reshape(-1),
        _NONE if divisor == 0 else keep.reshape(-1),
        None if valid is None else valid.reshape(-1),
        weights,
        kept,
    )


@lru_cache(maxsize=256)
def _plain(shape: Shape, reduction: str | None) -> Plan:
    """Return the plan of a call without weights, masks and upstream gradients."""
    divisor = _divisor(reduction, math.prod(shape))
    return Plan(shape, divisor, _constant(1.0 / (divisor or 1.0)), _ALL)


def align(name: str, array: Array, shape: Shape) -> Array:
    """Return `array` broadcast to `shape`, which it may not enlarge, else raise ValueError.

    One trailing axis of length 1 too many is dropped. Then axes are matched from the left, so
    that (batch,) speaks of samples, and if that fails from the right, as NumPy does.
    """
    if array.shape == shape:
        return array
    fitted = array
    if fitted.ndim == len(shape) + 1 and fitted.shape[-1] == 1:
        fitted = fitted[..., 0]
    more = (1,) * (len(shape) - fitted.ndim)
    for lengths in (fitted.shape + more, more + fitted.shape):
        if fits(lengths, shape):
            return np.broadcast_to(fitted.reshape(lengths), shape)
    raise ValueError(
        f"{name} must fit the shape of the losses, {shape}, from the left or by broadcasting,"
        f" got shape {array.shape}"
    )


def _spread(shape: Shape, *arrays: Array | None) -> Shape:
    """Return the shape of the result before it is summed: only a single loss can spread."""
    if shape == ():
        for array in arrays:
            if array is not None and (
                (array.ndim == 1 and array.shape != (1,))
                or (array.ndim == 2 and array.shape[1] == 1)
            ):
                return array.shape
    return shape


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
    """Return the sum of the weights that are `valid`."""
    return float_sum(weights if valid is None else np.where(valid, weights, 0.0))


def _truth(mask: Array) -> Bools:
    """Return whether each value is not 0; NaN is neither, so it raises ValueError."""
    if mask.dtype.kind not in "biu" and np.isnan(mask).any():
        raise ValueError("mask must hold True or False, or 0 for False, got nan")
    return mask.astype(np.bool_)


@np.errstate(over="ignore", under="ignore")  # of a weight that does not count
def _in_range(weights: FloatArray, valid: Bools | None) -> FloatArray:
    """Return the weights of a weighted mean, times the power of two that keeps its sums in range.

    The mean is the same for all multiples of the weights. Those of weights near 1e308 would
    overflow, those of weights near 1e-308 lose their digits.
    """
    counted = True if valid is None else valid
    largest = float(np.max(np.abs(weights), initial=0.0, where=counted))
    if 1e-30 < largest < 1e30 or not math.isfinite(largest):
        return weights
    scaled: FloatArray = np.ldexp(weights, -math.frexp(largest)[1])
    return scaled


@np.errstate(all="ignore")
def _scale(
    upstream: Array | None, wanted: Shape, weights: FloatArray | None, divisor: float
) -> Floats:
    """Return upstream * weights / divisor, in the losses' shape or (1,)."""
    scale = np.ones(()) if weights is None else convert(weights, FLOAT64)
    if upstream is not None:
        if upstream.shape != wanted:
            raise ValueError(
                f"upstream must have the shape of the result, {wanted}, got {upstream.shape}"
            )
        scale = scale * convert(upstream, FLOAT64)
    return scale / divisor


@np.errstate(all="ignore")
def _times(a: FloatArray, b: FloatArray) -> Floats:
    """Return the float64 product; what infinities and NaN make of it is the caller's intention."""
    return np.multiply(a, b, dtype=np.float64)
