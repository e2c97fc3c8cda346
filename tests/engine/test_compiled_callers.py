"""Kernels called from users' own compiled code: any layout, integer labels, nothing recompiled."""

import os

import fastloss_kernels as fk
import numba
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="about calls from compiled code"
)
ONE, EVERY = np.ones(1), np.ones(1, bool)


@numba.njit
def labelled(x, labels, loss, grad):
    return fk.softmax_crossentropy_sparse(
        x, labels, np.ones(1), np.ones(1, np.bool_), loss, grad, 1
    )


@pytest.fixture(scope="module")
def expected():
    x = np.random.default_rng(0).standard_normal((6, 4, 5)).astype(np.float32)
    labels = np.arange(30) % 4
    loss, grad = np.empty(30, np.float32), np.empty_like(x)
    assert fk.run(fk.softmax_crossentropy_sparse, x, labels, ONE, EVERY, loss, grad) == -1
    return x, labels, loss, grad


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "uint64"])
def test_labels_of_any_integer_dtype(expected, dtype):
    x, labels, right, right_grad = expected
    loss, grad = np.empty(30, np.float32), np.empty_like(x)
    assert labelled(x, labels.astype(dtype), loss, grad) == -1
    np.testing.assert_array_equal(loss, right)
    np.testing.assert_array_equal(grad, right_grad)
    assert labelled(x, np.full(30, 4, dtype), loss, grad) == 0


@pytest.mark.parametrize("order", ["C", "F", "strided", "read-only"])
def test_predictions_of_any_layout(expected, order):
    x, labels, right, right_grad = expected
    given = {
        "C": x,
        "F": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=1)[:, ::2],
        "read-only": x.copy(),
    }[order]
    given.flags.writeable = order != "read-only"
    loss, grad = np.empty(30, np.float32), np.empty_like(x)
    assert labelled(given, labels, loss, grad) == -1
    np.testing.assert_array_equal(loss, right)
    np.testing.assert_array_equal(grad, right_grad)
    assert labelled(given, labels, loss, None) == -1
    np.testing.assert_array_equal(loss, right)


X, LABELS, LOSS = np.zeros((2, 3, 1), np.float32), np.zeros(2, np.int64), np.empty(2, np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[..., 0], LABELS, LOSS, None), "x must be an array of 3 axes"),
        ((X.astype(np.int64), LABELS, LOSS, None), "x must be .* got array.int64"),
        ((X, LABELS.astype(np.float32), LOSS, None), "labels must be .* got array.float32"),
        ((X, LABELS, LOSS.astype(np.float64), None), "loss must be .* dtype float32, got"),
        ((X, LABELS, LOSS, X.astype(np.float64)), "grad must be .* got array.float64"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(TypeError, match=message):
        labelled(*arguments)
