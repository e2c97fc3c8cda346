"""The five losses written out in float64, arguments for them, and differences of fourth order."""

import numpy as np

import fastloss as fl

EPS = 1e-7
RNG = np.random.default_rng(11)
FUNCTIONS = [
    fl.binary_crossentropy,
    fl.categorical_crossentropy,
    fl.sparse_categorical_crossentropy,
    fl.poisson,
    fl.kl_divergence,
]
WITH_AXIS = FUNCTIONS[:3]


def probabilities(x, from_logits, axis):
    if from_logits:
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)
    return np.clip(x / x.sum(axis, keepdims=True), EPS, 1 - EPS)


def formula(fn, y, x, from_logits=False, label_smoothing=0.0, axis=-1, weights=1.0):
    """Return the unreduced loss; `weights` is the class_weight or pos_weight, ready to multiply."""
    y, s = np.asarray(y), label_smoothing
    if fn is fl.binary_crossentropy:
        p = 1 / (1 + np.exp(-x)) if from_logits else np.clip(x, EPS, 1 - EPS)
        t = y * (1 - s) + s / 2
        axis = tuple(axis) if isinstance(axis, list) else axis
        return (-weights * t * np.log(p) - (1 - t) * np.log(1 - p)).mean(axis)
    if fn is fl.poisson:
        return (x - y * np.log(x + EPS)).mean(-1)
    if fn is fl.kl_divergence:
        t, p = np.clip(y, EPS, 1), np.clip(x, EPS, 1)
        return (t * np.log(t / p)).sum(-1)
    if fn is fl.sparse_categorical_crossentropy:
        y = np.moveaxis(np.eye(x.shape[axis])[y], -1, axis)
    t = y * (1 - s) + s / x.shape[axis]
    return -(weights * t * np.log(probabilities(x, from_logits, axis))).sum(axis)


def draw(fn, shape=(6, 4), axis=-1, from_logits=False, rng=RNG):
    """Return (y_true, y_pred) of float64 that the formula and the loss both know."""
    x = rng.normal(0, 2, shape) if from_logits else rng.uniform(0.05, 0.95, shape)
    if fn is fl.sparse_categorical_crossentropy:
        kept = tuple(np.delete(shape, axis))
        return rng.integers(0, shape[axis], kept), x
    if fn is fl.categorical_crossentropy:
        return rng.dirichlet(np.ones(3), shape)[..., 0], x
    return (rng.random(shape) if fn is fl.kl_divergence else rng.integers(0, 2, shape)), x


def differences(f, x, step=1e-3):
    """Return the gradient of sum(f(x)) by differences of order 4."""
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        parts = []
        for k in (-2, -1, 1, 2):
            moved = x.copy()
            moved[i] += k * step
            parts.append(np.sum(f(moved)))
        gradient[i] = (parts[0] - 8 * parts[1] + 8 * parts[2] - parts[3]) / (12 * step)
    return gradient
