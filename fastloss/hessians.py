"""Second derivatives: the diagonal of the Hessian beside value and gradient, and its products.

Each kernel of a loss has a kernel ``..._hessian`` of the same arguments; labels that are not
smoothed share that of labels that are. It writes the diagonal of the Hessian where the loss writes
its gradient, and where that writes the losses a coefficient of each row for products with vectors.
As everything is linear in the loss, weights, masks, reductions and upstream gradients are the row's
`scale` and `keep` here too.

Large arrays are processed some rows at a time, which the caches keep for the next kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastloss_kernels as kernels
import numpy as np
from fastloss_kernels.launch import launch
from numpy.typing import ArrayLike

from fastloss.arguments.arrays import DType, as_array, check_out, complete, convert, kernel_output
from fastloss.arguments.gradient_cache import empty_output
from fastloss.arguments.layout import Array
from fastloss.evaluate import by_name, inputs, kernel_arguments, result
from fastloss.loss_specs import LossSpec
from fastloss.typing import FloatArray

_BLOCK = 2**19
"""Elements of the predictions that are processed at a time: 2 MB of float32."""


def evaluate_hessian(
    spec: LossSpec,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    reduction: str | None = None,
    upstream: ArrayLike | None = None,
    out: FloatArray | None = None,
    hessian_out: FloatArray | None = None,
    dtype: DType | None = None,
    repair_ranks: bool = False,
) -> tuple[Any, FloatArray, FloatArray]:
    """Return (value, grad, hessian): as `evaluate`, bit for bit, and the Hessian's diagonal.

    Nothing is written to `out` and `hessian_out` before all arguments have been checked.
    """
    arrays, layout, output, working = inputs(
        spec, y_true, y_pred, sample_weight, mask, upstream, out, dtype, repair_ranks
    )
    predictions = arrays[1]
    if hessian_out is not None:
        others = {**by_name(spec, arrays), "out": out}
        check_out(hessian_out, predictions, working, others, "hessian_out", itself="")
    arguments, layout, labels, plan, losses, kernel_grad, grad = kernel_arguments(
        spec, arrays, layout, output, working, reduction, out, gradient=True
    )
    if labels is not None:
        labels.check_classes(layout, plan.valid)
    hessian = empty_output(predictions, output) if hessian_out is None else hessian_out
    kernel_hessian = kernel_output(np.asarray(hessian), layout, working)
    second, options = _second_derivative(spec, arguments[2], working)
    # The gradient may replace the predictions, so it comes last.
    for block, own_hessian in _blocks(arguments, kernel_hessian):
        x, targets, _, scale, keep, coefficient, _ = block
        launch(second, x, targets, options, scale, keep, coefficient, own_hessian)
        launch(spec.kernel, *block)
    complete(hessian, kernel_hessian, layout)
    value = result(layout, plan, losses, kernel_grad, grad, output, dtype)
    return value, grad, hessian


def evaluate_product(
    spec: LossSpec,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    vector: ArrayLike,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    reduction: str | None = None,
    upstream: ArrayLike | None = None,
    out: FloatArray | None = None,
    dtype: DType | None = None,
    repair_ranks: bool = False,
) -> FloatArray:
    """Return the product of the Hessian of the value and `vector`, both of y_pred's shape."""
    arrays, layout, output, working = inputs(
        spec, y_true, y_pred, sample_weight, mask, upstream, out, dtype, repair_ranks
    )
    predictions, direction = arrays[1], as_array("vector", vector)
    if direction.shape != predictions.shape:
        raise ValueError(
            f"vector must have the shape of y_pred, {predictions.shape}, got {direction.shape}"
        )
    if out is not None:
        check_out(out, predictions, working, {"vector": direction})
    product: FloatArray
    arguments, layout, labels, plan, _, kernel_product, product = kernel_arguments(
        spec, arrays, layout, output, working, reduction, out, gradient=True
    )
    if labels is not None:
        labels.check_classes(layout, plan.valid)
    second, options = _second_derivative(spec, arguments[2], working)
    name = product_kernel(spec.kernel.__name__)
    multiply, of_logits = getattr(kernels, name), name == "softmax_hessian_product"
    scratch = None
    for block, own_vector in _blocks(arguments, layout.rows_of(convert(direction, working))):
        x, targets, _, scale, keep, coefficient, own_product = block
        if scratch is None and not of_logits:
            scratch = np.empty(x.shape, working)  # no later block is larger
        diagonal = None if scratch is None else scratch[: len(x)]
        launch(second, x, targets, options, scale, keep, coefficient, diagonal)
        with np.errstate(all="ignore"):
            scale = np.multiply(scale, coefficient, dtype=np.float64)
        source = x if diagonal is None else diagonal
        launch(multiply, source, own_vector, (), scale, keep, coefficient, own_product)
    complete(product, kernel_product, layout)
    return product


def product_kernel(loss_kernel: str) -> str:
    """Return the name of the kernel that multiplies the Hessians of a loss by vectors.

    For softmax it takes the logits, for all others the diagonal of the Hessian.
    """
    return "softmax_hessian_product" if loss_kernel.startswith("softmax") else "rank_one_product"


def hessian_kernel(loss_kernel: str) -> str:
    """Return the name of the kernel that makes the diagonal of the Hessians of a loss."""
    return f"{loss_kernel.replace('sparse', 'smoothed')}_hessian"


def _second_derivative(
    spec: LossSpec, options: tuple[Any, ...], working: DType
) -> tuple[Any, tuple[Any, ...]]:
    """Return the kernel of a loss's Hessians, and its options for `options` of the loss's kernel.

    A label is a smoothed one of smoothing 0, without class weights: they are in `scale`.
    """
    if spec.targets == "labels":
        options = (np.empty(0, working), 0.0, *options)
    return getattr(kernels, hessian_kernel(spec.kernel.__name__)), options


def _blocks(arguments: tuple[Any, ...], other: Array) -> Iterator[tuple[tuple[Any, ...], Array]]:
    """Yield a kernel's arguments and an array of the predictions' shape, for some rows at a time.

    That is at once for a small batch, for rows that are all in one index of the outer axis, and
    where weights go on from row to row.
    """
    x, targets, options, scale, keep, loss, grad = arguments
    outer, classes, inner = x.shape
    step = max(1, _BLOCK // max(1, classes * inner))
    goes_on = any(isinstance(o, np.ndarray) and o.size > classes for o in options)
    if step >= outer or goes_on:
        yield arguments, other
        return
    for first in range(0, outer, step):
        some = slice(first, first + step)
        rows = slice(first * inner, (first + step) * inner)
        block = (
            x[some],
            targets[rows if targets.ndim == 1 else some],
            options,
            scale if scale.size == 1 else scale[rows],
            keep if keep.size == 1 else keep[rows],
            loss[rows],
            grad[some],
        )
        yield block, other[some]
