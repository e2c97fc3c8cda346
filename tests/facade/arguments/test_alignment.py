"""Weights and masks of rows and of elements: which losses there are, and what each of them counts.

References are written from the formulas, element by element, in float64.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastloss as fl
from fastloss.arguments.alignment import align
from fastloss.arguments.layout import layout_for

RNG = np.random.default_rng(14)
LOGITS = RNG.normal(0, 3, (6, 5))
TARGETS = RNG.random((6, 5))
WEIGHTS = RNG.random((6, 5)) * 2
KNOWN = RNG.random((6, 5)) < 0.6
POSITIVE = np.array([1.0, 4.0, 9.0, 0.0, 0.5])
REDUCTIONS = [None, "sum", "mean", "mean_with_sample_weight"]


def binary(t, x, w=1.0):
    """Return each element's loss and slope."""
    softplus = np.logaddexp
    loss = w * t * softplus(0, -x) + (1 - t) * softplus(0, x)
    return loss, (1 - t) / (1 + np.exp(-x)) - w * t / (1 + np.exp(x))


def poisson(t, x):
    return x - t * np.log(x + 1e-7), 1 - t / (x + 1e-7)


def reduced(loss, slope, weight, known, reduction):
    """Return value and gradient of the weighted, masked losses of elements."""
    weight, known = np.broadcast_to(weight, loss.shape), np.broadcast_to(known, loss.shape)
    factor = np.where(known, weight, 0.0)
    divisor = {None: 1.0, "sum": 1.0, "mean": known.sum()}.get(reduction, factor.sum())
    value = factor * loss
    return (value if reduction is None else value.sum() / divisor), factor * slope / divisor


def check(loss, y_true, y_pred, expected, **weights):
    value, grad = loss.value_and_grad(y_true, y_pred, **weights)
    np.testing.assert_allclose(value, expected[0], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(grad, expected[1], rtol=1e-13, atol=1e-15)
    assert np.array_equal(loss(y_true, y_pred, **weights), value)


def of_rows(losses):
    """Return the alignment with losses of a shape, each that of a row of 7 classes."""
    return align(layout_for((*losses, 7), -1), elementwise=False)


@pytest.mark.parametrize(
    ("array", "losses", "expected"),
    [
        ((), (4,), ()),
        ((), (), ()),
        ((1,), (), ()),
        ((1,), (4,), (1,)),
        ((4,), (4,), (4,)),
        ((4, 1), (4,), (4,)),
        ((2, 3), (2, 3), (2, 3)),
        ((2, 3, 1), (2, 3), (2, 3)),
        ((2,), (2, 3), (2, 1)),
        ((3,), (2, 3), (1, 3)),
        ((3,), (3, 3), (3, 1)),
        ((2, 1), (2, 3), (2, 1)),
        ((1, 3), (2, 3), (1, 3)),
        ((2, 3), (2, 3, 4), (2, 3, 1)),
        ((3, 4), (2, 3, 4), (1, 3, 4)),
        ((2,), (2, 3, 2), (2, 1, 1)),
        ((2, 1, 1), (2, 3), (2, 1)),
    ],
)
def test_align_matches_from_the_left_then_from_the_right(array, losses, expected):
    values = np.arange(1.0, 1 + np.prod(array, dtype=int)).reshape(array)
    aligned = of_rows(losses).broadcast("sample_weight", values)
    np.testing.assert_array_equal(aligned, np.broadcast_to(values.reshape(expected), losses))


@pytest.mark.parametrize(
    ("array", "losses"),
    [
        ((3,), (4,)),
        ((2,), (4,)),
        ((4, 2), (4,)),
        ((3, 1), (4,)),
        ((1, 4), (4,)),
        ((2, 2, 1), (4,)),
        ((2, 3, 2), (2, 3)),
        ((4,), (1,)),
        ((2,), (1, 1)),
        ((0,), (4,)),
    ],
)
def test_align_never_enlarges_the_losses(array, losses):
    with pytest.raises(ValueError, match="mask must fit the shape of the losses"):
        of_rows(losses).broadcast("mask", np.ones(array))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(30,), (6, 5), (5, 6), (3, 2, 5)], ids=str)
