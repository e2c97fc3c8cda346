"""Weights of classes: as an array, as a mapping, and what is refused."""

import copy
import dataclasses
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastloss as fl
from fastloss.arguments.class_weights import (
    ClassWeights,
    checked_class_weight,
    weight_of_each_class,
)

LABELS = np.array([0, 2, 1, 2])
X = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.25, 0.25, 0.5], [0.1, 0.2, 0.7]])
CLASSES = [fl.CategoricalCrossentropy, fl.SparseCategoricalCrossentropy]
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def truth(cls):
    return LABELS if cls is fl.SparseCategoricalCrossentropy else np.eye(3)[LABELS]


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 1e300), max_size=6), st.integers(1, 12))
def test_a_mapping_weighs_the_classes_it_names_and_the_others_one(mapping, classes):
    weights = checked_class_weight(mapping)
    if max(mapping, default=0) >= classes:
        with pytest.raises(ValueError, match=rf"in \[0, {classes}\), as y_pred has {classes} cl"):
            weight_of_each_class(weights, classes)
        return
    expected = [mapping.get(number, 1.0) for number in range(classes)]
    np.testing.assert_array_equal(weight_of_each_class(weights, classes), expected)


@every_class
@pytest.mark.parametrize(
    ("mapping", "array"),
    [
        ({0: 2.0, 2: 0.5}, [2.0, 1.0, 0.5]),
        ({}, [1.0, 1.0, 1.0]),
        ({2: 3}, [1.0, 1.0, 3.0]),
        ({"1": 0.25}, [1.0, 0.25, 1.0]),
        ({np.int8(1): np.float32(0.25), np.uint64(0): np.int64(2)}, [2.0, 0.25, 1.0]),
        (pd.Series({0: 2.0, 1: 1.0, 2: 0.5}), [2.0, 1.0, 0.5]),
    ],
)
def test_a_mapping_gives_the_bits_of_the_array(cls, mapping, array):
    y_true = truth(cls)
    expected, slopes = cls(class_weight=array).value_and_grad(y_true, X)
    value, gradient = cls(class_weight=mapping).value_and_grad(y_true, X)
    assert value == expected
    np.testing.assert_array_equal(gradient, slopes)
    function = fl.get(cls.__name__).name
    rows = fl.get(function)(y_true, X, class_weight=mapping)
    np.testing.assert_array_equal(rows, fl.get(function)(y_true, X, class_weight=array))


@every_class
def test_a_mapping_in_place(cls):
    x = X.copy()
    value, gradient = cls(class_weight={1: 2.0}).value_and_grad(truth(cls), X)
    again, out = cls(class_weight={1: 2.0}).value_and_grad(truth(cls), x, out=x)
    assert again == value
    np.testing.assert_array_equal(out, gradient)


@every_class
def test_a_loss_with_a_mapping_is_a_configuration_like_any_other(cls):
    loss = cls(class_weight={2: 0.5, 0: 2}, name="mine")
    assert loss.class_weight == {0: 2.0, 2: 0.5}
    assert repr(loss.class_weight) == "{0: 2.0, 2: 0.5}"
    assert eval(repr(loss), {cls.__name__: cls}) == loss
    config = loss.get_config()
    assert type(config["class_weight"]) is dict
    others = [
        cls(class_weight={0: 2.0, 2: 0.5}, name="mine"),
        cls.from_config(config),
        cls.from_config(json.loads(json.dumps(config))),
        fl.get(json.loads(json.dumps({"class_name": cls.__name__, "config": config}))),
        pickle.loads(pickle.dumps(loss)),
        copy.copy(loss),
        copy.deepcopy(loss),
        dataclasses.replace(loss),
    ]
    for other in others:
        assert other == loss
        assert hash(other) == hash(loss)
        assert other(truth(cls), X) == loss(truth(cls), X)
    assert loss != cls(class_weight={0: 2.0}, name="mine")
    assert loss != cls(class_weight=[2.0, 1.0, 0.5], name="mine")


