"""Axes before, among and after the reduced ones: as views, whatever strides allow it."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastloss as fl
from benchmarks.cases import ALL_CASES as CASES
from fastloss.arguments.arrays import FLOAT32, as_array, convert
from fastloss.arguments.layout import layout_for


@pytest.mark.parametrize(
    ("shape", "axis", "wanted", "kept"),
    [
        ((4,), -1, (1, 4, 1), ()),
        ((5, 3), -1, (5, 3, 1), (5,)),
        ((5, 3), 0, (1, 5, 3), (3,)),
        ((2, 3, 4), 1, (2, 3, 4), (2, 4)),
        ((2, 3, 4), -3, (1, 2, 12), (3, 4)),
        ((2, 3, 4, 5), (1, -2), (2, 12, 5), (2, 5)),
        ((2, 3, 4, 5), (2, 1), (2, 12, 5), (2, 5)),
        ((2, 3, 4), (0, 2), (3, 8, 1), (3,)),
        ((2, 3), None, (1, 6, 1), ()),
        ((2, 3), (), (6, 1, 1), (2, 3)),
        ((0, 3), -1, (0, 3, 1), (0,)),
    ],
)
def test_layout_names_rows_and_loss_shape(shape, axis, wanted, kept):
    layout = layout_for(shape, axis)
    assert layout.shape3 == wanted
    assert layout.loss_shape == kept
    assert layout.row_count == np.prod(kept, dtype=int)


@pytest.mark.parametrize("axis", [-1, 0, 1, (1, 2), (0, 2), (2, 0), None])
def test_rows_gather_the_elements_of_each_loss_and_restore_puts_them_back(axis):
    x = np.arange(24.0).reshape(2, 3, 4)
    layout = layout_for(x.shape, axis)
    rows = layout.rows_of(x)
    sums = rows.sum(axis=1).reshape(layout.loss_shape)
    np.testing.assert_array_equal(sums, x.sum(axis=tuple(axis) if axis == (2, 0) else axis))
    back = np.zeros((2, 3, 4), np.float16)
    layout.restore(rows, back)
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 1), None])
def test_native_contiguous_arrays_are_not_copied(axis):
    x = np.zeros((2, 3, 4), np.float32)
    x.flags.writeable = False
    view = layout_for(x.shape, axis).rows_of(convert(as_array("x", x), FLOAT32))
    assert np.shares_memory(view, x)


def test_strided_rows_are_not_copied():
    x = np.zeros((8, 6))[::2, ::-1]
    assert np.shares_memory(layout_for(x.shape, -1).rows_of(x), x)


@pytest.mark.parametrize("axis", [2, -3, (0, 2)])
def test_an_axis_that_is_not_there_is_refused(axis):
    with pytest.raises(ValueError, match=r"axis must lie in \[-2, 2\)"):
        layout_for((2, 3), axis)


def test_a_repeated_axis_is_refused():
    with pytest.raises(ValueError, match="each axis once"):
        layout_for((2, 3), (1, -1))


def test_rank_zero_is_refused():
    with pytest.raises(ValueError, match=r"at least one axis, got shape \(\)"):
        layout_for((), -1)


def views():
    """Return (name, view, axis) of arrays that are not contiguous, each of which has a layout."""
    x = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    return {
        "without the last step": (x[:, :, :-1].reshape(6, 3, 5)[:, :2], -1),
        "steps in two axes": (x[:, :, 1:, ::2], -1),
        "images with their channels last": (x.transpose(0, 2, 3, 1), -1),
        "channels last, as they lie": (x.transpose(0, 3, 1, 2), 1),
        "backwards": (x.reshape(6, 4, 5)[::-1, 1:, ::-1], -1),
        "transposed": (x.reshape(6, 20).T, -1),
        "two reduced axes": (x[:, 1:], (2, 3)),
        "one repeated": (np.broadcast_to(x[:, :1, :1], (2, 3, 4, 5)), -1),
        "axes of length 1": (x[:, None, :2, :1], -1),
    }


@pytest.mark.parametrize("name", views())
def test_a_layout_is_found_that_copies_nothing(name):
    x, axis = views()[name]
    default = layout_for(x.shape, axis)
    layout = default.with_fewest_copies(x, None, None)
    rows = layout.rows_of(x)
    assert np.shares_memory(rows, x)
    sums = np.moveaxis(rows, 1, 2).reshape(-1, rows.shape[1])
    other = np.moveaxis(default.rows_of(x), 1, 2).reshape(sums.shape)
    np.testing.assert_array_equal(sums, other)  # the same rows in the same order


@pytest.mark.parametrize("seed", range(200))
def test_is_view_says_what_numpy_does(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(map(int, rng.integers(0 if seed % 9 == 0 else 1, 4, rng.integers(1, 5))))
    strides = tuple(8 * int(rng.choice([-12, -4, -1, 0, 1, 2, 3, 4, 6, 12])) for _ in shape)
    memory = np.zeros(400)
    x = as_strided(memory[200:], shape, strides)
    axis = tuple(a for a in range(len(shape)) if rng.random() < 0.4)
    layout = layout_for(shape, axis).with_fewest_copies(x, None, None)
    rows = layout.rows_of(x)
    assert layout.is_view(x.strides) == (x.size == 0 or np.may_share_memory(rows, memory))


def test_what_is_copied_is_the_last():
    x = np.zeros((4, 6, 8))
    first, second = x[:, ::2], x.transpose(1, 0, 2)[:, :3].transpose(1, 0, 2)
    first, second = first[:3, :2], second[:, :2]
    assert layout_for((3, 2, 8), -1).with_fewest_copies(first, second, None).is_view(first.strides)
    contiguous = np.zeros((3, 2, 8))
    assert (
        layout_for((3, 2, 8), -1).with_fewest_copies(contiguous, None, first).is_view(first.strides)
    )


def test_three_groups_of_axes_are_copied():
    x = np.zeros((4, 6, 8, 2))[::2, ::2, ::2]
    layout = layout_for(x.shape, -1).with_fewest_copies(x, None, None)
    assert layout == layout_for(x.shape, -1)
    assert not np.shares_memory(layout.rows_of(x), x)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_views_give_what_their_copies_give(case):
    y, x = case.data(7 * 9 * 11, 8)
    call = fl.value_and_grad(case.function)
    cut = (slice(1, None), slice(None, -2), slice(None, None, -1))
    y, x = y.reshape(7, 9, 11, *y.shape[1:])[cut], x.reshape(7, 9, 11, 8)[cut]
    nchw = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    expected = call(y.copy(), x.copy(), **case.options)
    for view in (x, np.moveaxis(nchw, 1, -1)):
        room = np.full((7, 10, 12, 9), np.nan, np.float32)
        outs = (None, room[1:, 1:-2, :-1, :8], np.moveaxis(np.empty_like(nchw), 1, -1))
        for out in outs:
            value, gradient = call(y, view, **case.options, out=out)
            np.testing.assert_array_equal(value, expected[0])
            np.testing.assert_array_equal(gradient, expected[1])
            assert out is None or gradient is out
        assert np.isnan(room[0]).all()
        assert np.isnan(room[1:, 1:-2, :-1, 8]).all()
    inside = x.copy().transpose(1, 0, 2, 3).copy().transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(call(y, inside, **case.options, out=inside)[1], expected[1])
    np.testing.assert_array_equal(inside, expected[1])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int64"])
def test_a_new_gradient_lies_in_memory_as_the_predictions_do(kind, order):
    x = np.ones((4, 5, 6), kind).transpose(order)
    call = fl.value_and_grad(fl.binary_crossentropy)
    gradient = call(np.ones_like(x), x)[1]
    assert gradient.strides == np.empty_like(x, gradient.dtype).strides
    sliced = call(np.ones_like(x[:, 1:]), x[:, 1:])[1]
    assert sliced.strides == np.empty_like(x[:, 1:], gradient.dtype).strides
