"""What each library is asked for each task: its own public function, as its documentation has it.

A task is a mean loss of (targets, predictions), "sparse_weights" of weights too, "sparse_half" of
float16. A library without a function for a task has no entry. "slopes" compares gradients at two
places, see `ratio`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from . import boosters

Task = Callable[..., Any]
IGNORED = -1
EPSILON = 1e-7  # what Keras and fastloss add to a Poisson rate


def ratio(gradient: Task) -> Task:
    """Return the task that divides the sum of |gradient| by that of logits 200 higher."""

    def compared(t: Any, x: Any) -> Any:
        return np.abs(gradient(t, x)).sum() / np.abs(gradient(t, x + 200)).sum()

    return compared


def fastloss() -> dict[str, Task]:
    """Classes of fastloss."""
    import fastloss as fl

    sparse = partial(fl.SparseCategoricalCrossentropy, from_logits=True)
    return {
        "sparse": sparse(),
        "sparse_half": sparse(),
        "sparse_ignore": sparse(ignore_class=IGNORED),
        "sparse_weights": sparse(reduction="mean_with_sample_weight"),
        "slopes": ratio(lambda t, x: sparse().value_and_grad(t, x)[1]),
        "dense": fl.CategoricalCrossentropy(from_logits=True),
        "binary": fl.BinaryCrossentropy(from_logits=True),
        "bernoulli": fl.BinaryCrossentropy(),
        "divergence": fl.KLDivergence(),
        "poisson": fl.Poisson(),
    }


def numpy() -> dict[str, Task]:
    """Formulas of textbooks, the largest logit subtracted."""

    def log_softmax(x: Any) -> Any:
        x = x - x.max(axis=1, keepdims=True)
        return x - np.log(np.exp(x).sum(axis=1, keepdims=True))

    def rows(t: Any, x: Any) -> Any:
        return -log_softmax(x)[np.arange(len(t)), t]

    return {
        "sparse": lambda t, x: rows(t, x).mean(),
        "sparse_half": lambda t, x: rows(t, x).mean(),
        "sparse_ignore": lambda t, x: rows(t[t != IGNORED], x[t != IGNORED]).mean(),
        "sparse_weights": lambda t, x, w: np.average(rows(t, x), weights=w),
        "slopes": ratio(lambda t, x: np.exp(log_softmax(x)) - np.eye(x.shape[1])[t]),
        "dense": lambda t, x: -(t * log_softmax(x)).sum(axis=1).mean(),
        "binary": lambda t, x: (
            np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
        ).mean(),
        "bernoulli": lambda t, p: -np.where(t == 1, np.log(p), np.log(1 - p)).mean(),
        "divergence": lambda t, p: (t * np.log(t / p)).sum(axis=1).mean(),
        "poisson": lambda t, x: (x - t * np.log(x)).mean(),
    }  # fmt: skip


def torch() -> dict[str, Task]:
    """torch.nn.functional."""
    library: Any = import_module("torch")
    f, of = library.nn.functional, library.from_numpy

    def gradient(t: Any, x: Any) -> Any:
        leaf = of(x).requires_grad_()
        f.cross_entropy(leaf, of(t)).backward()
        return leaf.grad.numpy()

    def weighted(t: Any, x: Any, w: Any) -> Any:
        return (f.cross_entropy(of(x), of(t), reduction="none") * of(w)).sum() / of(w).sum()

    return {
        "sparse": lambda t, x: f.cross_entropy(of(x), of(t)),
        "sparse_half": lambda t, x: f.cross_entropy(of(x), of(t)),
        "sparse_ignore": lambda t, x: f.cross_entropy(of(x), of(t), ignore_index=IGNORED),
        "sparse_weights": weighted,
        "slopes": ratio(gradient),
        "dense": lambda t, x: f.cross_entropy(of(x), of(t)),
        "binary": lambda t, x: f.binary_cross_entropy_with_logits(of(x), of(t).float()),
        "bernoulli": lambda t, p: f.binary_cross_entropy(of(p), of(t)),
        "divergence": lambda t, p: f.kl_div(of(p).log(), of(t), reduction="batchmean"),
        "poisson": lambda t, x: f.poisson_nll_loss(of(x), of(t), log_input=False),
    }


def jax() -> dict[str, Task]:
    """Formulas of jax.nn, one_hot, log_softmax and log_sigmoid, and of jax.scipy.special."""
    library: Any = import_module("jax")
    jnp, nn, special = library.numpy, library.nn, library.scipy.special

    def dense(t: Any, x: Any) -> Any:
        return -(t * nn.log_softmax(x)).sum(-1)

    def rows(t: Any, x: Any) -> Any:
        return dense(nn.one_hot(t, x.shape[1], dtype=x.dtype), jnp.asarray(x))

    def logistic(t: Any, x: Any) -> Any:
        return -(t * nn.log_sigmoid(x) + (1 - t) * nn.log_sigmoid(-x)).mean()

    return {
        "sparse": lambda t, x: rows(t, x).mean(),
        "sparse_half": lambda t, x: rows(t, x).mean(),
        "sparse_ignore": lambda t, x: jnp.mean(rows(t, x), where=t != IGNORED),
        "sparse_weights": lambda t, x, w: jnp.average(rows(t, x), weights=w),
        "slopes": ratio(lambda t, x: library.grad(lambda x: rows(t, x).mean())(x)),
        "dense": lambda t, x: dense(t, x).mean(),
        "binary": logistic,
        "bernoulli": lambda t, p: -(special.xlogy(t, p) + special.xlog1py(1 - t, -p)).mean(),
        "divergence": lambda t, p: special.rel_entr(t, p).sum(-1).mean(),
        "poisson": lambda t, x: (x - special.xlogy(t, x)).mean(),
    }


def keras() -> dict[str, Task]:
    """Classes of keras.losses, on JAX."""
    os.environ["KERAS_BACKEND"] = "jax"
    losses: Any = import_module("keras").losses
    grad = import_module("jax").grad
    sparse = partial(losses.SparseCategoricalCrossentropy, from_logits=True)
    return {
        "sparse": sparse(),
        "sparse_half": sparse(),
        "sparse_ignore": sparse(ignore_class=IGNORED),
        "sparse_weights": sparse(reduction="mean_with_sample_weight"),
        "slopes": ratio(lambda t, x: grad(lambda x: sparse()(t, x))(x)),
        "dense": losses.CategoricalCrossentropy(from_logits=True),
        "binary": losses.BinaryCrossentropy(from_logits=True),
        "bernoulli": losses.BinaryCrossentropy(),
        "divergence": losses.KLDivergence(),
        "poisson": losses.Poisson(),
    }


def optax() -> dict[str, Task]:
    """Functions of optax.losses; the caller takes the mean, as its documentation shows."""
    losses: Any = import_module("optax").losses
    library: Any = import_module("jax")
    jnp = library.numpy

    def rows(t: Any, x: Any) -> Any:
        return losses.softmax_cross_entropy_with_integer_labels(jnp.asarray(x), jnp.asarray(t))

    return {
        "sparse": lambda t, x: rows(t, x).mean(),
        "sparse_half": lambda t, x: rows(t, x).mean(),
        "sparse_ignore": lambda t, x: jnp.mean(rows(t, x), where=t != IGNORED),
        "sparse_weights": lambda t, x, w: jnp.average(rows(t, x), weights=w),
        "slopes": ratio(lambda t, x: library.grad(lambda x: rows(t, x).mean())(x)),
        "dense": lambda t, x: losses.softmax_cross_entropy(jnp.asarray(x), t).mean(),
        "binary": lambda t, x: losses.sigmoid_binary_cross_entropy(jnp.asarray(x), t).mean(),
        "divergence": lambda t, p: losses.kl_divergence(jnp.log(p), t).mean(),
    }


def scikit_learn() -> dict[str, Task]:
    """log_loss of probabilities, half the mean_poisson_deviance of rates."""
    metrics: Any = import_module("sklearn.metrics")
    special: Any = import_module("scipy.special")

    def sparse(t: Any, x: Any, w: Any = None) -> Any:
        p, labels = special.softmax(x, axis=1), range(x.shape[1])
        return metrics.log_loss(t, p, sample_weight=w, labels=labels)

    return {
        "sparse": sparse,
        "sparse_half": sparse,
        "sparse_weights": sparse,
        "dense": lambda t, x: metrics.log_loss(t, special.softmax(x, axis=1)),
        "binary": lambda t, x: metrics.log_loss(t, special.expit(x)),
        "bernoulli": lambda t, p: metrics.log_loss(t, p, labels=[0, 1]),
        "poisson": lambda t, x: metrics.mean_poisson_deviance(t, x) / 2,
    }


def sklearn_loss() -> dict[str, Task]:
    """Losses of logits in scikit-learn's private module, which its estimators use."""
    module: Any = import_module("sklearn._loss")

    def of_classes(t: Any, x: Any) -> tuple[Any, dict[str, Any]]:
        loss = module.HalfMultinomialLoss(n_classes=x.shape[1])
        return loss, {"y_true": t.astype(x.dtype), "raw_prediction": x}

    def sparse(t: Any, x: Any, w: Any = None) -> Any:
        loss, arguments = of_classes(t, x)
        return loss(**arguments, sample_weight=w)

    def gradient(t: Any, x: Any) -> Any:
        loss, arguments = of_classes(t, x)
        return loss.gradient(**arguments)

    def binary(t: Any, x: Any) -> Any:
        return module.HalfBinomialLoss()(y_true=t.astype(x.dtype), raw_prediction=x)

    return {
        "sparse": sparse,
        "sparse_weights": sparse,
        "slopes": ratio(gradient),
        "binary": binary,
    }


#: Column -> the package it needs, and its tasks.
LIBRARIES: dict[str, tuple[str, Callable[[], dict[str, Task]]]] = {
    "fastloss": ("fastloss", fastloss),
    "NumPy by hand": ("numpy", numpy),
    "torch": ("torch", torch),
    "JAX": ("jax", jax),
    "Keras": ("keras", keras),
    "optax": ("optax", optax),
    "scikit-learn": ("sklearn", scikit_learn),
    "sklearn._loss": ("sklearn", sklearn_loss),
    "XGBoost": ("xgboost", boosters.xgboost),
    "LightGBM": ("lightgbm", boosters.lightgbm),
}
