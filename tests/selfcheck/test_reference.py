"""The plain float64 forms agree with every stored case of the functions, and with the truth."""

import numpy as np
import pytest
from golden_data import array, load

from benchmarks.accuracy import truth
from benchmarks.cases import CASES as TABLE
from fastloss.selfcheck import reference

FUNCTIONS = {
    "BinaryCrossentropy": reference.binary_crossentropy,
    "CategoricalCrossentropy": reference.categorical_crossentropy,
    "SparseCategoricalCrossentropy": reference.sparse_categorical_crossentropy,
    "Poisson": reference.poisson,
    "KLDivergence": reference.kl_divergence,
}
CASES = [case for case in load("golden.json") if case["kind"] == "function"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_plain_form_agrees_with_the_stored_case(case):
    value, gradient = FUNCTIONS[case["loss"]](
        array(case["y_true"]), array(case["y_pred"]), **case["kwargs"], working=case["floatx"]
    )
    near = {"rtol": case["rtol"], "atol": case["atol"]}
    expected = case.get("math_value", case["expected"])
    np.testing.assert_allclose(value, array(expected), **near)
    if not case["undefined_grad"]:
        np.testing.assert_allclose(gradient, array(case["expected_grad"]), **near)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_plain_form_is_close_to_the_truth(case, dtype):
    y_true, y_pred = case.data(12, 9, dtype)
    right = truth.of_case(case, y_true, y_pred)
    # x - max(x) is rounded, which for logits of 40 moves the others by some tens of last places
    of_values, of_gradient = truth.errors(*case.plain(y_true, y_pred), right)
    assert of_values < 50
    assert of_gradient < 50


def test_per_class_weights_need_one_axis():
    with pytest.raises(ValueError, match="single integer axis"):
        reference.binary_crossentropy([[1.0]], [[0.5]], axis=None, pos_weight=[2.0])
