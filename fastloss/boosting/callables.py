"""What boosters call: the gradient and Hessian of a loss, and its value.

LightGBM's margins are float64 and, of several classes, in Fortran order; XGBoost's are float32 in C
order. Kernels read either where it lies, and the results have the same order, which each library
takes without a copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastloss.boosting.margins import has_labels, loss_arguments, of_margins
from fastloss.loss_base import Loss
from fastloss.losses import Poisson, SparseCategoricalCrossentropy

Float32s: TypeAlias = NDArray[np.float32]
Hessian: TypeAlias = Literal["diagonal", "lightgbm", "xgboost"]

_SMALLEST = np.float32(1e-16)
"""XGBoost's lower bound of a second derivative."""

_MAX_DELTA_STEP = 0.7
"""What both libraries add to log rates in the Hessian of Poisson, to keep early steps short."""

_MAXIMISED = ("auc", "map", "ndcg", "pre")
"""How the names of metrics begin of which XGBoost thinks that more is better."""


@dataclass(frozen=True)
class Objective:
    """Gradient and Hessian of a loss, for the native and the scikit-learn interface."""

    loss: Loss
    hessian: Hessian

    def __call__(
        self, first: Any, second: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[Float32s, Float32s]:
        """Return (grad, hessian) in float32, in the shape and the order of the margins."""
        arguments = loss_arguments(self.loss, first, second, sample_weight)
        _, grad, diagonal = self.loss.value_grad_and_hessian(*arguments)
        hessian = np.empty_like(diagonal, np.float32)
        factor = _hessian_factor(self.loss, self.hessian, diagonal.shape[-1])
        np.multiply(diagonal, factor, out=hessian, casting="same_kind")
        if self.hessian == "xgboost":
            np.maximum(hessian, _SMALLEST, out=hessian)
        return grad.astype(np.float32, copy=False), hessian


def objective(loss: Loss, hessian: Hessian) -> Objective:
    """Return the objective; raise for a loss that takes no margins or an unknown `hessian`."""
    if hessian not in get_args(Hessian):
        raise ValueError(f"hessian must be one of {', '.join(get_args(Hessian))}; got {hessian!r}")
    return Objective(of_margins(loss, reduction="sum"), hessian)


def _hessian_factor(loss: Loss, hessian: Hessian, classes: int) -> float:
    """Return the ratio of a library's second derivatives and the true ones."""
    if hessian == "diagonal":
        return 1.0
    if isinstance(loss, Poisson):
        return math.exp(_MAX_DELTA_STEP)
    if isinstance(loss, SparseCategoricalCrossentropy):
        return 2.0 if hessian == "xgboost" else classes / max(classes - 1, 1)
    return 1.0


@dataclass(frozen=True)
class LightGBMMetric:
    """The value of a loss, for LightGBM's native and scikit-learn interface."""

    loss: Loss

    def __call__(
        self, first: Any, second: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[str, float, bool]:
        """Return (name, value, False): a higher value is not better."""
        value = self.loss(*loss_arguments(self.loss, first, second, sample_weight))
        return str(self.loss.name), float(value), False


@dataclass(frozen=True)
class XGBoostMetric:
    """The value of a loss, for XGBoost's native and scikit-learn interface."""

    loss: Loss

    def __post_init__(self) -> None:
        """Raise ValueError for a name that XGBoost would misread."""
        if self.__name__.startswith(_MAXIMISED) or any(c in self.__name__ for c in ": \t\n"):
            raise ValueError(
                "loss must have a name that XGBoost can read, without colons and spaces, and not"
                f" one that begins with {', '.join(_MAXIMISED)}, which it maximises; got"
                f" {self.__name__!r}: pass another name= to {type(self.loss).__name__}"
            )

    @property
    def __name__(self) -> str:
        """The name that XGBoost's scikit-learn interface shows."""
        return str(self.loss.name)

    def __call__(
        self, first: Any, second: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[str, float] | float:
        """Return (name, value) to the native interface, the value alone to that of scikit-learn."""
        value = float(self.loss(*loss_arguments(self.loss, first, second, sample_weight)))
        return (self.__name__, value) if has_labels(second) else value
