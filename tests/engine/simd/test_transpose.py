"""Transposed in registers: every element in its place, compiled and as plain Python."""

import numpy as np
import pytest
from fastloss_kernels.simd.transpose import transpose
from numba import njit


@njit
def _transpose(source, source_step, target, target_step, lines, width):
    transpose(source, source_step, target, target_step, lines, width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lines", [1, 3, 8, 15, 16, 17, 21, 40])
@pytest.mark.parametrize("width", [1, 7, 16, 19, 33, 64])
def test_transpose(lines, width, dtype):
    source = np.random.default_rng(0).normal(size=(lines, width + 5)).astype(dtype)
    target = np.zeros((width, lines + 3), dtype)
    expected = target.copy()
    expected[:, :lines] = source[:, :width].T
    steps = width + 5, lines + 3
    plain = getattr(_transpose, "py_func", _transpose)  # as it is where nothing compiles
    for call in (_transpose, plain):
        target[:] = 0
        call(source.reshape(-1), steps[0], target.reshape(-1), steps[1], lines, width)
        np.testing.assert_array_equal(target, expected)
