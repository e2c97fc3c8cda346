"""Losses and their gradients from NumPy arrays on CPUs, with the names and defaults of Keras."""

from typing import TYPE_CHECKING, Any

from fastloss.accumulation.accumulator import Accumulator
from fastloss.activations import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from fastloss.arguments.gradient_cache import set_gradient_cache
from fastloss.curvature import hessian_vector_product, value_grad_and_hessian
from fastloss.functional import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from fastloss.identifiers import get
from fastloss.linear_layer.function import linear_crossentropy
from fastloss.linear_layer.gradients import LinearGradients
from fastloss.linear_layer.loss import LinearCrossentropy
from fastloss.loss_base import Loss
from fastloss.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from fastloss.transforms import value_and_grad

if TYPE_CHECKING:
    from fastloss.selfcheck.check import check

__version__ = "0.1.0"

BCE = bce = binary_crossentropy
KLD = kld = kl_divergence

__all__ = [
    "BCE",
    "KLD",
    "Accumulator",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "LinearCrossentropy",
    "LinearGradients",
    "Loss",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "__version__",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "check",
    "get",
    "hessian_vector_product",
    "kl_divergence",
    "kld",
    "linear_crossentropy",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "poisson",
    "set_gradient_cache",
    "sigmoid",
    "softmax",
    "sparse_categorical_crossentropy",
    "value_and_grad",
    "value_grad_and_hessian",
]


def __getattr__(name: str) -> Any:
    if name != "check":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastloss.selfcheck.check import check  # not at the top: half of our import time

    return check


def __dir__() -> list[str]:
    return __all__