class TestElements:
    """A weight or mask of y_pred's own shape makes each element a loss."""

    def test_weights(self, shape, reduction):
        x, t, w = LOGITS.reshape(shape), TARGETS.reshape(shape), WEIGHTS.reshape(shape)
        loss = fl.BinaryCrossentropy(from_logits=True, reduction=reduction)
        check(loss, t, x, reduced(*binary(t, x), w, True, reduction), sample_weight=w)

    def test_mask_leaves_unknown_labels_out(self, shape, reduction):
        x, known = LOGITS.reshape(shape), KNOWN.reshape(shape)
        t = np.where(known, TARGETS.reshape(shape), np.nan)
        loss = fl.BinaryCrossentropy(from_logits=True, reduction=reduction)
        with np.errstate(invalid="ignore"):
            of_elements = binary(np.where(known, t, 0), x)
        check(loss, t, x, reduced(*of_elements, 1.0, known, reduction), mask=known)

    def test_poisson(self, shape, reduction):
        x, t = np.exp(LOGITS).reshape(shape), np.round(3 * TARGETS).reshape(shape)
        w, known = WEIGHTS.reshape(shape), KNOWN.reshape(shape)
        expected = reduced(*poisson(t, x), w, known, reduction)
        check(fl.Poisson(reduction=reduction), t, x, expected, sample_weight=w, mask=known)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_coarser_of_two_kinds_is_broadcast(reduction):
    of_rows = WEIGHTS[:, 0]
    loss = fl.BinaryCrossentropy(from_logits=True, reduction=reduction)
    expected = reduced(*binary(TARGETS, LOGITS), of_rows[:, None], KNOWN, reduction)
    check(loss, TARGETS, LOGITS, expected, sample_weight=of_rows, mask=KNOWN)
    rows = KNOWN[:, 1]
    expected = reduced(*binary(TARGETS, LOGITS), WEIGHTS, rows[:, None], reduction)
    check(loss, TARGETS, LOGITS, expected, sample_weight=WEIGHTS, mask=rows)
    check(loss, TARGETS, LOGITS, expected, sample_weight=WEIGHTS, mask=rows[:, None])


