"""Rows that lie side by side, worked on as columns: the bits of rows that lie one behind the other.

`test_same_bits` and `test_kernels` try all layouts with small images, whose rows are put together.
"""

import fastloss_kernels as fk
import numpy as np
import pytest
from columns import DTYPES, LAYOUTS, SHAPES, assert_same_bits, in_columns, rows_of
from fastloss_kernels import tuning

pytestmark = pytest.mark.usefixtures("one_thread")

ONE, ALL = np.ones(1), np.ones(1, bool)


def problem(shape, dtype, spread=3.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, spread, shape).astype(dtype)
    return x, rng.integers(0, shape[1], shape[0] * shape[2])


def call(x, labels, *, grad=True, scale=ONE, keep=ALL, shares=False):
    """Return (loss, gradient) of logits, or of `shares`: of probabilities."""
    kernel = fk.probability_crossentropy_sparse if shares else fk.softmax_crossentropy_sparse
    kind = np.float64 if x.dtype == np.float64 else np.float32
    loss = np.full(labels.size, 7, kind)
    out = np.full(x.shape, 7, x.dtype) if grad is True else grad
    assert fk.run(kernel, x, labels, *((1e-7,) if shares else ()), scale, keep, loss, out) == -1
    return loss, out


def assert_as_rows(x, labels, **more):
    """Check columns x against the same rows one behind the other; return (loss, gradient)."""
    assert in_columns(x)
    loss, grad = call(x, labels, **more)
    expected, slopes = call(rows_of(x), labels, **more)
    assert_same_bits(loss, expected)
    assert_same_bits(rows_of(grad), slopes)
    return loss, grad


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_columns_have_the_bits_of_rows(shape, dtype):
    x, labels = problem(shape, dtype)
    loss, grad = assert_as_rows(x, labels)
    assert_same_bits(call(x, labels, grad=None)[0], loss)
    inside = x.copy()
    assert_same_bits(call(inside, labels, grad=inside)[0], loss)
    assert_same_bits(inside, grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rows_of_a_transposed_matrix(dtype):
    x, labels = problem((1, 21, 700), dtype)
    loss, grad = call(x, labels)
    turned, out = x.transpose(2, 1, 0), np.zeros_like(x)
    assert in_columns(turned)
    assert_same_bits(call(turned, labels, grad=out.transpose(2, 1, 0))[0], loss)
    assert_same_bits(out, grad)
    assert_same_bits(call(turned, labels, grad=np.zeros((700, 21, 1), dtype))[0], loss)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lay", LAYOUTS.values(), ids=LAYOUTS)
def test_strides_do_not_matter(lay, dtype):
    x, labels = problem((2, 21, 130), dtype)
    loss, grad = call(x, labels)
    view, out = lay(x), lay(np.zeros_like(x))
    assert in_columns(view)
    assert_same_bits(call(view, labels)[0], loss)
    assert_same_bits(call(view, labels, grad=out)[0], loss)
    assert_same_bits(np.ascontiguousarray(out), grad)
    assert_same_bits(call(view, labels, grad=view)[0], loss)
    assert_same_bits(np.ascontiguousarray(view), grad)


@pytest.mark.parametrize("shares", [False, True])
def test_half_precision(shares):
    x, labels = problem((2, 70, 100), np.float16)
    x = abs(x) if shares else x
    half = x.view(np.int16)
    loss, grad = assert_as_rows(half, labels, shares=shares)
    assert_same_bits(loss, call(x.astype(np.float32), labels, shares=shares)[0])
    assert_same_bits(call(half, labels, grad=half, shares=shares)[0], loss)
    assert_same_bits(half, grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 200.0, -1e4, 3e38, 1e-40, -0.0])
