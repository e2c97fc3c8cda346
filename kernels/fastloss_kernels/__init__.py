"""The engine of fastloss: losses of whole batches with their gradients, as Numba kernels.

Every kernel is called ``kernel(x, targets, ..., scale, keep, loss, grad, threads)``, from Python or
from compiled code. It writes the loss of each row to `loss` and, unless `grad` is None, ``scale *
d loss / d x`` to `grad` in the same pass. Weights, masks, reductions and upstream gradients are all
values of `scale` and `keep`; the engine knows none of them.

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

from fastloss_kernels.divergence import kullback_leibler
from fastloss_kernels.logistic import bernoulli_crossentropy, logistic_crossentropy
from fastloss_kernels.poisson import poisson
from fastloss_kernels.probability import (
    probability_crossentropy_dense,
    probability_crossentropy_sparse,
)
from fastloss_kernels.softmax import softmax_crossentropy_dense, softmax_crossentropy_sparse
from fastloss_kernels.threads import run

__all__ = [
    "bernoulli_crossentropy",
    "kullback_leibler",
    "logistic_crossentropy",
    "poisson",
    "probability_crossentropy_dense",
    "probability_crossentropy_sparse",
    "run",
    "softmax_crossentropy_dense",
    "softmax_crossentropy_sparse",
]
