"""Transforms of loss functions, such as `value_and_grad`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, partial
from typing import Any, cast, overload

from numpy.typing import ArrayLike

from fastloss.arguments.arrays import float_dtype
from fastloss.evaluate import evaluate
from fastloss.functional import SPEC_FUNCTIONS
from fastloss.linear_layer.function import linear_crossentropy, linear_crossentropy_value_and_grad
from fastloss.linear_layer.gradients import LinearGradients
from fastloss.loss_specs import LossSpec
from fastloss.reduction import check_reduction
from fastloss.typing import DTypeName, FloatArray, Reduced, Unreduced, Value, WithDerivatives


class TransformedLoss(partial[Any]):
    """What a transform returns for a loss function: called, printed and pickled like a function.

    A call gives `compute` the fixed arguments and then those of the call: the arguments of the
    loss function and the keywords of `compute`, which `inspect.signature` shows together.
    """

    __name__: str
    __signature__: inspect.Signature
    recipe: tuple[Callable[..., Any], tuple[Callable[..., Any]]]
    """The transform and the arguments that make this object again."""

    def __new__(
        cls,
        transform: Callable[..., Any],
        fn: Callable[..., Any],
        compute: Callable[..., Any],
        *fixed: Any,
    ) -> TransformedLoss:
        """Return what `transform` makes of the loss function `fn`."""
        self = super().__new__(cls, compute, *fixed)
        self.recipe = transform, (fn,)
        self.__name__ = f"{transform.__name__}({fn.__name__})"
        self.__signature__ = _joint_signature(fn, compute)
        self.__doc__ = (
            f"{self.__name__}{_without_annotations(self.__signature__)}\n\n"
            f"Takes the arguments of `{fn.__name__}`, and keywords that `{transform.__name__}`"
            " explains."
        )
        return self

    def __reduce__(self) -> Any:
        return self.recipe

    def __repr__(self) -> str:
        return f"fastloss.{self.__name__}"


def _joint_signature(fn: Callable[..., Any], compute: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of `fn` with the keywords that `compute` adds and what it returns."""
    own, computed = inspect.signature(fn), inspect.signature(compute)
    added = [
        parameter
        for name, parameter in computed.parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in own.parameters
    ]
    return inspect.Signature(
        [*own.parameters.values(), *added], return_annotation=computed.return_annotation
    )


def _without_annotations(signature: inspect.Signature) -> inspect.Signature:
    empty = inspect.Parameter.empty
    parameters = [p.replace(annotation=empty) for p in signature.parameters.values()]
    return inspect.Signature(parameters)


def loss_function(
    fn: object, transform: str, *others: Callable[..., FloatArray]
) -> Callable[..., FloatArray]:
    """Return `fn` if it is one of the five losses; else raise TypeError.

    The error names the `others` that the transform takes too.
    """
    loss = next((loss for loss in SPEC_FUNCTIONS if loss is fn), None)
    if loss is None:
        names = ", ".join(f.__name__ for f in (*SPEC_FUNCTIONS, *others))
        raise TypeError(f"fn must be one of {names} (classes have {transform}), got {fn!r}")
    return loss


@overload
def value_and_grad(
    fn: Callable[[ArrayLike, ArrayLike, ArrayLike], FloatArray],
) -> WithDerivatives[LinearGradients]: ...


@overload
def value_and_grad(fn: Callable[..., FloatArray]) -> WithDerivatives[FloatArray]: ...


def value_and_grad(fn: Callable[..., FloatArray]) -> WithDerivatives[Any]:
    """Return a function that gives the value and the gradient of one of the five losses.

    It takes the arguments of `fn` and any of the keywords below, and returns (value, grad). There
    is one such function for each `fn`; it can be pickled.

    Parameters
    ----------
    fn : function
        binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy, poisson or
        kl_divergence; or linear_crossentropy, whose gradients are `LinearGradients`.

    Other Parameters
    ----------------
    sample_weight : array_like, optional
        Multiplies the losses. It has their shape or is broadcast to it: from the left, so that
        (batch,) weights samples, else as in NumPy. Weight 0 gives 0, whatever the row holds.
        Binary crossentropy and Poisson also take y_pred's shape: each element is then a loss.
    mask : array_like, optional
        Where False (or 0), the loss is left out, whatever its row holds. Broadcast like
        sample_weight.
    reduction : str, optional
        None (or "none"): no reduction. "sum". "sum_over_batch_size" (or "mean"): the sum divided
        by the number of losses not masked or ignored. "mean_with_sample_weight": divided by the
        sum of their weights. A divisor of 0 gives 0.
    upstream : array_like, optional
        The derivative of some objective with respect to the value, of the value's shape. The
        gradient becomes that of sum(upstream * value). Without upstream, the gradient of an
        unreduced value is that of its sum.
    out : ndarray, optional
        Receives the gradient. It has y_pred's shape, and y_pred's dtype or that of the computation
        (float64 for float64, else float32). It may be y_pred itself, which is then overwritten,
        and must not overlap any other input.
    dtype : str, optional
        "float16", "bfloat16", "float32" or "float64": the dtype of the value and the gradient.
        Without it a reduced value is a float64.

    Returns
    -------
    function
        The value has the same bits as without a gradient. The gradient has y_pred's shape and, if
        it is a new array, y_pred's memory order.

    Raises
    ------
    TypeError
        If `fn` is anything else.

    See Also
    --------
    BinaryCrossentropy : A class, which keeps its options and repairs ranks as in Keras.

    Examples
    --------
    >>> import fastloss as fl
    >>> scce = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    >>> value, grad = scce([1, 0], [[0.0, 0.0], [2.0, 1.0]], from_logits=True, reduction="mean")
    >>> print(f"{value:.4f}")
    0.5032
    >>> grad.round(4)
    array([[ 0.25  , -0.25  ],
           [-0.1345,  0.1345]], dtype=float32)
    """
    if fn is linear_crossentropy:
        return cast("WithDerivatives[LinearGradients]", linear_crossentropy_value_and_grad)
    return _value_and_grad_of(loss_function(fn, "value_and_grad", linear_crossentropy))


@cache
def _value_and_grad_of(fn: Callable[..., FloatArray]) -> TransformedLoss:
    return TransformedLoss(value_and_grad, fn, _compute_value_and_grad, SPEC_FUNCTIONS[fn])


def _compute_value_and_grad(
    make_spec: Callable[..., LossSpec],
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *args: Any,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduced | Unreduced = None,
    upstream: ArrayLike | None = None,
    out: FloatArray | None = None,
    dtype: DTypeName | None = None,
    **options: Any,
) -> tuple[Value, FloatArray]:
    value, grad, _ = evaluate(
        make_spec(*args, **options),
        y_true,
        y_pred,
        sample_weight,
        mask,
        reduction=check_reduction(reduction),
        upstream=upstream,
        out=out,
        dtype=float_dtype(dtype),
        gradient=True,
    )
    return value, grad
