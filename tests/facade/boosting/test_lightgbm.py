"""Training LightGBM with our losses and with its own: the same predictions."""

import numpy as np
import pytest
from boosting_tasks import (
    BINARY,
    CLASSES,
    LABELS,
    LOSSES,
    POISSON,
    ROWS,
    SPARSE,
    TREES,
    X,
    every_task,
    log_loss,
    weighted,
)

from fastloss.boosting import lightgbm

lgb = pytest.importorskip("lightgbm")

LIGHTGBM = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
    "learning_rate": 0.3,
}


def train(objective, task, weight, *, metric=None, init_score=None, **parameters):
    """Return margins, and what metrics gave after each tree."""
    data = lgb.Dataset(X, LABELS[task], weight=weight, init_score=init_score)
    classes = {"num_class": CLASSES} if task == "multiclass" else {}
    history = {}
    booster = lgb.train(
        {**LIGHTGBM, **classes, "objective": objective, **parameters},
        data,
        TREES,
        valid_sets=[data],
        feval=metric,
        callbacks=[lgb.record_evaluation(history)],
    )
    return booster.predict(X, raw_score=True), history.get("training", {})


@every_task
@weighted
def test_as_built_in(task, weight):
    objective, metric = lightgbm(log_loss(LOSSES[task]))
    theirs, history = train(task, task, weight, boost_from_average=False)
    ours, own = train(objective, task, weight, metric=metric)
    assert np.ptp(ours) > 1
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    ((_, values),) = history.items()
    np.testing.assert_allclose(own["own"], values, rtol=1e-6)


@every_task
def test_boost_from_average_is_an_init_score(task):
    y = LABELS[task]
    if task == "multiclass":
        start = np.tile(np.log(np.bincount(y) / ROWS), (ROWS, 1))
    else:
        mean = y.mean()
        start = np.full(ROWS, np.log(mean if task == "poisson" else mean / (1 - mean)))
    theirs, _ = train(task, task, None)
    ours, _ = train(lightgbm(LOSSES[task]).objective, task, None, init_score=start)
    np.testing.assert_allclose(ours + start, theirs, rtol=0, atol=1e-6)


def test_poisson_without_max_delta_step():
    exact = lightgbm(POISSON, "diagonal").objective
    ours, _ = train(exact, "poisson", None)
    none = {"boost_from_average": False, "poisson_max_delta_step": 1e-12}
    theirs, _ = train("poisson", "poisson", None, **none)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@every_task
@weighted
def test_scikit_learn(task, weight):
    pytest.importorskip("sklearn")
    objective, metric = lightgbm(LOSSES[task])
    kind = lgb.LGBMRegressor if task == "poisson" else lgb.LGBMClassifier
    model = kind(objective=objective, n_estimators=TREES, **LIGHTGBM)
    y = LABELS[task]
    same = {"eval_X": X, "eval_y": y, "eval_sample_weight": [weight]}
    model.fit(X, y, weight, eval_metric=metric, **same)
    native, _ = train(objective, task, weight)
    np.testing.assert_array_equal(model.predict(X, raw_score=True), native)
    (history,) = model.evals_result_.values()
    value = LOSSES[task](y, native, weight)
    assert history[LOSSES[task].name][-1] == pytest.approx(value)


def test_classes_without_num_class():
    words = r"needs margins of shape \(rows, classes\), got \(600,\): set num_class"
    with pytest.raises(ValueError, match=words):
        lgb.train({"objective": lightgbm(SPARSE).objective}, lgb.Dataset(X, LABELS["binary"]))


def test_early_stopping_minimises():
    objective, metric = lightgbm(BINARY)
    data, wrong = (lgb.Dataset(X, y) for y in (LABELS["binary"], 1 - LABELS["binary"]))
    booster = lgb.train(
        {**LIGHTGBM, "objective": objective},
        data,
        TREES,
        valid_sets=[wrong],
        feval=metric,
        callbacks=[lgb.early_stopping(3, verbose=False)],
    )
    assert booster.best_iteration == 1  # what is learned makes wrong labels ever less likely