@pytest.mark.parametrize("axis", [-1, 0, (0, 1), None], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_pos_weight_belongs_to_the_axes_averaged_without_the_mask(axis, order):
    x, t, known = (np.array(a, order=order) for a in (LOGITS, TARGETS, KNOWN))
    positive = {-1: POSITIVE, 0: np.arange(6.0)}.get(axis, WEIGHTS)
    loss = fl.BinaryCrossentropy(from_logits=True, axis=axis, pos_weight=positive)
    w = positive[:, None] if axis == 0 else positive
    expected = reduced(*binary(t, x, w), 1.0, known, "mean")
    check(loss, t, x, expected, mask=known)


@pytest.mark.parametrize("classes", [1, 3, 512, 5000, 9001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pos_weight_of_many_labels_in_every_layout(classes, dtype):
    rng = np.random.default_rng(classes)
    rows = 20_000 // classes
    x, t = rng.normal(size=(2, rows, classes)).astype(dtype)
    known, w = rng.random(x.shape) < 0.7, rng.random(classes) * 3
    expected = np.where(known, binary(t.astype(np.float64), x.astype(np.float64), w)[0], 0.0)
    loss = fl.BinaryCrossentropy(from_logits=True, reduction=None, pos_weight=w)
    if classes == 1:
        known, expected = known[:, 0], expected[:, 0]
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(loss(t, x, mask=known), expected, **tolerance)
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    turned = np.asfortranarray(x)
    for same in (wide, turned):
        np.testing.assert_array_equal(loss(t, same, mask=known), loss(t, x, mask=known))


def test_one_element_a_row_keeps_the_shape_of_the_losses():
    x, t, w = LOGITS[:, :1], TARGETS[:, :1], WEIGHTS[:, :1]
    loss = fl.BinaryCrossentropy(from_logits=True, reduction=None)
    assert loss(t, x, sample_weight=w).shape == (6,)
    assert loss(t[:, 0], x[:, 0], sample_weight=w[:, 0]).shape == (6,)
    assert loss(t[:1, 0], x[:1, 0], sample_weight=w[:1, 0]).shape == (1,)
    assert loss(t[:, 0], x[:, 0], sample_weight=w).shape == (6,)
    assert loss(t[:, 0], x[:, 0]).shape == ()  # one mean, as in Keras


def test_a_weighted_log_loss():
    """scikit-learn's ``log_loss(y, p, sample_weight=w)``, by its formula."""
    y, p, w = np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.5, 0.3]), np.array([1.0, 2, 0, 0.5])
    loss = fl.BinaryCrossentropy(reduction="mean_with_sample_weight")
    expected = -np.average(y * np.log(p) + (1 - y) * np.log(1 - p), weights=w)
    np.testing.assert_allclose(loss(y, p, sample_weight=w), expected, rtol=1e-15)


def test_nothing_is_left_of_masked_elements_and_those_of_weight_0():
    x, t = np.array([1.0, np.nan, np.inf, 2.0]), np.array([1.0, 0, np.nan, 0])
    kept = np.array([True, False, False, True])
    loss = fl.BinaryCrossentropy(from_logits=True, reduction="sum")
    for weights in ({"mask": kept}, {"sample_weight": kept.astype(float)}):
        value, grad = loss.value_and_grad(t, x, **weights)
        np.testing.assert_allclose(value, np.log1p(np.exp(-1.0)) + np.log1p(np.exp(2.0)))
        assert grad[1] == grad[2] == 0


@pytest.mark.parametrize(
    "loss",
    [
        fl.SparseCategoricalCrossentropy(from_logits=True, axis=1, reduction=None),
        fl.CategoricalCrossentropy(from_logits=True, axis=1, reduction=None),
        fl.BinaryCrossentropy(from_logits=True, axis=1, reduction=None),
        fl.KLDivergence(axis=1, reduction=None),
        fl.Poisson(axis=1, reduction=None),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_length_1_on_the_axis_of_the_classes(loss):
    x = RNG.random((2, 3, 4, 5))
    t = RNG.integers(0, 3, (2, 4, 5)) if loss._spec.by_label else RNG.random(x.shape)
    w, mask = RNG.random((2, 4, 5)), RNG.random((2, 4, 5)) < 0.5
    expected = loss(t, x, sample_weight=w, mask=mask)
    found = loss(t, x, sample_weight=w[:, None], mask=mask[:, None])
    np.testing.assert_array_equal(found, expected)
    one_for_each_column = loss(t, x, sample_weight=w[:1, None, :1])
    np.testing.assert_array_equal(one_for_each_column, loss(t, x, sample_weight=w[:1, :1]))


@pytest.mark.parametrize("name", ["sample_weight", "mask"])
class TestErrors:
    def test_one_loss_a_row_has_no_weights_of_classes(self, name):
        for loss in (fl.CategoricalCrossentropy(), fl.KLDivergence()):
            message = rf"{name} .*class_weight, of shape \(5,\).*elements of \(6, 5\)"
            with pytest.raises(ValueError, match=message):
                loss(TARGETS, TARGETS, **{name: KNOWN})

    def test_shapes_that_would_fit_are_named(self, name):
        with pytest.raises(
            ValueError, match=r"\(6,\), .*each element, \(6, 5\), got shape \(4,\)$"
        ):
            fl.BinaryCrossentropy()(TARGETS, TARGETS, **{name: np.ones(4)})
        with pytest.raises(
            ValueError, match=r"the losses, \(\), .*each element, \(5,\), got shape \(4,\)$"
        ):
            fl.Poisson()(TARGETS[0], TARGETS[0], **{name: np.ones(4)})
        with pytest.raises(
            ValueError, match=r"the losses, \(6,\), .*broadcasting, got shape \(3, 5\)$"
        ):
            fl.KLDivergence()(TARGETS, TARGETS, **{name: np.ones((3, 5))})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_elements_are_rows_of_one_element(data):
    """With weights of elements a loss gives what it gives elements that are rows, bit for bit."""
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    x, t = rng.normal(0, 5, (2, *shape)).astype(dtype)
    w, mask = rng.random(shape), rng.random(shape) < 0.7
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    loss = fl.BinaryCrossentropy(from_logits=True, reduction=reduction)
    value, grad = loss.value_and_grad(t, x, sample_weight=w, mask=mask)
    column = (-1, 1)
    rows, slopes = loss.value_and_grad(
        t.reshape(column), x.reshape(column), w.reshape(-1), mask.reshape(-1)
    )
    np.testing.assert_array_equal(np.ravel(value), np.ravel(rows))
    np.testing.assert_array_equal(grad, slopes.reshape(shape))
