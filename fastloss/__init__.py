"""Losses and their gradients from NumPy arrays on CPUs, with the names and defaults of Keras."""

from fastloss.checking import check
from fastloss.functional import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
    value_and_grad,
)
from fastloss.loss import Loss
from fastloss.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    get,
)

__version__ = "0.1.0"

BCE = bce = binary_crossentropy
KLD = kld = kl_divergence

__all__ = [
    "BCE",
    "KLD",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "Loss",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "__version__",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "check",
    "get",
    "kl_divergence",
    "kld",
    "poisson",
    "sparse_categorical_crossentropy",
    "value_and_grad",
]
