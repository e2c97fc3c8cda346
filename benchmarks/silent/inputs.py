"""The inputs, and the truth about each: computed in mpmath, or reasoned in one sentence.

A truth of NaN says that no number is right: a library may raise or return NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

Array = NDArray[Any]
DIGITS = 60


@dataclass(frozen=True)
class Input:
    """One input, what is asked of it, and what is right."""

    name: str
    title: str
    task: str  # a key of each library's functions
    targets: Array
    predictions: Array
    truth: float
    why: str  # the truth, in words
    tolerance: float = 1e-5  # relative
    also: float | None = None  # a second number that is right, by convention
    weights: tuple[float, ...] = ()
    reports: tuple[str, ...] = ()  # owner/repository#number
    repeat: int = 1  # how often the rows are repeated: the means stay what they are

    def accepts(self, value: float) -> bool:
        """Return whether the number is right."""
        if value == self.also or (math.isnan(self.truth) and math.isnan(value)):
            return True
        return math.isclose(value, self.truth, rel_tol=self.tolerance)

    @cached_property
    def arguments(self) -> tuple[Array, ...]:
        """Return the arrays that a library's function takes."""
        rows = np.repeat(self.targets, self.repeat, 0), np.repeat(self.predictions, self.repeat, 0)
        return (*rows, np.array(self.weights, np.float32)) if self.weights else rows


def crossentropy(logits: list[list[float]], labels: list[int]) -> float:
    """Return the mean of -log softmax(logits)[label], by the textbook formula."""
    with mp.workdps(DIGITS):
        rows = [[mp.exp(mpf(x)) for x in row] for row in logits]
        terms = [-mp.log(e[k] / mp.fsum(e)) for e, k in zip(rows, labels, strict=True)]
        return float(mp.fsum(terms) / len(terms))


def logistic(logits: list[float], targets: list[int]) -> float:
    """Return the mean of log(1 + exp(-x)), for a target of 0 of log(1 + exp(x))."""
    with mp.workdps(DIGITS):
        pairs = zip(logits, targets, strict=True)
        terms = [mp.log(1 + mp.exp(mpf(-x if t else x))) for x, t in pairs]
        return float(mp.fsum(terms) / len(terms))


def f32(values: Any) -> Array:
    """Return an array of float32."""
    return np.array(values, np.float32)


NONE = math.nan
THREE = f32([[2, 1, 0], [0, 3, 1]])
ANSWERS, COLUMN = [0, 1, 1, 0], [-3.0, 2.0, 4.0, -1.0]
WIDE = np.sin(np.arange(400.0)).astype(np.float32).reshape(2, 200).tolist()
NO_CLASS = "There is no such class, so no loss."

INPUTS = (
    Input("label_out_of_range", "label 7 of 3 classes", "sparse",
          np.array([0, 7]), THREE, NONE, NO_CLASS,
          reports=("pytorch/pytorch#194802", "microsoft/onnxruntime#28004",
                   "tensorflow/tensorflow#8484")),
    Input("label_minus_one", "label −1, not declared as ignored", "sparse",
          np.array([0, -1]), THREE, NONE, NO_CLASS),
    Input("int8_wrapped", "label 150 of 200 classes, stored in int8", "sparse",
          np.array([3, 150]).astype(np.int8), f32(WIDE), crossentropy(WIDE, [3, 150]),
          "The labels that were meant are 3 and 150; int8 holds 150 as −106.",
          reports=("pytorch/pytorch#1842",)),
    Input("float_label", "label 1.5", "sparse",
          f32([0, 1.5]), THREE, NONE, "No class lies between two classes."),
    Input("all_ignored", "mean where every row is ignored", "sparse_ignore",
          np.array([-1, -1]), THREE, NONE,
          "The mean of no numbers is not a number; by convention it is 0.", also=0.0,
          reports=("pytorch/pytorch#70348", "pytorch/pytorch#116349")),
    Input("nan_weight_zero", "NaN in a row of weight 0", "sparse_weights",
          np.array([0, 1]), f32([[2, 1, 0], [np.nan, 0, 0]]), crossentropy([[2, 1, 0]], [0]),
          "The row does not count: the loss is that of the other row.", weights=(1.0, 0.0)),
    Input("confident", "logits 46 and 0: a loss of 1e-20", "sparse",
          np.array([0]), f32([[46, 0]]), crossentropy([[46, 0]], [0]), "log(1 + exp(−46))."),
    Input("minus_infinity", "logit −inf where the target is 0", "dense",
          f32([[1, 0, 0]]), f32([[0, 0, -np.inf]]), math.log(2),
          "A class that cannot happen adds nothing: log 2.",
          reports=("google-deepmind/optax#896",)),
    Input("float16_sum", "100,000 equal logits in float16", "sparse_half",
          np.array([0]), np.zeros((1, 100_000), np.float16), math.log(100_000),
          "log 100,000 = 11.51; the sum of exponentials is above 65,504, float16's largest number.",
          tolerance=1e-3, reports=("pytorch/pytorch#85791",)),
    Input("far_below", "logits around −200: slope beside that around 0", "slopes",
          np.array([0, 1, 2, 0]), f32([[0, 1, 2], [2, 0, 1], [1, 2, 0], [1, 0, 2]]) - 200, 1.0,
          "Softmax is the same when one number is added to all logits: the ratio of the sums of "
          "|gradient| is 1. Boosters: that of |leaf| of their first trees."),
    Input("rows_1e7", "mean of 10,000,000 equal rows", "sparse",
          np.array([0]), f32([[2, 0]]), crossentropy([[2, 0]], [0]),
          "The mean of equal numbers is that number.", tolerance=1e-6, repeat=10_000_000,
          reports=("pytorch/pytorch#55657",)),
    Input("column", "targets (n,) against predictions (n, 1)", "binary",
          np.array(ANSWERS), f32(COLUMN)[:, np.newaxis], logistic(COLUMN, ANSWERS),
          "The mean of n losses, not of n × n."),
    Input("probability_zero", "probability 0, target 1", "bernoulli",
          f32([1]), f32([0]), math.inf, "−log 0 is infinite.",
          reports=("keras-team/keras#9664",)),
    Input("probability_tiny", "probability 1e-9, target 1", "bernoulli",
          f32([1]), f32([1e-9]), -math.log(float(np.float32(1e-9))), "−log 1e-9 = 20.72.",
          reports=("scikit-learn/scikit-learn#24315",)),
    Input("probability_above_one", "probability 3 (a sigmoid was forgotten)", "bernoulli",
          f32([1]), f32([3]), NONE, "3 is no probability.",
          reports=("keras-team/keras#4744",)),
    Input("kl_zero_target", "divergence where a target is 0", "divergence",
          f32([[0.5, 0.5, 0]]), f32([[0.25, 0.25, 0.5]]), math.log(2),
          "0 log 0 is 0 in an entropy: log 2.",
          reports=("pytorch/pytorch#89558", "google-deepmind/optax#1786")),
    Input("negative_rate", "Poisson rate −0.5", "poisson",
          f32([1, 2]), f32([-0.5, 1]), NONE, "A rate is not negative.",
          reports=("pytorch/pytorch#184030",)),
    Input("negative_count", "Poisson count −3", "poisson",
          f32([-3, 2]), f32([0.5, 1]), NONE, "A count is not negative."),
)  # fmt: skip
BY_NAME = {entry.name: entry for entry in INPUTS}
