"""The specification of each loss: its kernel, its options and their legal values.

One function per loss takes the options by their Keras names and returns the `LossSpec` for
`evaluate`. The functions and the classes both check their options here: a bad one raises
ValueError.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Literal, NamedTuple

import fastloss_kernels as kernels
import numpy as np
from numpy.typing import ArrayLike

from fastloss.arguments.arrays import shown
from fastloss.arguments.class_weights import ClassWeights, checked_class_weight, checked_weights
from fastloss.arguments.layout import Array, Axis

EPSILON = 1e-7
"""Keeps logarithms finite: probabilities are clipped to [EPSILON, 1 - EPSILON]."""


class LossSpec(NamedTuple):
    """One loss with its options."""

    kernel: Callable[..., int | None]
    targets: Literal["labels", "smoothed labels", "dense", "broadcast"]
    """Class labels; targets of y_pred's shape; or targets that broadcast to y_pred's shape."""
    axis: Axis
    scalars: tuple[float, ...]
    """The kernel's scalar arguments, in its order."""
    class_weight: Array | ClassWeights | None = None
    pos_weight: Array | None = None
    ignore_class: int | None = None
    elementwise: bool = False
    """Whether a loss is a mean over elements, which may have weights and masks of their own."""

    @property
    def by_label(self) -> bool:
        """Whether targets are class labels."""
        return self.targets in ("labels", "smoothed labels")


def binary_crossentropy_spec(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int | Sequence[int] | None = -1,
    *,
    pos_weight: ArrayLike | None = None,
) -> LossSpec:
    """Return the spec: mean over `axis` of -w t log p - (1 - t) log(1 - p), w the pos_weight."""
    smoothing = _checked_label_smoothing(label_smoothing)
    logits = _checked_bool("from_logits", from_logits)
    return LossSpec(
        kernels.binary_crossentropy_logits if logits else kernels.binary_crossentropy,
        "dense",
        _checked_axes(axis),
        (smoothing,) if logits else (smoothing, EPSILON),
        pos_weight=None if pos_weight is None else checked_weights("pos_weight", pos_weight),
        elementwise=True,
    )


def categorical_crossentropy_spec(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
) -> LossSpec:
    """Return the spec: sum over `axis` of -w t log p, w the class_weight."""
    smoothing = _checked_label_smoothing(label_smoothing)
    logits = _checked_bool("from_logits", from_logits)
    return LossSpec(
        kernels.softmax_crossentropy_dense if logits else kernels.probability_crossentropy_dense,
        "dense",
        _checked_axis(axis),
        (smoothing,) if logits else (smoothing, EPSILON),
        class_weight=checked_class_weight(class_weight),
    )


def sparse_categorical_crossentropy_spec(
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    *,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
) -> LossSpec:
    """Return the spec: -w log p, with p and w of the label's class, or of smoothed labels."""
    logits = _checked_bool("from_logits", from_logits)
    bounds = () if logits else (EPSILON,)
    spec = LossSpec(
        kernels.softmax_crossentropy_sparse if logits else kernels.probability_crossentropy_sparse,
        "labels",
        _checked_axis(axis),
        bounds,
        class_weight=checked_class_weight(class_weight),
        ignore_class=_checked_ignore_class(ignore_class),
    )
    smoothing = _checked_label_smoothing(label_smoothing)
    if smoothing == 0.0:
        return spec
    return spec._replace(
        kernel=kernels.softmax_crossentropy_smoothed
        if logits
        else kernels.probability_crossentropy_smoothed,
        targets="smoothed labels",
        scalars=(smoothing, *bounds),
    )


def poisson_spec(*, axis: int | Sequence[int] | None = -1, log_input: bool = False) -> LossSpec:
    """Return the spec: mean over `axis` of p - t log(p + EPSILON), or of e^p - t p."""
    axes = _checked_axes(axis)
    if _checked_bool("log_input", log_input):
        return LossSpec(kernels.poisson_log_rates, "broadcast", axes, (), elementwise=True)
    return LossSpec(kernels.poisson, "broadcast", axes, (EPSILON,), elementwise=True)


def kl_divergence_spec(*, axis: int = -1) -> LossSpec:
    """Return the spec: sum over `axis` of t log(t / p), both clipped to [EPSILON, 1]."""
    return LossSpec(kernels.kullback_leibler, "broadcast", _checked_axis(axis), (EPSILON,))


def _checked_bool(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def _checked_label_smoothing(value: object) -> float:
    if not isinstance(value, bool) and isinstance(value, Real):
        try:
            value = float(value)
        except OverflowError:  # an integer too large for a float
            value = math.inf
        if 0.0 <= value <= 1.0:
            return value
    raise ValueError(f"label_smoothing must be a number in [0, 1], got {shown(value)}")


def _checked_axis(value: object) -> int:
    return _checked_integer("axis", value, " (reduction and name go by keyword)")


def _checked_axes(value: object) -> Axis:
    if value is None:
        return None
    return (
        tuple(map(_checked_axis, value))
        if isinstance(value, list | tuple)
        else _checked_axis(value)
    )


def _checked_ignore_class(value: object) -> int | None:
    if value is None:
        return None
    legacy = (
        ": the legacy order (from_logits, reduction, name) no longer holds, give reduction by"
        " keyword"
    )
    hint = legacy if isinstance(value, str) else ""
    return _checked_integer("ignore_class", value, hint)


def _checked_integer(name: str, value: object, hint: str) -> int:
    if not isinstance(value, bool):
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if number.bit_length() <= 64:
                return number
            raise ValueError(
                f"{name} must be an integer of 64 bits, got one of {number.bit_length()}"
            )
    raise ValueError(f"{name} must be an integer, got {shown(value)}{hint}")
