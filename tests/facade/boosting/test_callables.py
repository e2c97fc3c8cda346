"""Gradients, Hessians and values by their formulas, for arguments of both interfaces."""

import math
import tracemalloc

import numpy as np
import pytest
from boosting_tasks import (
    BINARY,
    CLASSES,
    LABELS,
    LOSSES,
    ROWS,
    SPARSE,
    WEIGHT,
    every_task,
    log_loss,
)

import fastloss as fl
from fastloss.boosting import lightgbm, xgboost

FACTORS = {
    "diagonal": {"binary": 1, "multiclass": 1, "poisson": 1},
    "lightgbm": {"binary": 1, "multiclass": 3 / 2, "poisson": math.exp(0.7)},
    "xgboost": {"binary": 1, "multiclass": 2, "poisson": math.exp(0.7)},
}
both = pytest.mark.parametrize("adapter", [lightgbm, xgboost])


def formulas(task, y, x, weight):
    """Return (losses, gradient, second derivatives) of margins x."""
    x, w = x.astype(np.float64), np.broadcast_to(weight, len(y))
    if task == "multiclass":
        p = np.exp(x - x.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        hit = np.arange(x.shape[1]) == y[:, None]
        return -np.log(p[hit]), (p - hit) * w[:, None], p * (1 - p) * w[:, None]
    if task == "poisson":
        return np.exp(x) - y * x, (np.exp(x) - y) * w, np.exp(x) * w
    p = 1 / (1 + np.exp(-x))
    return np.log1p(np.exp(-np.where(y == 1, x, -x))), (p - y) * w, p * (1 - p) * w


def margins(task, dtype=np.float64):
    shape = (ROWS, CLASSES) if task == "multiclass" else ROWS
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


class Data:
    """The part of a Dataset and a DMatrix that is used."""

    def __init__(self, label, weight):
        self.label, self.weight = label, weight

    def get_label(self):
        return self.label

    def get_weight(self):
        return self.weight


@both
@every_task
@pytest.mark.parametrize("hessian", FACTORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_and_hessian(adapter, task, hessian, dtype):
    y, x = LABELS[task], margins(task, dtype)
    call = adapter(LOSSES[task], hessian).objective
    _, grad, second = formulas(task, y, x, WEIGHT)
    native = call(x, Data(y.astype(np.float32), WEIGHT))
    for found, right in zip(native, (grad, second * FACTORS[hessian][task]), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-7)
    for a, b in zip(native, call(y, x, WEIGHT), strict=True):
        np.testing.assert_array_equal(a, b)


@every_task
def test_value(task):
    y, x = LABELS[task], margins(task)
    losses, data = formulas(task, y, x, 1)[0], Data(y, WEIGHT)
    for loss, right in (
        (LOSSES[task], np.sum(losses * WEIGHT) / ROWS),
        (log_loss(LOSSES[task]), np.average(losses, weights=WEIGHT)),
    ):
        own, theirs = lightgbm(loss).metric, xgboost(loss).metric
        assert own(x, data) == own(y, x, WEIGHT) == (loss.name, pytest.approx(right), False)
        assert theirs(x, data) == (loss.name, pytest.approx(right))
        assert theirs(y, x, sample_weight=WEIGHT) == theirs(x, data)[1]
        assert theirs.__name__ == loss.name


@both
@every_task
def test_no_weights(adapter, task):
    y, x = LABELS[task], margins(task)
    objective, metric = adapter(LOSSES[task])
    for none in (None, np.empty(0, np.float32)):
        data = Data(y, none)
        assert metric(x, data) == metric(x, Data(y, np.ones(ROWS)))
        for a, b in zip(objective(x, data), objective(y, x), strict=True):
            np.testing.assert_array_equal(a, b)


def test_options_of_the_loss():
    y, x = np.array([0, -1, 2, 1]), margins("multiclass")[:4]
    loss = fl.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=-1, label_smoothing=0.3, class_weight=[1.0, 2.0, 5.0]
    )
    grad, hessian = xgboost(loss).objective(y, x)
    w = np.array([1.0, 2.0, 5.0])
    t = (0.7 * (np.arange(3) == y[:, None]) + 0.1) * w * (y >= 0)[:, None]
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    total = t.sum(1, keepdims=True)
    np.testing.assert_allclose(grad, total * p - t, rtol=1e-5, atol=1e-7)
    right = np.maximum(2 * total * p * (1 - p), 1e-16)
    np.testing.assert_allclose(hessian, right, rtol=1e-5)
    positive = fl.BinaryCrossentropy(from_logits=True, pos_weight=3.0)
    grad, _ = lightgbm(positive).objective([0, 1], np.zeros(2))
    np.testing.assert_allclose(grad, [0.5, -1.5])


def test_smallest_hessian():
    """Where a probability is 0 or 1 in float32, and in rows of weight 0."""
    x, weight = np.array([[300.0, 0.0], [0.0, 0.0]]), [1.0, 0.0]
    for loss, y in ((SPARSE, [0, 1]), (BINARY, np.eye(2))):
        grad, hessian = xgboost(loss).objective(y, x, weight)
        np.testing.assert_array_equal(grad[1], [0, 0])
        np.testing.assert_array_equal(hessian[1], np.float32([1e-16, 1e-16]))
        assert hessian[0, 0] == np.float32(1e-16)
        assert lightgbm(loss).objective(y, x, weight)[1][1].tolist() == [0, 0]


@pytest.mark.parametrize("order", "CF")
def test_order_is_kept_and_margins_are_not_copied(order):
    x = np.asarray(np.random.default_rng(1).normal(size=(50_000, 8)), order=order)
    y, objective = np.zeros(len(x), np.int64), lightgbm(SPARSE).objective
    before = x.copy()
    objective(y, x)  # loads the kernels
    tracemalloc.start()
    results = objective(y, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.2 * x.nbytes  # two in float64, two in float32, and what a row takes
    for result in results:
        assert result.flags[f"{order}_CONTIGUOUS"]
    np.testing.assert_array_equal(x, before)


@both
def test_a_label_that_is_no_class(adapter):
    words = r"y_true must hold labels in \[0, 3\).*got 3 at row 1"
    with pytest.raises(ValueError, match=words):
        adapter(SPARSE).objective(np.zeros((2, 3)), Data(np.float32([0, 3]), None))
