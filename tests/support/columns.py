"""Rows that lie side by side: shapes and layouts, and the same rows one behind the other."""

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.memory.layout import rows_per_tile
from numba import njit

# Classes fewer than lanes, as many as four registers, a few more, more than a piece; lines of one
# tile, of several, of a few rows more than a tile.
SHAPES = [
    (1, 1, tuning.TILE_ROWS_LEAST),
    (3, 2, tuning.TILE_ROWS_LEAST + 1),
    (2, 3, 1000),
    (2, 16, 99),
    (1, 21, tuning.TILE_ROWS + 1),
    (2, 64, 65),
    (1, 67, 127),
    (1, 150, 3 * tuning.TILE_ROWS + 7),
    (2, 1000, 70),
    (1, 4096, tuning.TILE_ROWS_LEAST),
    (1, 4099, 77),
    (1, 9000, tuning.TILE_ROWS_LEAST),
]
DTYPES = [np.float32, np.float64]


def rows_of(x):
    """Return a copy whose rows lie one behind the other, of shape (n, classes, 1)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, 2)).reshape(-1, x.shape[1], 1)


@njit
def in_columns(x):
    return rows_per_tile(x, x) > 0


def assert_same_bits(a, b):
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert a.tobytes() == b.tobytes()


def embedded(x, shape, where):
    """Return x as a part of a larger array that holds NaN elsewhere."""
    larger = np.full(shape, np.nan, x.dtype)
    larger[where] = x
    return larger[where]


LAYOUTS = {
    "every other": lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
    "backwards": lambda x: x[:, :, ::-1].copy()[:, :, ::-1],
    "classes backwards": lambda x: x[:, ::-1].copy()[:, ::-1],
    "images backwards": lambda x: x[::-1].copy()[::-1],
    "gaps": lambda x: embedded(x, (3, 30, 200), np.s_[:2, 4:25, 7:137]),
    "classes outermost": lambda x: x.transpose(1, 0, 2).copy().transpose(1, 0, 2),
}
