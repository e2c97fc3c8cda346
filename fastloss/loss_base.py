"""The base class of the five losses: a frozen configuration, called and saved as in Keras."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from copy import copy
from dataclasses import Field, field, fields
from itertools import count
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from fastloss.arrays import DType, FloatArray, float_dtype
from fastloss.class_weights import ClassWeights
from fastloss.evaluate import Value, evaluate
from fastloss.loss_specs import LossSpec
from fastloss.reduction import check_reduction

_name_counts: defaultdict[str, count[int]] = defaultdict(count)


def extension(default: Any) -> Any:
    """Return the field of an option that some version of Keras does not have.

    It is a keyword, and in a configuration only if it is not the default, so that Keras can load
    that.
    """
    return field(default=default, kw_only=True, metadata={"extension": True})


class Loss(ABC):
    """What the five losses share. A subclass is a frozen dataclass of its options.

    Losses are compared, hashed, copied and pickled by their configuration, which cannot be
    changed after construction.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    reduction: str | None
    name: str | None
    dtype: str | None
    _spec: LossSpec
    _output_dtype: DType | None

    @abstractmethod
    def _make_spec(self) -> LossSpec:
        """Return the specification of the loss for `evaluate`."""

    def __post_init__(self) -> None:
        """Check every option and convert it to plain Python values."""
        output = float_dtype(self.dtype)
        if not isinstance(self.name, str | None):
            raise ValueError(f"name must be None or a string, got {self.name!r}")
        self._set(reduction=check_reduction(self.reduction), name=self.name or self._unique_name())
        self._set(dtype=None if output is None else output.name, _output_dtype=output)
        spec = self._make_spec()
        weights = {  # they may be the caller's arrays, so they are copied
            option: copy(weight)
            for option in ("class_weight", "pos_weight")
            if (weight := getattr(spec, option)) is not None
        }
        self._set(_spec=spec._replace(**weights), **weights)
        self._set(**{f.name: _as_python(getattr(self, f.name)) for f in fields(self)})

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _unique_name(self) -> str:
        name = str(type(self).__dataclass_fields__["name"].default)
        number = next(_name_counts[name])
        return f"{name}_{number}" if number else name

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
            Where False, the loss is left out, whatever its row holds. Broadcast like sample_weight.

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
        return evaluate(
            self._spec,
            y_true,
            y_pred,
            sample_weight,
            mask,
            reduction=self.reduction,
            dtype=self._output_dtype,
            repair_ranks=True,
        )[0]

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

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's keywords; those that Keras may not have only if given."""
        config = {f.name: getattr(self, f.name) for f in fields(self)}
        absent = [f.name for f in fields(self) if f.metadata and config[f.name] == f.default]
        return {
            name: dict(value) if isinstance(value, ClassWeights) else value
            for name, value in config.items()
            if name not in absent
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the loss of a configuration; the "fn" of old Keras versions is ignored.

        Raises ValueError for a key that is no option of the loss.
        """
        if not isinstance(config, dict):
            raise TypeError(f"config must be a dict, got {type(config).__name__}")
        options = {name: value for name, value in config.items() if name != "fn"}
        legal = [f.name for f in fields(cls)]
        unknown = [name for name in options if name not in legal]
        if unknown:
            raise ValueError(
                f"config must hold options of {cls.__name__}, {', '.join(legal)};"
                f" got {', '.join(map(repr, unknown))}"
            )
        return cls(**options)

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Self], tuple[dict[str, Any]]]:
        return type(self).from_config, (self.get_config(),)


def _as_python(value: Any) -> Any:
    """Return `value` as a hashable and comparable Python value that JSON can write."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(_as_python, value)) if isinstance(value, list | tuple) else value
