"""What the boosters are trained on: a binary, a multiclass and a Poisson task."""

import numpy as np
import pytest

import fastloss as fl

_RNG = np.random.default_rng(0)
ROWS, CLASSES, TREES = 600, 3, 30
X = _RNG.normal(size=(ROWS, 4))
WEIGHT = _RNG.uniform(0.5, 2, ROWS)
SIGNAL = X[:, 0] + 0.5 * X[:, 1] * X[:, 2]

BINARY = fl.BinaryCrossentropy(from_logits=True)
SPARSE = fl.SparseCategoricalCrossentropy(from_logits=True)
POISSON = fl.Poisson(log_input=True)
LOSSES = {"binary": BINARY, "multiclass": SPARSE, "poisson": POISSON}
LABELS = {
    "binary": (_RNG.random(ROWS) < 1 / (1 + np.exp(-2 * SIGNAL))).astype(int),
    "multiclass": np.where(SIGNAL > 0.5, 2, np.where(SIGNAL < -0.7, 0, _RNG.integers(0, 3, ROWS))),
    "poisson": _RNG.poisson(np.exp(0.5 * SIGNAL + 0.3)),
}

every_task = pytest.mark.parametrize("task", LOSSES)
weighted = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weights"])


def log_loss(loss):
    """Return the loss with the reduction of the libraries' own metrics."""
    return type(loss).from_config(
        {**loss.get_config(), "reduction": "mean_with_sample_weight", "name": "own"}
    )
