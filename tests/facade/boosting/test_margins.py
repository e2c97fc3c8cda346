"""Which losses boosters can take, and what is said of all others."""

import copy
import pickle

import pytest
from boosting_tasks import BINARY, LOSSES, every_task
from processes import run

import fastloss as fl
from fastloss.boosting import lightgbm, xgboost

both = pytest.mark.parametrize("adapter", [lightgbm, xgboost])


@both
@every_task
def test_is_a_value(adapter, task):
    pair = adapter(LOSSES[task])
    assert pickle.loads(pickle.dumps(pair)) == copy.deepcopy(pair) == pair
    assert pair != adapter(LOSSES[task], "diagonal")
    assert type(LOSSES[task]).__name__ in repr(pair)


@both
@pytest.mark.parametrize(
    ("loss", "remedy"),
    [
        (fl.BinaryCrossentropy(), "from_logits=True to BinaryCrossentropy"),
        (fl.SparseCategoricalCrossentropy(), "from_logits=True to SparseCategorical"),
        (fl.Poisson(), "log_input=True to Poisson"),
        (fl.Poisson(None, log_input=True), 'reduction="mean_with_sample_weight" to Poisson'),
        (fl.Poisson("none", log_input=True), 'reduction="mean_with_sample_weight" to Poisson'),
    ],
)
def test_losses_of_no_margins(adapter, loss, remedy):
    with pytest.raises(ValueError, match=f"loss must .* pass {remedy}"):
        adapter(loss)


@both
@pytest.mark.parametrize("loss", [fl.KLDivergence(), fl.CategoricalCrossentropy(True), "bce"])
def test_other_losses(adapter, loss):
    with pytest.raises(TypeError, match=r"loss must be one of BinaryCrossentropy\(from_logits"):
        adapter(loss)


@both
def test_unknown_hessian(adapter):
    with pytest.raises(ValueError, match="must be one of diagonal, lightgbm, xgboost; got 'u"):
        adapter(BINARY, "upper")


@pytest.mark.parametrize("name", ["my loss", "loss:1", "precise", "ndcg-like"])
def test_names_that_xgboost_misreads(name):
    loss = fl.BinaryCrossentropy(from_logits=True, name=name)
    assert lightgbm(loss).metric([1], [0.0])[0] == name
    words = f"begins with auc, map, ndcg, pre, which it maximises; got '{name}': pass another name"
    with pytest.raises(ValueError, match=words):
        xgboost(loss)


def test_neither_library_is_imported():
    code = "import sys, fastloss.boosting; print({'lightgbm', 'xgboost'} & set(sys.modules))"
    assert run(code).strip() == "set()"
