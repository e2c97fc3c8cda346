"""Smoothed and weighted targets are the exact ones, rounded once."""

import numba
import numpy as np
import pytest
from fastloss_kernels.compiler.lowering import PartCompiler
from fastloss_kernels.loops.targets import BinaryTargets, dense_targets, weighted_targets

# In plain Python a fused multiplication of float64 rounds twice: there float32 alone is exact.
DTYPES = [np.float32] if numba.config.DISABLE_JIT else [np.float32, np.float64]
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
smoothings = pytest.mark.parametrize("smoothing", [0.0, 1e-12, 3e-8, 0.1, 1 / 3, 0.9, 1.0])
ROWS, CLASSES = 7, 45


@numba.njit(error_model="numpy", pipeline_class=PartCompiler)
def _dense(y, rows, first, weight, smoothing, classes, own, result):
    targets = dense_targets(y, rows, first, weight, smoothing, classes, own)
    for k in range(targets.size):
        result[k] = targets[k]
    return targets.ctypes.data == y.ctypes.data


@numba.njit(error_model="numpy")
def _weighted(weight, smoothing, factor, targets):
    weighted_targets(weight, smoothing, factor, BinaryTargets(*targets))


def rounded_once(computed, right):
    _, exponent = np.frexp(right)
    last = np.ldexp(np.longdouble(np.finfo(computed.dtype).epsneg), exponent)
    return (np.abs(computed - right) <= 0.502 * last).all()


def draw(dtype):
    """Return targets between 0 and 1, some of them on the ends, others near them."""
    rng = np.random.default_rng(0)
    t = rng.random(ROWS * CLASSES) ** rng.choice([1, 8], ROWS * CLASSES)
    t = np.where(rng.random(t.size) < 0.5, t, 1 - t)
    return np.where(rng.random(t.size) < 0.2, np.rint(t), t).astype(dtype)


@both_dtypes
@smoothings
@pytest.mark.parametrize("weighted", [False, True])
def test_dense_targets(dtype, smoothing, weighted):
    t, own = draw(dtype), np.full(ROWS * CLASSES, 7, dtype)
    first, every = 3, CLASSES + 5  # a piece of rows with more classes
    weights = np.random.default_rng(1).uniform(0.2, 9, every).astype(dtype)
    given = weights if weighted else weights[:0]
    result = np.empty_like(t)
    same = _dense(t, ROWS, first, given, smoothing, every, own, result)
    s = np.longdouble(smoothing)
    right = np.longdouble(t) * (1 - s) + s / every
    if weighted:
        right *= np.tile(weights[first : first + CLASSES], ROWS)
    assert rounded_once(result, right)
    assert same == (smoothing == 0.0 and not weighted)


@both_dtypes
@smoothings
@pytest.mark.parametrize("divisor", [1.0, 45.0, -0.007])
def test_weighted_targets(dtype, smoothing, divisor):
    t, weight = draw(dtype), np.random.default_rng(1).uniform(0.2, 9, ROWS * CLASSES).astype(dtype)
    f = 1 / np.longdouble(divisor)
    high = dtype(f)
    factor = np.full(t.size, high), np.full(t.size, dtype(f - high))
    own, scaled = (np.full((2, t.size), 7, dtype) for _ in range(2))
    _weighted(weight, smoothing, factor, (t, own[0], own[1], scaled[0], scaled[1]))
    s, t = np.longdouble(smoothing), np.longdouble(t)
    yes, no = weight * (t * (1 - s) + s / 2), (1 - t) * (1 - s) + s / 2
    assert rounded_once(own[0], yes)
    assert rounded_once(own[1], no)
    assert rounded_once(scaled[0], yes * f)
    assert rounded_once(scaled[1], no * f)
