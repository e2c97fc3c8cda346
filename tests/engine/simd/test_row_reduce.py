"""The loops in vector registers: compiled they give, to the bit, what their Python bodies give."""

import math

import numpy as np
import pytest
from fastloss_kernels.simd.row_reduce import row_sums, row_sums_f64, scale_rows
from numba import njit

WIDTHS = [0, 1, 2, 3, 5, 8, 10, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 257, 4096]
SHAPES = [(1 + 7 * width % 19, width) for width in WIDTHS]


@njit
def _row_sums(w, rows, width, total, lost):
    row_sums(w, rows, width, total, lost)


@njit
def _fine_sums(w, rows, width, total, lost):
    row_sums_f64(w, rows, width, total, lost)


@njit
def _scale_rows(w, rows, width, factor):
    scale_rows(w, rows, width, factor)


def drawn(rows, width, dtype):
    """Return rows with room behind them."""
    return np.random.default_rng(rows * width).lognormal(0, 4, rows * width + 9).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "width"), SHAPES)
@pytest.mark.parametrize("compiled", [_row_sums, _fine_sums])
def test_sums(compiled, rows, width, dtype):
    w = drawn(rows, width, dtype)
    room = (rows + 7) // 8 * 8
    total, lost, plain_total, plain_lost = np.zeros((4, room))
    compiled(w, rows, width, total, lost)
    plain = getattr(compiled, "py_func", compiled)  # without the attribute where nothing compiles
    plain(w, rows, width, plain_total, plain_lost)
    np.testing.assert_array_equal(total[:rows], plain_total[:rows])
    np.testing.assert_array_equal(lost[:rows], plain_lost[:rows])
    roundings = 3 * 2.0**-53
    if dtype is np.float32 and compiled is _row_sums:
        roundings = 2 * 2.0**-24
    for r in range(rows):
        exact = math.fsum(w[r * width : (r + 1) * width].tolist())
        assert abs(total[r] + lost[r] - exact) <= roundings * exact


@pytest.mark.parametrize("compiled", [_row_sums, _fine_sums])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinity_stays_in_its_row(compiled, dtype):
    w = np.ones((9, 5), dtype)
    w[3, 2], w[4, 1] = np.inf, np.nan
    total, lost = np.zeros((2, 16))
    with np.errstate(all="ignore"):  # plain Python warns of what compiled code does not
        compiled(w.reshape(-1), 9, 5, total, lost)
    expected = np.full(9, 5.0)
    expected[3:5] = np.inf, np.nan
    np.testing.assert_array_equal(total[:9], expected)
    assert not lost.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_scale_rows_touches_its_rows_only(rows, width, dtype):
    w = drawn(rows, width, dtype)
    factor = np.linspace(0.3, 2.0, rows).astype(dtype)
    expected = w.copy()
    for r in range(rows):
        expected[r * width : (r + 1) * width] *= factor[r]
    for scale in (scale_rows, _scale_rows):
        scaled = w.copy()
        scale(scaled, rows, width, factor)
        np.testing.assert_array_equal(scaled, expected)
