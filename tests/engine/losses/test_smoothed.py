"""Smoothed labels: as the dense losses of one-hot rows, bit for bit, and as the formula.

The dense losses are held to mpmath elsewhere; what is tested here is that labels stand for rows.
"""

import fastloss_kernels as fk
import numpy as np
import pytest
from fastloss_kernels import tuning
from numba import njit

ONE, ALL = np.ones(1), np.ones(1, bool)
PAIRS = {
    "logits": (fk.softmax_crossentropy_smoothed, fk.softmax_crossentropy_dense, ()),
    "probabilities": (
        fk.probability_crossentropy_smoothed,
        fk.probability_crossentropy_dense,
        (1e-7,),
    ),
}
every_pair = pytest.mark.parametrize("name", PAIRS)
# Short rows, blocks of rows, rows of several pieces, class-major rows, one class.
SHAPES = [(300, 3, 1), (70, 133, 1), (3, 2 * tuning.BLOCK + 5, 1), (2, 40, 100), (5, 1, 1)]


def draw(name, shape, dtype):
    rng = np.random.default_rng(shape[1])
    x = rng.normal(0, 3, shape)
    x[0] *= 20  # confident rows
    n = shape[0] * shape[2]
    x = (x if name == "logits" else np.exp(x / 9)).astype(dtype)
    labels, scale = rng.integers(0, shape[1], n), rng.choice([1.0, -2.5, 0.125], n)
    return x, labels, scale, rng.random(n) < 0.9, (rng.random(shape[1]) * 3).astype(dtype)


def one_hot(labels, shape, dtype):
    outer, classes, inner = shape
    rows = (labels[:, None] == np.arange(classes)).astype(dtype)
    return rows.reshape(outer, inner, classes).transpose(0, 2, 1)


@every_pair
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_labels_are_one_hot_rows(name, dtype, shape, smoothing, weighted):
    smoothed, dense, bounds = PAIRS[name]
    x, labels, scale, keep, weights = draw(name, shape, dtype)
    weights = weights if weighted else weights[:0]
    found = np.full(labels.size, 7, dtype), np.full_like(x, 7)
    rest = (weights, smoothing, *bounds, scale, keep)
    assert fk.run(smoothed, x, labels, *rest, *found) == -1
    expected = np.full(labels.size, 7, dtype), np.full_like(x, 7)
    fk.run(dense, np.ascontiguousarray(x), one_hot(labels, shape, dtype), *rest, *expected)
    np.testing.assert_array_equal(found[0], expected[0])
    if shape[2] == 1 or name == "probabilities":
        np.testing.assert_array_equal(found[1], expected[1])
    else:  # the dense loss of class-major rows has a tile function of its own
        tolerance = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(found[1], expected[1], rtol=tolerance, atol=tolerance)
    alone = np.empty_like(found[0])
    fk.run(smoothed, x, labels, *rest, alone, None)
    np.testing.assert_array_equal(alone, found[0])
    inside = x.copy()
    fk.run(smoothed, inside, labels, *rest, alone, inside)
    np.testing.assert_array_equal(inside, found[1])


@pytest.mark.parametrize("smoothing", [1e-3, 0.3, 1.0])
def test_a_hundred_thousand_classes(smoothing):
    rng = np.random.default_rng(5)
    x, labels = rng.normal(0, 3, (3, 100_000, 1)).astype(np.float32), np.array([0, 99_999, 5_000])
    loss = np.empty(3, np.float32)
    fk.run(PAIRS["logits"][0], x, labels, x[0, :0, 0], smoothing, ONE, ALL, loss, None)
    wide = x[:, :, 0].astype(np.float64)
    log_p = wide - np.log(np.exp(wide).sum(1, keepdims=True))
    expected = -(1 - smoothing) * log_p[np.arange(3), labels] - smoothing * log_p.mean(1)
    np.testing.assert_allclose(loss, expected, rtol=4 * np.finfo(np.float32).eps)


@every_pair
@pytest.mark.parametrize("stray", [-1, 3, 2**40])
def test_a_stray_label_is_found_before_anything_is_written(name, stray):
    smoothed, _, bounds = PAIRS[name]
    x, labels = np.ones((40, 3, 1), np.float32), np.zeros(40, np.int64)
    labels[[0, 17, 30]] = stray
    keep = np.ones(40, bool)
    keep[0] = False
    loss, grad = np.full(40, 7, np.float32), np.full_like(x, 7)
    assert fk.run(smoothed, x, labels, x[0, :0, 0], 0.1, *bounds, ONE, keep, loss, grad) == 17
    assert (loss == 7).all()
    assert (grad == 7).all()


def test_a_loop_of_the_users():
    kernel = fk.softmax_crossentropy_smoothed
    x, labels, scale, keep, weights = draw("logits", (70, 133, 1), np.float32)
    expected, slopes = np.empty(70, np.float32), np.empty_like(x)
    fk.run(kernel, x, labels, weights, 0.1, scale, keep, expected, slopes)

    @njit
    def own(x, labels, weights, scale, keep, loss, grad):
        return kernel(x, labels, weights, 0.1, scale, keep, loss, grad, 1)

    loss, grad = np.empty_like(expected), np.empty_like(x)
    assert own(x, labels.astype(np.int32), weights, scale, keep, loss, grad) == -1
    np.testing.assert_array_equal(loss, expected)
    np.testing.assert_array_equal(grad, slopes)
