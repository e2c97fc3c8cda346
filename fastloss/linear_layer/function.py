"""Crossentropy of a linear layer, and its gradients.

The layer is that of Keras' Dense: logits = inputs @ kernel + bias. Its logits, often the largest
array of a model, are never held for more than a block of rows; see `linear_blocks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from fastloss.arguments.arrays import float_dtype
from fastloss.keywords import explains_keywords
from fastloss.linear_layer.blocks import evaluate_linear
from fastloss.linear_layer.gradients import LinearGradients, wanted_gradients
from fastloss.loss_specs import LossSpec, sparse_categorical_crossentropy_spec
from fastloss.reduction import check_reduction
from fastloss.typing import DTypeName, FloatArray, Reduced, Unreduced, Value


@explains_keywords
def linear_crossentropy(
    y_true: ArrayLike,
    inputs: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    ignore_class: int | None = None,
    label_smoothing: float = 0.0,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
    block_rows: int | None = None,
) -> FloatArray:
    """Return the crossentropy of integer labels and the logits inputs @ kernel + bias.

    sparse_categorical_crossentropy(y_true, inputs @ kernel + bias, from_logits=True), without an
    array of all logits. `value_and_grad` of it gives the gradients of inputs, kernel and bias.

    Parameters
    ----------
    y_true : array_like of shape (...) or (..., 1)
        Labels 0 ... C - 1, whole numbers of any integer, boolean or float type.
    inputs : array_like of shape (..., d)
        The layer's inputs; (d,) is one row.
    kernel : array_like of shape (d, C)
        The weights of the C classes. Another library's (C, d) is passed as its transpose, which is
        not copied.
    bias : array_like of shape (C,), optional
        Added to the logits.
    ignore_class : int, optional
        Rows with this label give 0 and no gradient, whatever they hold, and take no time.
    label_smoothing : float in [0, 1]
        Moves the labels, as one-hot targets, towards 1 / C.
    class_weight : array_like of shape (C,) or mapping, optional
        The weight of each class, or {class: weight}; other classes weigh 1.
    block_rows : int, optional
        How many rows have their logits in memory at a time. By default 256 to 4,096: as many as
        make 2 MiB of logits.

    Returns
    -------
    float32 or float64 array, or scalar
        The shape of inputs without its last axis. float64 where inputs, kernel or bias is an array
        of float64, else float32; that is also the dtype of the computation.

    Raises
    ------
    ValueError
        For a label that is not a class (the message names the first), an option out of range or
        shapes that do not match.
    TypeError
        For anything but real numbers, and for masked arrays.

    Notes
    -----
    Logits and products have the error of NumPy's BLAS: for a logit at most `(d + 1) u sum |x w|`,
    u being 2^-24 or 2^-53. The loss and its gradient with respect to the logits are within 4 ulp of
    those of the rounded logits. Sums over rows are in the working dtype for the kernel's gradient
    (error: `N u sum |x g|`) and, from block to block, in float64 for the bias (`block_rows u sum
    |g|`).

    Between the products, fastloss computes on the calling thread, so that no result depends on the
    number of its threads. BLAS uses its own threads, and may add up in another order for another
    number of them or of rows in a block.

    An array that BLAS cannot read where it lies is copied: of inputs a block at a time, and the
    kernel as a whole, if neither of its axes is contiguous or its dtype is not that of the
    computation.

    Examples
    --------
    >>> import fastloss as fl
    >>> inputs = [[1.0, 0.0], [0.0, 2.0]]
    >>> kernel = [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    >>> fl.linear_crossentropy([0, 1], inputs, kernel, [0.0, 0.0, 0.0]).round(4)
    array([0.4076, 0.2395], dtype=float32)
    """
    spec = linear_spec(ignore_class, label_smoothing, class_weight)
    losses: FloatArray
    losses, _ = evaluate_linear(spec, y_true, inputs, kernel, bias, block_rows=block_rows)
    return losses


@explains_keywords
def linear_crossentropy_value_and_grad(
    y_true: ArrayLike,
    inputs: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    ignore_class: int | None = None,
    label_smoothing: float = 0.0,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
    block_rows: int | None = None,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduced | Unreduced = None,
    upstream: ArrayLike | None = None,
    wrt: str | Sequence[str] | None = None,
    out: LinearGradients | None = None,
    dtype: DTypeName | None = None,
) -> tuple[Value, LinearGradients]:
    """Return the value of `linear_crossentropy` and its gradients.

    This is ``value_and_grad(linear_crossentropy)``; sample_weight, mask, reduction, upstream and
    dtype are as `value_and_grad` says.

    Parameters
    ----------
    y_true, inputs, kernel, bias, ignore_class, label_smoothing, class_weight, block_rows
        As for `linear_crossentropy`.
    sample_weight, mask : array_like, optional
        Of the shape of the losses, or broadcast to it. Rows of weight 0 or mask False give 0 and
        no gradient, whatever they hold, and take no time.
    reduction, upstream, dtype
        As for every loss.
    wrt : str or sequence of str, optional
        The wanted gradients, of "inputs", "kernel" and "bias". By default all; the rest costs
        nothing.
    out : LinearGradients, optional
        Arrays that receive the gradients, with None for those that are to be new. Each has the
        shape of its argument, and its dtype or that of the computation. out.inputs may be the
        inputs themselves, which are then overwritten; otherwise they overlap no argument and not
        each other.

    Returns
    -------
    value
        The bits of a call without gradients.
    grads : LinearGradients
        (inputs, kernel, bias), with None for what is not wanted. A new array has its argument's
        shape and memory order, and `dtype` or the dtype of the computation.

    Raises
    ------
    ValueError, TypeError
        As from `linear_crossentropy`, and for an illegal wrt, out or upstream. `out` is then
        unchanged.

    Examples
    --------
    >>> import fastloss as fl
    >>> value_and_grad = fl.value_and_grad(fl.linear_crossentropy)
    >>> value, grads = value_and_grad([1], [[1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]], reduction="sum")
    >>> print(f"{value:.4f}")
    0.6931
    >>> grads.kernel
    array([[ 0.5, -0.5],
           [ 1. , -1. ]], dtype=float32)
    """
    return evaluate_linear(
        linear_spec(ignore_class, label_smoothing, class_weight),
        y_true,
        inputs,
        kernel,
        bias,
        sample_weight,
        mask,
        reduction=check_reduction(reduction),
        upstream=upstream,
        wanted=wanted_gradients(wrt, bias is not None),
        out=out,
        dtype=float_dtype(dtype),
        block_rows=block_rows,
    )


def linear_spec(
    ignore_class: int | None,
    label_smoothing: float,
    class_weight: ArrayLike | Mapping[int, float] | None,
) -> LossSpec:
    """Return the spec of the loss of the logits; a bad option raises ValueError."""
    return sparse_categorical_crossentropy_spec(
        True, ignore_class, label_smoothing=label_smoothing, class_weight=class_weight
    )
