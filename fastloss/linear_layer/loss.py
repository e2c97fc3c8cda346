"""`LinearCrossentropy`: the crossentropy of a linear layer as a frozen configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from numpy.typing import ArrayLike

from fastloss.docstrings import completes_docstring
from fastloss.keywords import class_explains_keywords, explains_keywords
from fastloss.linear_layer.blocks import checked_block_rows, evaluate_linear
from fastloss.linear_layer.function import (
    linear_crossentropy,
    linear_crossentropy_value_and_grad,
    linear_spec,
)
from fastloss.linear_layer.gradients import LinearGradients, wanted_gradients
from fastloss.loss_config import LossConfig
from fastloss.loss_specs import LossSpec
from fastloss.transforms import value_and_grad
from fastloss.typing import DTypeName, FloatArray, Reduced, Reduction, Unreduced, Value


@completes_docstring(linear_crossentropy, value_and_grad, LossConfig)
@class_explains_keywords(linear_crossentropy, linear_crossentropy_value_and_grad)
@dataclass(frozen=True, kw_only=True, repr=False)
class LinearCrossentropy(LossConfig[Reduction]):
    """Crossentropy of a linear layer, with weights, masks and a reduction.

    As for `linear_crossentropy`.

    The other parameters are the arguments of a call. Ignored rows do not count in a mean.

    Parameters
    ----------
    ignore_class, label_smoothing, class_weight, block_rows
        As for `linear_crossentropy`.
    reduction, name, dtype
        As for `LossConfig`.

    Other Parameters
    ----------------
    y_true, inputs, kernel, bias
        As for `linear_crossentropy`.
    sample_weight, mask
        As for `value_and_grad`.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.LinearCrossentropy()
    >>> kernel = [[0.0, 0.0], [0.0, 0.0]]
    >>> value, grads = loss.value_and_grad([1], [[1.0, 2.0]], kernel, wrt="kernel")
    >>> print(f"{value:.4f}", grads.inputs, grads.kernel[1])
    0.6931 None [ 1. -1.]
    """

    ignore_class: int | None = None
    label_smoothing: float = 0.0
    class_weight: ArrayLike | Mapping[int, float] | None = None
    block_rows: int | None = None
    reduction: Reduction = "sum_over_batch_size"  # type: ignore[assignment]
    name: str | None = "linear_crossentropy"
    dtype: DTypeName | None = None

    def _make_spec(self) -> LossSpec:
        checked_block_rows(self.block_rows)
        return linear_spec(self.ignore_class, self.label_smoothing, self.class_weight)

    @overload
    def __call__(
        self: LinearCrossentropy[Reduced],
        y_true: ArrayLike,
        inputs: ArrayLike,
        kernel: ArrayLike,
        bias: ArrayLike | None = ...,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
    ) -> float: ...

    @overload
    def __call__(
        self: LinearCrossentropy[Unreduced],
        y_true: ArrayLike,
        inputs: ArrayLike,
        kernel: ArrayLike,
        bias: ArrayLike | None = ...,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
    ) -> FloatArray: ...

    @explains_keywords
    def __call__(
        self,
        y_true: ArrayLike,
        inputs: ArrayLike,
        kernel: ArrayLike,
        bias: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Value:
        """Return the loss, weighted and reduced; see `linear_crossentropy` for the arguments."""
        value: Value = self._evaluate(y_true, inputs, kernel, bias, sample_weight, mask)[0]
        return value

    @overload
    def value_and_grad(
        self: LinearCrossentropy[Reduced],
        y_true: ArrayLike,
        inputs: ArrayLike,
        kernel: ArrayLike,
        bias: ArrayLike | None = ...,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
        upstream: ArrayLike | None = ...,
        *,
        wrt: str | Sequence[str] | None = ...,
        out: LinearGradients | None = ...,
    ) -> tuple[float, LinearGradients]: ...

    @overload
    def value_and_grad(
        self: LinearCrossentropy[Unreduced],
        y_true: ArrayLike,
        inputs: ArrayLike,
        kernel: ArrayLike,
        bias: ArrayLike | None = ...,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
        upstream: ArrayLike | None = ...,
        *,
        wrt: str | Sequence[str] | None = ...,
        out: LinearGradients | None = ...,
    ) -> tuple[FloatArray, LinearGradients]: ...

    @explains_keywords
    def value_and_grad(
        self,
        y_true: ArrayLike,
        inputs: ArrayLike,
        kernel: ArrayLike,
        bias: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        upstream: ArrayLike | None = None,
        *,
        wrt: str | Sequence[str] | None = None,
        out: LinearGradients | None = None,
    ) -> tuple[Value, LinearGradients]:
        """Return the loss, bit for bit that of a call, and its gradients.

        Parameters
        ----------
        y_true, inputs, kernel, bias, sample_weight, mask
            As for a call.
        upstream : array_like, optional
            The derivative of some objective with respect to the value, of the value's shape.
        wrt : str or sequence of str, optional
            What to differentiate with respect to: "inputs", "kernel", "bias", or several of them;
            all that were given by default.
        out : LinearGradients, optional
            Arrays that receive the gradients; a field that is None is allocated.

        Returns
        -------
        value
            As from a call.
        gradients : LinearGradients
            The fields `inputs`, `kernel` and `bias`; None for what `wrt` leaves out.

        Raises
        ------
        ValueError, TypeError
            As from a call, and for an illegal `upstream`, `wrt` or `out`.
        """
        wanted = wanted_gradients(wrt, bias is not None)
        return self._evaluate(
            y_true,
            inputs,
            kernel,
            bias,
            sample_weight,
            mask,
            upstream=upstream,
            wanted=wanted,
            out=out,
        )

    def _evaluate(self, *arguments: Any, **keywords: Any) -> tuple[Any, LinearGradients]:
        return evaluate_linear(
            self._spec,
            *arguments,
            reduction=self.reduction,
            dtype=self._output_dtype,
            block_rows=self.block_rows,
            **keywords,
        )
