"""The loops in vector registers: compiled they give, to the bit, what their Python bodies give."""

import math

import numpy as np
import pytest
from fastloss_kernels.lanes import lane_sum, scale_row
from numba import njit

SIZES = [0, 1, 2, 3, 5, 7, 8, 10, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 257, 999, 4096]


@njit
def _sum(w, start, size):
    return lane_sum(w, start, size)


@njit
def _scale(w, start, size, factor):
    scale_row(w, start, size, factor)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_lane_sum(dtype, size):
    w = np.random.default_rng(size).lognormal(0, 4, size + 9).astype(dtype)
    computed = _sum(w, 5, size)
    assert computed == lane_sum(w, 5, size)
    exact = math.fsum(w[5 : 5 + size].tolist())
    roundings = 2 * 2.0**-24 if dtype is np.float32 else 3 * 2.0**-53
    assert abs(sum(computed) - exact) <= roundings * exact


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_scale_row_touches_its_row_only(dtype, size):
    w = np.random.default_rng(size).standard_normal(size + 9).astype(dtype)
    expected = w.copy()
    scale_row(expected, 5, size, dtype(0.3))
    np.testing.assert_array_equal(expected[5 : 5 + size], w[5 : 5 + size] * dtype(0.3))
    _scale(w, 5, size, dtype(0.3))
    np.testing.assert_array_equal(w, expected)
