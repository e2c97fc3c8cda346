"""The sum of all losses: rounded once, in an order that the length alone fixes."""

import math

import fastloss_kernels as fk
import numpy as np
import pytest

LENGTHS = [0, 1, 2, 31, 32, 33, 64, 1000, 4097, 70001]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_total_is_the_exact_sum_rounded(n, dtype):
    rng = np.random.default_rng(n)
    for values in (rng.random(n), rng.normal(size=n) * 10.0 ** rng.integers(-6, 6, n)):
        values = values.astype(dtype)
        size = math.fsum(np.abs(values).tolist())
        # float32: n / 32 + 32 additions a lane; float64: what they lose is kept, to second order
        ulps = 1 if dtype is np.float64 else n / 32 + 32
        bound = ulps * 2.0**-53 * size
        assert abs(fk.total(values) - math.fsum(values.tolist())) <= bound


def test_what_cancels_is_not_lost():
    values = np.array([1.0, 1e17, 1.0, -1e17] * 1000)
    assert fk.total(np.sort(values)[::-1].copy()) == 2000.0


def test_bits_do_not_depend_on_layout():
    values = np.random.default_rng(0).normal(size=(5000, 2))[:, 0]
    assert not values.flags.c_contiguous
    assert fk.total(values) == fk.total(values.copy())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, np.inf], np.inf),
        ([-np.inf, 1.0], -np.inf),
        ([np.inf, -np.inf], np.nan),
        ([1.0, np.nan], np.nan),
        ([1e308, 1e308], np.inf),
        ([-0.0], 0.0),
    ],
)
@pytest.mark.parametrize("repeats", [1, 40])
def test_infinities_and_nan(values, expected, repeats):
    np.testing.assert_equal(fk.total(np.array(values * repeats)), expected)
