"""Transforms of the five losses: with the diagonal of the Hessian, and products with the Hessian.

The classes of `fastloss.losses` have both as methods.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any

from numpy.typing import ArrayLike

from fastloss.arguments.arrays import float_dtype
from fastloss.docstrings import completes_docstring
from fastloss.functional import SPEC_FUNCTIONS
from fastloss.hessians import evaluate_hessian, evaluate_product
from fastloss.loss_specs import LossSpec
from fastloss.reduction import check_reduction
from fastloss.transforms import TransformedLoss, loss_function, value_and_grad
from fastloss.typing import DTypeName, FloatArray, Reduced, Unreduced, Value, WithDerivatives


@completes_docstring(value_and_grad)
def value_grad_and_hessian(
    fn: Callable[..., FloatArray],
) -> WithDerivatives[FloatArray, FloatArray]:
    """Return a function that gives value, gradient and the Hessian's diagonal of a loss.

    It takes the arguments of `fn` and any of the keywords below, and returns (value, grad,
    hessian). The Hessian is that of the weighted and reduced value with respect to y_pred.

    Parameters
    ----------
    fn : function
        binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy, poisson or
        kl_divergence.

    Other Parameters
    ----------------
    sample_weight, mask, reduction, dtype
        As for `value_and_grad`.
    upstream : array_like, optional
        The derivative of some objective with respect to the value, of the value's shape. Gradient
        and Hessian become those of sum(upstream * value).
    out, hessian_out : ndarray, optional
        Receive gradient and Hessian. Both have y_pred's shape, and y_pred's dtype or that of the
        computation (float64 for float64, else float32). `out` may be y_pred itself, which is then
        overwritten; otherwise they must overlap no input, nor each other.

    Returns
    -------
    function
        Its results are

        - value : as from `value_and_grad`, bit for bit
        - grad : likewise
        - hessian : `hessian_out`, or a new array of y_pred's shape, like grad: the second
          derivative with respect to each element of y_pred

    Raises
    ------
    TypeError
        If `fn` is not one of these functions. The returned function raises TypeError and ValueError
        as `value_and_grad` does, and nothing is written then.

    Notes
    -----
    With p the probabilities of a row, t its targets, smoothed and weighted by class, T their sum, S
    the sum of its predictions x and C their number, a row's Hessian has the diagonal

    - logits, softmax: T p (1 - p)
    - probabilities, categorical: t / x^2 - T / S^2
    - logits, binary: p (1 - p) / C, times t pos_weight + 1 - t
    - probabilities, binary: (t pos_weight / x^2 + (1 - t) / (1 - x)^2) / C
    - Poisson: t / (x + 1e-7)^2 / C, and e^x / C with log_input
    - Kullback-Leibler: t / x^2

    Where a prediction is clipped its target counts as 0, for the loss is flat there. Rows of weight
    0 and masked rows give exactly 0, and NaN gives NaN. Error: at most 4 ulp; from categorical
    probabilities 6 ulp of the sum of the sizes of both terms. Where `e^-|logit|` is subnormal
    binary crossentropy has no more digits than that.

    Examples
    --------
    >>> import fastloss as fl
    >>> bce = fl.value_grad_and_hessian(fl.binary_crossentropy)
    >>> value, grad, hessian = bce([[1, 0]], [[0.0, 2.0]], from_logits=True, axis=())
    >>> grad.round(4)
    array([[-0.5   ,  0.8808]], dtype=float32)
    >>> hessian.round(4)
    array([[0.25 , 0.105]], dtype=float32)
    """
    return _value_grad_and_hessian_of(loss_function(fn, "value_grad_and_hessian"))


@completes_docstring(value_grad_and_hessian)
def hessian_vector_product(fn: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
    """Return a function that multiplies the Hessian of a loss by a vector.

    It takes y_true, y_pred and the vector, then the other arguments of `fn` and any of the keywords
    below. The Hessian is that of the weighted and reduced value with respect to y_pred: a square
    block for each row, which is never made.

    Parameters
    ----------
    fn : function
        binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy, poisson or
        kl_divergence.

    Other Parameters
    ----------------
    vector : array_like
        The vector v, of y_pred's shape.
    sample_weight, mask, reduction, upstream, dtype
        As for `value_grad_and_hessian`.
    out : ndarray, optional
        Receives the product, as `value_and_grad` its gradient. It must not overlap `vector`.

    Returns
    -------
    function
        Its result is the product, `out` or a new array of y_pred's shape.

    Raises
    ------
    TypeError
        If `fn` is not one of these functions. The returned function raises TypeError and ValueError
        as `value_and_grad` does, and for a vector of another shape; nothing is written then.

    Notes
    -----
    In the terms of `value_grad_and_hessian` the product is T p (v - sum(p v)) for softmax and
    t v / x^2 - T sum(v) / S^2 for categorical crossentropy from probabilities; else it is the
    diagonal times v. It is computed without the cancellation of confident rows. Error: at most 4
    ulp of the sum of the sizes of its terms (6 from categorical probabilities). Rows of weight 0
    and masked rows give exactly 0, whatever the vector holds.

    Examples
    --------
    >>> import fastloss as fl
    >>> product = fl.hessian_vector_product(fl.sparse_categorical_crossentropy)
    >>> product([0], [[0.0, 0.0]], [[4.0, 0.0]], from_logits=True)
    array([[ 1., -1.]], dtype=float32)
    """
    return _product_of(loss_function(fn, "hessian_vector_product"))


@cache
def _value_grad_and_hessian_of(fn: Callable[..., FloatArray]) -> TransformedLoss:
    return TransformedLoss(value_grad_and_hessian, fn, _compute_all, SPEC_FUNCTIONS[fn])


@cache
def _product_of(fn: Callable[..., FloatArray]) -> TransformedLoss:
    made = TransformedLoss(hessian_vector_product, fn, _compute_product, SPEC_FUNCTIONS[fn])
    vector = signature(_compute_product).parameters["vector"]
    y_true, y_pred, *others = made.__signature__.parameters.values()
    made.__signature__ = made.__signature__.replace(parameters=[y_true, y_pred, vector, *others])
    return made


def _compute_all(
    make_spec: Callable[..., LossSpec],
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *args: Any,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduced | Unreduced = None,
    upstream: ArrayLike | None = None,
    out: FloatArray | None = None,
    hessian_out: FloatArray | None = None,
    dtype: DTypeName | None = None,
    **options: Any,
) -> tuple[Value, FloatArray, FloatArray]:
    return evaluate_hessian(
        make_spec(*args, **options),
        y_true,
        y_pred,
        sample_weight,
        mask,
        reduction=check_reduction(reduction),
        upstream=upstream,
        out=out,
        hessian_out=hessian_out,
        dtype=float_dtype(dtype),
    )


def _compute_product(
    make_spec: Callable[..., LossSpec],
    y_true: ArrayLike,
    y_pred: ArrayLike,
    vector: ArrayLike,
    *args: Any,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduced | Unreduced = None,
    upstream: ArrayLike | None = None,
    out: FloatArray | None = None,
    dtype: DTypeName | None = None,
    **options: Any,
) -> FloatArray:
    return evaluate_product(
        make_spec(*args, **options),
        y_true,
        y_pred,
        vector,
        sample_weight,
        mask,
        reduction=check_reduction(reduction),
        upstream=upstream,
        out=out,
        dtype=float_dtype(dtype),
    )