def test_one_place_matters_only_to_itself(wild, dtype):
    shape = 2, 5, 600
    x, labels = problem(shape, dtype)
    loss, grad = call(x, labels)
    x[1, 2, 77] = wild
    other, turned = assert_as_rows(x, labels)
    same = np.arange(1200) != 677
    assert_same_bits(other[same], loss[same])
    assert_same_bits(rows_of(turned)[same], rows_of(grad)[same])
    assert_same_bits(call(x, labels, grad=None)[0], other)
    assert_same_bits(call(x, labels, grad=x)[0], other)
    assert_same_bits(x, turned)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [30.0, 1e3, 1e6])
def test_large_logits(spread, dtype):
    assert_as_rows(*problem((2, 21, 300), dtype, spread))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_left_out_and_scaled(dtype):
    x, labels = problem((2, 19, 300), dtype)
    rng = np.random.default_rng(1)
    scale = rng.choice([1.0, -2.5, 1e-3, 0.0], 600)
    scale[450:460] = 1e-30  # too small for the short way
    keep = rng.random(600) < 0.7
    loss, grad = assert_as_rows(x, labels, scale=scale, keep=keep)
    assert not loss[~keep].any()
    assert not rows_of(grad)[~keep].any()
    stray = np.where(keep, labels, -(2**62))
    wild = np.where(keep.reshape(2, 1, 300), x, np.nan)
    for again in (
        call(x, stray, scale=scale, keep=keep),
        call(wild, stray, scale=scale, keep=keep),
    ):
        assert_same_bits(again[0], loss)
        assert_same_bits(again[1], grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_does_not_know_its_place(dtype):
    x, labels = problem((1, 37, 1300), dtype)
    loss, grad = call(x, labels)
    for part in (np.s_[3:67], np.s_[500:1290], np.s_[511:1023]):
        less, slopes = call(x[:, :, part], labels[part])
        assert_same_bits(less, loss[part])
        assert_same_bits(slopes, grad[:, :, part].copy())


def test_large_gradients_go_past_the_caches():
    classes = 21
    x, labels = problem((1, classes, tuning.STREAM // 4 // classes + 1001), np.float32)
    loss, grad = assert_as_rows(x, labels)
    assert_same_bits(call(x, labels, grad=x)[0], loss)
    assert_same_bits(x, grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_columns_of_probabilities(shape, dtype):
    x, labels = problem(shape, dtype)
    x = abs(x)
    x[0, 0, :9] = 0, np.inf, -np.inf, np.nan, 3e38, 1e-40, -1, 1, 2
    scale = np.random.default_rng(1).choice([1.0, -2.5, 1e-3, 0.0], labels.size)
    keep = np.arange(labels.size) % 5 != 2
    for more in ({}, {"scale": scale}, {"scale": scale, "keep": keep}):
        loss, grad = assert_as_rows(x, labels, shares=True, **more)
        assert_same_bits(call(x, labels, grad=None, shares=True, **more)[0], loss)
        inside = x.copy()
        assert_same_bits(call(inside, labels, grad=inside, shares=True, **more)[0], loss)
        assert_same_bits(inside, grad)


@pytest.mark.parametrize("lay", LAYOUTS.values(), ids=LAYOUTS)
def test_strides_of_probabilities_do_not_matter(lay):
    x, labels = problem((2, 21, 130), np.float32)
    x = abs(x)
    loss, grad = call(x, labels, shares=True)
    view, out = lay(x), lay(np.zeros_like(x))
    assert in_columns(view)
    assert_same_bits(call(view, labels, shares=True)[0], loss)
    assert_same_bits(call(view, labels, shares=True, grad=out)[0], loss)
    assert_same_bits(np.ascontiguousarray(out), grad)


def test_large_gradients_of_probabilities_go_past_the_caches():
    classes = 21
    x, labels = problem((1, classes, tuning.STREAM // 4 // classes + 1001), np.float32)
    loss, grad = assert_as_rows(abs(x), labels, shares=True)
    assert np.isfinite(loss).all()
    assert np.isfinite(grad).all()


def test_shorter_lines_are_put_together():
    assert not in_columns(np.zeros((5, 9, tuning.TILE_ROWS_LEAST - 1)))
    assert not in_columns(np.zeros((5, 9, 1)))
    assert not in_columns(np.zeros((500, 9, 1)))
