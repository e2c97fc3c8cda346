"""Every stored case, value and gradient, to its own tolerance, by every way there is to ask."""

import ml_dtypes
import numpy as np
import pytest
from golden_data import FUNCTIONS, array, load

import fastloss as fl

CASES = load("golden.json")
every_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])


def call(case, y_pred=None, **more):
    """Return the value alone or, when anything more is asked for, the value and its gradient."""
    y_true = array(case["y_true"])
    y_pred = array(case["y_pred"]) if y_pred is None else y_pred
    if case["kind"] == "function":
        function = FUNCTIONS[case["loss"]]
        function = fl.value_and_grad(function) if more else function
        return function(y_true, y_pred, **case["kwargs"], **more)
    loss = getattr(fl, case["loss"])(**case["kwargs"])
    method = loss.value_and_grad if more else loss
    weights = {"sample_weight": array(case["sample_weight"]), "mask": array(case["mask"])}
    return method(y_true, y_pred, **weights, **more)


def check(case, name, computed):
    """Compare with what is stored, where a value exists at all."""
    expected = array(case[name])
    assert np.shape(computed) == expected.shape
    np.testing.assert_allclose(
        np.asarray(computed, np.float64), expected, rtol=case["rtol"], atol=case["atol"]
    )


def output_dtype(case):
    half = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}.get(case["kwargs"].get("dtype"))
    return half or case["y_pred"]["dtype"]


def is_reduced(case):
    """Return whether the value is reduced and no dtype was asked for: then it is a float64."""
    reduction = case["kwargs"].get("reduction", "mean")
    asked = case["kwargs"].get("dtype")
    return case["kind"] == "class" and reduction not in (None, "none") and asked is None


def test_all_cases_are_there():
    assert len(CASES) == 656
    assert len({case["id"] for case in CASES}) == 656


@every_case
def test_value(case):
    value = call(case)
    # where Keras has no number the case may hold the mathematical one; else NaN is our answer too
    check(case, "math_value" if "math_value" in case else "expected", value)
    assert value.dtype == (np.float64 if is_reduced(case) else output_dtype(case))


@every_case
def test_gradient_and_the_same_value_beside_it(case):
    value, gradient = call(case, upstream=None)
    assert value.tobytes() == call(case).tobytes()
    assert gradient.dtype == output_dtype(case)
    assert gradient.shape == tuple(case["y_pred"]["shape"])
    if not case["undefined_grad"]:
        check(case, "expected_grad", gradient)


@every_case
def test_gradient_into_out_and_over_the_predictions(case):
    value, gradient = call(case, upstream=None)
    y_pred = array(case["y_pred"])
    out = np.full_like(y_pred, 7)
    value_out, returned = call(case, y_pred, out=out)
    assert returned is out
    np.testing.assert_array_equal(y_pred, array(case["y_pred"]))
    value_in_place, returned = call(case, y_pred, out=y_pred)
    assert returned is y_pred
    assert value_out.tobytes() == value_in_place.tobytes() == value.tobytes()
    assert out.astype(gradient.dtype).tobytes() == gradient.tobytes()
    assert y_pred.tobytes() == out.tobytes()
