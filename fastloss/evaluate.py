"""From the arguments of a call to a loss and its gradient: check, call a kernel, reduce."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from fastloss_kernels.launch import launch
from numpy.typing import ArrayLike

from fastloss.arguments.alignment import align
from fastloss.arguments.arrays import (
    FLOAT32,
    FLOAT64,
    DType,
    as_array,
    broadcasts_to,
    check_out,
    complete,
    convert,
    dense_targets,
    kernel_input,
    kernel_output,
    result_dtype,
    scalar,
    squeeze_or_expand_to_same_rank,
)
from fastloss.arguments.class_weights import weight_of_each_class
from fastloss.arguments.gradient_cache import empty_output
from fastloss.arguments.labels import Labels, class_labels, label_weights
from fastloss.arguments.layout import Array, Layout, layout_for
from fastloss.loss_specs import LossSpec
from fastloss.reduction import ReductionPlan, reduction_plan
from fastloss.typing import FloatArray, Value

Output: TypeAlias = FloatArray | None


def evaluate(
    spec: LossSpec,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    reduction: str | None = None,
    upstream: ArrayLike | None = None,
    out: FloatArray | None = None,
    dtype: DType | None = None,
    gradient: bool = False,
    repair_ranks: bool = False,
) -> tuple[Any, Any, FloatArray]:
    """Return (value, grad, losses), computed in one pass over the predictions.

    value is the weighted loss. With a reduction it is a float64, or of `dtype` if that is given;
    without one it is an array of the output dtype. grad is its gradient with respect to y_pred, or
    None without `gradient`. losses are the row losses before weights and reduction, flat, in the
    working dtype, and 0 in rows that do not count.

    reduction and dtype have been checked by the caller. With repair_ranks, ranks that differ by
    one are made equal, as Keras' classes do and its functions do not. Nothing is written to `out`
    before all arguments have been checked.
    """
    arrays, layout, output, working = inputs(
        spec, y_true, y_pred, sample_weight, mask, upstream, out, dtype, repair_ranks
    )
    arguments, layout, labels, plan, losses, kernel_grad, grad = kernel_arguments(
        spec, arrays, layout, output, working, reduction, out, gradient
    )
    bad_row = launch(spec.kernel, *arguments)
    if labels is not None and bad_row >= 0:
        raise labels.invalid_label(bad_row, layout)
    return result(layout, plan, losses, kernel_grad, grad, output, dtype), grad, losses


# The three steps exchange plain tuples: to create a NamedTuple or a dataclass for each would take
# a tenth of the time of a small call.
_Arrays: TypeAlias = tuple[Array, Array, Array | None, Array | None, Array | None]
"""y_true, y_pred, sample_weight, mask and upstream."""


def inputs(
    spec: LossSpec,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None,
    mask: ArrayLike | None,
    upstream: ArrayLike | None,
    out: FloatArray | None,
    dtype: DType | None,
    repair_ranks: bool,
) -> tuple[_Arrays, Layout, DType, DType]:
    """Return the inputs as arrays, y_pred's layout, the output dtype and the working dtype.

    The output dtype is that of unreduced losses and of a new gradient; the working dtype, float32
    or float64, is that of the computation.
    """
    predictions, targets = as_array("y_pred", y_pred), as_array("y_true", y_true)
    weights = None if sample_weight is None else as_array("sample_weight", sample_weight)
    row_mask = None if mask is None else as_array("mask", mask)
    cotangent = None if upstream is None else as_array("upstream", upstream)
    shape = predictions.shape
    by_label = spec.by_label
    if repair_ranks and targets.ndim + by_label != predictions.ndim:  # skipped to save time
        targets, shape = squeeze_or_expand_to_same_rank(targets, shape, by_label)
    layout = layout_for(shape, spec.axis)
    if weights is not None or row_mask is not None:
        layout, weights, row_mask = _aligned(spec, layout, weights, row_mask)
    output = result_dtype(y_pred, predictions) if dtype is None else dtype
    working = FLOAT64 if output == FLOAT64 else FLOAT32
    arrays = targets, predictions, weights, row_mask, cotangent
    if out is not None:
        check_out(out, predictions, working, by_name(spec, arrays))
    return arrays, layout, output, working


def by_name(spec: LossSpec, arrays: _Arrays) -> dict[str, Array | None]:
    """Return the arrays that a call reads by the names of their arguments."""
    targets, predictions, weights, mask, upstream = arrays
    of_classes = spec.class_weight
    return {
        "y_pred": predictions,
        "y_true": targets,
        "sample_weight": weights,
        "mask": mask,
        "upstream": upstream,
        "class_weight": of_classes if isinstance(of_classes, np.ndarray) else None,
        "pos_weight": spec.pos_weight,
    }


def _aligned(
    spec: LossSpec, layout: Layout, weights: Array | None, mask: Array | None
) -> tuple[Layout, Array | None, Array | None]:
    """Return the layout of this call's losses, and weights and mask broadcast to them."""
    shapes = (None if a is None else a.shape for a in (weights, mask))
    alignment = align(layout, spec.elementwise, *shapes)
    return (
        alignment.losses,
        None if weights is None else alignment.broadcast("sample_weight", weights),
        None if mask is None else alignment.broadcast("mask", mask),
    )


