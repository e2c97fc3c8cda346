"""Rows of a few elements and their columns: each in its place, and nothing beyond the rows."""

import numpy as np
import pytest
from fastloss_kernels import tuning
from fastloss_kernels.simd.deinterleave import to_columns, to_rows
from numba import njit


@njit
def _to_columns(w, rows, width, columns, step):
    to_columns(w, rows, width, columns, step)


@njit
def _to_rows(w, rows, width, columns, step):
    to_rows(w, rows, width, columns, step)


@pytest.mark.parametrize(
    ("dtype", "width"),
    [(np.float32, width) for width in range(1, 17)]
    + [(np.float64, width) for width in range(1, 9)],
)
@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 31, 32, 33, 64, 100])
@pytest.mark.parametrize("there", [to_columns, _to_columns])
@pytest.mark.parametrize("back", [to_rows, _to_rows])
def test_rows_become_columns_and_rows_again(there, back, rows, width, dtype):
    w = np.arange(rows * width, dtype=dtype)
    step = (rows + 15) // 16 * 16
    columns = np.full(tuning.SHORT_ROW // w.itemsize * step, -1, dtype)
    there(w, rows, width, columns, step)
    found = columns.reshape(-1, step)[:width, :rows]
    assert np.array_equal(found, w.reshape(rows, width).T)
    assert np.all(columns.reshape(-1, step)[:width, rows:] == -1)
    again = np.full(w.size + 16, -2, dtype)
    back(again, rows, width, columns, step)
    assert np.array_equal(again[: w.size], w)
    assert np.all(again[w.size :] == -2)
