"""Every stored call that must raise: the right exception, and a message that says what came."""

import builtins
import inspect
import re

import numpy as np
import pytest
from golden_data import FUNCTIONS, array, load

import fastloss as fl
from fastloss.identifiers import CLASSES

CASES = load("errors.json")
every_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])


def trigger(case):
    if case["kind"] == "function":
        FUNCTIONS[case["loss"]](array(case["y_true"]), array(case["y_pred"]), **case["kwargs"])
        return
    loss = getattr(fl, case["loss"])(**case["kwargs"])
    if case["where"] == "call":
        weight = array(case["sample_weight"])
        loss(array(case["y_true"]), array(case["y_pred"]), sample_weight=weight)


def offenders(case):
    """Return what the message should speak of: any of these words will do."""
    if case["note"] == "labels must be whole numbers":
        return [str(array(case["y_true"])[0])]
    if case["note"] == "label out of range":
        return [str(array(case["y_true"])[1])]
    if case["sample_weight"] is not None:
        return [str(array(case["sample_weight"]).shape)]
    if case["kwargs"]:
        return [word for item in case["kwargs"].items() for word in (repr(item[1]), item[0])]
    return [str(array(case[name]).shape) for name in ("y_true", "y_pred")]


def test_all_cases_are_there():
    assert len(CASES) == 65


@every_case
def test_the_call_raises_and_says_what_came(case):
    with pytest.raises(getattr(builtins, case["expected_exception"])) as caught:
        trigger(case)
    message = str(caught.value)
    assert any(word in message for word in offenders(case)), message


@every_case
def test_a_bad_constructor_argument_is_found_before_the_first_call(case):
    if case["where"] == "constructor":
        with pytest.raises(getattr(builtins, case["expected_exception"])):
            getattr(fl, case["loss"])(**case["kwargs"])
    elif case["kind"] == "class":
        assert getattr(fl, case["loss"])(**case["kwargs"]).name


INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
STRAY = [
    (dtype, label)
    for dtype in INTEGERS
    for label in (-7, 3, 10**11, 2**63)
    if np.iinfo(dtype).min <= label <= np.iinfo(dtype).max
] + [(np.float32, -7), (np.float64, 3), (np.float64, 10**11), (np.float64, 2**63)]


@pytest.mark.parametrize(("dtype", "label"), STRAY)
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_stray_label_is_named_and_nothing_is_written(dtype, label, from_logits, in_place):
    y_true = np.array([0, 2, label, 1, label], dtype)
    y_pred = np.linspace(0.1, 0.9, 15, dtype=np.float32).reshape(5, 3)
    out = y_pred if in_place else np.full_like(y_pred, 7)
    before = out.copy()
    sparse = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    with pytest.raises(ValueError, match="y_true") as caught:
        sparse(y_true, y_pred, from_logits=from_logits, out=out)
    for word in ("row 2", f"got {label} ", "3 classes"):
        assert word in str(caught.value)
    np.testing.assert_array_equal(out, before)


@pytest.mark.parametrize("label", [np.nan, np.inf, -np.inf])
def test_a_label_that_is_no_number_raises(label):
    with pytest.raises(ValueError, match=f"{label}"):
        fl.sparse_categorical_crossentropy(np.array([0.0, label]), np.ones((2, 3)))


SWAPPED = "are they swapped?"


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "axis"),
    [
        (fl.sparse_categorical_crossentropy, (4, 3), (4,), -1),
        (fl.sparse_categorical_crossentropy, (4, 3), (4, 1), -1),
        (fl.sparse_categorical_crossentropy, (2, 3, 5), (2, 5), 1),
        (fl.sparse_categorical_crossentropy, (2, 5, 3), (2, 5), -1),
        (fl.SparseCategoricalCrossentropy(), (4, 3), (4,), -1),
        (fl.poisson, (4, 3), (4, 1), -1),
        (fl.kl_divergence, (4, 3), (3,), -1),
    ],
)
def test_shapes_that_fit_the_other_way_round_are_said_to_be_swapped(loss, y_true, y_pred, axis):
    options = {} if isinstance(loss, fl.Loss) else {"axis": axis}
    with pytest.raises(ValueError, match=re.escape(SWAPPED)):
        loss(np.zeros(y_true), np.ones(y_pred, int), **options)


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred"),
    [
        (fl.sparse_categorical_crossentropy, (3,), (4, 3)),
        (fl.sparse_categorical_crossentropy, (4, 1), (4,)),
        (fl.sparse_categorical_crossentropy, (4, 3), (4, 3)),
        (fl.binary_crossentropy, (4, 3), (4, 1)),
        (fl.poisson, (4, 3), (3, 4)),
        (fl.poisson, (5, 3), (4, 3)),
    ],
)
def test_other_shapes_are_not(loss, y_true, y_pred):
    with pytest.raises(ValueError, match="must have the same shape") as caught:
        loss(np.zeros(y_true), np.ones(y_pred))
    assert SWAPPED not in str(caught.value)


@pytest.mark.parametrize("loss", [fl.categorical_crossentropy, fl.CategoricalCrossentropy()])
@pytest.mark.parametrize("labels", [(4,), (4, 1)])
def test_labels_of_a_dense_loss_are_sent_to_the_sparse_one(loss, labels):
    with pytest.raises(ValueError, match=r"class labels are for sparse_categorical_crossentropy$"):
        loss(np.zeros(labels, int), np.ones((4, 3)))


@pytest.mark.parametrize("cls", [*CLASSES.values(), fl.LinearCrossentropy])
def test_a_class_called_with_data_says_how_to_call_it(cls):
    option = next(name for name in inspect.signature(cls).parameters)
    message = (
        rf"^{option} must be .*got an array of shape \(40, 30\): data goes to a call of the loss"
    )
    with pytest.raises(ValueError, match=message):
        cls(**{option: np.zeros((40, 30))})


@pytest.mark.parametrize(
    "arguments", [(np.ones(40),), (True, np.ones(40)), (True, None, -1, np.ones(40))]
)
def test_an_array_in_place_of_an_option_is_not_printed(arguments):
    with pytest.raises(ValueError, match=r"got an array of shape \(40,\): data goes to a call"):
        fl.sparse_categorical_crossentropy(np.zeros(40), np.ones((40, 3)), *arguments)
