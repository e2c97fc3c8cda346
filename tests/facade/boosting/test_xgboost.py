"""Training XGBoost with our losses and with its own: the same predictions."""

import math

import numpy as np
import pytest
from boosting_tasks import (
    BINARY,
    CLASSES,
    LABELS,
    LOSSES,
    ROWS,
    SPARSE,
    TREES,
    WEIGHT,
    X,
    every_task,
    log_loss,
    weighted,
)

import fastloss as fl
from fastloss.boosting import xgboost

xgb = pytest.importorskip("xgboost")

XGBOOST_OBJECTIVES = {
    "binary": "binary:logistic",
    "multiclass": "multi:softprob",
    "poisson": "count:poisson",
}
XGBOOST = {"nthread": 1, "learning_rate": 0.3, "max_depth": 4}


def parameters(task):
    """Return what gives a built-in and an own objective the same start and steps."""
    special = {
        "binary": {"base_score": 0.5},
        "multiclass": {"num_class": CLASSES, "base_score": 0.5},
        "poisson": {"base_score": 1.0, "max_delta_step": 0.7},
    }
    return {**XGBOOST, "objective": XGBOOST_OBJECTIVES[task], **special[task]}


def train(task, weight, objective=None, metric=None, base_margin=None):
    """Return margins, and what metrics gave after each tree."""
    data = xgb.DMatrix(X, LABELS[task], weight=weight, base_margin=base_margin)
    history = {}
    booster = xgb.train(
        parameters(task),
        data,
        TREES,
        obj=objective,
        custom_metric=metric,
        evals=[(data, "training")],
        evals_result=history,
        verbose_eval=False,
    )
    return booster.predict(data, output_margin=True), history["training"]


@every_task
@weighted
def test_as_built_in(task, weight):
    objective, metric = xgboost(log_loss(LOSSES[task]))
    theirs, _ = train(task, weight)
    ours, history = train(task, weight, objective, metric)
    assert np.ptp(ours) > 1
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    builtin, own = map(np.array, history.values())
    if task == "poisson":  # theirs has log y! in addition
        y, w = LABELS[task], np.ones(ROWS) if weight is None else weight
        builtin = builtin - np.average([math.lgamma(count + 1) for count in y], weights=w)
    np.testing.assert_allclose(own, builtin, rtol=1e-5)


def test_margins_below_float32():
    """There XGBoost's own softmax has no probabilities, and its trees are zeros."""
    start = np.full((ROWS, CLASSES), -200, np.float32)
    theirs, _ = train("multiclass", None, base_margin=start)
    ours, _ = train("multiclass", None, xgboost(SPARSE).objective, base_margin=start)
    usual, _ = train("multiclass", None)
    np.testing.assert_array_equal(theirs, start)
    np.testing.assert_allclose(fl.softmax(ours), fl.softmax(usual), atol=1e-3)


@every_task
@weighted
def test_scikit_learn(task, weight):
    pytest.importorskip("sklearn")
    objective, metric = xgboost(LOSSES[task])
    own = {**parameters(task), "objective": objective, "eval_metric": metric}
    own["n_jobs"] = own.pop("nthread")
    own.pop("num_class", None)  # a classifier counts them
    kind = xgb.XGBClassifier
    if task == "poisson":  # a regressor's predictions are margins, and so is its base_score
        kind, own["base_score"] = xgb.XGBRegressor, 0.0
    model, y = kind(n_estimators=TREES, **own), LABELS[task]
    weights = None if weight is None else [weight]
    same = {"eval_set": [(X, y)], "sample_weight_eval_set": weights, "verbose": False}
    model.fit(X, y, sample_weight=weight, **same)
    native, history = train(task, weight, objective, metric)
    np.testing.assert_array_equal(model.predict(X, output_margin=True), native)
    name = LOSSES[task].name
    values = model.evals_result()["validation_0"][name]
    np.testing.assert_allclose(values, history[name], rtol=1e-5)


def test_several_labels_a_row():
    """Binary crossentropy of (n, labels) margins; weights are of rows."""
    y = np.column_stack([LABELS["binary"], LABELS["multiclass"] == 1])
    data = xgb.DMatrix(X, y, weight=WEIGHT)
    results = [
        xgb.train(parameters("binary"), data, TREES, obj=obj).predict(data)
        for obj in (None, xgboost(BINARY).objective)
    ]
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=1e-6)


def test_early_stopping_minimises():
    objective, metric = xgboost(BINARY)
    data, wrong = (xgb.DMatrix(X, y) for y in (LABELS["binary"], 1 - LABELS["binary"]))
    booster = xgb.train(
        parameters("binary"),
        data,
        TREES,
        obj=objective,
        custom_metric=metric,
        evals=[(wrong, "wrong")],
        early_stopping_rounds=3,
        verbose_eval=False,
    )
    assert booster.best_iteration == 0  # what is learned makes wrong labels ever less likely