def test_later_changes_of_the_mapping_do_not_matter():
    mapping = {0: 2.0}
    loss = fl.SparseCategoricalCrossentropy(class_weight=mapping)
    mapping[0] = 5.0
    assert loss.class_weight == {0: 2.0}
    with pytest.raises(TypeError):
        loss.class_weight[0] = 5.0


def test_class_weights_are_a_mapping_that_can_be_copied():
    weights = ClassWeights({"3": 1, 0: 2})
    assert (list(weights), len(weights), weights[3]) == ([0, 3], 2, 1.0)
    for other in (copy.deepcopy(weights), pickle.loads(pickle.dumps(weights))):
        assert other == weights
        assert hash(other) == hash(weights)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({-1: 2.0}, "must have classes, 0 ... C - 1, as its keys, got -1"),
        ({1.0: 2.0}, "must have classes, 0 ... C - 1, as its keys, got 1.0"),
        ({"cat": 2.0}, "must have classes, 0 ... C - 1, as its keys, got 'cat'"),
        ({"-1": 2.0}, "must have classes, 0 ... C - 1, as its keys, got '-1'"),
        ({None: 2.0}, "must have classes, 0 ... C - 1, as its keys, got None"),
        ({1: 2.0, "1": 2.0}, "must name each class once, got {1: 2.0, '1': 2.0}"),
        ({1: -2.0}, "must be finite and not negative, got -2.0"),
        ({0: 1.0, 1: np.nan}, "must be finite and not negative, got nan"),
        ({0: [1.0, 2.0]}, "must have one number for each class, got {0: [1.0, 2.0]}"),
        ("balanced", "n / (C * count_c), which is len(y) / (C * np.bincount(y, minlength=C))"),
        (
            pd.Series({2: 1.0, 0: 2.0, 1: 3.0}),
            "pass .to_dict() if the index holds the classes, .to_numpy() if they are in order",
        ),
        (pd.Series([1.0, 2.0, 3.0], index=["a", "b", "c"]), "whose index is not 0 ... C - 1"),
        (
            np.ones((1, 3)),
            "one weight for each of C classes, or a mapping {class: weight}, got shap",
        ),
        (2.0, "must be of shape (C,), one weight for each of C classes"),
        ([], "must be of shape (C,), one weight for each of C classes"),
    ],
)
@every_class
def test_what_is_wrong_is_said_before_the_first_call(cls, wrong, text):
    with pytest.raises(ValueError, match=f"^class_weight .*{re.escape(text)}"):
        cls(class_weight=wrong)


@every_class
@pytest.mark.parametrize("wrong", ["junk", {0: "1"}, {0: None}, {0: 1j}, ["a"], object()])
def test_what_is_no_number_is_a_type_error(cls, wrong):
    with pytest.raises(TypeError, match="class_weight must hold real numbers"):
        cls(class_weight=wrong)


def test_a_class_that_the_predictions_do_not_have_is_named():
    with pytest.raises(
        ValueError,
        match=r"class_weight must name classes in \[0, 3\), as y_pred has 3 classes: got 7$",
    ):
        fl.SparseCategoricalCrossentropy(class_weight={1: 1.0, 7: 2.0, 9: 1.0})(LABELS, X)


def test_the_shape_that_fits_is_named():
    text = "of shape (3,), one weight for each of the 3 classes, or a mapping {class: weight}"
    with pytest.raises(ValueError, match=f"{re.escape(text)}, got shape \\(2,\\)$"):
        fl.SparseCategoricalCrossentropy(class_weight=[1.0, 2.0])(LABELS, X)


def test_the_formula_for_balanced_weights_gives_each_class_the_same_sum():
    y, classes = LABELS, 3
    weights = len(y) / (classes * np.bincount(y, minlength=classes))
    np.testing.assert_allclose(np.bincount(y, weights[y]), len(y) / classes)
