"""Class weights and pos_weight against torch, and ONNX' own cases of softmax crossentropy."""

import numpy as np
import pytest
from golden_data import array, load

import fastloss as fl
from fastloss.selfcheck import reference

TORCH = load("torch_weights.json")
ONNX = load("onnx.json")
torch_cases = pytest.mark.parametrize("case", TORCH, ids=[case["id"] for case in TORCH])
onnx_cases = pytest.mark.parametrize("case", ONNX, ids=[case["id"] for case in ONNX])


@torch_cases
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 5e-6)])
def test_weights_give_what_torch_gives(case, dtype, rtol):
    y_true, y_pred = array(case["y_true"]), array(case["y_pred"]).astype(dtype)
    function = fl.value_and_grad(getattr(fl, case["function"]))
    options = {"from_logits": True, **case["options"]}
    value, gradient = function(y_true, y_pred, **options, reduction=case["reduction"])
    near = {"rtol": rtol, "atol": rtol / 10}
    np.testing.assert_allclose(value, array(case["expected"]), **near)
    np.testing.assert_allclose(gradient, array(case["expected_grad"]), **near)


@pytest.mark.parametrize(
    "case", [c for c in TORCH if c["reduction"] is None], ids=lambda case: case["id"]
)
def test_the_plain_forms_give_what_torch_gives(case):
    function = getattr(reference, case["function"])
    y_true, y_pred = array(case["y_true"]), array(case["y_pred"])
    rows, gradient = function(y_true, y_pred, from_logits=True, **case["options"])
    np.testing.assert_allclose(rows, array(case["expected"]), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(gradient, array(case["expected_grad"]), rtol=1e-12, atol=1e-15)


def onnx_data(case):
    """Return labels and scores as ONNX draws them."""
    scores = np.random.RandomState(0).rand(*case["shape"]).astype(np.float32)
    labels = np.array(case["labels"]).reshape(scores.shape[:1] + scores.shape[2:])
    return labels, scores


REDUCTIONS = {"none": None, "sum": "sum", "mean": "mean_with_sample_weight"}


def onnx_options(case):
    """Return the options of our function for the attributes of the node."""
    options = {"from_logits": True, "axis": 1, "ignore_class": case["ignore_index"]}
    return options, REDUCTIONS[case["reduction"]]


@onnx_cases
def test_onnx_losses_with_class_weights(case):
    labels, scores = onnx_data(case)
    options, reduction = onnx_options(case)
    value, _ = fl.value_and_grad(fl.sparse_categorical_crossentropy)(
        labels, scores, **options, class_weight=case["class_weight"], reduction=reduction
    )
    assert np.size(value) == len(case["expected"])
    np.testing.assert_allclose(np.ravel(value), case["expected"], rtol=1e-5, atol=1e-7)


@onnx_cases
def test_onnx_losses_with_a_weight_for_each_row(case):
    labels, scores = onnx_data(case)
    options, reduction = onnx_options(case)
    weight = None
    if case["class_weight"]:
        inside = (labels >= 0) & (labels < scores.shape[1])
        weight = np.array(case["class_weight"])[np.where(inside, labels, 0)]
    loss = fl.SparseCategoricalCrossentropy(**options, reduction=reduction)
    value = loss(labels, scores, sample_weight=weight)
    np.testing.assert_allclose(np.ravel(value), case["expected"], rtol=1e-5, atol=1e-7)
