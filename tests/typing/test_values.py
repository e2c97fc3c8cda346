"""What type checkers say of results, and that it holds when the code runs.

`make lint` has mypy and pyright read this file: each `assert_type` must be what they infer, and
each `type: ignore` must hide an error. pytest runs it.
"""

import pickle
from typing import Any, assert_type

import numpy as np
import pytest

import fastloss as fl
from fastloss.typing import DTypeName, FloatArray, Reduced, Reduction, Unreduced

LABELS = [1, 0]
LOGITS = np.array([[0.5, 1.0], [2.0, -1.0]])


def test_a_loss_reduces_to_a_float() -> None:
    for loss in (
        fl.BinaryCrossentropy(),
        fl.CategoricalCrossentropy(True, 0.1, -1, "sum"),
        fl.Poisson("mean"),
        fl.KLDivergence(reduction="mean_with_sample_weight", axis=-1),
    ):
        value = loss(np.eye(2), np.full((2, 2), 0.5))
        assert_type(value, float)
        assert isinstance(value, float)
    sparse = fl.SparseCategoricalCrossentropy(from_logits=True)
    value = sparse(LABELS, LOGITS)
    assert_type(value, float)
    assert isinstance(value, float)


def test_a_loss_that_does_not_reduce_returns_an_array() -> None:
    for loss in (
        fl.BinaryCrossentropy(reduction=None),
        fl.CategoricalCrossentropy(True, 0.1, -1, None),
        fl.Poisson("none"),
        fl.KLDivergence(reduction="none", axis=-1),
    ):
        losses = loss(np.eye(2), np.full((2, 2), 0.5))
        assert_type(losses, FloatArray)
        assert isinstance(losses, np.ndarray)
    sparse = fl.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    losses = sparse(LABELS, LOGITS)
    assert_type(losses, FloatArray)
    assert isinstance(losses, np.ndarray)


def test_gradients_are_arrays() -> None:
    mean, rows = fl.Poisson(log_input=True), fl.Poisson(log_input=True, reduction=None)
    value, grad = mean.value_and_grad(LOGITS, LOGITS)
    assert_type(value, float)
    assert_type(grad, FloatArray)
    assert isinstance(value, float)
    assert isinstance(grad, np.ndarray)
    losses, grad, hessian = rows.value_grad_and_hessian(LOGITS, LOGITS)
    assert_type(losses, FloatArray)
    assert_type(hessian, FloatArray)
    assert isinstance(losses, np.ndarray)
    assert isinstance(hessian, np.ndarray)
    assert_type(mean.hessian_vector_product(LOGITS, LOGITS, grad), FloatArray)


def test_functions_return_arrays() -> None:
    rows = fl.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    assert_type(rows, FloatArray)
    assert isinstance(rows, np.ndarray)
    assert_type(fl.softmax(LOGITS), FloatArray)
    assert_type(fl.logsumexp(LOGITS), FloatArray)
    assert isinstance(fl.logsumexp(LOGITS), np.ndarray)


def test_transforms_reduce_as_they_are_told() -> None:
    both = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    losses, grad = both(LABELS, LOGITS, from_logits=True)
    assert_type(losses, FloatArray)
    assert_type(grad, FloatArray)
    assert isinstance(losses, np.ndarray)
    assert isinstance(grad, np.ndarray)
    value, _ = both(LABELS, LOGITS, from_logits=True, reduction="sum")
    assert_type(value, float)
    assert isinstance(value, float)
    third = fl.value_grad_and_hessian(fl.poisson)
    value, grad, hessian = third(LOGITS, LOGITS, log_input=True, reduction="mean")
    assert_type(value, float)
    assert_type(hessian, FloatArray)
    assert isinstance(value, float)
    assert isinstance(hessian, np.ndarray)


def test_the_linear_layer() -> None:
    value, gradients = fl.LinearCrossentropy().value_and_grad(LABELS, LOGITS, np.eye(2))
    assert_type(value, float)
    assert_type(gradients, fl.LinearGradients)
    assert isinstance(value, float)
    losses = fl.LinearCrossentropy(reduction=None)(LABELS, LOGITS, np.eye(2))
    assert_type(losses, FloatArray)
    assert isinstance(losses, np.ndarray)
    both = fl.value_and_grad(fl.linear_crossentropy)
    value, gradients = both(LABELS, LOGITS, np.eye(2), reduction="sum")
    assert_type(value, float)
    assert_type(gradients, fl.LinearGradients)
    assert isinstance(gradients, fl.LinearGradients)


def of_any_loss(loss: fl.Loss[Reduction]) -> fl.Loss[Reduction]:
    """Return a loss of the same type: code that takes any loss keeps what it knows."""
    again: fl.Loss[Reduction] = pickle.loads(pickle.dumps(loss))
    return again


def test_annotations() -> None:
    mean: fl.Loss = of_any_loss(fl.Poisson())
    rows: fl.Loss[Unreduced] = of_any_loss(fl.Poisson(reduction=None))
    assert_type(mean([1.0], [2.0]), float)
    assert_type(rows([[1.0]], [[2.0]]), FloatArray)
    kinds: tuple[Reduced, Unreduced, DTypeName] = ("sum", "none", "float32")
    assert fl.Poisson(kinds[0], dtype=kinds[2]).reduction == "sum"
    assert fl.Poisson(kinds[1]).reduction == "none"
    from_a_name: Any = fl.get("Poisson")
    assert from_a_name == fl.Poisson()


def test_names_that_are_wrong_are_found() -> None:
    with pytest.raises(ValueError, match="reduction must be"):
        fl.Poisson("average")  # type: ignore[type-var]
    with pytest.raises(ValueError, match="dtype must be"):
        fl.Poisson(dtype="float8")  # type: ignore[arg-type]
    both = fl.value_and_grad(fl.poisson)
    with pytest.raises(ValueError, match="reduction must be"):
        both([1.0], [1.0], reduction="average")  # type: ignore[call-overload]
    mean = fl.Poisson()
    with pytest.raises(TypeError, match="y_true must"):
        mean(object(), [1.0])  # type: ignore[arg-type]
