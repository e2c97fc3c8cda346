"""NumPy and SciPy, written by hand: the value, and the gradient from its formula.

Temporaries are reused where that is natural. Probabilities are not clipped: those of the cases lie
inside the bounds.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cases import Case
from ..contest import Call, Contestant, Ways

Array = NDArray[Any]
Pair = tuple[Any, Array | None]
EPSILON = 1e-7  # Keras' addend in the Poisson loss


def softmax_sparse(t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of log(sum e^x) - x[label]; softmax minus one at the label."""
    rows, count = np.arange(len(x)), len(x)
    e = x - x.max(axis=1, keepdims=True)
    label = e[rows, t]
    np.exp(e, out=e)
    total = e.sum(axis=1, keepdims=True)
    value = (np.log(total[:, 0]) - label).mean()
    if gradient:
        e /= total * count
        e[rows, t] -= 1 / count
    return value, e if gradient else None


def softmax_dense(t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of log(sum e^x) sum(t) - sum(t x); softmax minus t, where t sums to one."""
    e = x - x.max(axis=1, keepdims=True)
    label = (t * e).sum(axis=1)
    np.exp(e, out=e)
    total = e.sum(axis=1, keepdims=True)
    value = (np.log(total[:, 0]) - label).mean()
    if gradient:
        e /= total
        e -= t
        e /= len(x)
    return value, e if gradient else None


def normalised_sparse(t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of log(sum x) - log x[label]."""
    rows, count = np.arange(len(x)), len(x)
    total, label = x.sum(axis=1), x[rows, t]
    value = (np.log(total) - np.log(label)).mean()
    if not gradient:
        return value, None
    g = np.empty_like(x)
    g[:] = (1 / (total * count))[:, None]
    g[rows, t] -= 1 / (label * count)
    return value, g


def normalised_dense(t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of sum(t) log(sum x) - sum(t log x)."""
    total, weight = x.sum(axis=1), t.sum(axis=1)
    logs = np.log(x)
    logs *= t
    value = (weight * np.log(total) - logs.sum(axis=1)).mean()
    if not gradient:
        return value, None
    g = np.divide(t, x, out=logs)
    np.subtract((weight / total)[:, None], g, out=g)
    g /= len(x)
    return value, g


def logistic(expit: Any, t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of max(x, 0) - t x + log(1 + e^-|x|); the logistic function minus t."""
    tail = np.abs(x)
    np.negative(tail, out=tail)
    np.log1p(np.exp(tail, out=tail), out=tail)
    tail += np.maximum(x, 0)
    tail -= t * x
    value = tail.mean()
    if gradient:
        expit(x, out=tail)
        tail -= t
        tail /= x.size
    return value, tail if gradient else None


def bernoulli(t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of -t log p - (1 - t) log(1 - p)."""
    value = -(t * np.log(x) + (1 - t) * np.log1p(-x)).mean()
    return value, (x - t) / (x * (1 - x)) / x.size if gradient else None


def poisson(t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of p - t log(p + epsilon)."""
    shifted = x + x.dtype.type(EPSILON)
    value = (x - t * np.log(shifted)).mean()
    return value, (1 - t / shifted) / x.size if gradient else None


def kullback_leibler(t: Array, x: Array, gradient: bool) -> Pair:
    """Mean of sum(t log(t / p))."""
    ratio = t / x
    value = (t * np.log(ratio)).sum(axis=1).mean()
    if gradient:
        ratio /= -len(x)
    return value, ratio if gradient else None


def contestants() -> list[Contestant]:
    """Return NumPy with SciPy."""
    special: Any = import_module("scipy.special")
    formulas: dict[str, Callable[[Array, Array, bool], Pair]] = {
        "sparse_logits": softmax_sparse,
        "sparse_probabilities": normalised_sparse,
        "dense_logits": softmax_dense,
        "dense_probabilities": normalised_dense,
        "binary_logits": partial(logistic, special.expit),
        "binary_probabilities": bernoulli,
        "poisson": poisson,
        "kl_divergence": kullback_leibler,
    }

    def prepare(case: Case, y_true: Array, y_pred: Array, threads: int) -> dict[str, Ways]:
        formula = formulas[case.name]
        value = Call(lambda: formula(y_true, y_pred, False))
        both = Call(lambda: formula(y_true, y_pred, True))
        return {"value": Ways(value, value), "value_and_grad": Ways(both, both)}

    return [
        Contestant(
            "NumPy/SciPy",
            ("numpy", "scipy"),
            value="mean loss, stable formula written by hand",
            gradient="by hand, from the value's temporaries",
            threads="always one",
            has_out=False,
            prepare=prepare,
        )
    ]
