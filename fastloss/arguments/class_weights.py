"""Weights of classes and of positive targets: which are legal, and the weight of each class."""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastloss.arguments.arrays import as_array
from fastloss.arguments.layout import Array


class ClassWeights(Mapping[int, float]):
    """The weights of some classes; every other class weighs 1.

    It cannot be changed and has a hash, since losses are compared and hashed by their options.
    Classes may be strings of digits, which is what JSON makes of the keys of a mapping.
    """

    __slots__ = ("_weights",)

    def __init__(self, weights: Mapping[Any, Any]) -> None:
        classes = list(map(_class_number, weights))
        if len(set(classes)) < len(classes):
            raise ValueError(f"class_weight must name each class once, got {weights!r}")
        values = checked_weights("class_weight", list(weights.values()))
        if values.ndim != 1:
            raise ValueError(f"class_weight must have one number for each class, got {weights!r}")
        self._weights = dict(sorted(zip(classes, map(float, values), strict=True)))

    def __getitem__(self, number: int) -> float:
        return self._weights[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def __hash__(self) -> int:
        return hash(tuple(self._weights.items()))

    def __repr__(self) -> str:
        return repr(self._weights)

    def weight_of_each(self, classes: int) -> Array:
        """Return the weights (classes,); raise ValueError for a class that y_pred does not have."""
        unknown = [number for number in self if number >= classes]
        if unknown:
            raise ValueError(
                f"class_weight must name classes in [0, {classes}), as y_pred has {classes}"
                f" classes: got {unknown[0]}"
            )
        weights = np.ones(classes)
        weights[list(self)] = list(self.values())
        return weights


def _class_number(key: Any) -> int:
    try:
        number = int(key) if isinstance(key, str) and key.isdecimal() else operator.index(key)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"class_weight must have classes, 0 ... C - 1, as its keys, got {key!r}")
    return number


def checked_class_weight(value: object) -> Array | ClassWeights | None:
    """Return the weights of classes as an array (C,) or a mapping; raise for illegal ones."""
    if value is None:
        return None
    if isinstance(value, str) and value == "balanced":
        raise ValueError(
            'class_weight must hold numbers, got "balanced", which depends on all labels: pass'
            " n / (C * count_c), which is len(y) / (C * np.bincount(y, minlength=C)) for labels y"
        )
    if isinstance(value, Mapping):
        return ClassWeights(value)
    _check_index(value)
    weights = checked_weights("class_weight", value)
    if weights.ndim != 1 or weights.size == 0:
        raise ValueError(
            "class_weight must be of shape (C,), one weight for each of C classes, or a mapping"
            f" {{class: weight}}, got shape {weights.shape}"
        )
    return weights


def checked_weights(name: str, value: Any) -> Array:
    """Return weights as an array; raise unless they are finite and not negative."""
    weights = as_array(name, value)
    legal = (weights >= 0) & np.isfinite(weights)
    if not np.all(legal):
        raise ValueError(f"{name} must be finite and not negative, got {weights[~legal].flat[0]}")
    return weights


def _check_index(value: Any) -> None:
    """Raise ValueError for a pandas Series whose places are not its classes.

    That of `value_counts`, for instance, begins with the most frequent class.
    """
    if hasattr(value, "index") and hasattr(value, "to_dict"):
        index = np.asarray(value.index)
        if not np.array_equal(index, np.arange(len(index))):
            raise ValueError(
                "class_weight is a Series whose index is not 0 ... C - 1 in this order: pass"
                " .to_dict() if the index holds the classes, .to_numpy() if they are in order"
            )


def weight_of_each_class(class_weight: Array | ClassWeights, classes: int) -> Array:
    """Return the weights (classes,) that an option stands for, else raise ValueError."""
    if isinstance(class_weight, ClassWeights):
        return class_weight.weight_of_each(classes)
    if class_weight.shape != (classes,):
        raise ValueError(
            f"class_weight must be of shape ({classes},), one weight for each of the {classes}"
            f" classes, or a mapping {{class: weight}}, got shape {class_weight.shape}"
        )
    return class_weight
