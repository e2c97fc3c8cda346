"""The engine of fastloss: losses of whole batches with their gradients, as Numba kernels.

Every kernel is called ``kernel(x, targets, ..., scale, keep, loss, grad, threads)``, from Python or
from compiled code. It writes the loss of each row to `loss` and, unless `grad` is None, ``scale *
d loss / d x`` to `grad` in the same pass. Weights, masks, reductions and upstream gradients are all
values of `scale` and `keep`; the engine knows none of them.

From Python call `run`: it checks the arguments and takes as many threads as the work is worth.
Compiled code calls kernels directly, and then arguments are not checked.

Four functions are called directly from Python too, with contiguous arrays: `total` sums losses, and
`label_ranks`, `top_classes` and `brier_scores` score predicted classes.

For one row inside a loop of your own pass views of length one and ``threads=1``.

>>> import numpy as np
>>> from numba import njit
>>> from fastloss_kernels import softmax_crossentropy_sparse
>>> @njit
... def hardest(logits, labels):
...     x = logits.reshape(logits.shape[0], logits.shape[1], 1)
...     loss = np.empty(labels.size, logits.dtype)
...     softmax_crossentropy_sparse(x, labels, np.ones(1), np.ones(1, np.bool_), loss, None, 1)
...     return loss.argmax()
>>> hardest(np.array([[3.0, 0.0], [0.0, 3.0]]), np.array([0, 0]))
1
"""

import warnings
from importlib import import_module
from typing import Any

from fastloss_kernels.run import run

_HOMES = {
    "binary_crossentropy": "losses.binary_crossentropy",
    "binary_crossentropy_logits": "losses.binary_crossentropy",
    "kullback_leibler": "losses.kullback_leibler",
    "log_sigmoid": "losses.sigmoid",
    "log_softmax": "losses.softmax",
    "poisson": "losses.poisson",
    "poisson_log_rates": "losses.poisson_log_rates",
    "probability_crossentropy_dense": "losses.probability_dense",
    "probability_crossentropy_sparse": "losses.probability_sparse",
    "probability_crossentropy_smoothed": "losses.probability_smoothed",
    "sigmoid": "losses.sigmoid",
    "softmax": "losses.softmax",
    "softmax_crossentropy_dense": "losses.softmax_dense",
    "softmax_crossentropy_sparse": "losses.softmax_sparse",
    "softmax_crossentropy_smoothed": "losses.softmax_smoothed",
    "binary_crossentropy_hessian": "losses.binary_crossentropy_hessian",
    "binary_crossentropy_logits_hessian": "losses.binary_crossentropy_hessian",
    "kullback_leibler_hessian": "losses.kullback_leibler_hessian",
    "poisson_hessian": "losses.poisson_hessian",
    "poisson_log_rates_hessian": "losses.poisson_hessian",
    "probability_crossentropy_dense_hessian": "losses.probability_hessian",
    "probability_crossentropy_smoothed_hessian": "losses.probability_hessian",
    "softmax_crossentropy_dense_hessian": "losses.softmax_hessian",
    "softmax_crossentropy_smoothed_hessian": "losses.softmax_hessian",
    "rank_one_product": "losses.rank_one_product",
    "softmax_hessian_product": "losses.softmax_hessian_product",
    "brier_scores": "reductions.label_rank",
    "label_ranks": "reductions.label_rank",
    "top_classes": "reductions.label_rank",
    "total": "reductions.sum_rows",
}
"""Each kernel and its module, imported when the kernel is first asked for: programs use a few."""

_RENAMED = {
    "bernoulli_crossentropy": "binary_crossentropy",
    "logistic_crossentropy": "binary_crossentropy_logits",
}
"""Names of 0.1 and what replaces them; they go with the next release."""

__all__ = ["run", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        new = _RENAMED[name]
        warnings.warn(f"{name} is now called {new}", DeprecationWarning, stacklevel=2)
        return __getattr__(new)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kernel = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = kernel
    return kernel


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
