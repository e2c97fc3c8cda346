"""Half precision: read and written as bits, exactly, and never copied to float32 as a whole."""

import ml_dtypes
import numba
import numpy as np
import pytest
from fastloss_kernels.simd import half as halves
from fastloss_kernels.simd.half import narrow, widen
from numba import njit

import fastloss as fl

KINDS = {"float16": (np.float16, np.int16), "bfloat16": (ml_dtypes.bfloat16, np.uint16)}
every_kind = pytest.mark.parametrize("kind", KINDS)


@njit
def _widen(x, out):
    for k in range(x.size):
        out[k] = widen(x[k])


@njit
def _narrow(x, out):
    for k in range(x.size):
        out[k] = narrow(x[k], out[k])


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compares two forms of compiled code")
def test_integer_arithmetic_does_what_the_instructions_do():
    @numba.njit
    def both_ways(patterns, x, wide, back):
        for k in range(patterns.size):
            wide[k] = halves._float16_to_float32(patterns[k])
        for k in range(x.size):
            back[k] = halves._float32_to_float16(x[k])

    patterns = np.arange(1 << 16, dtype=np.uint16)
    x = np.arange(0, 1 << 32, 65_519, dtype=np.uint64).astype(np.uint32).view(np.float32)
    wide, back = np.empty(patterns.size, np.float32), np.empty(x.size, np.int16)
    both_ways(patterns.view(np.int16), x, wide, back)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(wide, patterns.view(np.float16).astype(np.float32))
        np.testing.assert_array_equal(back.view(np.float16), x.astype(np.float16))


@every_kind
def test_every_number_widens_and_narrows_to_itself(kind):
    half, bits = KINDS[kind]
    patterns = np.arange(1 << 16, dtype=np.uint16)
    expected = patterns.view(half).astype(np.float32)
    wide, back = np.empty(patterns.size, np.float32), np.empty(patterns.size, bits)
    with np.errstate(all="ignore"):
        _widen(patterns.view(bits), wide)
        _narrow(wide, back)
    np.testing.assert_array_equal(wide, expected)
    np.testing.assert_array_equal(np.signbit(wide), np.signbit(expected))
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(back.view(np.uint16)[numbers], patterns[numbers])
    assert np.isnan(back.view(half)[~numbers].astype(np.float32)).all()


@every_kind
def test_rounds_to_nearest_even(kind):
    half, bits = KINDS[kind]
    exact = np.arange(1 << 16, dtype=np.uint16).view(half).astype(np.float32)
    exact = exact[np.isfinite(exact)]
    everywhere = np.arange(0, 1 << 32, 65_521, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        between = (exact[1:].astype(np.float64) + exact[:-1]) / 2
        x = np.concatenate([between.astype(np.float32), everywhere[~np.isnan(everywhere)]])
        x = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), np.nextafter(x, -x)])
        expected = x.astype(half)
    out = np.empty(x.size, bits)
    _narrow(x, out)
    np.testing.assert_array_equal(out.view(np.uint16), expected.view(np.uint16))


@every_kind
@pytest.mark.parametrize(("shape", "axis"), [((9, 7), -1), ((3, 5_000), -1), ((2, 6, 40), 1)])
def test_same_as_float32_and_rounded_once(kind, shape, axis):
    half, _ = KINDS[kind]
    rng = np.random.default_rng(5)
    y_pred = rng.normal(0, 3, shape).astype(half)
    labels = rng.integers(0, shape[axis], np.delete(shape, axis))
    call = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    options = {"from_logits": True, "axis": axis}
    loss, grad = call(labels, y_pred.astype(np.float32), **options)
    own_loss, own_grad = call(labels, y_pred, **options)
    np.testing.assert_array_equal(own_loss, loss)
    np.testing.assert_array_equal(own_grad, grad)
    out = np.empty_like(y_pred)
    call(labels, y_pred, out=out, **options)
    np.testing.assert_array_equal(out, grad.astype(half))
    call(labels, y_pred, out=y_pred, **options)
    np.testing.assert_array_equal(y_pred, grad.astype(half))


@every_kind
def test_axes_that_need_a_copy(kind):
    half, _ = KINDS[kind]
    y_pred = np.random.default_rng(6).normal(0, 3, (3, 4, 5)).astype(half)
    y_true = np.zeros(y_pred.shape, np.float32)
    call = fl.value_and_grad(fl.binary_crossentropy)
    options = {"from_logits": True, "axis": (0, 2)}
    _, grad = call(y_true, y_pred.astype(np.float32), **options)
    out = np.empty_like(y_pred)
    call(y_true, y_pred, out=out, **options)
    np.testing.assert_array_equal(out, grad.astype(half))
