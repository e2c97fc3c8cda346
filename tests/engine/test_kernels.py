"""The engine itself: layouts, in place, threads and bits, rows left out, labels, user's loops."""

import fastloss_kernels as fk
import numpy as np
import pytest
from kernel_arguments import ALL, DENSE, KERNELS, LABELS, ONE, arguments
from numba import njit, prange

SHAPES = [(5, 7, 1), (3, 4, 6), (2, 9001, 1), (40, 1, 1), (1, 3, 50), (300, 10, 1)]


def call(name, x, targets, options, *, scale=ONE, keep=ALL, grad=True, threads=1):
    """Return (loss, gradient) of a kernel called through its layout-free entry."""
    loss = np.full(x.shape[0] * x.shape[2], np.nan, x.dtype)
    out = np.full(x.shape, np.nan, x.dtype) if grad is True else grad
    kernel = getattr(fk, name)
    if threads == 1:
        fk.run(kernel, x, targets, *options, scale, keep, loss, out)
    else:
        kernel(x, targets, *options, scale, keep, loss, out, threads)
    return loss, out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KERNELS)
def test_same_bits_in_place_and_without_gradient(name, dtype):
    for shape in SHAPES:
        x, targets, options = arguments(name, shape, dtype)
        loss, grad = call(name, x, targets, options)
        assert np.isfinite(loss).all()
        assert np.isfinite(grad).all()
        assert grad.any() or shape[1] == 1
        np.testing.assert_array_equal(call(name, x, targets, options, grad=None)[0], loss)
        inside = x.copy()
        np.testing.assert_array_equal(call(name, inside, targets, options, grad=inside)[0], loss)
        np.testing.assert_array_equal(inside, grad)


@pytest.mark.parametrize("name", KERNELS)
def test_same_bits_in_every_layout(name):
    shape = (12, 10, 6)
    x, targets, options = arguments(name, shape, np.float32)
    loss, grad = call(name, x, targets, options)
    wide = np.zeros((24, 20, 12), np.float32)
    for view in (
        np.asfortranarray(x),
        wide[::2, ::-2, 1::2],
        np.moveaxis(wide[:10, :12, :6], 0, 1),
    ):
        if not np.array_equal(view, x):
            view[...] = x
        view.flags.writeable = False
        other, other_grad = call(name, view, targets, options)
        np.testing.assert_array_equal(other, loss)
        np.testing.assert_array_equal(other_grad, grad)
    strided = np.full((12, 20, 6), np.nan, np.float32)[:, ::2]
    call(name, x, targets, options, grad=strided)
    np.testing.assert_array_equal(strided, grad)
    last = np.ascontiguousarray(np.moveaxis(x, 1, 2)).reshape(-1, 10, 1)
    flat = targets
    if name in DENSE:
        flat = np.ascontiguousarray(np.moveaxis(targets, 1, 2)).reshape(-1, 10, 1)
    np.testing.assert_array_equal(call(name, last, flat, options)[0], loss)


@pytest.mark.parametrize("name", KERNELS)
def test_threads_and_neighbours_do_not_matter(name):
    x, targets, options = arguments(name, (300, 10, 1), np.float32)
    loss, grad = call(name, x, targets, options)
    for threads in (2, 7):
        parallel, parallel_grad = call(name, x, targets, options, threads=threads)
        np.testing.assert_array_equal(parallel, loss)
        np.testing.assert_array_equal(parallel_grad, grad)
    alone, alone_grad = call(name, x[17:18], targets[17:18], options)
    np.testing.assert_array_equal(alone, loss[17:18])
    np.testing.assert_array_equal(alone_grad, grad[17:18])
    x[16], x[18] = np.nan, np.inf
    np.testing.assert_array_equal(call(name, x, targets, options)[1][17], grad[17])


@pytest.mark.parametrize("name", KERNELS)
def test_rows_left_out_and_scaled(name):
    x, targets, options = arguments(name, (50, 6, 2), np.float64)
    loss, grad = call(name, x, targets, options)
    scale = np.linspace(-2, 3, 100)
    keep = np.arange(100) % 3 > 0
    rows = keep.reshape(50, 1, 2)
    x = np.where(rows, x, np.nan)
    if name in LABELS:
        targets = np.where(keep, targets, -(2**62))
    got, got_grad = call(name, x, targets, options, scale=scale, keep=keep)
    np.testing.assert_array_equal(got, np.where(keep, loss, 0))
    expected = np.where(rows, grad * scale.reshape(50, 1, 2), 0)
    np.testing.assert_allclose(got_grad, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("label", [-7, 5, 10**11, -(2**63)])
def test_bad_label_writes_nothing(name, label):
    x, targets, options = arguments(name, (30, 5, 1), np.float32)
    targets[11] = targets[20] = label
    loss, grad = np.full(30, 7, np.float32), np.full(x.shape, 7, np.float32)
    assert fk.run(getattr(fk, name), x, targets, *options, ONE, ALL, loss, grad) == 11
    assert (loss == 7).all()
    assert (grad == 7).all()


def test_extreme_rows_agree_with_the_fast_way():
    """A block that holds one huge logit takes the long way; the other rows keep their bits."""
    x, targets, options = arguments("softmax_crossentropy_sparse", (40, 30, 1), np.float32)
    loss, grad = call("softmax_crossentropy_sparse", x, targets, options)
    x[0, 0] = 1e30
    other, other_grad = call("softmax_crossentropy_sparse", x, targets, options)
    np.testing.assert_array_equal(other[1:], loss[1:])
    np.testing.assert_array_equal(other_grad[1:], grad[1:])


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(0, 2)])
def test_tiny_and_huge_scales(rows):
    """Of small logits, of large ones, and of both in one block."""
    x = np.float32([[39, 39, -39], [90, 90, 0]])[rows].reshape(-1, 3, 1)
    labels = np.zeros(len(x), np.int64)
    for scale in (1e-36, 1e-30, 1e-12, 1e30):
        _, grad = call("softmax_crossentropy_sparse", x, labels, (), scale=np.array([scale]))
        expected = [[-scale / 2, scale / 2]] * len(x)
        np.testing.assert_allclose(grad[:, :2, 0], expected, rtol=3e-7)


@njit(parallel=True)
def _row_by_row(x, labels):
    loss = np.empty(labels.size)
    for i in prange(labels.size):
        one, all_rows = np.ones(1), np.ones(1, np.bool_)
        row = x[i : i + 1].reshape(1, x.shape[1], 1)
        fk.softmax_crossentropy_sparse(
            row, labels[i : i + 1], one, all_rows, loss[i : i + 1], None, 1
        )
    return loss


def test_called_from_compiled_code():
    x, targets, _ = arguments("softmax_crossentropy_sparse", (20, 8, 1), np.float64)
    loss, _ = call("softmax_crossentropy_sparse", x, targets, ())
    np.testing.assert_array_equal(_row_by_row(x[:, :, 0], targets), loss)


@pytest.mark.parametrize("name", KERNELS)
def test_no_rows_and_no_classes(name):
    for shape in ((0, 5, 1), (4, 0, 1), (3, 0, 2)):
        x = np.empty(shape)
        rows = shape[0] * shape[2]
        targets = np.zeros(rows, np.int64) if name in LABELS else x
        keep = np.zeros(1, bool) if name in LABELS else ALL
        loss, _ = call(name, x, targets, KERNELS[name], keep=keep)
        mean = name in ("binary_crossentropy_logits", "binary_crossentropy", "poisson")
        np.testing.assert_array_equal(loss, np.full(rows, np.nan if mean else 0))
