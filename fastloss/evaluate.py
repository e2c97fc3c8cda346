"""The one path from arguments to a loss and its gradient: check, call a kernel, reduce."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from fastloss_kernels.threads import launch
from numpy.typing import ArrayLike

from fastloss.arrays import (
    FLOAT32,
    FLOAT64,
    DType,
    FloatArray,
    as_array,
    check_out,
    convert,
    dense_targets,
    fits,
    half_bits,
    result_dtype,
    same_rank,
    scalar,
)
from fastloss.labels import Labels, class_labels
from fastloss.layout import Array, Axis, Layout, layout
from fastloss.reduction import plan

Value: TypeAlias = np.floating[Any] | FloatArray


class Recipe(NamedTuple):
    """One loss with its options: which kernel, and what it is called with."""

    kernel: Callable[..., int | None]
    targets: Literal["labels", "dense", "broadcast"]
    """Class labels; or targets of y_pred's shape; or targets that broadcast to it."""
    axis: Axis
    numbers: tuple[float, ...]
    """The kernel's scalar arguments, in its order."""
    class_weight: Array | None = None
    pos_weight: Array | None = None
    ignore_class: int | None = None


def evaluate(
    recipe: Recipe,
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
) -> tuple[Value, Any, FloatArray]:
    """Return what one pass over the predictions gives: (value, grad, rows).

    value is the weighted and reduced loss, in the output dtype; grad its gradient with respect to
    y_pred, an array, where asked for, else None; rows are the losses before weights and reduction,
    flat, in the working dtype, 0 where not kept.

    reduction and dtype have been checked. repair_ranks: as Keras' classes do, and not its
    functions. Nothing is written to `out` before every argument has been found right.
    """
    kernel, kind, axis, numbers, class_weight, pos_weight, ignore_class = recipe
    given, truth = as_array("y_pred", y_pred), as_array("y_true", y_true)
    weight = None if sample_weight is None else as_array("sample_weight", sample_weight)
    marks = None if mask is None else as_array("mask", mask)
    cotangent = None if upstream is None else as_array("upstream", upstream)
    shape = given.shape
    if repair_ranks and truth.ndim + (kind == "labels") != given.ndim:  # else it changes nothing
        truth, shape = same_rank(truth, shape, kind == "labels")
    form = layout(shape, axis)
    output = result_dtype(y_pred, given) if dtype is None else dtype
    working = FLOAT64 if output == FLOAT64 else FLOAT32
    if out is not None:
        inputs = {
            "y_pred": given,
            "y_true": truth,
            "sample_weight": weight,
            "mask": marks,
            "upstream": cotangent,
            "class_weight": class_weight,
            "pos_weight": pos_weight,
        }
        check_out(out, given, working, inputs)

    targets = None
    if kind != "labels":
        targets = dense_targets(truth, shape, working, kind == "broadcast")
    form = form.fitting(given, out, targets)
    halves = half_bits(given) if working == FLOAT32 else None
    x = form.rows(convert(given, working) if halves is None else halves)
    per_class = None
    if class_weight is not None or pos_weight is not None:
        per_class = _per_class(recipe, form, FLOAT64 if kind == "labels" else working)
    labels: Labels | None = None
    arguments: tuple[Any, ...]
    if targets is None:
        labels = class_labels(truth, form, ignore_class)
        row_weight = None
        if per_class is not None:  # labels that are no class are found below, or do not count
            row_weight = per_class.take(labels.ids, mode="clip").reshape(form.kept)
        how = plan(form.kept, reduction, weight, marks, cotangent, row_weight, labels.ignored)
        if how.weight is not None and not how.keep.all():  # the kernel checks the rows it keeps
            labels.check(form, how.valid)
        arguments = (labels.ids, *numbers)
    else:
        how = plan(form.kept, reduction, weight, marks, cotangent)
        targets = form.rows(targets)
        arguments = (targets, *numbers)
        if kind == "dense":
            weights = np.empty(0, working) if per_class is None else per_class
            arguments = (targets, weights, *numbers)

    loss = np.empty(form.row_count, working)
    target = grad = None
    if gradient:
        target = out
        if target is None:
            target = np.empty_like(given, output)  # in the same order of memory
        grad = _kernel_output(np.asarray(target), form, working)  # no subclass
    bad_row = launch(kernel, x, *arguments, how.scale, how.keep, loss, grad)
    if labels is not None and bad_row >= 0:
        raise labels.error(bad_row, form)
    if target is not None and grad is not None and not np.may_share_memory(target, grad):
        form.restore(grad, np.asarray(target).reshape(shape))
    result = how.result(loss)
    value = scalar(result, output) if isinstance(result, float) else convert(result, output)[()]
    return value, target, loss


def _per_class(recipe: Recipe, form: Layout, dtype: DType) -> FloatArray | None:
    """Return one weight of `dtype` for each of the reduced elements of a row, or None."""
    if recipe.class_weight is not None:
        name, given = "class_weight", recipe.class_weight
        if given.shape != form.reduced:
            raise ValueError(
                f"class_weight must have one weight for each of the {form.form[1]} classes,"
                f" got shape {given.shape}"
            )
    elif recipe.pos_weight is not None:
        name, given = "pos_weight", recipe.pos_weight
        if not fits((1,) * (len(form.reduced) - given.ndim) + given.shape, form.reduced):
            raise ValueError(
                f"pos_weight must broadcast to the averaged axes, {form.reduced},"
                f" got shape {given.shape}"
            )
        given = np.broadcast_to(given, form.reduced).reshape(-1)
    else:
        return None
    weights = np.ascontiguousarray(convert(given, dtype))
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} must be finite in {dtype.name}, got {given.max()}")
    return weights


def _kernel_output(target: FloatArray, form: Layout, working: DType) -> FloatArray:
    """Return where the kernel writes the gradient: a view of `target`, or else an array apart."""
    halves = half_bits(target)
    if halves is not None and working == FLOAT32:
        rows = form.rows(halves)
        if np.may_share_memory(rows, target):  # a copy would have to be restored as numbers
            return rows
    if target.dtype == working and target.flags.aligned:
        return form.rows(target)
    return np.empty(form.form, working)
