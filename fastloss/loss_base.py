"""The base class of the five losses: a frozen configuration, called as in Keras."""

from __future__ import annotations

from typing import overload

from numpy.typing import ArrayLike

from fastloss.evaluate import evaluate
from fastloss.hessians import evaluate_hessian, evaluate_product
from fastloss.keywords import explains_keywords
from fastloss.loss_config import LossConfig
from fastloss.typing import FloatArray, Reduced, Reduction, Unreduced, Value


class Loss(LossConfig[Reduction]):
    """A loss of targets and predictions. A subclass is a frozen dataclass of its options."""

    @overload
    def __call__(
        self: Loss[Reduced],
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
    ) -> float: ...

    @overload
    def __call__(
        self: Loss[Unreduced],
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
    ) -> FloatArray: ...

    @explains_keywords
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Value:
        """Return the loss, weighted and reduced.

        Parameters
        ----------
        y_true, y_pred : array_like
            As for the function of the same name. Ranks that differ by a last axis of length 1 are
            made equal, as in Keras.
        sample_weight : array_like, optional
            Multiplies the losses. It has their shape or is broadcast to it: from the left, so that
            (batch,) weights samples, else as in NumPy. Weight 0 gives 0, whatever the row holds.
            Binary crossentropy and Poisson also take y_pred's shape: each element is then a loss.
        mask : array_like, optional
            Where False (or 0), the loss is left out, whatever its row holds. Broadcast like
            sample_weight.

        Returns
        -------
        scalar, or array if not reduced
            `dtype` if it was given. Otherwise a reduced loss is a float64, and an array has the
            dtype of the computation: float64 for a float64 array y_pred, else float32.

        Raises
        ------
        ValueError
            For shapes that do not match and labels that are not classes.
        TypeError
            For anything but real numbers, and for masked arrays.
        """
        value: Value = evaluate(
            self._spec,
            y_true,
            y_pred,
            sample_weight,
            mask,
            reduction=self.reduction,
            dtype=self._output_dtype,
            repair_ranks=True,
        )[0]
        return value

    @overload
    def value_and_grad(
        self: Loss[Reduced],
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
        upstream: ArrayLike | None = ...,
        out: FloatArray | None = ...,
    ) -> tuple[float, FloatArray]: ...

    @overload
    def value_and_grad(
        self: Loss[Unreduced],
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
        upstream: ArrayLike | None = ...,
        out: FloatArray | None = ...,
    ) -> tuple[FloatArray, FloatArray]: ...

    @explains_keywords
    def value_and_grad(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        upstream: ArrayLike | None = None,
        out: FloatArray | None = None,
    ) -> tuple[Value, FloatArray]:
        """Return the loss, bit for bit that of a call, and its gradient with respect to y_pred.

        Parameters
        ----------
        y_true, y_pred, sample_weight, mask : array_like
            As for a call.
        upstream : array_like, optional
            The derivative of some objective with respect to the value, of the value's shape. The
            gradient becomes that of sum(upstream * value). Without upstream, the gradient of an
            unreduced value is that of its sum.
        out : ndarray, optional
            Receives the gradient. It has y_pred's shape, and y_pred's dtype or that of the
            computation (float64 for float64, else float32). It may be y_pred itself, which is
            then overwritten, and must not overlap any other input.

        Returns
        -------
        value
            As from a call.
        grad : ndarray
            `out`, or a new array of y_pred's shape and memory order, of `dtype` or that of the
            computation.

        Raises
        ------
        ValueError, TypeError
            As from a call, and for an illegal `out` or `upstream`. `out` is then unchanged.

        Examples
        --------
        >>> import fastloss as fl
        >>> loss = fl.BinaryCrossentropy(from_logits=True)
        >>> value, grad = loss.value_and_grad([[0, 1]], [[0.0, 0.0]])
        >>> print(f"{value:.4f}", grad)
        0.6931 [[ 0.25 -0.25]]
        """
        value, grad, _ = evaluate(
            self._spec,
            y_true,
            y_pred,
            sample_weight,
            mask,
            reduction=self.reduction,
            upstream=upstream,
            out=out,
            dtype=self._output_dtype,
            gradient=True,
            repair_ranks=True,
        )
        return value, grad

    @overload
    def value_grad_and_hessian(
        self: Loss[Reduced],
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
        upstream: ArrayLike | None = ...,
        out: FloatArray | None = ...,
        hessian_out: FloatArray | None = ...,
    ) -> tuple[float, FloatArray, FloatArray]: ...

    @overload
    def value_grad_and_hessian(
        self: Loss[Unreduced],
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = ...,
        mask: ArrayLike | None = ...,
        upstream: ArrayLike | None = ...,
        out: FloatArray | None = ...,
        hessian_out: FloatArray | None = ...,
    ) -> tuple[FloatArray, FloatArray, FloatArray]: ...

    @explains_keywords
    def value_grad_and_hessian(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        upstream: ArrayLike | None = None,
        out: FloatArray | None = None,
        hessian_out: FloatArray | None = None,
    ) -> tuple[Value, FloatArray, FloatArray]:
        """Return loss and gradient, bit for bit those of `value_and_grad`, and the Hessian.

        Of the Hessian with respect to y_pred that is the diagonal: see the function
        `value_grad_and_hessian` for formulas and errors.

        Parameters
        ----------
        y_true, y_pred, sample_weight, mask, upstream, out
            As for `value_and_grad`.
        hessian_out : ndarray, optional
            Receives the Hessian. Shape and dtype are as for `out`; it must overlap no other
            argument.

        Returns
        -------
        value, grad
            As from `value_and_grad`.
        hessian : ndarray
            `hessian_out`, or a new array like grad.

        Raises
        ------
        ValueError, TypeError
            As from `value_and_grad`, and for an illegal `hessian_out`. Nothing is written then.

        Examples
        --------
        >>> import fastloss as fl
        >>> loss = fl.BinaryCrossentropy(from_logits=True)
        >>> value, grad, hessian = loss.value_grad_and_hessian([[0, 1]], [[0.0, 0.0]])
        >>> print(grad, hessian)
        [[ 0.25 -0.25]] [[0.125 0.125]]
        """
        return evaluate_hessian(
            self._spec,
            y_true,
            y_pred,
            sample_weight,
            mask,
            reduction=self.reduction,
            upstream=upstream,
            out=out,
            hessian_out=hessian_out,
            dtype=self._output_dtype,
            repair_ranks=True,
        )

    @explains_keywords
    def hessian_vector_product(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        vector: ArrayLike,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        upstream: ArrayLike | None = None,
        out: FloatArray | None = None,
    ) -> FloatArray:
        """Return the Hessian of the loss with respect to y_pred times a vector.

        See the function `hessian_vector_product` for formulas and errors.

        Parameters
        ----------
        y_true, y_pred, sample_weight, mask, upstream
            As for `value_and_grad`.
        vector : array_like
            The vector, of y_pred's shape.
        out : ndarray, optional
            Receives the product. As for `value_and_grad`; it must not overlap `vector`.

        Returns
        -------
        ndarray
            `out`, or a new array of y_pred's shape, like the gradient.

        Raises
        ------
        ValueError, TypeError
            As from `value_and_grad`, and for a vector of another shape. `out` is then unchanged.

        Examples
        --------
        >>> import fastloss as fl
        >>> loss = fl.CategoricalCrossentropy(from_logits=True)
        >>> loss.hessian_vector_product([[1, 0]], [[0.0, 0.0]], [[4.0, 0.0]])
        array([[ 1., -1.]], dtype=float32)
        """
        return evaluate_product(
            self._spec,
            y_true,
            y_pred,
            vector,
            sample_weight,
            mask,
            reduction=self.reduction,
            upstream=upstream,
            out=out,
            dtype=self._output_dtype,
            repair_ranks=True,
        )
