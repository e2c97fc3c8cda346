"""What a case is, and the five losses with the good input that a case spoils."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastloss as fl


@dataclass(frozen=True)
class Family:
    """One loss: its function and class, and arguments that nothing is wrong with."""

    function: Any
    cls: type[fl.Loss]
    y_true: Any
    options: frozenset[str]


X = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], np.float32)
ONE_HOT = np.array([[0, 1, 0], [0, 0, 1]], np.float32)
CLASS = frozenset({"from_logits", "axis", "class_weight"})

LOSSES = {
    "bce": Family(
        fl.binary_crossentropy,
        fl.BinaryCrossentropy,
        ONE_HOT,
        frozenset({"from_logits", "label_smoothing", "axis", "pos_weight"}),
    ),
    "cce": Family(
        fl.categorical_crossentropy,
        fl.CategoricalCrossentropy,
        ONE_HOT,
        CLASS | {"label_smoothing"},
    ),
    "scce": Family(
        fl.sparse_categorical_crossentropy,
        fl.SparseCategoricalCrossentropy,
        np.array([1, 2]),
        CLASS | {"ignore_class", "label_smoothing"},
    ),
    "poisson": Family(fl.poisson, fl.Poisson, ONE_HOT, frozenset({"axis", "log_input"})),
    "kld": Family(fl.kl_divergence, fl.KLDivergence, ONE_HOT, frozenset({"axis"})),
}
DENSE = ("bce", "cce", "poisson", "kld")


@dataclass(frozen=True)
class Case:
    """A call: `given` replaces arguments of a good one, by name."""

    name: str
    loss: str
    given: dict[str, Any] = field(repr=False)

    def argument(self, name: str) -> Any:
        """Return one of the two arguments that every call has."""
        good = {"y_pred": X, "y_true": LOSSES[self.loss].y_true}
        return self.given.get(name, good[name])

    def some(self, *names: str) -> dict[str, Any]:
        """Return those of the other arguments that the case gives."""
        return {name: self.given[name] for name in names if name in self.given}

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of the loss that the case gives, and what no loss knows."""
        common = {"y_true", "y_pred", "sample_weight", "mask", "upstream", "out"}
        settings = {"reduction", "dtype", "name"}
        return {k: v for k, v in self.given.items() if k not in common | settings}


@dataclass(frozen=True)
class Bad(Case):
    """What must raise `error` with a message in which `says`, a regular expression, is found."""

    error: type[Exception]
    says: str
    typed: str | None = None
    """The same for the command line, where the words are others."""


@dataclass(frozen=True)
class Odd(Case):
    """What has a documented value: the rows, or their reduction, and the gradient."""

    value: Any
    grad: Any = None
    """None: not documented."""
