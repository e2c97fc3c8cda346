"""Rows whose classes are one run of memory, with gaps between rows, in any order of rows."""

import fastloss_kernels as fk
import ml_dtypes
import numpy as np
import pytest
from fastloss_kernels import tuning
from fastloss_kernels.memory.layout import layout_of
from kernel_arguments import ALL, DENSE, KERNELS, ONE, arguments
from numba import njit

pytestmark = pytest.mark.usefixtures("one_thread")

# (outer, classes, inner): few classes, enough to be fetched ahead, two rows of a block or more,
# one row a block, and more than a piece.
SHAPES = [(9, 3, 40), (4, 100, 30), (3, 1000, 5), (3, tuning.BLOCK // 2 + 1, 4), (2, 9001, 3)]


def apart(x, kind):
    """Return (memory, a view of it with the values of x): rows apart from each other."""
    outer, classes, inner = x.shape
    gap = {"gap": 5, "backwards": 0, "steps": 0, "none": 0}[kind]
    memory = np.full((2 * outer, 2 * inner, classes + gap), 77, x.dtype)
    steps = {"gap": (1, 1), "backwards": (-1, -1), "steps": (2, 2), "none": (1, 1)}[kind]
    view = memory[:: steps[0], :: steps[1], :classes][:outer, :inner]
    if kind == "none":
        memory = memory[:outer, :inner].copy()
        view = memory
    view[...] = np.moveaxis(x, 1, 2)
    return memory, np.moveaxis(view, 2, 1)


def call(name, x, targets, options, grad):
    loss = np.full(x.shape[0] * x.shape[2], 7, x.dtype)
    fk.run(getattr(fk, name), x, targets, *options, ONE, ALL, loss, grad)
    return loss


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits_and_nothing_between_rows_changes(shape, name, dtype):
    x, targets, options = arguments(name, shape, dtype)
    grad = np.empty_like(x)
    loss = call(name, x, targets, options, grad)
    assert np.isfinite(grad).all()
    for kind in ("gap", "backwards", "steps", "none"):
        memory, view = apart(x, kind)
        truth = apart(targets, kind)[1] if name in DENSE else targets
        room, out = apart(np.zeros_like(x), kind)
        same = memory.copy()
        np.testing.assert_array_equal(call(name, view, truth, options, None), loss)
        np.testing.assert_array_equal(call(name, view, truth, options, out), loss)
        np.testing.assert_array_equal(out, grad)
        np.testing.assert_array_equal(memory, same)
        out[...] = 77
        assert (room == 77).all()  # nothing but `out` was written
        plain = np.empty_like(x)
        call(name, view, truth, options, plain)
        np.testing.assert_array_equal(plain, grad)
        call(name, x, targets, options, out)
        np.testing.assert_array_equal(out, grad)
        call(name, view, truth, options, view)
        np.testing.assert_array_equal(view, grad)


@pytest.mark.parametrize("kind", ["gap", "backwards", "steps"])
@pytest.mark.parametrize("classes", [999, 5003])
@pytest.mark.parametrize("name", ["softmax_crossentropy_sparse", "binary_crossentropy_logits"])
def test_large_gradients_past_the_caches(name, classes, kind):
    rows = tuning.STREAM // 4 // classes + 3
    x, targets, options = arguments(name, (rows, classes, 1), np.float32)
    grad = np.empty_like(x)
    loss = call(name, x, targets, options, grad)
    view = apart(x, kind)[1]
    room, out = apart(np.zeros_like(x), kind)
    np.testing.assert_array_equal(call(name, view, targets, options, out), loss)
    np.testing.assert_array_equal(out, grad)
    out[...] = 77
    assert (room == 77).all()


@pytest.mark.parametrize("kind", ["gap", "backwards", "steps"])
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[3], (tuning.STREAM // 2 // 5003 + 2, 5003, 1)])
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision(half, shape, kind):
    name, number = "softmax_crossentropy_sparse", np.dtype(getattr(ml_dtypes, half, half))
    wide, labels, options = arguments(name, shape, np.float32)
    bits = wide.astype(number).view(np.int16 if half == "float16" else np.uint16)
    expected = np.empty_like(wide)
    loss = call(name, bits.view(number).astype(np.float32), labels, options, expected)
    view, (room, out) = apart(bits, kind)[1], apart(np.zeros_like(bits), kind)
    losses = np.full(loss.size, 7, np.float32)
    fk.run(getattr(fk, name), view, labels, ONE, ALL, losses, out)
    np.testing.assert_array_equal(losses, loss)
    np.testing.assert_array_equal(out, expected.astype(number).view(bits.dtype))
    out[...] = 77
    assert (room == 77).all()


@njit
def in_blocks(x):
    return layout_of(x, x).direct


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_long_rows_are_read_where_they_lie_whatever_is_between_them(shape):
    x = np.zeros(shape, np.float32)
    assert in_blocks(apart(x, "none")[1])
    for kind in ("gap", "backwards", "steps"):
        assert in_blocks(apart(x, kind)[1]) == (shape[1] > tuning.BLOCK // 2)
    assert not in_blocks(x)
    assert not in_blocks(apart(x, "none")[1][:, ::-1])
