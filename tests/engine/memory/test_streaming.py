"""Rows on their way to and from memory: put together in a scratch, or past the caches."""

import ml_dtypes
import numpy as np
import pytest
from fastloss_kernels import tuning
from fastloss_kernels.simd.cache_hints import store_fence, store_nontemporal
from fastloss_kernels.simd.raw_arrays import flat_view
from numba import njit

import fastloss as fl
from benchmarks.cases import CASES


@njit
def _stream(source, target, size):
    store_nontemporal(source, target, size)
    store_fence()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", range(17))
def test_stream_writes_what_it_should_wherever_lines_begin(offset, dtype):
    source = np.arange(1000, dtype=dtype)
    for size in (0, 1, 5, 15, 16, 17, 100, 900):
        target = np.full(1000, -1, dtype)
        _stream(source[3:], target[offset:], size)
        expected = np.full(1000, -1, dtype)
        expected[offset : offset + size] = source[3 : 3 + size]
        np.testing.assert_array_equal(target, expected)


LARGE = [(CASES[0], 999), (CASES[0], 5_003), (CASES[0], tuning.DIRECT_ROW // 4 + 1)]
LARGE += [(case, tuning.LONG_ROW // 4 + 1) for case in CASES]


@pytest.mark.parametrize(("case", "classes"), LARGE, ids=lambda value: getattr(value, "name", None))
def test_large_gradients_have_the_bits_of_small_ones(case, classes):
    """Beyond `STREAM` bytes they go past the caches, in place and in small pieces they do not.

    Nor do rows beyond `DIRECT_ROW`; those beyond `LONG_ROW` go out before the next one starts.
    """
    rows = tuning.STREAM // 4 // classes + 3
    y_true, y_pred = case.data(rows, classes)
    call = fl.value_and_grad(case.function)
    loss, large = call(y_true, y_pred, **case.options)
    part = slice(rows // 2, rows // 2 + 10)
    part_loss, small = call(y_true[part], y_pred[part], **case.options)
    np.testing.assert_array_equal(loss[part], part_loss)
    np.testing.assert_array_equal(large[part], small)
    call(y_true, y_pred, out=y_pred, **case.options)
    np.testing.assert_array_equal(large, y_pred)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_large_gradients_of_half_precision_are_those_of_float32_rounded(name, order):
    """They are rounded into a second scratch, of which one half waits while the other is filled."""
    kind, classes = np.dtype(getattr(ml_dtypes, name, name)), 5_003
    rows = tuning.STREAM // 2 // classes + 3
    half = np.random.default_rng(7).normal(0, 3, (rows, classes)).astype(kind, order=order)
    labels = np.arange(rows) % classes
    call = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    loss, gradient = call(labels, half, from_logits=True, out=np.empty((rows, classes), kind))
    part = slice(rows // 2, None)
    same, slopes = call(labels[part], half[part].astype(np.float32), from_logits=True)
    np.testing.assert_array_equal(loss[part], same)
    np.testing.assert_array_equal(gradient[part].view(np.int16), slopes.astype(kind).view(np.int16))
    if order == "C":
        call(labels, half, from_logits=True, out=half)
        np.testing.assert_array_equal(half.view(np.int16), gradient.view(np.int16))


@pytest.mark.parametrize("shape", [(3, 1000, 150), (1, 21, 1000), (1, 5000, 70), (2, 10, 520)])
def test_rows_put_together_have_the_bits_of_rows_that_lie_so(shape):
    """Of many blocks, of rows longer than a piece, and across the ends of lines."""
    outer, classes, inner = shape
    rng = np.random.default_rng(8)
    x = rng.uniform(0.1, 0.9, (outer * inner, classes)).astype(np.float32)
    t = rng.uniform(0.1, 0.9, x.shape).astype(np.float32)

    def aside(a):
        return np.ascontiguousarray(np.moveaxis(a.reshape(outer, inner, classes), 2, 1))

    call = fl.value_and_grad(fl.binary_crossentropy)
    value, gradient = call(t, x)
    moved, slopes = call(aside(t), aside(x), axis=1)
    np.testing.assert_array_equal(moved.ravel(), value)
    np.testing.assert_array_equal(slopes, aside(gradient))
    both = aside(x)
    call(aside(t), both, axis=1, out=both)
    np.testing.assert_array_equal(both, slopes)
    columns = np.asfortranarray(x)
    mixed, slopes = call(t, columns, out=np.empty_like(columns))
    np.testing.assert_array_equal(mixed, value)
    np.testing.assert_array_equal(slopes, gradient)
    _, slopes = call(np.asfortranarray(t), columns, out=np.empty_like(x))
    np.testing.assert_array_equal(slopes, gradient)
    _, slopes = call(np.asfortranarray(t), x, out=np.empty_like(columns))
    np.testing.assert_array_equal(slopes, gradient)


def test_memory_starts_where_it_is_told():
    x = np.arange(12.0).reshape(3, 4)
    assert flat_view(x, x.dtype, 5 * x.itemsize)[0] == 5.0