def kernel_arguments(
    spec: LossSpec,
    arrays: _Arrays,
    layout: Layout,
    output: DType,
    working: DType,
    reduction: str | None,
    out: FloatArray | None,
    gradient: bool,
) -> tuple[tuple[Any, ...], Layout, Labels | None, ReductionPlan, FloatArray, Any, Any]:
    """Return (arguments, layout, labels, plan, losses, kernel_grad, grad).

    The kernel writes its last two arguments, losses and kernel_grad. kernel_grad is a view of grad,
    which the caller receives, or must be copied to it.
    """
    y_true, y_pred, sample_weight, mask, upstream = arrays
    _, target_kind, _, scalars, class_weight, pos_weight, ignore_class, _ = spec
    targets = None
    if not spec.by_label:
        targets = dense_targets(y_true, layout.shape, working, target_kind == "broadcast")
    layout = layout.with_fewest_copies(y_pred, out, targets)
    x = kernel_input(y_pred, layout, working)
    weights = None
    if class_weight is not None or pos_weight is not None:
        weights = _element_weights(spec, layout, FLOAT64 if target_kind == "labels" else working)

    labels: Labels | None = None
    if targets is None:
        labels = class_labels(y_true, layout, ignore_class)
        plan = reduction_plan(
            layout.loss_shape,
            reduction,
            sample_weight,
            mask,
            upstream,
            None if weights is None else label_weights(labels, weights, layout.loss_shape),
            labels.ignored,
            smoothed=target_kind == "smoothed labels",
        )
        if plan.weight is not None and not plan.keep.all():
            # The kernel skips rows of weight 0, but their labels must be classes too.
            labels.check_classes(layout, plan.valid)
        kernel_targets = labels.ids
    else:
        plan = reduction_plan(layout.loss_shape, reduction, sample_weight, mask, upstream)
        kernel_targets = layout.rows_of(targets)
    options: tuple[Any, ...] = scalars
    if target_kind in ("dense", "smoothed labels"):
        options = (np.empty(0, working) if weights is None else weights, *scalars)

    losses = np.empty(layout.row_count, working)
    grad = kernel_grad = None
    if gradient:
        grad = empty_output(y_pred, output) if out is None else out
        kernel_grad = kernel_output(np.asarray(grad), layout, working)  # asarray: no subclass
    arguments = (x, kernel_targets, options, plan.scale, plan.keep, losses, kernel_grad)
    return arguments, layout, labels, plan, losses, kernel_grad, grad


def result(
    layout: Layout,
    plan: ReductionPlan,
    losses: FloatArray,
    kernel_grad: Output,
    grad: Output,
    output: DType,
    dtype: DType | None,
) -> Value:
    """Return the weighted loss, and complete `grad` if it is not what the kernel wrote.

    A reduced loss is a float64, or of `dtype`.
    """
    if grad is not None and kernel_grad is not None and kernel_grad.base is not grad:
        complete(grad, kernel_grad, layout)
    value = plan.reduce(losses)
    if isinstance(value, float):
        number: float = np.float64(value) if dtype is None else scalar(value, dtype)
        return number
    value = convert(value, output)
    return value if value.ndim else value[()]


def _element_weights(spec: LossSpec, layout: Layout, dtype: DType) -> FloatArray | None:
    """Return the class or positive weight of each element of a row, or None without weights."""
    if spec.class_weight is not None:
        name, given = "class_weight", weight_of_each_class(spec.class_weight, layout.classes)
    elif spec.pos_weight is not None:
        name, given = "pos_weight", spec.pos_weight
        reduced = layout.reduced_shape
        if not broadcasts_to((1,) * (len(reduced) - given.ndim) + given.shape, reduced):
            raise ValueError(
                f"pos_weight must be a number or broadcast to the averaged axes, {reduced},"
                f" got shape {given.shape}"
            )
        given = layout.repeated(np.broadcast_to(given, reduced))
    else:
        return None
    weights = np.ascontiguousarray(convert(given, dtype))
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} must be finite in {dtype.name}, got {given.max()}")
    return weights
