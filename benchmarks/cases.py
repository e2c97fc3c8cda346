"""The table of cases that tests and benchmarks share: no loss can be timed and not be tested.

Data are drawn, not read: the same numbers for the same rows, classes, dtype and seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import fastloss as fl
from fastloss.selfcheck import reference
from fastloss.selfcheck.reference import Pair

Array = NDArray[Any]
Maker = Callable[[np.random.Generator, int, int], Array]
CONFIDENT = 0.1  # share of rows whose label is far above, or far below, the rest


@dataclass(frozen=True)
class Case:
    """One loss in one form, and how to draw targets and predictions for it."""

    name: str
    function: Callable[..., Any]
    options: dict[str, Any]
    targets: Maker
    predictions: Callable[[np.random.Generator, Array, int, int], Array]
    reference: Callable[..., Pair]
    loss: type[fl.Loss]
    sparse: bool = field(default=False)

    def data(
        self, rows: int, classes: int, dtype: DTypeLike = np.float32, seed: int = 0
    ) -> tuple[Array, Array]:
        """Return (y_true, y_pred); labels are int64, everything else has the given dtype."""
        rng = np.random.default_rng(seed)
        y_true = self.targets(rng, rows, classes)
        y_pred = self.predictions(rng, y_true, rows, classes).astype(dtype)
        return (y_true if self.sparse else y_true.astype(dtype)), y_pred

    def plain(self, y_true: Array, y_pred: Array) -> Pair:
        """Return the plain float64 rows and gradient for such data."""
        return self.reference(y_true, y_pred, **self.options, working=y_pred.dtype)


def labels(rng: np.random.Generator, rows: int, classes: int) -> Array:
    """Return class labels in random order, each class as often as the others."""
    return rng.permutation(np.resize(np.arange(classes, dtype=np.int64), rows))


def answers(rng: np.random.Generator, rows: int, classes: int) -> Array:
    """Return zeros and ones."""
    return rng.integers(0, 2, (rows, classes))


def counts(rng: np.random.Generator, rows: int, classes: int) -> Array:
    """Return small counts, zeros among them."""
    return rng.poisson(2.0, (rows, classes))


def distributions(rng: np.random.Generator, rows: int, classes: int) -> Array:
    """Return rows of probabilities that sum to 1."""
    e = np.exp(rng.normal(size=(rows, classes)))
    p: Array = e / e.sum(axis=1, keepdims=True)
    return p


def class_logits(rng: np.random.Generator, y_true: Array, rows: int, classes: int) -> Array:
    """Return logits; in a tenth of the rows the likeliest class stands 40 above or below."""
    logits = 3 * rng.normal(size=(rows, classes))
    label = y_true if y_true.ndim == 1 else y_true.argmax(axis=1)
    shift = np.where(rng.random(rows) < CONFIDENT, rng.choice([-40.0, 40.0], rows), 0.0)
    logits[np.arange(rows), label] += shift
    return logits


def answer_logits(rng: np.random.Generator, y_true: Array, rows: int, classes: int) -> Array:
    """Return logits; a tenth of the rows is far out, on the right or on the wrong side."""
    confident = rng.random((rows, 1)) < CONFIDENT
    return 3 * rng.normal(size=(rows, classes)) * np.where(confident, 15.0, 1.0)


def probabilities(rng: np.random.Generator, y_true: Array, rows: int, classes: int) -> Array:
    """Return numbers between 0.001 and 0.999."""
    return rng.uniform(0.001, 0.999, (rows, classes))


def rates(rng: np.random.Generator, y_true: Array, rows: int, classes: int) -> Array:
    """Return positive rates around 1."""
    return np.exp(rng.normal(size=(rows, classes)))


def log_rates(rng: np.random.Generator, y_true: Array, rows: int, classes: int) -> Array:
    """Return the logarithms of rates around 1."""
    return rng.normal(size=(rows, classes))


def other_distributions(rng: np.random.Generator, y_true: Array, rows: int, classes: int) -> Array:
    """Return rows of probabilities that sum to 1, independent of the targets."""
    return distributions(rng, rows, classes)


LOGITS = {"from_logits": True}
SPARSE = (fl.sparse_categorical_crossentropy, reference.sparse_categorical_crossentropy)
DENSE = (fl.categorical_crossentropy, reference.categorical_crossentropy)
BINARY = (fl.binary_crossentropy, reference.binary_crossentropy)

CASES = (
    Case("sparse_logits", SPARSE[0], LOGITS, labels, class_logits, SPARSE[1],
         fl.SparseCategoricalCrossentropy, sparse=True),
    Case("sparse_probabilities", SPARSE[0], {}, labels, other_distributions, SPARSE[1],
         fl.SparseCategoricalCrossentropy, sparse=True),
    Case("dense_logits", DENSE[0], LOGITS, distributions, class_logits, DENSE[1],
         fl.CategoricalCrossentropy),
    Case("dense_probabilities", DENSE[0], {}, distributions, other_distributions, DENSE[1],
         fl.CategoricalCrossentropy),
    Case("binary_logits", BINARY[0], LOGITS, answers, answer_logits, BINARY[1],
         fl.BinaryCrossentropy),
    Case("binary_probabilities", BINARY[0], {}, answers, probabilities, BINARY[1],
         fl.BinaryCrossentropy),
    Case("poisson", fl.poisson, {}, counts, rates, reference.poisson, fl.Poisson),
    Case("kl_divergence", fl.kl_divergence, {}, distributions, other_distributions,
         reference.kl_divergence, fl.KLDivergence),
)  # fmt: skip

SMOOTHED = {"label_smoothing": 0.1}
ALL_CASES = (
    *CASES,
    Case("sparse_logits_smoothed", SPARSE[0], LOGITS | SMOOTHED, labels, class_logits, SPARSE[1],
         fl.SparseCategoricalCrossentropy, sparse=True),
    Case("sparse_probabilities_smoothed", SPARSE[0], SMOOTHED, labels, other_distributions,
         SPARSE[1], fl.SparseCategoricalCrossentropy, sparse=True),
    Case("poisson_log_rates", fl.poisson, {"log_input": True}, counts, log_rates,
         reference.poisson, fl.Poisson),
)  # fmt: skip
"""With those whose arithmetic is that of another case, which are tested and not timed."""
