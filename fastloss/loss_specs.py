"""Each loss described once: its kernel, its options and what they may be.

One function per loss takes the options by Keras' names and returns the `Recipe` that `evaluate`
follows. A bad option raises ValueError here, for the functions and the classes alike.
"""

import math
import operator
from collections.abc import Sequence
from numbers import Real

import fastloss_kernels as kernels
import numpy as np
from numpy.typing import ArrayLike

from fastloss.arrays import as_array
from fastloss.evaluate import Recipe
from fastloss.layout import Array, Axis

EPSILON = 1e-7
"""Keeps logarithms finite: probabilities are clipped to [EPSILON, 1 - EPSILON]."""


def binary_crossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int | Sequence[int] | None = -1,
    *,
    pos_weight: ArrayLike | None = None,
) -> Recipe:
    """Mean over `axis` of -w t log p - (1 - t) log(1 - p), w the pos_weight."""
    smoothing = _label_smoothing(label_smoothing)
    logits = _from_logits(from_logits)
    return Recipe(
        kernels.logistic_crossentropy if logits else kernels.bernoulli_crossentropy,
        "dense",
        _axes(axis),
        (smoothing,) if logits else (smoothing, EPSILON),
        pos_weight=_weights("pos_weight", pos_weight),
    )


def categorical_crossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    class_weight: ArrayLike | None = None,
) -> Recipe:
    """Sum over `axis` of -w t log p, w the class_weight."""
    smoothing = _label_smoothing(label_smoothing)
    logits = _from_logits(from_logits)
    return Recipe(
        kernels.softmax_crossentropy_dense if logits else kernels.probability_crossentropy_dense,
        "dense",
        _axis(axis),
        (smoothing,) if logits else (smoothing, EPSILON),
        class_weight=_class_weight(class_weight),
    )


def sparse_categorical_crossentropy(
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    *,
    class_weight: ArrayLike | None = None,
) -> Recipe:
    """-w log p, p and w those of the label."""
    logits = _from_logits(from_logits)
    return Recipe(
        kernels.softmax_crossentropy_sparse if logits else kernels.probability_crossentropy_sparse,
        "labels",
        _axis(axis),
        () if logits else (EPSILON,),
        class_weight=_class_weight(class_weight),
        ignore_class=_ignore_class(ignore_class),
    )


def poisson() -> Recipe:
    """Mean over the last axis of p - t log(p + EPSILON)."""
    return Recipe(kernels.poisson, "broadcast", -1, (EPSILON,))


def kl_divergence() -> Recipe:
    """Sum over the last axis of t log(t / p), both clipped to [EPSILON, 1]."""
    return Recipe(kernels.kullback_leibler, "broadcast", -1, (EPSILON,))


def _from_logits(value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"from_logits must be True or False, got {value!r}")
    return bool(value)


def _label_smoothing(value: object) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:  # an integer beyond every float
            value = math.inf
        if 0.0 <= value <= 1.0:
            return value
    raise ValueError(f"label_smoothing must be a number in [0, 1], got {value!r}")


def _axis(value: object) -> int:
    return _integer("axis", value, " (reduction and name go by keyword)")


def _axes(value: object) -> Axis:
    if value is None:
        return None
    return tuple(map(_axis, value)) if isinstance(value, list | tuple) else _axis(value)


def _ignore_class(value: object) -> int | None:
    legacy = (
        ": the legacy order (from_logits, reduction, name) no longer holds, give reduction by"
        " keyword"
    )
    hint = legacy if isinstance(value, str) else ""
    return None if value is None else _integer("ignore_class", value, hint)


def _integer(name: str, value: object, hint: str) -> int:
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
    raise ValueError(f"{name} must be an integer, got {value!r}{hint}")


def _class_weight(value: ArrayLike | None) -> Array | None:
    weights = _weights("class_weight", value)
    if weights is not None and (weights.ndim != 1 or weights.size == 0):
        raise ValueError(f"class_weight must be of shape (classes,), got {weights.shape}")
    return weights


def _weights(name: str, value: ArrayLike | None) -> Array | None:
    if value is None:
        return None
    weights = as_array(name, value)
    fine = (weights >= 0) & np.isfinite(weights)
    if not np.all(fine):
        raise ValueError(f"{name} must be finite and not negative, got {weights[~fine].flat[0]}")
    return weights
